"""The machine is followed during a run: at least once, without threads, files or a network left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelyard.errors import TrackingError, UsageError
from modelyard.tracking.client import connect
from modelyard.tracking.energy import EnergyMeter, meter
from modelyard.tracking.meters import Meters
from modelyard.tracking.runs import open_run
from modelyard.workspace import Workspace
from tests.tracking.samples import spec, workspace_in

SYSTEM = ("system/cpu_utilization_percentage", "system/system_memory_usage_megabytes")


class Recorder:
    """An outbox that keeps what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[dict[str, float], int]] = []
        self.error = error

    def add(self, values: dict[str, float], step: int) -> None:
        self.calls.append((values, step))
        if self.error is not None:
            raise self.error


class Joules:
    """A meter of energy that is quick."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails

    def start(self) -> None:
        if self.fails:
            raise OSError

    def stop(self) -> dict[str, float]:
        if self.fails:
            raise OSError
        return {"energy_kwh": 0.5}


def followed(outbox: Recorder, energy: Joules | None = None) -> dict[str, float]:
    meters = Meters(outbox, 0.0, energy)  # type: ignore[arg-type]
    meters.start()
    return meters.stop()


def test_a_short_run_has_samples(workspace: Workspace) -> None:
    with open_run(spec(), workspace, run="r") as log:
        log.begin("short", {})
    measured = connect(workspace.settings).get_run(log.run_id).data.metrics
    for name in SYSTEM:
        assert measured[name] >= 0
    assert measured["system/system_memory_usage_megabytes"] > 100


class Card:
    """A GPU as MLflow's collector sees one."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def collect_metrics(self) -> None:
        self.seen.append(50.0)

    def aggregate_metrics(self) -> dict[str, float]:
        return {"gpu_0_utilization_percentage": sum(self.seen) / len(self.seen)}

    def clear_metrics(self) -> None:
        self.seen.clear()


def test_a_gpu_is_followed_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow.system_metrics.metrics.gpu_monitor.GPUMonitor", Card)
    outbox = Recorder()
    followed(outbox)
    values, _ = outbox.calls[-1]
    assert values["system/gpu_0_utilization_percentage"] == 50.0
    assert set(SYSTEM) <= set(values)


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    followed(Recorder())
    assert set(threading.enumerate()) == before


def test_energy_is_told_once_at_the_end() -> None:
    outbox = Recorder()
    assert followed(outbox, Joules()) == {"energy_kwh": 0.5}
    assert all(name.startswith("system/") for values, _ in outbox.calls for name in values)


def test_energy_that_cannot_be_measured_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert followed(Recorder(), Joules(fails=True)) == {}
    assert "energy" in caplog.text


def test_mlflows_absence_ends_the_following_and_not_the_training(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox = Recorder(TrackingError("away"))
    followed(outbox)
    assert len(outbox.calls) == 1
    assert "away" in caplog.text


def test_a_country_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no country 'GER'.*three letters"):
        EnergyMeter("GER")


@pytest.mark.parametrize(("setting", "kind"), [("off", type(None)), ("", EnergyMeter)])
def test_the_setting_chooses(setting: str, kind: type) -> None:
    assert isinstance(meter(setting), kind)


def test_a_country_in_small_letters_is_known() -> None:
    assert EnergyMeter("deu")._country == "DEU"


def test_an_unknown_country_is_said_before_the_training(
    tmp_path: Path, workspace: Workspace
) -> None:
    wrong = workspace_in(tmp_path, energy_country="XXX")
    assert wrong.home == workspace.home
    with (
        pytest.raises(UsageError, match="XXX"),
        open_run(spec(), wrong, run="r") as log,
    ):
        log.begin("wrong", {})


OFFLINE = """
import os, socket, sys, threading
def refuse(*arguments):
    raise SystemExit("a connection to " + str(arguments[-1]))
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from modelyard.tracking.energy import EnergyMeter
meter = EnergyMeter("DEU")
meter.start()
beside = EnergyMeter(None)  # as of a trial
beside.start()
sum(number * number for number in range(10**6))
figures = meter.stop()
beside.stop()
assert sorted(figures) == ["co2_kg", "energy_kwh"], figures
assert 0 < figures["co2_kg"] < figures["energy_kwh"] < 0.01, figures
for thread in set(threading.enumerate()) - {threading.current_thread()}:
    thread.join(20)  # a timer that was cancelled takes a moment to end
assert threading.active_count() == 1, threading.enumerate()
assert os.listdir() == [], os.listdir()
"""


def test_the_estimate_needs_no_network_and_leaves_no_file_or_noise(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\nelectricitymaps_api_token=secret\nsave_to_api=true\nlog_level=info\n"
    )
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
