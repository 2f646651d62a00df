"""What each path needs: nothing, any key, or a key with a scope."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from modelyard.api_keys import ADMIN, FEEDBACK, METRICS, PREDICT


@dataclass(frozen=True, slots=True)
class Need:
    """What a request must bring."""

    public: bool = False
    scope: str | None = None
    """None is any key."""
    model: str | None = None
    """The model that the path names; a key that is for some models only must be for this one."""
    page: bool = False
    """Whether a browser, which cannot bring a key with an address, gets a page without data."""


MODEL: Final = r"/models/(?P<model>[^/]+)"
V2_MODEL: Final = r"/v2/models/(?P<model>[^/]+)(?:/versions/[^/]+)?"
PUBLIC: Final = "public"
ANY: Final = "any"
PAGE: Final = "page"
EXPLAIN: Final = "explain"
"""Whoever may ask a model may know where its answers came from; what was asked only admin sees."""
RULES: Final = (
    (r"(?:/(?:health|ready|ping)|/v2/health/(?:live|ready))", PUBLIC),
    # The files of the pages, and the description of the interface: alike in every installation.
    (r"(?:/?|/docs|/openapi\.json|/favicon\.ico|/static/.*)", PUBLIC),
    (rf"(?:{MODEL})?/(?:predict|invocations)", PREDICT),
    (rf"{V2_MODEL}/infer", PREDICT),
    (rf"(?:{MODEL})?/feedback", FEEDBACK),
    (r"/traffic", PAGE),
    (r"/predictions", PAGE),
    (rf"(?:{MODEL})?/predictions/[^/]+", EXPLAIN),
    (rf"(?:{MODEL})?/(?:metrics|alerts|traffic)", METRICS),
    (r"/alerts/[^/]+/acknowledge", ADMIN),
    (MODEL, ANY),
    (rf"{V2_MODEL}(?:/ready)?", ANY),
    (r"(?:/model-info|/version|/v2|/v2/models|/v2/repository/index)", ANY),
)
LOOPBACK: Final = re.compile(r"127(\.\d{1,3}){3}", re.ASCII)
COMPILED: Final = tuple((re.compile(pattern, re.DOTALL), wants) for pattern, wants in RULES)


@lru_cache(maxsize=1024)
def needed(path: str) -> Need:
    """Say what a path needs; one that no rule knows needs the scope admin, so that none is forgotten."""
    path = path.removesuffix("/")
    for pattern, wants in COMPILED:
        if found := pattern.fullmatch(path):
            model = found.groupdict().get("model")
            return _need(wants, model)
    return Need(scope=ADMIN)


def _need(wants: str, model: str | None) -> Need:
    if wants == PUBLIC:
        return Need(public=True)
    if wants == PAGE:
        return Need(scope=METRICS, page=True)
    if wants == EXPLAIN:
        return Need(scope=PREDICT, model=model, page=True)
    return Need(scope=None if wants == ANY else wants, model=model)


def wants_page(accept: str) -> bool:
    """Whether a client that accepts this is a browser that asks for a page, and not for JSON."""
    kinds = [part.partition(";")[0].strip() for part in accept.lower().split(",")]
    return "text/html" in kinds and "application/json" not in kinds


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    return host in {"localhost", "::1"} or LOOPBACK.fullmatch(host) is not None
