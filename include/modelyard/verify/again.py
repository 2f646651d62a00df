"""Make a recorded version again in a clean home, and hold the result against the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelyard.errors import TrainingError
from modelyard.settings import Settings
from modelyard.tracking.environment import environment_hash
from modelyard.tracking.records import Record, record_of
from modelyard.verify.code import checked_out, choose_for

CHILD = Path(__file__).with_name("child.py")
WORK_TREE = "work tree"
OF_THE_STACK = ("TRACKING_URI", "DATABASE_URL", "RAY_ADDRESS", "SERVE_API", "SPEC_CACHE")
LAST_LINES = 5

type Outcome = Literal["identical", "within tolerance", "different"]
type Tell = Callable[[str], None]


class Verified(BaseModel):
    """Whether a version can be made again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(description="The version that was made again.")
    outcome: Outcome = Field(description="Equal weights, metrics within the tolerance, or neither.")
    difference: float = Field(
        description="The largest difference of a metric, as `gap` measures it."
    )
    metric: str | None = Field(description="The metric that differs most.")
    tolerance: float = Field(description="The largest difference that counts as the same.")
    recorded: dict[str, float] = Field(description="Metrics of the record.")
    made: dict[str, float] = Field(description="Metrics of the new training.")
    notes: tuple[str, ...] = Field(description="Which code it was, and what else was not as then.")


class Made(BaseModel):
    """What the child answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    weights: str = ""
    metrics: dict[str, float] = {}
    same_config: bool = True
    error: str | None = None


def verify(settings: Settings, name: str, number: int, tolerance: float, tell: Tell) -> Verified:
    """Make a version again from its recorded spec, data and code, and compare.

    Everything is made below a temporary folder, which is removed. `tell` hears of the progress.

    Raises:
        UsageError: there is no such version, or git does not have its commit.
        TrackingError: MLflow knows too little of it.
        TrainingError: it cannot be made again, with the reason.
    """
    record = record_of(settings, name, number)
    choice = choose_for(settings.project, record.code)
    tell(f"{record.title}: {choice.words}")
    with (
        tempfile.TemporaryDirectory(prefix="modelyard-verify-") as scratch,
        checked_out(settings.project, choice.commit, Path(scratch)) as paths,
    ):
        made = _make(settings, record, paths, Path(scratch), tell)
    notes = [choice.words, *_notes(record, made)]
    return judge(record, made, tolerance, tuple(notes))


def judge(record: Record, made: Made, tolerance: float, notes: tuple[str, ...]) -> Verified:
    """Compare weights, and metrics where those differ."""
    gaps = {
        name: gap(value, made.metrics[name])
        for name, value in record.metrics.items()
        if name in made.metrics
    }
    worst = max(gaps, key=lambda name: gaps[name], default=None)
    difference = gaps[worst] if worst is not None else 0.0
    outcome: Outcome = "different"
    if made.weights == record.weights:
        outcome = "identical"
    elif worst is not None and difference <= tolerance:
        outcome = "within tolerance"
    return Verified(
        version=record.title,
        outcome=outcome,
        difference=difference,
        metric=worst,
        tolerance=tolerance,
        recorded=record.metrics,
        made=made.metrics,
        notes=notes,
    )


def gap(recorded: float, made: float) -> float:
    """The difference of a metric; of values above 1 as a share of the recorded one."""
    return abs(recorded - made) / max(1.0, abs(recorded))


def _notes(record: Record, made: Made) -> list[str]:
    notes = []
    if record.packages and record.packages != environment_hash():
        notes.append("other packages are installed than then")
    searched = record.spec.get("tune") is not None
    if searched:
        notes.append("the configuration that the search chose was trained, without the search")
    elif not made.same_config:
        notes.append("the spec gives another configuration than the recorded one")
    return notes


def _make(settings: Settings, record: Record, paths: list[Path], scratch: Path, tell: Tell) -> Made:
    request: dict[str, JsonValue] = {
        "spec": record.spec,
        "config": record.config,
        "searched": record.spec.get("tune") is not None,
        "content": record.content,
        "revisions": [*_revisions(record)],
        "answer": str(scratch / "answer.json"),
    }
    environment = _environment(settings, paths, scratch / "home")
    last = _run_child(json.dumps(request), environment, scratch, tell)
    try:
        answer = Made.model_validate_json((scratch / "answer.json").read_bytes())
    except (OSError, ValueError) as error:
        message = f"{record.title} cannot be made again: {' | '.join(last) or 'its process died'}"
        raise TrainingError(message) from error
    if answer.error is not None:
        message = f"{record.title} cannot be made again: {answer.error}"
        raise TrainingError(message)
    return answer


def _revisions(record: Record) -> list[str | None]:
    """Where the data may be: where they were, at the version's commit, or still in the work tree."""
    recorded = record.revision if record.revision not in {"", WORK_TREE} else None
    return [one for one in (recorded, record.code.commit) if one] + [None]


def _environment(settings: Settings, paths: list[Path], home: Path) -> dict[str, str]:
    """This process's, but for a clean home, and nothing of a running stack."""
    left_out = {f"MODELYARD_{name}" for name in OF_THE_STACK}
    kept: Mapping[str, str] = {k: v for k, v in os.environ.items() if k not in left_out}
    search = [*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **kept,
        "MODELYARD_HOME": str(home),
        "MODELYARD_PROJECT": str(settings.project.absolute()),
        "MODELYARD_ENERGY_COUNTRY": "off",
        "MODELYARD_WANDB": "off",
        "PYTHONPATH": os.pathsep.join(search),
    }


def _run_child(request: str, environment: dict[str, str], scratch: Path, tell: Tell) -> list[str]:
    """Run the child to its end, pass on what it logs, and return its last words."""
    command = [sys.executable, "-P", str(CHILD)]
    last: deque[str] = deque(maxlen=LAST_LINES)
    with (
        (scratch / "output.txt").open("w", encoding="utf-8") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=scratch,
        ) as child,
    ):
        assert child.stdin is not None, "it is a pipe"
        assert child.stderr is not None, "it is a pipe"
        try:
            child.stdin.write(request)
            child.stdin.close()
            for line in child.stderr:
                last.append(line.strip())
                tell(line.strip())
        except BaseException:
            child.kill()
            raise
    return [*last]
