"""Run supervisord so that it also takes in the orphans of its services.

An orphan goes to process 1 otherwise, and in a container that often reaps nobody: stopped
processes would stay as zombies.
"""

from __future__ import annotations

import sys

PR_SET_CHILD_SUBREAPER = 36


def main(configuration: str) -> None:
    """Run supervisord in the foreground until it is told to stop."""
    from supervisor import supervisord

    _adopt_orphans()
    supervisord.main(["--nodaemon", "--silent", "--configuration", configuration])


def _adopt_orphans() -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


if __name__ == "__main__":
    main(sys.argv[1])
