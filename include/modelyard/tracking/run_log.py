"""What a training, a search or a cross-validation tells, written to one MLflow run and its children."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.tracking.client import call, connect, created
from modelyard.tracking.energy import meter
from modelyard.tracking.environment import describe, facts_of
from modelyard.tracking.meters import Meters
from modelyard.tracking.outbox import Outbox
from modelyard.tracking.params import flatten
from modelyard.tracking.wandb_log import About, WandbLog, open_wandb

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY = "modelyard.key"
STAGE = "modelyard.stage"
ERROR = "modelyard.error"
FINAL = "evaluation/"
PARENT = "mlflow.parentRunId"
TRAIN = "train"
LONGEST_REASON = 2000
LAST_WORDS_SECONDS = 2.0
MOST_CHILDREN = 1000
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else its page opens as one for chats
CHILD_HOLD = 5.0  # a trial that ends sooner tells all in one call


@dataclass(frozen=True, slots=True)
class Story:
    """What all runs of one stage have in common."""

    spec: Spec
    settings: Settings
    run: str
    stage: str = TRAIN


class RunLog:
    """One MLflow run; it and its children may be told things from several threads at once."""

    def __init__(
        self,
        story: Story,
        tags: Mapping[str, str] | None = None,
        files: Mapping[Path, str] | None = None,
    ) -> None:
        self.run_id = ""
        self._story = story
        self._tags = dict(tags or {})
        self._files = dict(files or {})
        self._outbox: Outbox | None = None
        self._meters: Meters | None = None
        self._second: WandbLog | None = None
        self._status = "FINISHED"
        self._experiment = ""
        self._children: dict[str, Run] = {}
        self._lock = threading.Lock()

    def begin(self, key: str, facts: Mapping[str, str]) -> None:
        """Find the run of this training by its key, or create it, and say what it depends on."""
        spec, stage = self._story.spec, self._story.stage
        tags = {
            **self._tags,
            **facts_of(self._story.settings.project),
            **{f"modelyard.{name}": value for name, value in facts.items()},
            "modelyard.spec_hash": spec.hash,
            "mlflow.note.content": spec.description,
        }
        name = self._story.run if stage == TRAIN else f"{self._story.run} {stage}"
        call("open a run", lambda: self._open(name, key, tags))
        about = About(self.run_id, spec.name, name, self._story.run, stage)
        self._second = open_wandb(self._story.settings, about)
        self._describe()
        for file, folder in self._files.items():
            self.artifact(file, folder)
        self._follow_the_machine()

    def params(self, values: Mapping[str, JsonValue]) -> None:
        """Note what the training was asked to do."""
        flat = flatten(values)
        if self._outbox is not None:
            self._outbox.params(flat)
        if self._second is not None:
            self._second.params(flat)

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        """Note the figures of one epoch; they are sent at most once a second."""
        del total
        figures = {k: v for k, v in metrics.items() if k != "epoch"}
        if self._outbox is not None:
            self._outbox.add(figures, number)
        if self._second is not None:
            self._second.epoch(number, figures)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Note figures."""
        if self._outbox is not None:
            self._outbox.add(values, step)
        if self._second is not None:
            self._second.summary(values)

    def tags(self, values: Mapping[str, str]) -> None:
        """Note facts by which runs are found."""
        if self._outbox is not None:
            self._outbox.tags(values)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Keep a file with the run."""
        if self.run_id:
            call(
                f"keep {path.name}",
                lambda: self._client.log_artifact(self.run_id, str(path), folder or None),
            )

    def failed(self, reason: str) -> None:
        """Mark the run as failed when it ends, and say why."""
        self._status = "FAILED"
        self.tags({ERROR: reason[:LONGEST_REASON]})

    @contextmanager
    def child(self, name: str, key: str) -> Iterator[RunLog]:
        """Open a run below this one; the same key continues the same child.

        Where this run was not begun, nothing is tracked of its children either.
        """
        nested = RunLog(self._story, {PARENT: self.run_id})
        if self.run_id:
            call(f"open {name}", lambda: self._open_child(nested, name, key))
        with closing(nested):
            yield nested

    def end(self, status: str | None = None, patience: float | None = None) -> None:
        """Send what is left and close the run, if it was begun."""
        outbox = self._outbox
        if outbox is None:
            return
        status = status or self._status
        if self._meters is not None:
            self.metrics(self._meters.stop())
        if self._second is not None:
            self._second.end(failed=status != "FINISHED")
        self._outbox = self._second = None
        outbox.flush(patience)
        call("end the run", lambda: self._client.set_terminated(self.run_id, status), patience)

    @property
    def _client(self) -> MlflowClient:
        return connect(self._story.settings)

    def _open(self, name: str, key: str, tags: Mapping[str, str]) -> None:
        """Continue the run of a key, with all its children, or create it."""
        self._experiment = experiment_id(self._story.settings, self._story.spec.name)
        found = self._client.search_runs([self._experiment], f"tags.`{KEY}` = '{key}'")
        known = [run for run in found if PARENT not in run.data.tags]
        if not known:
            self._create(name, key, tags)
            return
        self._continue(known[0], tags)
        query = f"tags.`{PARENT}` = '{self.run_id}'"
        children = self._client.search_runs([self._experiment], query, max_results=MOST_CHILDREN)
        self._children = {run.data.tags.get(KEY, ""): run for run in children}

    def _open_child(self, nested: RunLog, name: str, key: str) -> None:
        nested._experiment = self._experiment
        with self._lock:
            known = self._children.get(key)
        if known is not None:
            nested._continue(known, {}, hold=CHILD_HOLD)
            return
        run = nested._create(name, key, nested._tags, hold=CHILD_HOLD)
        with self._lock:
            self._children[key] = run

    def _create(self, name: str, key: str, tags: Mapping[str, str], hold: float = 0.0) -> Run:
        story = self._story
        named = {
            **tags,
            KEY: key,
            STAGE: story.stage,
            "modelyard.run": story.run,
            "modelyard.dag_run": story.run,
            "modelyard.spec": story.spec.name,
            "mlflow.source.name": "modelyard",
        }
        run = self._client.create_run(self._experiment, tags=named, run_name=name)
        self.run_id = str(run.info.run_id)
        self._outbox = Outbox(self._client, self.run_id, hold=hold)
        return run

    def _continue(self, run: Run, tags: Mapping[str, str], hold: float = 0.0) -> None:
        self.run_id = str(run.info.run_id)
        self._client.update_run(self.run_id, status="RUNNING")
        if ERROR in run.data.tags:
            self._client.delete_tag(self.run_id, ERROR)
        self._outbox = Outbox(self._client, self.run_id, hold=hold)
        self._outbox.tags({**tags, "modelyard.run": self._story.run})

    def _follow_the_machine(self) -> None:
        assert self._outbox is not None, "the run was begun"
        energy = meter(self._story.settings.energy_country)
        self._meters = Meters(self._outbox, time.time(), energy)
        self._meters.start()

    def _describe(self) -> None:
        """Keep the spec and the environment as files."""
        spec = self._story.spec.model_dump(mode="json", exclude_unset=True)
        files = {"spec.json": json.dumps(spec, indent=2) + "\n", **describe()}
        for name, text in files.items():
            call(
                f"keep {name}",
                lambda n=name, t=text: self._client.log_text(self.run_id, t, n),  # type: ignore[misc]  # bound now
            )


@contextmanager
def closing(log: RunLog) -> Iterator[None]:
    """End a run with the block; what leaves the block as an exception is told and passed on."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(TrackingError):  # the first error is the one to tell
            log.failed(str(error) or type(error).__name__)
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            log.end(status, patience=LAST_WORDS_SECONDS)
        raise
    log.end()


def experiment_id(settings: Settings, name: str) -> str:
    """Find or create the experiment of a spec; its files lie at the same path with and without a server."""
    client = connect(settings)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = str(settings.artifact_root / name)
        created(lambda: client.create_experiment(name, artifact_location=location, tags=KIND))
        experiment = client.get_experiment_by_name(name)
    elif experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)
