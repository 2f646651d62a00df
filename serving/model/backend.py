"""What the endpoint needs of the variants, whoever runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from modelyard.features import ModelSignature
from serving.model.outputs import Output
from serving.requests.rows import Row

type FaultKind = Literal["timeout", "overloaded", "down", "failed"]


class Description(BaseModel):
    """What a variant says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="The model's name.")
    version: int = Field(description="The model version.")
    run: str | None = Field(description="The run that made it.")
    mlflow_run: str | None = Field(description="Its MLflow run.")
    metrics: dict[str, float] = Field(description="OUTPUT.METRIC on the test split.")
    signature: ModelSignature = Field(description="Its inputs and outputs.")
    files: str | None = Field(
        default=None, description="Where its files lie, for others on the replica's machine."
    )
    engine: str = Field(default="ludwig", description="What computes the answers.")
    engine_note: str | None = Field(
        default=None, description="Why it is not compiled, where it is not."
    )


@dataclass(frozen=True, slots=True)
class Predicted:
    """A variant's answer: one output a row, and how long the model took for the batch.

    `embedding` is where it places the rows, if it does: as many floats for each, in single
    precision, one row after the other.
    """

    outputs: list[Output]
    milliseconds: float
    embedding: bytes | None = None


class VariantFault(Exception):  # noqa: N818 - reads as what happened
    """A variant did not answer rows that are no fault of the caller's.

    Args:
        kind: `timeout`: not in time; `overloaded`: it has no room; `down`: it cannot be reached;
            `failed`: it raised.
        detail: What happened, in words for the caller: no traceback.
    """

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind: FaultKind = kind
        self.detail = detail


class Backend(Protocol):
    """Reaches variants by the name of their application."""

    async def describe(self, app: str) -> Description:
        """Ask a variant what it is; raise VariantFault if it does not answer."""
        ...

    async def predict(self, app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        """Let a variant predict checked rows.

        Raises:
            VariantFault: it did not, and that is the variant's fault.
            Refusal: 422, the model cannot take these rows.
        """
        ...
