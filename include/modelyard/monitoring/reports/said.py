"""What a report says, as data: the page and the JSON hold the same of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.monitoring.reports.context import Cloud, Example
from modelyard.store.monitoring_records import AlertRecord, MetricVerdict, PerformanceCheck
from modelyard.store.records import Moment

if TYPE_CHECKING:
    from modelyard.monitoring.profile import ColumnSummary

type Part = Literal["input", "output", "confidence", "embedding", "latency"]
type Tone = Literal["bad", "good", "plain"]
type Summaries = Mapping[str, ColumnSummary]
type Profiles = tuple[Summaries, Summaries]

PARTS: Final[tuple[tuple[str, Part], ...]] = (
    ("predicted.", "output"),
    ("probability.", "confidence"),
    ("embedding", "embedding"),
    ("latency_ms", "latency"),
)


class Said(BaseModel):
    """A frozen part of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(Said):
    """One sentence of the summary."""

    tone: Tone = Field(description="bad, good or plain.")
    text: str = Field(description="The sentence.")


class Finding(Said):
    """A column that drifted, in words."""

    column: str = Field(description="The observed column.")
    part: Part = Field(description="What it belongs to.")
    missing: bool = Field(description="Whether it is about values that are not there.")
    effect: float = Field(description="How much differs.")
    effect_name: str = Field(description="In which measure.")
    size: str | None = Field(description="The effect in a word; null for measures without a scale.")
    meaning: str | None = Field(description="The effect in a sentence.")
    changed: str | None = Field(description="What changed, in figures.")
    p_adjusted: float | None = Field(description="The corrected p-value.")
    since: Moment | None = Field(description="When it began, as far as the checks show.")
    since_words: str | None = Field(description="The same in words.")
    checks: int = Field(description="In how many checks in a row, this one included.")
    note: str | None = Field(description="What a reader should know besides.")


class Row(Said):
    """One column in the checks of the past, oldest first."""

    column: str = Field(description="The column.")
    effects: tuple[float | None, ...] = Field(description="Its effect; null where untested.")
    drifted: tuple[bool, ...] = Field(description="Whether it drifted.")


class History(Said):
    """The last checks of this window, this one last."""

    at: tuple[Moment, ...] = Field(description="When they were made, oldest first.")
    rows: tuple[Row, ...] = Field(description="Columns that drifted in any of them.")
    left_out: int = Field(description="Columns that drifted and are not shown.")


class Metric(Said):
    """A metric now, and before."""

    now: MetricVerdict = Field(description="The newest.")
    title: str = Field(description="OUTPUT.METRIC, in words.")
    change: str = Field(description="How it compares with the evaluation, in words.")
    at: Moment = Field(description="When it was measured.")


class Document(Said):
    """All that a report says besides the comparison, the distributions and the profiles."""

    headline: str = Field(description="What was found, in one line.")
    summary: tuple[Line, ...] = Field(description="What a reader should know first.")
    promise: str = Field(description="What the error rate promises.")
    drifted_columns: tuple[str, ...] = Field(description="The columns that drifted.")
    findings: tuple[Finding, ...] = Field(description="One for each verdict of drift.")
    metrics: tuple[Metric, ...] = Field(description="How good the answers were.")
    labelled: PerformanceCheck | None = Field(description="The look that saw labels last.")
    history: History | None = Field(description="Null where there was no earlier check.")
    alerts: tuple[AlertRecord, ...] = Field(description="Open alerts, the worst first.")
    examples: tuple[Example, ...] = Field(description="Rows most unlike the reference.")
    cloud: Cloud | None = Field(description="Embeddings; null where there are none.")


def part_of(column: str) -> Part:
    """Tell inputs from what the model made of them."""
    return next((part for start, part in PARTS if column.startswith(start)), "input")
