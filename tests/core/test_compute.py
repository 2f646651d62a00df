"""Stages on a real Ray cluster: the same artifacts, kept imports, refusals, killed workers."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from pydantic import JsonValue

from modelyard import compute
from modelyard.artifacts import TunedModel
from modelyard.compute import run_stage
from modelyard.errors import ChecksFailed, ComputeError, TrainingError
from modelyard.runs import begin
from modelyard.settings import Settings
from modelyard.spec.models import ResourceSpec, Spec
from modelyard.training.pool import side_by_side
from modelyard.workers import ClusterPool, coordinator
from modelyard.workspace import Workspace
from tests.training.calls import Count, Die, Meet, refuse

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray's own sockets
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray head of our own; its socket paths must be short."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="ry", dir="/tmp") as folder:
        head = subprocess.Popen(
            [
                Path(sys.executable).with_name("ray"),
                *("start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats"),
                *("--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false"),
                f"--temp-dir={folder}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # Unsaid, Ray asks for a token as soon as any other program has left one in ~/.ray.
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        )
        try:
            _wait_for(port, head)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()
            _wait_or_kill(head)


def _wait_or_kill(head: "subprocess.Popen[bytes]") -> None:
    try:
        head.wait(3)
    except subprocess.TimeoutExpired:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait(10)


def _wait_for(port: int, head: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert head.poll() is None, "ray did not start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("ray did not listen within 60 s")


def at(address: str) -> Settings:
    return Settings.model_validate({"MODELYARD_RAY_ADDRESS": address})


@pytest.fixture
def on_ray(project: Path, cluster: str) -> Workspace:
    table = project / "data" / "toy.csv"
    table.parent.mkdir()
    table.write_text("x,label\n" + "\n".join(f"{n},{n % 2}" for n in range(40)) + "\n")
    return Workspace(
        Settings.model_validate({"project": project, "MODELYARD_RAY_ADDRESS": cluster})
    )


def _worker_pid(cluster: str) -> int:
    import ray

    with compute._cluster(at(cluster)):
        actor = ray.get_actor("worker-1cpu-0gpu-0")
        return int(ray.get(actor.pid.remote(), timeout=60))


def test_a_stage_on_ray_makes_the_same_artifact_as_here(spec: Spec, on_ray: Workspace) -> None:
    run = begin(spec, "toy.1", on_ray)
    there = run_stage("pull", run, {}, on_ray)
    here = run_stage("pull", run, {}, Workspace(Settings(project=on_ray.settings.project)))
    assert there == here


def test_the_worker_is_used_again_by_the_next_caller(
    spec: Spec, on_ray: Workspace, cluster: str
) -> None:
    run = begin(spec, "toy.1", on_ray)
    run_stage("pull", run, {}, on_ray)
    first = _worker_pid(cluster)
    run_stage("pull", run, {}, on_ray)
    assert _worker_pid(cluster) == first


def test_a_killed_worker_comes_back_and_the_stage_is_done(
    spec: Spec, on_ray: Workspace, cluster: str
) -> None:
    run = begin(spec, "toy.1", on_ray)
    run_stage("pull", run, {}, on_ray)
    first = _worker_pid(cluster)
    os.kill(first, signal.SIGKILL)
    assert run_stage("pull", run, {}, on_ray)["files"] == 1
    assert _worker_pid(cluster) != first


def test_a_refusal_on_ray_is_the_same_error_as_here(spec: Spec, on_ray: Workspace) -> None:
    wrong = spec.model_dump(mode="json")
    wrong["data"]["checks"] = [{"column": "x", "max": 3}]
    run = begin(Spec.model_validate(wrong), "toy.1", on_ray)
    pulled = run_stage("pull", run, {}, on_ray)
    with pytest.raises(ChecksFailed, match="x"):
        run_stage("validate", run, {"pull": pulled}, on_ray)


def test_the_callers_log_repeats_the_workers(
    spec: Spec, on_ray: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin(spec, "toy.1", on_ray)
    with caplog.at_level("INFO", logger="modelyard"):
        run_stage("pull", run, {}, on_ray)
    assert any("pull: done in" in record.getMessage() for record in caplog.records)


def test_more_than_the_cluster_has_is_refused_at_once(spec: Spec, on_ray: Workspace) -> None:
    greedy = spec.model_copy(update={"resources": ResourceSpec(cpus=64)})
    run = begin(greedy, "toy.1", on_ray)
    with pytest.raises(ComputeError, match="asks for 64 CPUs and the cluster has 2"):
        run_stage("pull", run, {}, on_ray)


def test_a_worker_of_another_size_makes_room(spec: Spec, on_ray: Workspace) -> None:
    run_stage("pull", begin(spec, "toy.1", on_ray), {}, on_ray)
    wide = spec.model_copy(update={"resources": ResourceSpec(cpus=2)})
    assert run_stage("pull", begin(wide, "toy.2", on_ray), {}, on_ray)["files"] == 1


def test_calls_of_a_search_run_in_the_workers_and_are_heard(
    spec: Spec, on_ray: Workspace, cluster: str
) -> None:
    heard: list[dict[str, JsonValue]] = []
    with compute._cluster(at(cluster)):
        pool = ClusterPool(begin(spec, "toy.1", on_ray), on_ray)
        assert pool.size == 2
        done = pool.run(Count(3), heard.append)
        with pytest.raises(TrainingError, match="learning rate is too high"):
            pool.run(refuse, heard.append)
    assert isinstance(done, dict)
    assert done["sum"] == 6
    assert done["pid"] == _worker_pid(cluster)
    assert heard == [{"number": 1}, {"number": 2}, {"number": 3}]
    assert not list(on_ray.run_folder("toy.1").glob("said-*"))


def test_calls_of_a_search_run_at_the_same_time(
    spec: Spec, on_ray: Workspace, cluster: str, tmp_path: Path
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    with compute._cluster(at(cluster)):
        pool = ClusterPool(begin(spec, "toy.1", on_ray), on_ray)
        works = [
            lambda name=name: pool.run(Meet(meeting, name, 2), lambda _: None) for name in "ab"
        ]
        assert len(set(side_by_side(pool, works, None))) == 2


def test_a_call_whose_worker_is_killed_is_run_again(
    spec: Spec, on_ray: Workspace, cluster: str, tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    with compute._cluster(at(cluster)):
        pool = ClusterPool(begin(spec, "toy.1", on_ray), on_ray)
        assert pool.run(Die(deaths, times=1), lambda _: None) == 1


def test_a_busy_worker_is_not_stopped_by_one_of_another_size(
    spec: Spec, on_ray: Workspace, cluster: str, tmp_path: Path
) -> None:
    """The wide call waits until the narrow one has met its guest, and then gets its place."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    wide = spec.model_copy(update={"resources": ResourceSpec(cpus=2)})
    with compute._cluster(at(cluster)), ThreadPoolExecutor(2) as threads:
        narrow_pool = ClusterPool(begin(spec, "toy.1", on_ray), on_ray)
        wide_pool = ClusterPool(begin(wide, "toy.2", on_ray), on_ray)
        narrow = threads.submit(narrow_pool.run, Meet(meeting, "a", 2), lambda _: None)
        while not (meeting / "a").exists():
            Event().wait(0.05)
        waiting = threads.submit(wide_pool.run, Count(2), lambda _: None)
        while not (on_ray.home / "locks" / "worker-2cpu-0gpu-0.lock").exists():
            Event().wait(0.05)
        assert not waiting.done()
        (meeting / "guest").touch()
        assert isinstance(narrow.result(60), int)
        done = waiting.result(60)
    assert isinstance(done, dict)
    assert done["sum"] == 3


@pytest.mark.nightly
def test_a_search_whose_coordinator_is_killed_goes_on_where_it_was(
    spec: Spec, on_ray: Workspace, cluster: str
) -> None:
    rates = {"space": "loguniform", "lower": 1e-3, "upper": 1e-1}
    parameters = {"trainer.learning_rate": rates}
    section = {"search": "random", "trials": 6, "parameters": parameters}
    searching = Spec.model_validate(spec.model_dump(mode="json") | {"tune": section})
    run = begin(searching, "toy.1", on_ray)
    earlier: dict[str, JsonValue] = {}
    for stage in ("pull", "validate", "transform", "split", "build"):
        earlier[stage] = run_stage(stage, run, earlier, on_ray)
    with compute._cluster(at(cluster)):
        import ray

        pid = ray.get(coordinator("coordinator-0").pid.remote())
    with ThreadPoolExecutor(1) as threads:
        tuning = threads.submit(run_stage, "tune", run, earlier, on_ray)
        while "trial 2/6" not in on_ray.log_file("toy.1").read_text():
            assert not tuning.done()
            Event().wait(0.02)
        os.kill(pid, signal.SIGKILL)
        tuned = TunedModel.model_validate(tuning.result(240))
    assert [trial.state for trial in tuned.trials] == ["finished"] * 6
    log = on_ray.log_file("toy.1").read_text()
    assert log.count("tune: begun") == 2
    assert "the search goes on" in log
    assert len({trial.mlflow_run for trial in tuned.trials}) == 6


def test_a_cluster_that_does_not_answer_is_a_clear_refusal(spec: Spec, project: Path) -> None:
    address = f"127.0.0.1:{_free_port()}"
    settings = Settings.model_validate({"project": project, "MODELYARD_RAY_ADDRESS": address})
    workspace = Workspace(settings)
    with pytest.raises(ComputeError, match=f"no Ray cluster answers at {address}"):
        run_stage("pull", begin(spec, "toy.1", workspace), {}, workspace)
