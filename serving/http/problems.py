"""Refusals as the endpoint says them: problem documents of RFC 9457, naming row and field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NoReturn

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
MOST_LISTED = 100
_PLACE: Final = re.compile(r"row (\d{1,6}), (.{1,100}?): (.*)", re.DOTALL)

KINDS: Final[Mapping[str, str]] = {
    "malformed": "The body or the path cannot be read, or says too little: the detail says where.",
    "unauthorized": "An API key is needed, or this one is not known or was revoked.",
    "forbidden": "The API key is known, and may not do this.",
    "unknown": "There is no such path, model, version or prediction.",
    "method": "The path exists and takes another method; see the Allow header.",
    "slow-body": "The body did not arrive in time.",
    "too-large": "Too many bytes, rows or fields for one request; send less at a time.",
    "media-type": "The body's content type, charset or encoding is not taken.",
    "invalid": "Rows, labels or options do not fit: each is named by row and field.",
    "too-many": "More requests than the key may send; wait as long as Retry-After says.",
    "failed": "The endpoint or the model failed; its log says why under the request's id.",
    "unavailable": "Nothing can answer now: starting, overloaded, or nothing is deployed.",
    "late": "The model did not answer in time.",
    "other": "The request was refused; the title and the detail say why.",
}
_KIND_OF_STATUS: Final[Mapping[int, str]] = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "unknown",
    405: "method",
    408: "slow-body",
    413: "too-large",
    414: "too-large",
    415: "media-type",
    422: "invalid",
    429: "too-many",
    431: "too-large",
    500: "failed",
    502: "failed",
    503: "unavailable",
    504: "late",
}


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int | None = Field(default=None, description="Which row, counted from 1.")
    field: str | None = Field(default=None, description="Which of its fields.")
    message: str = Field(description="What is wrong and what to do, in plain words.")


class ProblemDocument(BaseModel):
    """A refusal, as RFC 9457 writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(description="The kind of refusal: a URI that leads to its description.")
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do.")
    instance: str | None = Field(default=None, description="The path that was asked.")
    request: str | None = Field(
        default=None, description="The request's id, as X-Request-Id says it; logs have it too."
    )
    errors: tuple[FieldProblem, ...] = Field(default=(), description="Each row and field.")


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """An answer that is a problem document."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.extra_headers: dict[str, str] = {}
        self.document = ProblemDocument(
            type=f"/docs#{_KIND_OF_STATUS.get(status, 'other')}",
            title=status.phrase,
            status=status.value,
            detail=detail,
            errors=tuple(errors[:MOST_LISTED]),
        )

    @property
    def headers(self) -> dict[str, str]:
        """What goes into the answer's head."""
        retry = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {"Content-Type": MEDIA_TYPE, **retry, **self.extra_headers}


def invalid(errors: Sequence[FieldProblem], total: int | None = None) -> Refusal:
    """Refuse rows that do not fit the model; one sentence says the first.

    Args:
        errors: What is wrong, or the first of it.
        total: How many there are, where more than `errors`.
    """
    first = errors[0]
    total = total or len(errors)
    place = " ".join(
        part
        for part in (
            f"row {first.row}," if first.row is not None else "",
            f"field {first.field}:" if first.field is not None else "",
        )
        if part
    ).removesuffix(",")
    more = f"; {total - 1} more below" if total > 1 else ""
    detail = f"{place} {first.message}".strip() + more
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def refused_by_model(reason: str) -> Refusal:
    """Refuse rows that only the model found wrong; it counts them from 0 and names them in words."""
    if said := _PLACE.fullmatch(reason):
        row, field, message = said.groups()
        return invalid([FieldProblem(row=int(row) + 1, field=field, message=message)])
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, reason)


def refuse_field(field: str, message: str) -> NoReturn:
    """Refuse one field that belongs to no row, such as an option: 422."""
    raise invalid([FieldProblem(field=field, message=message)])
