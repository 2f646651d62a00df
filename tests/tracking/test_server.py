"""A real MLflow server may die and come back while a model is made."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    folder = tmp_path_factory.mktemp("server")
    (folder / "home" / "mlflow").mkdir(parents=True)
    shutil.copy(empty_database, folder / "home" / "mlflow")
    return folder


@pytest.fixture(scope="module")
def direct(home: Path) -> Workspace:
    """The same home without the server."""
    return workspace_in(home)


@pytest.fixture(scope="module")
def server(direct: Workspace, home: Path) -> Iterator[Server]:
    """One for all tests: it takes ten seconds to start."""
    server = Server(direct, home)
    server.start()
    server.wait()
    yield server
    server.kill()


def test_a_run_survives_the_servers_death(
    direct: Workspace, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while metrics come and again before registering: one run, all epochs, one version."""
    through = workspace_in(home, MODELYARD_TRACKING_URI=server.url)
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
    direct: Workspace, server: Server, home: Path
) -> None:
    through = workspace_in(home, MODELYARD_TRACKING_URI=server.url)
    made = make(through, "two")
    registered = registry.register(
        spec(), through, made.split, made.trained, made.evaluation, run="run-2"
    )
    assert registry.champion(direct.settings, "flowers") == registry.champion(
        through.settings, "flowers"
    )
    again = registry.register(
        spec(), direct, made.split, made.trained, made.evaluation, run="run-2"
    )
    assert again == registered
    downloaded = registry.download(through.settings, "flowers", registered.version)
    assert (downloaded / "MLmodel").exists()
    log_evaluation(direct, made.trained, made.evaluation)


def test_a_server_that_stays_away_is_an_error(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Made = make(workspace)
    nowhere = workspace_in(tmp_path, MODELYARD_TRACKING_URI="http://127.0.0.1:9")
    monkeypatch.setattr(client, "PATIENCE", 0.5)
    with pytest.raises(TrackingError, match="cannot be reached"):
        registry.register(spec(), nowhere, made.split, made.trained, made.evaluation, run="run-1")


def test_aliases_over_rest_are_those_of_mlflows_own_client(
    direct: Workspace, server: Server, home: Path
) -> None:
    from modelyard.tracking import aliases

    through = workspace_in(home, MODELYARD_TRACKING_URI=server.url).settings
    made = make(direct, "three")
    number = registry.register(
        spec(), direct, made.split, made.trained, made.evaluation, run="run-3"
    ).version
    assert aliases.read(through, "flowers") == aliases.read(direct.settings, "flowers")
    aliases.point(through, "flowers", "champion", number)
    found = aliases.read(direct.settings, "flowers")
    assert found is not None
    assert found.bearers["champion"] == found.noted["champion"] == number
    aliases.point(through, "flowers", "challenger", None)
    aliases.point(through, "flowers", "challenger", None)
    gone = aliases.read(through, "flowers")
    assert gone is not None
    assert "challenger" not in {*gone.bearers, *gone.noted}
    assert aliases.read(through, "nobody") is None
