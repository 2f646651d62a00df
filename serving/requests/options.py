"""What a caller may ask for besides the prediction: the query and the head of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from starlette.requests import Request

from serving.http.problems import refuse_field

type MaskFormat = Literal["png", "rle"]

_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})
_KNOWN: Final = ("probabilities", "mask")
LONGEST_KEY: Final = 1000

PARAMETERS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "probabilities",
        "in": "query",
        "description": "Whether each label's probability is answered.",
        "schema": {"type": "boolean", "default": True},
    },
    {
        "name": "mask",
        "in": "query",
        "description": "How a mask is answered: a PNG in base64, or run lengths, row after row from the top left.",
        "schema": {"type": "string", "enum": ["png", "rle"], "default": "png"},
    },
    {
        "name": "X-Sticky-Key",
        "in": "header",
        "description": "Requests with the same key are answered by the same version while shares allow it.",
        "schema": {"type": "string", "maxLength": LONGEST_KEY},
    },
)


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """What a caller may ask for besides the prediction, and who the caller is.

    Args:
        probabilities: Whether every class's probability is told.
        mask: How a mask is written: a PNG in base64, or the lengths of runs of equal pixels.
        client: The name of the API key that asks.
        request: The request's id, as the logs shall have it.
        pinned: Whether the caller named the version: no other one answers then, and the call is no
            evidence, for it was not chance that picked.
    """

    probabilities: bool = True
    mask: MaskFormat = "png"
    client: str | None = None
    request: str | None = None
    pinned: bool = False


def options_of(request: Request) -> PredictOptions:
    """Read the options of a request.

    Raises:
        Refusal: 422, naming an option that is unknown or has no such value.
    """
    query = request.query_params if request.scope["query_string"] else {}
    return chosen(query, request)


def chosen(said: Mapping[str, object], request: Request) -> PredictOptions:
    """Make options of names and values, as a query or a document says them."""
    for name in said:
        if name not in _KNOWN:
            message = f"is not an option; there are {' and '.join(_KNOWN)}"
            refuse_field(name[:100], message)
    return PredictOptions(
        probabilities=boolean("probabilities", said.get("probabilities", True)),
        mask=_mask(said.get("mask", "png")),
        client=client_of(request),
        request=request.scope.get("state", {}).get("request"),
    )


def client_of(request: Request) -> str | None:
    """Return the name of the API key that the request came with."""
    client = request.scope.get("state", {}).get("client")
    return None if client is None else str(client)


def sticky_key(request: Request) -> str | None:
    """Return the key that keeps a caller with one version."""
    key = request.headers.get("x-sticky-key")
    if key is not None and len(key) > LONGEST_KEY:
        refuse_field("X-Sticky-Key", f"is longer than {LONGEST_KEY} characters")
    return key


def boolean(name: str, value: object) -> bool:
    """Read true or false; refuse anything else."""
    if isinstance(value, bool):
        return value
    text = str(value).lower() if isinstance(value, str | int) else ""
    if text not in _TRUE and text not in _FALSE:
        refuse_field(name, "must be true or false")
    return text in _TRUE


def _mask(value: object) -> Literal["png", "rle"]:
    if not isinstance(value, str) or value not in {"png", "rle"}:
        refuse_field("mask", "must be png or rle")
    return "rle" if value == "rle" else "png"
