"""A real MLflow server may die and come back while a model is made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.errors import TrackingError
from modelyard.tracking import client, registry
from modelyard.tracking.client import connect
from modelyard.tracking.evaluations import log_evaluation
from modelyard.tracking.runs import open_run
from modelyard.workspace import Workspace
from tests.tracking.samples import Made, Server, make, spec, workspace_in

pytestmark = pytest.mark.heavy


@pytest.fixture
def direct(workspace: Workspace) -> Workspace:
    """The same home without the server."""
    return workspace


@pytest.fixture
def server(direct: Workspace, tmp_path: Path) -> Iterator[Server]:
    server = Server(direct, tmp_path)
    server.start()
    server.wait()
    yield server
    server.kill()


def test_a_run_survives_the_servers_death(
    direct: Workspace, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while metrics come and again before registering: one run, all epochs, one version."""
    through = workspace_in(tmp_path, MODELYARD_TRACKING_URI=server.url)
    monkeypatch.setattr("modelyard.tracking.outbox.SECONDS_BETWEEN_CALLS", 0)
    monkeypatch.setattr(client, "PATIENCE", 150)  # a server starts slowly on a busy machine
    with open_run(spec(), through, run="run-1") as log:
        log.begin("one", {"data_hash": "d"})
        log.epoch(1, 3, {"train/label.loss": 3.0})
        server.kill()
        log.epoch(2, 3, {"train/label.loss": 2.0})
        server.start()
        log.epoch(3, 3, {"train/label.loss": 1.0})
    made = make(direct, "one")
    server.kill()
    server.start()
    version = registry.register(
        spec(), through, made.split, made.trained, made.evaluation, run="run-1"
    )
    assert made.trained.mlflow_run == log.run_id
    assert (version.version, version.alias) == (1, "champion")
    assert len(registry.versions(direct.settings, "flowers")) == 1
    history = connect(direct.settings).get_metric_history(log.run_id, "train/label.loss")
    assert {(point.step, point.value) for point in history} >= {(1, 3.0), (2, 2.0), (3, 1.0)}


def test_server_and_direct_access_see_the_same(
    direct: Workspace, server: Server, tmp_path: Path
) -> None:
    through = workspace_in(tmp_path, MODELYARD_TRACKING_URI=server.url)
    made = make(through, "one")
    registered = registry.register(
        spec(), through, made.split, made.trained, made.evaluation, run="run-1"
    )
    assert registry.champion(direct.settings, "flowers") == registry.champion(
        through.settings, "flowers"
    )
    again = registry.register(
        spec(), direct, made.split, made.trained, made.evaluation, run="run-1"
    )
    assert again == registered
    assert (registry.download(through.settings, "flowers", 1) / "MLmodel").exists()
    log_evaluation(direct, made.trained, made.evaluation)


def test_a_server_that_stays_away_is_an_error(
    direct: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Made = make(direct)
    nowhere = workspace_in(tmp_path, MODELYARD_TRACKING_URI="http://127.0.0.1:9")
    monkeypatch.setattr(client, "PATIENCE", 0.5)
    with pytest.raises(TrackingError, match="cannot be reached"):
        registry.register(spec(), nowhere, made.split, made.trained, made.evaluation, run="run-1")
