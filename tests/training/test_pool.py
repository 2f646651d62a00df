"""A pool runs calls side by side, hands on what they say, and outlives their deaths."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue

from modelyard.errors import ComputeError, TrainingError
from modelyard.spec.models import ResourceSpec
from modelyard.training import pool as pools
from modelyard.training.pool import LocalPool, Say, Stopped, end_processes, room, side_by_side
from tests.training.calls import Count, Die, Last, Meet, nothing, refuse, stumble

SOON = 60.0


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    end_processes()


def local(size: int) -> LocalPool:
    return LocalPool(size, warm=nothing)


def unheard(message: dict[str, JsonValue]) -> None:
    del message


@pytest.fixture
def beside() -> Iterator[LocalPool]:
    """A pool of two whose place in this process is taken, so that calls go to the other."""
    pool, taken, free = local(2), threading.Event(), threading.Event()

    def hold(say: Say) -> JsonValue:
        del say
        taken.set()
        free.wait(SOON)
        return None

    holder = threading.Thread(target=pool.run, args=(hold, unheard))
    holder.start()
    taken.wait(SOON)
    yield pool
    free.set()
    holder.join()


def test_a_pool_of_one_is_this_process() -> None:
    heard: list[dict[str, JsonValue]] = []
    assert local(1).run(Count(3), heard.append) == {"sum": 6, "pid": os.getpid()}
    assert heard == [{"number": 1}, {"number": 2}, {"number": 3}]


def test_another_process_does_the_same_and_is_used_again(beside: LocalPool) -> None:
    heard: list[dict[str, JsonValue]] = []
    first, second = (beside.run(Count(2), heard.append) for _ in range(2))
    assert first == second
    assert isinstance(first, dict)
    assert first["pid"] != os.getpid()
    assert heard == [{"number": 1}, {"number": 2}] * 2


def test_calls_run_at_the_same_time(tmp_path: Path) -> None:
    pool = local(2)
    works = [lambda name=name: pool.run(Meet(tmp_path, name, 2), unheard) for name in "ab"]
    assert len(set(side_by_side(pool, works, None))) == 2


def test_no_more_threads_ask_at_once_than_was_asked_for() -> None:
    names = side_by_side(local(4), [lambda: threading.current_thread().name] * 20, 1)
    assert len(set(names)) == 1


def test_results_come_in_the_order_of_the_works() -> None:
    pool = local(1)
    works = [lambda n=n: pool.run(Count(n), unheard) for n in range(5)]
    done = side_by_side(pool, works, None)
    assert [result["sum"] for result in done if isinstance(result, dict)] == [0, 1, 3, 6, 10]


def test_a_refusal_comes_through_whole(beside: LocalPool) -> None:
    with pytest.raises(TrainingError, match=r"learning rate is too high \(lower it\)"):
        beside.run(refuse, unheard)
    assert isinstance(beside.run(Count(1), unheard), dict)


def test_what_nobody_foresaw_is_one_sentence(beside: LocalPool) -> None:
    with pytest.raises(ComputeError, match="failed unexpectedly: ZeroDivisionError"):
        beside.run(stumble, unheard)


def test_a_killed_process_is_replaced_and_the_call_run_again(
    beside: LocalPool, tmp_path: Path
) -> None:
    assert beside.run(Die(tmp_path, times=1), unheard) == 1


def test_a_call_that_kills_its_process_each_time_is_given_up(
    beside: LocalPool, tmp_path: Path
) -> None:
    with pytest.raises(ComputeError, match="died 2 times"):
        beside.run(Die(tmp_path, times=9), unheard)
    assert isinstance(beside.run(Count(1), unheard), dict)


def test_the_first_error_ends_the_others(tmp_path: Path) -> None:
    pool = local(2)
    started = tmp_path / "started"

    def fail() -> JsonValue:
        while not started.exists():
            threading.Event().wait(0.01)
        return pool.run(refuse, unheard)

    with pytest.raises(TrainingError, match="too high"):
        side_by_side(pool, [lambda: pool.run(Last(started), unheard), fail], None)


def test_a_listener_that_raises_ends_the_call(beside: LocalPool, tmp_path: Path) -> None:
    def deaf(message: dict[str, JsonValue]) -> None:
        del message
        raise Stopped

    with pytest.raises(Stopped):
        beside.run(Last(tmp_path / "started"), deaf)
    assert isinstance(beside.run(Count(1), unheard), dict)


def test_a_process_that_cannot_start_leaves_the_work_to_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pool = LocalPool(2, warm=Die(tmp_path, times=99))

    def patient(say: Say) -> JsonValue:
        """Keep this process's place until the other one has failed."""
        for _ in range(int(SOON / 0.02)):
            if "did not start, so the others go on" in caplog.text:
                break
            threading.Event().wait(0.02)
        return Count(1)(say)

    works = [lambda call=call: pool.run(call, unheard) for call in (patient, Count(2), Count(3))]
    done = side_by_side(pool, works, None)
    assert [result["pid"] for result in done if isinstance(result, dict)] == [os.getpid()] * 3
    assert "did not start, so the others go on" in caplog.text


def test_a_stopped_pool_begins_nothing() -> None:
    pool = local(1)
    pool.stop()
    with pytest.raises(Stopped):
        pool.run(Count(1), unheard)


def test_processes_go_with_the_program_that_started_them(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from modelyard.training.processes import Process\n"
        "if __name__ == '__main__':\n"
        "    print(Process().pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    file = tmp_path / "program.py"
    file.write_text(program)
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    for _ in range(int(SOON / 0.05)):
        if (
            not Path(f"/proc/{pid}/cmdline").exists()
            or not Path(f"/proc/{pid}/cmdline").read_bytes()
        ):
            return
        threading.Event().wait(0.05)
    pytest.fail(f"process {pid} outlived its parent")


@pytest.mark.parametrize(
    ("resources", "cpus", "expected"),
    [
        (ResourceSpec(cpus=1), 4, 4),
        (ResourceSpec(cpus=3), 4, 1),
        (ResourceSpec(cpus=8), 4, 1),
        (ResourceSpec(cpus=1, gpus=1), 4, 1),
        (ResourceSpec(cpus=1, gpus=0.5), 4, 2),
    ],
)
def test_the_room_follows_from_the_machine_and_the_spec(
    resources: ResourceSpec, cpus: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools.os, "sched_getaffinity", lambda _: set(range(cpus)))
    assert room(resources) == expected
