"""The one door to Ludwig: quiet, on the spec's threads, and without its signal handlers.

Ludwig prints to standard output as soon as it is imported (`logging.basicConfig`), draws progress
bars, turns Ctrl-C into "finish early and go on as if trained", and sets `PYTHONHASHSEED` and
`TORCH_HOME`. Inside `engine(...)` all of that is caught, and what it logs goes to the run's log.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError, TrainingError
from modelyard.spec.models import ResourceSpec
from modelyard.training.extensions import register

log = logging.getLogger(__name__)
FOREIGN = logging.getLogger("modelyard.ludwig")
SIGNALS = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
UNREADABLE = r"(Unable to read image|Image with value .* cannot be read)"
ONLY_CPU = "-1"
CHANGED_BY_LUDWIG = ("PYTHONHASHSEED", "TORCH_HOME")
SAYS_NOTHING = (
    "Using in_memory = False is not supported",
    "Specified split column",  # rows to predict have none
    "gemm_4bit_forward",
)


class Engine:
    """Makes and loads Ludwig models that run here, on what the spec allows."""

    def __init__(self, gpus: float) -> None:
        self._options: dict[str, Any] = {
            "backend": "local",  # unsaid, Ludwig connects to any Ray cluster that it finds
            "logging_level": logging.WARNING,  # anything lower draws progress bars
            "gpus": None if gpus else ONLY_CPU,
        }

    def create(self, config: dict[str, Any], callbacks: list[Any] | None = None) -> Any:
        """Make an untrained model of a configuration."""
        from ludwig.api import LudwigModel

        return LudwigModel(config, callbacks=callbacks or [], **self._options)

    def load(self, folder: Path) -> Any:
        """Load a trained model."""
        from ludwig.api import LudwigModel

        return LudwigModel.load(str(folder), **self._options)


@contextmanager
def engine(resources: ResourceSpec, doing: str) -> Iterator[Engine]:
    """Open the door; `doing` says in the error what could not be done.

    Raises:
        TrainingError: Ludwig or torch failed inside.
    """
    with ExitStack() as stack:
        for guard in (_logs_caught(), _warnings_caught(), _process_unchanged()):
            stack.enter_context(guard)
        if not resources.gpus and "torch" not in sys.modules:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ludwig picks its device at import
        with translated(doing):
            import torch

            threads = torch.get_num_threads()
            stack.callback(torch.set_num_threads, threads)
            torch.set_num_threads(max(1, int(resources.cpus)))
            stack.enter_context(_schema_trusted())
            register()
            _keep_image_sizes()
            yield Engine(resources.gpus)


def _keep_image_sizes() -> None:
    """Let preprocessing.height and width of input images stand; Ludwig 0.17.10 forgets them.

    Its encoders reset both to null when a configuration is read, so that images are never resized
    to what was asked for, only down to infer_image_max_height and -width.
    """
    from ludwig.schema.encoders.image.base import ImageEncoderConfig

    ImageEncoderConfig.set_fixed_preprocessing_params = _only_unequal_sides


def _only_unequal_sides(_encoder: Any, _model_type: str, preprocessing: Any) -> None:
    preprocessing.requires_equal_dimensions = False


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn whatever Ludwig raises into a TrainingError."""
    try:
        yield
    except ModelyardError:
        raise
    except Exception as error:  # Ludwig and torch raise everything up to a bare Exception
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        message = f"could not {doing}: {reason}"
        raise TrainingError(message) from error


@contextmanager
def _logs_caught() -> Iterator[None]:
    """Send foreign log records to the run's log instead of standard output.

    A handler on the root logger also keeps Ludwig's `basicConfig` from adding its own.
    """
    root = logging.getLogger()
    handler = _Forward(logging.WARNING)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


class _Forward(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().strip()
        if not record.name.startswith("modelyard") and not any(w in text for w in SAYS_NOTHING):
            FOREIGN.log(record.levelno, "%s: %s", record.name, text)


@contextmanager
def _warnings_caught() -> Iterator[None]:
    """Log each warning once; an unreadable image is an error, not a grey square."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.filterwarnings("error", message=UNREADABLE)
        warnings.showwarning = _log_warning
        yield


def _log_warning(
    message: Warning | str, category: type[Warning], *_where: object, **_more: object
) -> None:
    FOREIGN.debug("%s: %s", category.__name__, " ".join(str(message).split()))


@contextmanager
def _schema_trusted() -> Iterator[None]:
    """Check configurations against Ludwig's schema, but not the schema itself each time (0.9 s)."""
    from jsonschema.exceptions import best_match
    from ludwig.config_validation import validation

    def validate(instance: Any, schema: Any, cls: Any) -> None:
        error = best_match(cls(schema).iter_errors(instance))
        if error is not None:
            raise error

    original = validation.validate
    validation.validate = validate
    try:
        yield
    finally:
        validation.validate = original


@contextmanager
def _process_unchanged() -> Iterator[None]:
    """Put back the signal handlers and the environment that Ludwig changes."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if in_main_thread else {}
    before = {name: os.environ.get(name) for name in CHANGED_BY_LUDWIG}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
