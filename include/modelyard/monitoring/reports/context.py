"""What a report says besides the comparison itself; all of it may be missing."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from modelyard.store.monitoring_records import AlertRecord, DriftCheck, PerformanceCheck


class Cell(BaseModel):
    """One value of an example row, and where the reference has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="The observed column.")
    value: str | float | None = Field(description="The value; null is missing.")
    usual: str = Field(description="What is usual in the reference, in words.")
    unlike: float = Field(
        ge=0, le=1, description="How unlike the reference: 0 is in its middle, 1 is unseen."
    )


class Example(BaseModel):
    """A prediction of the window that is unlike the reference in what drifted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: str = Field(description="The prediction's id.")
    at: str = Field(description="When it was answered, ISO 8601.")
    cells: tuple[Cell, ...] = Field(
        description="The first of the drifted columns, the largest effect first."
    )
    outputs: dict[str, str] = Field(description="What was predicted, in words.")
    texts: dict[str, str] = Field(
        default_factory=dict, description="Text inputs, shortened, where inputs are kept whole."
    )
    images: dict[str, str] = Field(
        default_factory=dict, description="Image inputs as small data: URLs, where they are kept."
    )


class Cloud(BaseModel):
    """Where the model places rows: the first two components of its embedding, sampled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: tuple[tuple[float, float], ...] = Field(description="Points of the reference.")
    live: tuple[tuple[float, float], ...] = Field(description="Points of the window.")
    outside: tuple[int, int] = Field(
        default=(0, 0), description="Points beyond the picture: reference, window."
    )


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What the database and the window know that the comparison does not say."""

    earlier: tuple[DriftCheck, ...] = ()
    """Earlier comparisons of this version and window, newest first."""
    performance: tuple[PerformanceCheck, ...] = ()
    """The last looks at performance of this version, newest first."""
    alerts: tuple[AlertRecord, ...] = ()
    """The model's open alerts."""
    examples: tuple[Example, ...] = ()
    """Rows of the window that are most unlike the reference."""
    cloud: Cloud | None = None
    """Embeddings of the reference and of the window."""
