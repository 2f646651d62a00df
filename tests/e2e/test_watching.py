"""Drift -> alert -> retraining -> canary -> live, with no hand in it, on every real component.

The test trains a first version, and from then on sends requests and labels, nothing else: the
clock of Airflow's scheduler starts `monitoring` (by MODELYARD_WATCH_SCHEDULE more often than each
hour), its asset event starts the training, and the steward moves the traffic.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from modelyard.runs import Run, safe_run_id
from modelyard.stack.airflow_api import RunState
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.tracking import registry
from tests.e2e.conftest import PROJECT, Yard, started

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

NAME = "flow"
DAG = f"train_{NAME}"
BRANCH = f"modelyard/data/{NAME}"
PATIENCE = 600.0
CALM = 120
"""Answers before the drift; few, for the next version learns from them, too."""
LABELS = 650
SPEC = f"""\
version: 1
name: {NAME}
description: Two readings tell whether a valve holds.
data:
  path: data/flow.csv
  checks: [{{column: holds, not_null: true, one_of: [true, false]}}]
  split: {{stratify: holds, fractions: [0.7, 0.1, 0.2]}}
model:
  input_features: [{{name: pressure, type: number}}, {{name: heat, type: number}}]
  output_features: [{{name: holds, type: category}}]
  defaults: {{number: {{preprocessing: {{normalization: zscore}}}}}}
  combiner: {{type: concat, fc_layers: [{{output_size: 32}}, {{output_size: 32}}]}}
  trainer: {{epochs: 40, batch_size: 32, learning_rate: 0.01, early_stop: 10}}
gate:
  - {{metric: holds.accuracy, at_least: 0.8}}
serve:
  rollout:
    shadow: 20
    canary: [0.5]
    min_requests: 20
    margins: {{errors: 0.2, slow: 0.5, wrong: 0.2}}
monitor:
  windows: [100]
  min_effect: 0.5
  drift_levels: {{critical: 0.6, immediate: 0.8}}
  retrain_on: critical
  retrain: {{data: labelled, min_labels: {LABELS}, cooldown_hours: 1, budget: 2}}
"""
CONFIG = """\
[core]
    analytics = false
    check_update = false
    remote = store
['remote "store"']
    url = {}
"""


@dataclass(slots=True)
class Weather:
    """Where readings come from; drift moves both their place and what they mean."""

    drifted: bool = False
    dice: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - no secret

    def reading(self) -> tuple[dict[str, float], str]:
        """One row and what is true of it."""
        pressure, heat = self.dice.gauss(0, 1), self.dice.gauss(0, 1)
        if self.drifted:
            return {"pressure": round(pressure + 5, 4), "heat": round(heat, 4)}, _word(heat < 0)
        return {"pressure": round(pressure, 4), "heat": round(heat, 4)}, _word(heat > 0)


def _word(holds: bool) -> str:
    return "true" if holds else "false"


@dataclass(slots=True)
class Traffic:
    """Clients that ask, and a while later say what was true; in a thread until it is stopped."""

    url: str
    weather: Weather
    stop: threading.Event = field(default_factory=threading.Event)
    answered: dict[int, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Send ten rows and the labels of the ten before, again and again."""
        unlabelled: list[dict[str, str]] = []
        with httpx.Client(base_url=f"{self.url}/models/{NAME}", timeout=60) as client:
            while not self.stop.wait(0.1):
                if not self.weather.drifted and sum(self.answered.values()) >= CALM:
                    continue
                readings = [self.weather.reading() for _ in range(10)]
                for row, truth in readings:
                    answer = client.post("/predict", json={"rows": [row]})
                    if answer.status_code != httpx.codes.OK:
                        self.failed.append(answer.text)
                        continue
                    (prediction,) = answer.json()["predictions"]
                    version = int(prediction["version"])
                    self.answered[version] = self.answered.get(version, 0) + 1
                    unlabelled.append({"id": prediction["id"], "value": truth})
                ready, unlabelled = unlabelled[:-10], unlabelled[-10:]
                if ready:
                    client.post("/feedback", json={"labels": ready})


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],  # noqa: S607
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _dvc(project: Path, *arguments: str) -> None:
    command = [Path(sys.executable).with_name("dvc"), *arguments]
    subprocess.run(command, cwd=project, capture_output=True, check=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project: a git and DVC repository with one data set and one spec."""
    folder = tmp_path_factory.mktemp("valves")
    for name in ("dags", "plugins"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "model_specs").mkdir()
    (folder / "model_specs" / f"{NAME}.yaml").write_text(SPEC)
    (folder / "data").mkdir()
    weather = Weather()
    rows = [weather.reading() for _ in range(200)]
    lines = [f"{row['pressure']},{row['heat']},{truth}" for row, truth in rows]
    (folder / "data" / "flow.csv").write_text("\n".join(["pressure,heat,holds", *lines]) + "\n")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _dvc(folder, "init")
    store = tmp_path_factory.mktemp("store")
    (folder / ".dvc" / "config").write_text(CONFIG.format(store))
    _dvc(folder, "add", "data/flow.csv")
    _dvc(folder, "push")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "A data set and a spec")
    return folder


@pytest.fixture(scope="module")
def valves(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Its stack, which looks at what is served a few times a minute."""
    home = tmp_path_factory.mktemp("home")
    with started(home, project, MODELYARD_WATCH_SCHEDULE="15s") as running:
        yield running


@pytest.fixture
def store(valves: Yard) -> Iterator[Store]:
    with open_store(valves.settings.database_url) as opened:
        yield opened


@pytest.fixture
def first(valves: Yard) -> int:
    """Train and serve the first version, as a user does."""
    valves.api.wait_for_dag(DAG, 120)
    run = valves.api.trigger(DAG, {})
    *_, last = valves.api.follow(DAG, run, PATIENCE)
    assert last.state is RunState.SUCCESS, last
    champion = registry.champion(valves.client, NAME)
    assert champion is not None
    return champion.version


@pytest.fixture
def traffic(valves: Yard, first: int) -> Iterator[Traffic]:
    """Requests without drift, which go on until the test ends."""
    assert first == 1
    clients = Traffic(valves.client.endpoint, Weather(dice=random.Random(8)))  # noqa: S311 - no secret
    thread = threading.Thread(target=clients.run)
    thread.start()
    yield clients
    clients.stop.set()
    thread.join()


def within(what: str, holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not in time: {what}"
        time.sleep(0.5)
    print(f"{what}: {time.monotonic() - began:.1f} s")  # noqa: T201 - shown with -s


def champion(store: Store) -> int:
    return next(one.version for one in store.variants(NAME) if one.role == "champion")


def monitored(valves: Yard) -> int:
    """How many looks are over."""
    answer = valves.api._call("GET", "/dags/monitoring/dagRuns?limit=1&state=success")
    return int(str(answer["total_entries"]))


def test_drift_ends_in_a_better_champion_with_no_hand_in_it(
    valves: Yard, project: Path, store: Store, traffic: Traffic
) -> None:
    before = _state(project)
    within("answers without drift", lambda: traffic.answered.get(1, 0) >= CALM)
    looks = monitored(valves)
    within("a look without drift", lambda: monitored(valves) > looks)
    assert store.alerts(NAME) == []

    traffic.weather.drifted = True
    within("an alert", lambda: _asking(store))
    within("a retraining", lambda: store.retrainings(NAME))
    within("a retraining that is done", lambda: _done(store))
    within("the new champion", lambda: champion(store) == 2)
    within("the alerts of the first version end", lambda: not _open(store, 1))

    looks = monitored(valves)  # the one that ended them may not be over itself
    within("one look more", lambda: monitored(valves) >= looks + 2)
    (retraining,) = store.retrainings(NAME)
    assert not traffic.failed, traffic.failed[:3]
    _check_rollout(store, traffic)
    _check_lineage(valves, project, store, retraining)
    assert _asking(store) == []
    assert _state(project) == before


def _asking(store: Store) -> list[AlertRecord]:
    """Open alerts that are bad enough for a retraining."""
    return [one for one in store.alerts(NAME, open_only=True) if one.level != "warning"]


def _open(store: Store, version: int) -> list[AlertRecord]:
    return [one for one in store.alerts(NAME, open_only=True) if one.version == version]


def _done(store: Store) -> bool:
    (record,) = store.retrainings(NAME)
    assert record.status != "failed", record.reason
    return record.status == "done"


def _state(project: Path) -> tuple[str, ...]:
    """What a user would see of a change."""
    return (_git(project, "status", "--porcelain"), _git(project, "rev-parse", "HEAD"))


def _check_rollout(store: Store, traffic: Traffic) -> None:
    """The new version went through shadow and canary, by evidence of live traffic."""
    (rollout,) = [one for one in store.rollouts(NAME) if one.version == 2]
    assert rollout.status == "promoted", rollout.reason
    moves = [entry for entry in store.ledger(NAME) if entry.after.get("2", 0) > 0]
    assert {"canary", "promote"} <= {entry.action for entry in moves}, moves
    assert {entry.by for entry in moves} <= {"steward", "deploy stage"}
    assert traffic.answered[2] > 20


def _check_lineage(valves: Yard, project: Path, store: Store, retraining: RetrainingRecord) -> None:
    """From the version to the alert, and to the rows that it learned from."""
    alert = store.alert(retraining.alert)
    assert alert is not None
    assert (alert.version, alert.ended is not None) == (1, True)
    assert retraining.version == 2
    assert (retraining.rows or 0) >= LABELS
    version = registry.version(valves.client, NAME, 2)
    assert version.run == retraining.run
    run = Run.model_validate_json(
        (valves.settings.home / "runs" / version.run / "run.json").read_text()
    )
    assert run.because == {"alert": alert.id, "retraining": retraining.id}
    assert run.spec.data.revision == retraining.revision == _git(project, "rev-parse", BRANCH)
    tags = _tags(valves, f"runs/get?run_id={version.mlflow_run}")
    for told in (tags, _tags(valves, f"model-versions/get?name={NAME}&version=2")):
        assert told["modelyard.alert"] == alert.id
        assert told["modelyard.retraining"] == retraining.id
    assert tags["modelyard.data_revision"] == retraining.revision
    assert tags["modelyard.dvc_hash"] == retraining.evidence["content_hash"]
    assert f"Modelyard-Alert: {alert.id}" in _git(project, "log", "-1", "--format=%B", BRANCH)
    (started_by,) = [
        run
        for run in valves.api._call("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"]
        if safe_run_id(f"{NAME}.{run['dag_run_id']}") == retraining.run
    ]
    assert started_by["run_type"] == "asset_triggered"


def _tags(valves: Yard, what: str) -> Mapping[str, str]:
    """The tags of a run or of a model version, by MLflow's own interface."""
    address = f"{valves.client.tracking_uri}/api/2.0/mlflow/{what}"
    answer = httpx.get(address, timeout=30).json()
    tags = answer["run"]["data"]["tags"] if "run" in answer else answer["model_version"]["tags"]
    return {tag["key"]: tag["value"] for tag in tags}
