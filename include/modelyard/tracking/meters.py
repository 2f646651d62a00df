"""The machine during a run: processor, memory and GPU as MLflow's system metrics, and energy."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from modelyard.errors import TrackingError
from modelyard.tracking.client import quiet
from modelyard.tracking.energy import EnergyMeter
from modelyard.tracking.outbox import Outbox

PREFIX = "system/"  # MLflow's page shows these under "System metrics"
SECONDS_A_SAMPLE = 1.0
FIRST_SAMPLES, SAMPLES_LATER = 10, 10  # one by one at first, then the mean of ten
log = logging.getLogger(__name__)


class Meters:
    """Samples the machine from `start` to `stop`, at least once, in one thread."""

    def __init__(self, outbox: Outbox, began: float, energy: EnergyMeter | None) -> None:
        """Take where figures go, and when the run began, in seconds since 1970."""
        self._outbox = outbox
        self._began = began
        self._energy = energy
        self._monitors: list[Any] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="modelyard-meters", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        with quiet():
            self._monitors = _monitors()
        self._thread.start()

    def stop(self) -> dict[str, float]:
        """Take the last sample, end the thread and return the energy used."""
        self._end.set()
        self._thread.join()
        if self._energy is None:
            return {}
        try:
            return self._energy.stop()
        except Exception:  # an estimate is no reason to lose a training
            log.exception("the energy used is not known")
            return {}

    def _follow(self) -> None:
        self._start_energy()
        try:
            taken = 0
            while not self._end.wait(SECONDS_A_SAMPLE):
                self._sample()
                taken += 1
                if taken <= FIRST_SAMPLES or taken % SAMPLES_LATER == 0:
                    self._publish()
            self._sample()
            self._publish()
        except TrackingError as error:  # the training itself will meet it, and say so
            log.warning("the machine is no longer followed: %s", error)
        except Exception:  # as above
            log.exception("the machine is no longer followed")

    def _start_energy(self) -> None:
        try:
            if self._energy is not None:
                self._energy.start()
        except Exception:  # an estimate is no reason to lose a training
            log.exception("the energy used is not known")
            self._energy = None

    def _sample(self) -> None:
        for monitor in self._monitors:
            monitor.collect_metrics()

    def _publish(self) -> None:
        values: dict[str, float] = {}
        for monitor in self._monitors:
            values |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        step = int(time.time() - self._began)
        self._outbox.add({PREFIX + name: value for name, value in values.items()}, step)


def _monitors() -> list[Any]:
    """MLflow's own collectors; those of a GPU only where there is one."""
    import psutil
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    psutil.cpu_percent()  # it answers for the time since it was asked last
    found: list[Any] = [CPUMonitor()]
    for kind in (GPUMonitor, ROCMMonitor):
        try:
            found.append(kind())
        except Exception as error:  # noqa: BLE001 - MLflow raises RuntimeError, ImportError, and others
            log.debug("no %s: %s", kind.__name__, error)
    return found
