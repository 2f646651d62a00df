"""The one door to MLflow: never a global tracking URI, no telemetry, patient with a server that restarts."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from modelyard.errors import TrackingError
from modelyard.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

PATIENCE = 60.0
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
SQLITE = "sqlite:///"
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # `call` retries, with a limit in seconds
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PASSING = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})
MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
EXISTS = frozenset({"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"})
log = logging.getLogger(__name__)
_clients: dict[str, MlflowClient] = {}


def connect(settings: Settings) -> MlflowClient:
    """Return this process's client; the first one for a SQLite file creates its tables.

    Raises:
        TrackingError: MLflow cannot be reached.
    """
    uri = settings.tracking_uri
    if uri not in _clients:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        with _alone_with(uri), quiet():
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            if uri.startswith(SQLITE):
                call("open its database", lambda: client.search_experiments(max_results=1))
        _clients[uri] = client
    return _clients[uri]


def is_new(settings: Settings) -> bool:
    """Say whether MLflow has kept nothing here yet, without importing it."""
    uri = settings.tracking_uri
    return uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists()


def call[T](doing: str, function: Callable[[], T], patience: float | None = None) -> T:
    """Call MLflow, again and again while it is not there, for at most `patience` seconds.

    `function` must be safe to call twice: an answer may be lost after the work was done.

    Raises:
        TrackingError: it stays unreachable, or refuses.
    """
    limit = time.monotonic() + (PATIENCE if patience is None else patience)
    wait = FIRST_WAIT
    while True:
        try:
            with quiet():
                return function()
        except Exception as error:  # MLflow lets requests', SQLAlchemy's and OS errors through
            if not passing(error):
                message = f"MLflow refused to {doing}: {_first_line(error)}"
                raise TrackingError(message) from error
            if time.monotonic() + wait > limit:
                message = f"MLflow cannot be reached to {doing}: {_first_line(error)}"
                raise TrackingError(message, hint="is it running? make status") from error
        log.warning("MLflow does not answer; trying again to %s in %.1f s", doing, wait)
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow's warnings about its own use of SQLAlchemy and pydantic to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def passing(error: Exception) -> bool:
    """Say whether an error may go away by itself."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    if isinstance(error, MlflowException):
        return str(error.error_code) in PASSING
    return isinstance(error, RequestException | ConnectionError)


def found[T](function: Callable[[], T]) -> T | None:
    """Call MLflow; what does not exist is None."""
    from mlflow.exceptions import MlflowException

    try:
        return function()
    except MlflowException as error:
        if str(error.error_code) in MISSING:
            return None
        raise


def created(function: Callable[[], object]) -> None:
    """Call MLflow; what somebody else just created is as good."""
    from mlflow.exceptions import MlflowException

    try:
        function()
    except MlflowException as error:
        if str(error.error_code) not in EXISTS:
            raise


def _alone_with(uri: str) -> FileLock | AbstractContextManager[None]:
    """Two processes must not create a SQLite file's tables at once."""
    if not uri.startswith(SQLITE):
        return nullcontext()
    file = Path(uri.removeprefix(SQLITE))
    file.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(file.with_suffix(".lock"))


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
