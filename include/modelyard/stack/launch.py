"""Become a service: what the supervisor runs in place of the service's own command.

A service that was killed may leave children behind which hold its port or its database; they
are ended before it starts again. And it ends with its supervisor, however that ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from modelyard.stack import processes

GRACE_SECONDS = 3.0
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replace this process by the service `NAME` of the plan file `PLAN`."""
    plan, name = arguments
    service = json.loads(Path(plan).read_text(encoding="utf-8"))[name]
    stack = os.environ[processes.STACK]
    os.environ[processes.SERVICE] = name
    os.environ.update(service["environment"])
    processes.end(processes.members(stack, name), GRACE_SECONDS)
    end_with_parent()
    os.umask(0o077)
    command = service["command"]
    os.execvp(command[0], command)  # noqa: S606 - the plan is ours, readable by its owner only


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies; elsewhere the next start cleans up."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")


if __name__ == "__main__":
    main(sys.argv[1:])
