"""Divide a request whose rows belong to several sticky keys, and put its answers together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from modelyard.rollout.routes import Route
from serving.requests.bodies import Rows
from serving.traffic.router import key_of

type Choose = Callable[[str | None], Route]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a request that one variant answers, by their places in the request, from 0."""

    route: Route
    places: Sequence[int]

    def of(self, body: Rows) -> Rows:
        """Take its rows out of the request's."""
        return Rows([body.rows[place] for place in self.places], textual=body.textual)


def parts_of(body: Rows, field: str, choose: Choose) -> list[Part]:
    """Give each row to the variant of its key; those without a key stay together.

    Args:
        body: The request's rows, as they were sent.
        field: The input that holds the key.
        choose: Picks the variant of a key, or any by chance for None.
    """
    by_key: dict[str | None, Route] = {}
    places: dict[str, list[int]] = {}
    for place, row in enumerate(body.rows):
        key = key_of(row, field)
        route = by_key.get(key)
        if route is None:
            route = by_key[key] = choose(key)
        places.setdefault(route.app, []).append(place)
    routes = {route.app: route for route in by_key.values()}
    return [Part(routes[app], found) for app, found in places.items()]


def together(
    model: str, parts: Sequence[Part], answers: Sequence[Mapping[str, JsonValue]]
) -> dict[str, JsonValue]:
    """Bring the parts' predictions into the order of the request's rows."""
    placed: dict[int, JsonValue] = {}
    for part, answer in zip(parts, answers, strict=True):
        placed.update(zip(part.places, cast("list[JsonValue]", answer["predictions"]), strict=True))
    return {"model": model, "predictions": [placed[place] for place in sorted(placed)]}
