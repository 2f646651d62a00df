"""A search chooses well, remembers everything, and goes on where it was killed."""

from __future__ import annotations

import csv
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from modelyard.errors import ComputeError, TrackingError, TrainingError
from modelyard.training.log import TrainingLog, Untracked
from modelyard.training.pool import Call, Say
from modelyard.training.search_plots import _label
from tests.training.samples import workspace_in
from tests.training.searching import GRID, Oracle, bare, score, search_in, spec_for

ROOT = Path(__file__).parents[2]


class Listener(Untracked):
    """Remembers what it and its children are told."""

    def __init__(self, run_id: str = "parent") -> None:
        self.run_id = run_id
        self.told: dict[str, Any] = {"epochs": [], "tags": {}, "metrics": {}, "artifacts": []}
        self.children: dict[str, Listener] = {}

    def params(self, values: Mapping[str, JsonValue]) -> None:
        self.told["params"] = dict(values)

    def epoch(self, number: int, total: int, metrics: Mapping[str, float]) -> None:
        del metrics
        self.told["epochs"].append((number, total))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        del step
        self.told["metrics"] |= values

    def tags(self, values: Mapping[str, str]) -> None:
        self.told["tags"] |= values

    def artifact(self, path: Path, folder: str = "") -> None:
        del folder
        self.told["artifacts"].append(path.name)

    def failed(self, reason: str) -> None:
        self.told["failed"] = reason

    @contextmanager
    def child(self, name: str, key: str) -> Iterator[TrainingLog]:
        assert key.endswith(f"/{name}")
        self.children[name] = Listener(name)
        yield self.children[name]


@pytest.mark.parametrize(
    ("search", "scheduler"),
    [("tpe", None), ("random", "asha"), ("tpe", "hyperband"), ("grid", "median")],
)
def test_values_stay_in_their_spaces_and_no_trial_is_lost(
    search: str, scheduler: str | None, tmp_path: Path
) -> None:
    tuned = search_in(tmp_path, spec_for(search, scheduler=scheduler))
    assert [trial.number for trial in tuned.trials] == list(range(9 if search == "grid" else 12))
    for trial in tuned.trials:
        chosen: Any = trial.parameters
        assert 1e-4 <= chosen.get("trainer.learning_rate", 0.1) <= 1
        assert chosen["combiner.output_size"] in {4, 8, 12}
        expected = "failed" if chosen["trainer.optimizer"] == "broken" else None
        assert trial.state == (expected or trial.state)
        assert trial.state in {"finished", "stopped early", "failed"}


def test_a_grid_goes_through_every_combination_once(tmp_path: Path) -> None:
    tuned = search_in(tmp_path, spec_for("grid", trials=50))
    tried = {json.dumps(trial.parameters, sort_keys=True) for trial in tuned.trials}
    assert len(tried) == len(tuned.trials) == 3 * 3


def test_a_grid_over_a_continuous_space_is_refused(tmp_path: Path) -> None:
    rate = {"trainer.learning_rate": {"space": "uniform", "lower": 0, "upper": 1}}
    with pytest.raises(TrainingError, match=r"trainer\.learning_rate: a grid cannot go"):
        search_in(tmp_path, spec_for("grid", parameters=GRID | rate))


def test_the_tree_of_estimators_learns(tmp_path: Path) -> None:
    """Its later trials are better in the mean than its first ten, which are drawn at random."""
    tuned = search_in(tmp_path, spec_for("tpe", trials=40))
    scores = [trial.score for trial in tuned.trials if trial.score is not None]
    early, late = scores[:8], scores[-8:]
    assert sum(late) / 8 < sum(early) / 8


def test_the_same_seed_searches_the_same_way_and_another_does_not(tmp_path: Path) -> None:
    one, same = (bare(search_in(tmp_path / name, spec_for())) for name in ("one", "same"))
    other = spec_for().model_copy(update={"seed": 7})
    assert one == same
    assert bare(search_in(tmp_path / "other", other)) != one


@pytest.mark.parametrize("search", ["tpe", "grid"])
def test_a_killed_search_goes_on_and_ends_as_an_unbroken_one(search: str, tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    command = [sys.executable, "-m", "tests.training.searching", str(broken), search, "3"]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    oracle = Oracle()
    resumed = search_in(broken, spec_for(search), oracle)
    unbroken = search_in(whole, spec_for(search))
    assert bare(resumed) == bare(unbroken)
    assert resumed.best == unbroken.best
    assert resumed.key == unbroken.key
    assert oracle.seen[0] >= 3, "trials that had ended are not run again"
    assert not list((workspace_in(broken).home / "unfinished").glob("*"))


def test_a_tracking_server_that_is_gone_leaves_the_search_to_be_taken_up(tmp_path: Path) -> None:
    class Gone(Listener):
        def tags(self, values: Mapping[str, str]) -> None:
            if len(oracle.seen) > 4:
                message = "MLflow cannot be reached"
                raise TrackingError(message)
            super().tags(values)

        @contextmanager
        def child(self, name: str, key: str) -> Iterator[TrainingLog]:
            del name, key
            yield self

    oracle = Oracle()
    with pytest.raises(TrackingError):
        search_in(tmp_path, spec_for(), oracle, Gone())
    again = Oracle()
    search_in(tmp_path, spec_for(), again)
    assert again.seen == list(range(4, 12))


def test_failed_trials_are_told_and_do_not_end_the_search(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracked = Listener()
    with caplog.at_level(logging.INFO, logger="modelyard"):
        tuned = search_in(tmp_path, spec_for("grid"), tracked=tracked)
    failed = [trial for trial in tuned.trials if trial.state == "failed"]
    assert {trial.error for trial in failed} == {"no such optimizer"}
    assert len(failed) == 3
    assert tracked.told["metrics"]["trials_failed"] == 3
    for trial in failed:
        child = tracked.children[f"trial-{trial.number}"]
        assert child.told["failed"] == "no such optimizer"
        assert child.told["tags"] == {"modelyard.trial": "failed"}
    assert sum(": no such optimizer" in text for text in caplog.messages) == 3


def test_the_best_becomes_the_configuration(tmp_path: Path) -> None:
    tuned = search_in(tmp_path, spec_for())
    scores = {trial.number: trial.score for trial in tuned.trials if trial.state == "finished"}
    assert tuned.best.score == min(value for value in scores.values() if value is not None)
    config = json.loads(workspace_in(tmp_path).path(tuned.config).read_bytes())
    assert config == tuned.best.parameters
    assert tuned.best.score == pytest.approx(score(dict(tuned.best.parameters)))


def test_a_goal_turns_the_comparison_round(tmp_path: Path) -> None:
    tuned = search_in(tmp_path, spec_for(metric="species.accuracy"))
    scores = [trial.score for trial in tuned.trials if trial.score is not None]
    assert tuned.best.score == max(scores)
    worst = search_in(tmp_path, spec_for(metric="species.accuracy", goal="minimize"))
    assert worst.best.score == min(t.score for t in worst.trials if t.score is not None)


def test_no_trial_is_stopped_in_its_grace_epochs(tmp_path: Path) -> None:
    tuned = search_in(tmp_path, spec_for("random", 30, scheduler="asha", grace_epochs=4))
    stopped = [trial for trial in tuned.trials if trial.state == "stopped early"]
    assert stopped
    assert min(trial.epochs for trial in stopped) == 4


def test_a_search_in_which_all_fails_says_why(tmp_path: Path) -> None:
    only = {"trainer.optimizer": {"space": "choice", "categories": ["broken"]}}
    for _ in range(2):
        oracle = Oracle()
        with pytest.raises(TrainingError, match="none of 2 trials succeeded; the first: no such o"):
            search_in(tmp_path, spec_for(trials=2, parameters=GRID | only), oracle)
        assert oracle.seen == [0, 1], "called again, it tries again"


def test_each_trial_is_tracked_with_its_parameters_epochs_and_end(tmp_path: Path) -> None:
    tracked = Listener()
    tuned = search_in(tmp_path, spec_for(scheduler="median"), tracked=tracked)
    assert tuned.mlflow_run == "parent"
    assert len(tracked.children) == len(tuned.trials)
    for trial in tuned.trials:
        child = tracked.children[trial.mlflow_run]
        assert child.told["params"] == trial.parameters
        assert [number for number, _ in child.told["epochs"]] == list(range(1, trial.epochs + 1))
        assert child.told["tags"] == {"modelyard.trial": trial.state}
    assert {"trials.csv", "best.json", "parallel_coordinates.png", "importance.png"} <= set(
        tracked.told["artifacts"]
    )


def test_the_table_of_trials_can_be_read(tmp_path: Path) -> None:
    tuned = search_in(tmp_path, spec_for())
    file = workspace_in(tmp_path).path(tuned.config).parent / "trials.csv"
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == [trial.state for trial in tuned.trials]
    assert {row["trainer.optimizer"] for row in rows} >= {'{"type": "adam"}'}


def test_the_log_counts_the_trials_that_have_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="modelyard"):
        search_in(tmp_path, spec_for())
    counted = [t for t in caplog.messages if t.startswith("trial ") and " begins " not in t]
    assert [text.split()[1] for text in counted] == [f"{n}/12" for n in range(1, 13)]


def test_how_many_train_at_once_does_not_change_the_key(tmp_path: Path) -> None:
    one = search_in(tmp_path, spec_for(parallel=1))
    two = search_in(tmp_path, spec_for(parallel=2))
    assert one == two


def test_several_threads_share_a_search(tmp_path: Path) -> None:
    tuned = search_in(tmp_path, spec_for("random", 20), Oracle(size=4))
    alone = search_in(tmp_path / "alone", spec_for("random", 20))
    assert bare(tuned) == bare(alone)


def test_a_lost_process_is_a_failed_trial(tmp_path: Path) -> None:
    class Lossy(Oracle):
        def run(self, call: Call, listen: Say) -> JsonValue:
            if not self.seen:
                self.seen.append(0)
                message = "the process of a training died 2 times"
                raise ComputeError(message)
            return super().run(call, listen)

    tuned = search_in(tmp_path, spec_for(), Lossy())
    assert tuned.trials[0].error == "the process of a training died 2 times"
    assert len(tuned.trials) == 12


def test_a_spec_without_a_search_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no section tune"):
        search_in(tmp_path, spec_for().model_copy(update={"tune": None}))


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("adam", "adam"),
        ({"type": "sgd", "momentum": 0.9}, "sgd, 0.9"),
        ([{"type": "random_rotate", "degree": 15}], "random_rotate, 15"),
        ([], "none"),
        (None, "none"),
        (["a" * 50], "a" * 24 + "..."),
    ],
)
def test_a_plot_spells_choices_shortly(choice: JsonValue, expected: str) -> None:
    assert _label(choice) == expected
