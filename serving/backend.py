"""What the endpoint needs of the variants, whoever runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from modelyard.features import ModelSignature
from serving.outputs import Output
from serving.rows import Row


class Description(BaseModel):
    """What a variant says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="The model's name.")
    version: int = Field(description="The model version.")
    run: str | None = Field(description="The run that made it.")
    mlflow_run: str | None = Field(description="Its MLflow run.")
    metrics: dict[str, float] = Field(description="OUTPUT.METRIC on the test split.")
    signature: ModelSignature = Field(description="Its inputs and outputs.")


@dataclass(frozen=True, slots=True)
class Predicted:
    """A variant's answer: one output a row, and how long the model took for the batch."""

    outputs: list[Output]
    milliseconds: float


class Backend(Protocol):
    """Reaches variants by the name of their application."""

    async def describe(self, app: str) -> Description:
        """Ask a variant what it is; raise Refusal if it does not answer."""
        ...

    async def predict(self, app: str, rows: Sequence[Row]) -> Predicted:
        """Let a variant predict checked rows; raise Refusal if it cannot."""
        ...
