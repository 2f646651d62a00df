"""A training that is killed goes on from a whole epoch, as if nothing had happened.

Ludwig's own resuming forgets the learning-rate schedule and the states of the random generators,
and saves twice an epoch. Here one file, replaced at once, has all of it.

Import this inside functions only: it imports Ludwig.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ludwig.callbacks import Callback

from modelyard.training.patience import Patience
from modelyard.training.watch import Watch

STATE = "state.pt"
BEST = "best-*.safetensors"
LUDWIGS_BEST = Path("training_checkpoints") / "best.ckpt.safetensors"
SHARE_OF_TIME = 0.05
NO_MORE_STEPS = 2**62
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Followers:
    """The callbacks whose state belongs to the training."""

    watch: Watch
    patience: Patience


class Checkpoints(Callback):  # type: ignore[misc]  # Ludwig has no types
    """Keeps the state after each whole epoch in a folder, and restores what it finds there.

    A checkpoint is left out while less than 20 times what the last one took has passed, so that
    they cost a twentieth of the training at most.
    """

    def __init__(self, folder: Path, followers: Followers) -> None:
        self._folder = folder
        self._followers = followers
        self._found: dict[str, Any] | None = None
        self._began = self._saved_at = time.perf_counter()
        self._took = self._earlier = 0.0

    @property
    def seconds_before(self) -> float:
        """How long the training went on before it was interrupted."""
        return self._earlier

    def on_trainer_train_setup(self, trainer: Any, save_path: str, *_args: Any) -> None:
        """Look for an interrupted training, and let Ludwig begin where it stopped."""
        self._found = _read(self._folder / STATE)
        if self._found is None:
            return
        progress = _progress(self._found)
        log.info("the training goes on after epoch %d", progress.epoch)
        trainer._create_or_resume_progress_tracker = lambda *_args: progress  # noqa: SLF001 - the only way in before the first epoch
        self._earlier = float(self._found["seconds"])
        self._put_best_back(Path(save_path))
        self._followers.patience.restore(self._found["patience"])
        self._followers.watch.restore(json.loads(self._found["history"]), progress, trainer)

    def on_epoch_start(self, trainer: Any, progress_tracker: Any, save_path: str) -> None:
        """Restore the last epoch's state, or keep this one's."""
        if self._found is not None:
            _restore(trainer, self._found)
            self._found = None
        elif progress_tracker.epoch > 0 and self._is_time():
            self._save(trainer, progress_tracker, Path(save_path), done=False)

    def on_trainer_train_teardown(
        self, trainer: Any, progress_tracker: Any, save_path: str, *_args: Any
    ) -> None:
        """Keep the last epoch, so that a training which stopped early does not go on."""
        if sys.exception() is None and progress_tracker.epoch > 0 and self._found is None:
            self._save(trainer, progress_tracker, Path(save_path), done=True)

    def _is_time(self) -> bool:
        return (time.perf_counter() - self._saved_at) * SHARE_OF_TIME >= self._took

    def _save(self, trainer: Any, progress: Any, save_path: Path, *, done: bool) -> None:
        import torch

        began = time.perf_counter()
        state = {
            **_states(trainer),
            "progress": _as_json(progress),
            "history": json.dumps(self._followers.watch.history),
            "patience": self._followers.patience.state(),
            "best": self._link_best(save_path, progress.best_eval_metric_steps),
            "seconds": self._earlier + began - self._began,
            "done": done,
        }
        partial = self._folder / f".{STATE}"
        torch.save(state, partial)
        partial.replace(self._folder / STATE)
        for old in self._folder.glob(BEST):
            if old.name != state["best"]:
                old.unlink()
        self._saved_at = time.perf_counter()
        self._took = self._saved_at - began

    def _link_best(self, save_path: Path, steps: int) -> str:
        """Keep the best weights so far; Ludwig replaces its file, so a link is a copy."""
        self._folder.mkdir(parents=True, exist_ok=True)
        link = self._folder / BEST.replace("*", str(steps))
        if (save_path / LUDWIGS_BEST).exists():
            _link(save_path / LUDWIGS_BEST, link)
        return link.name

    def _put_best_back(self, save_path: Path) -> None:
        assert self._found is not None, "called with a state"
        kept, place = self._folder / str(self._found["best"]), save_path / LUDWIGS_BEST
        if kept.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(kept, place)


def _link(file: Path, place: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    place.unlink(missing_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def _read(file: Path) -> dict[str, Any] | None:
    import torch

    try:
        return dict(torch.load(file, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - torch raises what the broken bytes make of it
        log.warning("the checkpoint cannot be read, so the training begins anew: %s", error)
        return None


def _states(trainer: Any) -> dict[str, Any]:
    """All that changes while a training goes on: weights, optimizer, schedule, random numbers."""
    import numpy as np
    import torch

    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - the generator that Ludwig uses
    return {
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": trainer.scheduler.state_dict(),
        "scaler": trainer.scaler.state_dict() if trainer.scaler is not None else None,
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (name, [int(key) for key in keys], *rest),
        "python": random.getstate(),
    }


def _restore(trainer: Any, state: dict[str, Any]) -> None:
    import numpy as np
    import torch

    trainer.model.load_state_dict(state["model"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.scheduler.load_state_dict(state["scheduler"])
    if trainer.scaler is not None and state["scaler"] is not None:
        trainer.scaler.load_state_dict(state["scaler"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002 - as above
    random.setstate(state["python"])


def _as_json(progress: Any) -> str:
    """Spell Ludwig's progress as its own file does."""
    from ludwig.utils.data_utils import NumpyEncoder

    passing = {"steps_per_epoch", "total_steps", "training_start_time"}
    kept = {name: value for name, value in vars(progress).items() if name not in passing}
    return json.dumps(kept, cls=NumpyEncoder)


def _progress(state: dict[str, Any]) -> Any:
    from ludwig.utils.trainer_utils import ProgressTracker

    progress = ProgressTracker.load(json.loads(state["progress"]))
    if state["done"]:
        progress.steps = NO_MORE_STEPS
    return progress
