"""Commands beside a running stack use it, as if its addresses had been exported."""

from __future__ import annotations

import os

from modelyard.settings import get_settings

USERS = frozenset({"models", "run", "plan", "watch", "alerts", "explain"})
"""The commands that train, serve or ask what is served."""


def use_running_stack() -> None:
    """Take the addresses of this home folder's stack, if it runs and the environment names none."""
    from modelyard.stack import environment, state

    settings = get_settings()
    if any(name in os.environ for name in environment.ADDRESSES):
        return
    recorded = state.read(settings)
    if recorded is not None and recorded.alive:
        os.environ.update(environment.client(settings, recorded.ports))
        get_settings.cache_clear()
