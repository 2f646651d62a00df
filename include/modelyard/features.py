"""What a trained model takes and gives: kept with each version, read by the endpoint."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ModelFeature(BaseModel):
    """One input or output of a trained model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Ludwig's name of the feature.")
    column: str = Field(description="The key in a request's row.")
    type: str = Field(description="Ludwig's feature type.")
    required: bool = Field(
        description="Whether a row must have it; others are filled as in training."
    )
    categories: tuple[str, ...] | None = Field(
        default=None,
        description="The values that a category or binary feature knows; of a mask, its grey values.",
    )
    height: int | None = Field(default=None, description="Image height in pixels.")
    width: int | None = Field(default=None, description="Image width in pixels.")
    channels: int | None = Field(default=None, description="Image channels.")
    steps: int | None = Field(
        default=None,
        description="How many steps of a series, or words and marks of a text, the model reads; the rest is cut off.",
    )
    low: float | None = Field(
        default=None, description="The least value of a number in the training data."
    )
    middle: float | None = Field(default=None, description="Their median.")
    high: float | None = Field(default=None, description="The greatest of them.")


class ModelSignature(BaseModel):
    """All inputs and outputs of a trained model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[ModelFeature, ...] = Field(description="What a request's row holds.")
    outputs: tuple[ModelFeature, ...] = Field(description="What an answer holds.")
