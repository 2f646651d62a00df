"""The service `serving`: make Ray Serve as the database says, now and after every restart of Ray.

The process that stays only asks Ray for its session; all that is heavy is done in a child.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path
from typing import NoReturn

from modelyard.errors import ComputeError, ModelyardError
from modelyard.ray_access import ray_headers
from modelyard.settings import Settings, get_settings
from modelyard.stack.services import READY_FILE, services_folder
from modelyard.workspace import write_atomically

ASK_SECONDS = 3.0
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
PATIENCE = 2
"""Ray Serve may refuse once while it starts on a busy machine; that is not worth telling."""
STOP_SECONDS, STOP_POLL_SECONDS = 8.0, 0.2
APPLICATIONS = "/api/serve/applications/"
SYNC = "--sync"
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
log = logging.getLogger(__name__)


def keep(settings: Settings) -> NoReturn:
    """Follow Ray's sessions until the supervisor ends this process."""
    served: str | None = None
    failures = 0
    while True:
        session = session_name(settings)
        if session is None or session == served:
            time.sleep(ASK_SECONDS)
            continue
        problem = _synchronise()
        failures = 0 if problem is None else failures + 1
        if failures == 0 or failures >= PATIENCE:
            write_atomically(ready_file(settings), json.dumps({"problem": problem}))
        if problem is None:
            served = session
            continue
        wait = min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT)
        log.error("%s; next try in %.0f s", problem, wait)
        time.sleep(wait)


def stop_serving(settings: Settings) -> None:
    """Take all applications down, so that their replicas write out what they logged."""
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(urllib.error.URLError, OSError, ValueError, ComputeError):
        if not _applications(settings):
            return
        _ask(settings, APPLICATIONS, method="DELETE", seconds=STOP_SECONDS).close()
        while _applications(settings) and time.monotonic() < deadline:
            time.sleep(STOP_POLL_SECONDS)


def _applications(settings: Settings) -> object:
    with _ask(settings, APPLICATIONS) as answer:
        return json.load(answer)["applications"]


def session_name(settings: Settings) -> str | None:
    """Name Ray's session, which every start of Ray has of its own; None while Ray is down."""
    try:
        with _ask(settings, "/api/version") as answer:
            return str(json.load(answer)["session_name"])
    except (urllib.error.URLError, OSError, ValueError, ComputeError):
        return None


def _ask(
    settings: Settings, path: str, *, method: str = "GET", seconds: float = ASK_SECONDS
) -> HTTPResponse:
    """Ask Ray's dashboard, an HTTP address of the stack's own, showing its token."""
    request = urllib.request.Request(  # noqa: S310 - as said
        f"{settings.serve_api}{path}", headers=ray_headers(settings), method=method
    )
    answer: HTTPResponse = NO_PROXY.open(request, timeout=seconds)
    return answer


def ready_file(settings: Settings) -> Path:
    """Where the outcome of the last try is written."""
    return services_folder(settings) / READY_FILE


def _synchronise() -> str | None:
    """Do it in a child, which gives the memory back; return what went wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "modelyard.stack.keeper", SYNC],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    return None if done.returncode == 0 else done.stdout.strip() or "it could not be served"


def synchronise(settings: Settings) -> int:
    """Serve what the database says, then let a Ray worker import Ludwig ahead of the first run."""
    from modelyard.compute import warm_up
    from modelyard.serve_control import sync

    try:
        sync(settings)
        warm_up(settings)
    except ModelyardError as error:
        sys.stdout.write(str(error))
        return error.exit_code
    return 0


def main(arguments: list[str]) -> int:
    """Run the keeper, or one synchronisation."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every poll
    if arguments == [SYNC]:
        return synchronise(get_settings())
    settings = get_settings()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        keep(settings)
    finally:
        stop_serving(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
