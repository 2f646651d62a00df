"""Choose who answers: a pure, weighted pick, steady for a sticky key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from modelyard.rollout.routes import Route


def position(model: str, key: str) -> float:
    """Place a sticky key between 0 and 1, evenly, and at the same place on every machine."""
    digest = hashlib.blake2b(f"{model}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def pick(routes: Sequence[Route], at: float) -> Route:
    """Return the route whose stretch of 0 to 1 holds `at`.

    Stretches follow each other by version, so that a growing share only moves its edge: a key that
    a new version answered once is answered by it from then on.
    """
    able = [route for route in routes if route.share > 0]
    edge = 0.0
    for route in able[:-1]:
        edge += route.share
        if at < edge:
            return route
    return able[-1]
