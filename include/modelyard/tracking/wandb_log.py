"""Weights & Biases as a second tracker: what MLflow is told of a run, without files in the current folder.

Only this module touches wandb. Trials and folds are in MLflow alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.errors import TrackingError, UsageError
from modelyard.settings import Settings

OFF = "off"
ENVIRONMENT = {
    "WANDB_ERROR_REPORTING": "false",  # else it looks for its server, even offline
    "WANDB_SILENT": "true",
    "WANDB_CONSOLE": "off",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class About:
    """Which run it is: the id is MLflow's, so that both are found from each other."""

    id: str
    project: str
    name: str
    group: str
    stage: str


class WandbLog:
    """One run in Weights & Biases; what fails after its start is logged and harms no training."""

    def __init__(self, settings: Settings, about: About) -> None:
        """Open the run, or continue the one with this id.

        Raises:
            UsageError: the package is not installed.
            TrackingError: Weights & Biases refuses, such as for want of a login.
        """
        folder = settings.home / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in {**ENVIRONMENT, "WANDB_CACHE_DIR": str(folder / "cache")}.items():
            os.environ.setdefault(name, value)
        wandb = _import()
        try:
            self._run: Any = wandb.init(
                mode=settings.wandb,
                dir=str(settings.home),
                reinit="create_new",  # never the process's one global run: stages may overlap
                resume="allow",
                id=about.id,
                project=about.project,
                name=about.name,
                group=about.group,
                job_type=about.stage,
                settings=wandb.Settings(
                    silent=True, console="off", save_code=False, x_disable_stats=True
                ),
            )
        except wandb.Error as error:
            message = f"Weights & Biases refuses the run: {error}"
            raise TrackingError(
                message, hint="wandb login, or MODELYARD_WANDB=offline, or off"
            ) from error

    def params(self, values: Mapping[str, str]) -> None:
        """Note parameters."""
        self._try(lambda: self._run.config.update(dict(values), allow_val_change=True))

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Note the figures of one epoch."""
        self._try(lambda: self._run.log(dict(values), step=number))

    def summary(self, values: Mapping[str, float]) -> None:
        """Note figures of the whole run."""
        self._try(lambda: self._run.summary.update(dict(values)))

    def end(self, *, failed: bool = False) -> None:
        """Write what is left and close the run."""
        self._try(lambda: self._run.finish(exit_code=int(failed)))

    @staticmethod
    def _try(action: Any) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever it is, MLflow has the same figures
            log.warning("Weights & Biases did not take it: %s", error)


def open_wandb(settings: Settings, about: About) -> WandbLog | None:
    """Open the second tracker's run if the setting asks for one."""
    return None if settings.wandb == OFF else WandbLog(settings, about)


def _import() -> Any:
    try:
        import wandb
    except ImportError as error:
        message = "MODELYARD_WANDB asks for Weights & Biases, which is not installed"
        raise UsageError(message, hint="pip install 'modelyard[wandb]'") from error
    return wandb
