"""MLflow's absence is waited out, its refusals are told at once, and nothing foreign leaks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.errors import TrackingError
from modelyard.tracking import client
from modelyard.tracking.client import call, connect, created, found, is_new
from modelyard.workspace import Workspace
from tests.tracking.samples import workspace_in


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long `call` would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(client.time, "sleep", slept.append)
    return slept


def refusal(code: str) -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    return MlflowException("no", error_code=ErrorCode.Value(code))


class Server:
    """Fails some times, then answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return "done"


@pytest.mark.parametrize("error", [ConnectionError("gone"), TimeoutError("slow")])
def test_absence_is_waited_out_with_growing_pauses(naps: list[float], error: Exception) -> None:
    if isinstance(error, TimeoutError):
        from requests.exceptions import Timeout

        error = Timeout("slow")
    server = Server(error, times=6)
    assert call("ask", server) == "done"
    assert naps == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_a_server_in_trouble_is_asked_again(naps: list[float]) -> None:
    assert call("ask", Server(refusal("TEMPORARILY_UNAVAILABLE"), times=1)) == "done"
    assert naps == [0.2]


def test_a_refusal_is_told_at_once(naps: list[float]) -> None:
    server = Server(refusal("INVALID_PARAMETER_VALUE"), times=9)
    with pytest.raises(TrackingError, match="MLflow refused to rename: no"):
        call("rename", server)
    assert (server.calls, naps) == (1, [])


def test_long_absence_ends_in_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TrackingError, match=r"cannot be reached to ask: gone.*make status"):
        call("ask", Server(ConnectionError("gone"), times=99), patience=0)


def test_what_does_not_exist_is_none() -> None:
    assert found(Server(refusal("RESOURCE_DOES_NOT_EXIST"), times=1)) is None


def test_what_somebody_else_created_is_as_good() -> None:
    created(Server(refusal("RESOURCE_ALREADY_EXISTS"), times=1))


def test_other_refusals_pass_through() -> None:
    with pytest.raises(Exception, match="no"):
        found(Server(refusal("PERMISSION_DENIED"), times=1))
    with pytest.raises(Exception, match="no"):
        created(Server(refusal("PERMISSION_DENIED"), times=1))


def test_a_new_home_is_known_without_mlflow(tmp_path: Path) -> None:
    assert is_new(workspace_in(tmp_path).settings)


def test_a_home_with_runs_is_not_new(workspace: Workspace) -> None:
    assert not is_new(workspace.settings)


def test_the_global_tracking_uri_is_left_alone(workspace: Workspace) -> None:
    import mlflow

    before = mlflow.get_tracking_uri()
    connect(workspace.settings)
    assert mlflow.get_tracking_uri() == before


def test_telemetry_is_off(workspace: Workspace) -> None:
    connect(workspace.settings)
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()


def test_processes_that_start_together_share_one_database(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from modelyard.tracking.run_log import experiment_id\n"
        "from tests.tracking.samples import workspace_in\n"
        "print(experiment_id(workspace_in(Path(sys.argv[1])).settings, 'flowers'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, env=os.environ)
        for _ in range(2)
    ]
    answers = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert len(answers) == 1


def test_importing_the_room_costs_no_mlflow() -> None:
    names = ("client", "runs", "registry", "params", "environment", "package", "outbox", "run_log")
    imports = "; ".join(f"import modelyard.tracking.{name}" for name in names)
    code = f"import sys; {imports}; print('mlflow' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
