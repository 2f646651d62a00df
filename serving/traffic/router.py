"""Choose who answers: a pure, weighted pick, steady for a sticky key."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from modelyard.rollout.routes import ModelTraffic, Route, RouteTable


@dataclass(frozen=True, slots=True)
class Split:
    """The stretches of 0 to 1 that belong to each route.

    They follow each other by version, so that a change of weights only moves edges: a key changes
    its variant only if it lies between where an edge was and where it is. Of two variants so
    exactly the share that is moved changes, and no key of a growing one leaves it.
    """

    routes: tuple[Route, ...]
    edges: tuple[float, ...]

    def at(self, place: float) -> Route:
        """Return the route whose stretch holds a place, which is 0 or more and less than 1."""
        return self.routes[bisect_right(self.edges, place)]


def split_of(routes: Sequence[Route]) -> Split:
    """Lay out the routes that have a share; needs at least one of them."""
    able = tuple(route for route in routes if route.share > 0)
    return Split(able, tuple(accumulate(route.share for route in able[:-1])))


@dataclass(frozen=True, slots=True)
class Lanes:
    """One model's routes, made ready for its requests.

    Args:
        model: The model's name.
        routes: All its routes.
        split: Who answers; None while nobody has a share.
        champion: Who answers where another fails.
        shadows: Who gets copies.
        traffic: What holds for all its requests.
    """

    model: str
    routes: tuple[Route, ...]
    split: Split | None
    champion: Route | None
    shadows: tuple[Route, ...]
    traffic: ModelTraffic


def lanes_of(table: RouteTable, model: str) -> Lanes:
    """Make one model's routes ready."""
    routes = table.models[model]
    return Lanes(
        model=model,
        routes=routes,
        split=split_of(routes) if any(route.share > 0 for route in routes) else None,
        champion=next((route for route in routes if route.role == "champion"), None),
        shadows=tuple(route for route in routes if route.shadow > 0 and route.role != "champion"),
        traffic=table.traffic_of(model),
    )


def pick(routes: Sequence[Route], at: float) -> Route:
    """Return the route whose stretch of 0 to 1 holds `at`."""
    return split_of(routes).at(at)


def position(model: str, key: str) -> float:
    """Place a sticky key between 0 and 1, evenly, and at the same place on every machine."""
    # A surrogate, which JSON may carry, has no bytes of its own.
    text = f"{model}\0{key}".encode(errors="surrogatepass")
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    # 53 bits are what a float holds: more would round up to 1.
    return (number >> 11) / 2**53


def key_of(row: Mapping[str, object], field: str) -> str | None:
    """Read a sticky key from a row as it was sent; None if it has none, or an empty one.

    A number is the same key whether it was sent as 7, 7.0 or "7".
    """
    value = row.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (str(value) or None) if isinstance(value, str | int | float) else None
