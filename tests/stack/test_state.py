from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from modelyard.errors import StackError
from modelyard.settings import Settings
from modelyard.stack import state
from modelyard.stack.ports import Ports

LONGEST_SOCKET_PATH = 107
RAY_SOCKET = "ray/session_2026-11-21_06-08-30_909000_4194304/sockets/plasma_store.1"


def test_what_was_recorded_is_read_again(settings: Settings, ports: Ports) -> None:
    recorded = state.record(settings, os.getpid(), ports)
    assert state.read(settings) == recorded
    assert recorded.alive


def test_a_process_that_ended_is_not_alive(settings: Settings, ports: Ports) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        recorded = state.record(settings, process.pid, ports)
        assert recorded.alive
        process.communicate(b"\n")
    assert not recorded.alive


def test_another_process_with_the_same_pid_is_told_apart(settings: Settings, ports: Ports) -> None:
    """After a power cut the pid of the record may be anybody's."""
    recorded = state.record(settings, os.getpid(), ports)
    earlier = recorded.model_copy(update={"created": recorded.created - 3600})
    assert not earlier.alive


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_record_that_cannot_be_read_counts_as_none(settings: Settings, text: str) -> None:
    file = settings.home / "services" / "stack.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert state.read(settings) is None
    assert state.leftovers(settings)


def test_forgetting_leaves_nothing(settings: Settings, ports: Ports) -> None:
    (state.make_runtime(settings) / "supervisor.sock").touch()
    state.record(settings, os.getpid(), ports)
    state.forget(settings)
    assert not state.leftovers(settings)
    state.forget(settings)


def test_the_folder_for_sockets_is_for_its_owner_only(settings: Settings) -> None:
    folder = state.make_runtime(settings)
    folder.chmod(0o777)
    state.make_runtime(settings)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_in_place_of_that_folder_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = state.runtime_path(settings)
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(StackError, match="not ours"):
            state.make_runtime(settings)
    finally:
        folder.unlink()


@pytest.mark.parametrize("temporary", ["/tmp", "/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T"])
def test_ray_finds_room_for_its_sockets_paths(
    settings: Settings, temporary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", temporary)
    assert len(str(state.runtime_path(settings) / RAY_SOCKET)) <= LONGEST_SOCKET_PATH


def test_two_commands_cannot_change_the_stack_at_once(settings: Settings) -> None:
    with (
        state.only_one(settings),
        pytest.raises(StackError, match="another command"),
        state.only_one(settings),
    ):
        pass


def test_the_lock_leaves_no_file_and_can_be_taken_again(settings: Settings) -> None:
    for _ in range(2):
        with state.only_one(settings):
            pass
    assert list((settings.home / "services").iterdir()) == []


def test_the_record_tells_when_the_stack_was_started(settings: Settings, ports: Ports) -> None:
    recorded = state.record(settings, os.getpid(), ports)
    assert abs(recorded.started - time.time()) < 60
    assert recorded.created == psutil.Process().create_time()
