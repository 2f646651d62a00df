"""Refusals as the endpoint says them: problem documents of RFC 9457, naming row and field."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
MOST_LISTED = 100


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int | None = Field(default=None, description="Which row, counted from 1.")
    field: str | None = Field(default=None, description="Which of its fields.")
    message: str = Field(description="What is wrong and what to do, in plain words.")


class ProblemDocument(BaseModel):
    """A refusal, as RFC 9457 writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(default="about:blank", description="A URI for this kind of refusal.")
    title: str = Field(description="The kind of refusal in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do.")
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
        self.document = ProblemDocument(
            title=status.phrase,
            status=status.value,
            detail=detail,
            errors=tuple(errors[:MOST_LISTED]),
        )

    @property
    def headers(self) -> dict[str, str]:
        """What goes into the answer's head."""
        retry = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {"Content-Type": MEDIA_TYPE, **retry}


def invalid(errors: Sequence[FieldProblem]) -> Refusal:
    """Refuse rows that do not fit the model; one sentence says the first."""
    first = errors[0]
    place = " ".join(
        part
        for part in (
            f"row {first.row}," if first.row is not None else "",
            f"field {first.field}:" if first.field is not None else "",
        )
        if part
    ).removesuffix(",")
    more = f"; {len(errors) - 1} more below" if len(errors) > 1 else ""
    detail = f"{place} {first.message}".strip() + more
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)
