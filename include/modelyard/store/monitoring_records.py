"""What watching keeps: verdicts on inputs and on performance, alerts, and retrainings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from modelyard.spec.monitor import Level
from modelyard.store.records import Moment, Name, Record, new_id, now

type Kind = Literal["number", "category", "missing", "embedding"]
type Source = Literal["rows", "profiles"]
type AlertKind = Literal["drift", "performance", "estimate"]
type AlertChange = Literal["opened", "raised", "lowered", "ended", "acknowledged"]
type RetrainingStatus = Literal["asked", "running", "done", "failed"]
type Asked = Literal["asked", "repeated", "cooling", "spent"]


class Verdict(Record):
    """What a test said of one column of a window."""

    column: str = Field(
        description="The observed column; `predicted.OUTPUT` and `probability.OUTPUT` are the model's own."
    )
    kind: Kind = Field(
        description="number, category, embedding, or missing: how often there is no value."
    )
    test: Name = Field(description="What was tested, in words; `none` where nothing could be.")
    statistic: float | None = Field(description="The test's statistic; null where untested.")
    p_value: float | None = Field(description="As the test gave it; null where untested.")
    p_adjusted: float | None = Field(description="Corrected over the window's columns.")
    effect: float = Field(description="How much differs, in the test's own measure.")
    effect_name: Name = Field(description="What the effect is, such as KS distance.")
    drifted: bool = Field(description="Significant after correction, and large enough.")
    measures: dict[str, float] = Field(
        default_factory=dict,
        description="Other measures of the difference, for information: psi, jensen_shannon (bits), kl (nats), hellinger, wasserstein (reference standard deviations), mean_shift (likewise), cross_entropy (nats).",
    )
    reference_rows: int = Field(description="Rows with a value in the reference.")
    live_rows: int = Field(description="Rows with a value in the window.")
    reference_missing: float = Field(description="Share of reference rows without a value.")
    live_missing: float = Field(description="Share of the window's rows without a value.")
    since: Moment | None = Field(
        default=None,
        description="When the drift began, as the window shows it; null without drift.",
    )
    note: str | None = Field(default=None, description="What a reader should know besides.")


class DriftCheck(Record):
    """One comparison of a window with the reference."""

    id: Name = Field(default_factory=new_id, description="A second check of one id is ignored.")
    at: Moment = Field(default_factory=now, description="When it was made.")
    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version whose inputs were compared.")
    window: Name = Field(description="What was asked for: the last N, all, or a time span.")
    segment: Name = Field(
        default="", description="COLUMN=VALUE of the rows that were compared; empty is all rows."
    )
    source: Source = Field(
        default="rows", description="rows: each prediction was read; profiles: their sketches were."
    )
    rows: int = Field(description="Predictions in the window.")
    first_at: Moment = Field(description="The window's oldest prediction.")
    last_at: Moment = Field(description="The window's newest prediction.")
    reference_rows: int = Field(description="Rows in the reference.")
    alpha: float = Field(description="The share of windows that may raise a false alarm.")
    correction: Name = Field(description="How the many columns were accounted for.")
    min_effect: float = Field(description="Smaller differences are not drift.")
    drifted: bool = Field(description="Whether any column drifted.")
    run: Name | None = Field(default=None, description="The run that asked for it.")
    verdicts: tuple[Verdict, ...] = Field(description="One a column, most drifted first.")


class MetricVerdict(Record):
    """How good one metric is in a window, and how much worse than at the evaluation."""

    output: Name = Field(description="The output feature.")
    metric: Name = Field(description="Such as accuracy, f1, rmse.")
    estimated: bool = Field(
        default=False, description="Whether it is an estimate from the model's confidence."
    )
    watched: bool = Field(description="Whether it may raise an alert; others are for information.")
    rows: int = Field(description="Predictions that it was computed from.")
    value: float = Field(description="The metric.")
    low: float | None = Field(default=None, description="Lower end of its 95 % interval.")
    high: float | None = Field(default=None, description="Upper end of its 95 % interval.")
    baseline: float | None = Field(default=None, description="The same at the evaluation.")
    baseline_rows: int = Field(default=0, description="Rows of the evaluation.")
    degradation: float | None = Field(
        default=None, description="By what share it is worse than the baseline; below 0 is better."
    )
    p_value: float | None = Field(
        default=None, description="One-sided: how often chance alone comes as far."
    )
    p_adjusted: float | None = Field(
        default=None, description="Corrected over the window's watched metrics."
    )
    level: Level | None = Field(
        default=None, description="The level that it crossed, with significance; null is none."
    )
    note: str | None = Field(default=None, description="What a reader should know besides.")


class PerformanceCheck(Record):
    """How good the answers of one window were."""

    id: Name = Field(default_factory=new_id, description="A second check of one id is ignored.")
    at: Moment = Field(default_factory=now, description="When it was made.")
    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version that answered.")
    window: Name = Field(description="What was asked for: the last N, all, or a time span.")
    segment: Name = Field(default="", description="COLUMN=VALUE of the rows; empty is all rows.")
    rows: int = Field(description="Predictions in the window.")
    labelled: int = Field(description="How many of them have a label.")
    first_at: Moment = Field(description="The window's oldest prediction.")
    last_at: Moment = Field(description="The window's newest prediction.")
    alpha: float = Field(description="The share of windows that may raise a false alarm.")
    run: Name | None = Field(default=None, description="The run that asked for it.")
    metrics: tuple[MetricVerdict, ...] = Field(description="The watched ones first.")


class AlertRecord(Record):
    """One thing that is wrong, from when it began to when it ended."""

    id: Name = Field(default_factory=new_id, description="The alert's id.")
    model: Name = Field(description="The model's name.")
    version: int = Field(description="The model version that is concerned.")
    kind: AlertKind = Field(
        description="drift of inputs or outputs, performance by labels, or estimate without them."
    )
    subject: Name = Field(description="The column, or OUTPUT.METRIC.")
    segment: Name = Field(default="", description="COLUMN=VALUE of the rows; empty is all rows.")
    level: Level = Field(description="How bad it is now, or was when it ended.")
    worst: Level = Field(description="How bad it ever was.")
    value: float = Field(description="The effect size or degradation when last seen.")
    peak: float = Field(description="The largest that was seen.")
    windows: tuple[str, ...] = Field(description="The windows that show it.")
    reason: str = Field(description="What is wrong, in words.")
    onset: Moment = Field(description="When it began, as far as the predictions tell.")
    opened: Moment = Field(default_factory=now, description="When it was first seen.")
    seen: Moment = Field(default_factory=now, description="When it was last seen.")
    eased: Moment | None = Field(
        default=None,
        description="When it was first below its level; null while it is not. A second look settles it.",
    )
    gone: Moment | None = Field(
        default=None,
        description="When it was first not seen; null while it is. A second look settles it.",
    )
    ended: Moment | None = Field(default=None, description="When it was first gone; null is open.")
    ending: str | None = Field(default=None, description="Why it ended, in words.")
    check: Name | None = Field(default=None, description="The comparison that last showed it.")
    report: str | None = Field(
        default=None, description="The report of that comparison, relative to the home folder."
    )
    run: Name | None = Field(default=None, description="The run that first saw it.")
    acknowledged: Moment | None = Field(default=None, description="When a person took note.")
    acknowledged_by: Name | None = Field(default=None, description="Who.")
    comment: str | None = Field(default=None, description="What that person said.")

    @property
    def key(self) -> tuple[str, int, str, str, str]:
        """What at most one open alert may be about."""
        return (self.model, self.version, self.kind, self.subject, self.segment)


class AlertEvent(Record):
    """One change of an alert; those to be delivered wait here until they are."""

    id: Name = Field(default_factory=new_id, description="A second event of one id is ignored.")
    alert: Name = Field(description="The alert's id.")
    model: Name = Field(description="The model's name.")
    at: Moment = Field(default_factory=now, description="When it happened.")
    change: AlertChange = Field(description="opened, raised, lowered, ended or acknowledged.")
    level: Level = Field(description="The alert's level after it.")
    deliver: bool = Field(default=False, description="Whether people are to be told.")
    delivered: Moment | None = Field(default=None, description="When they were.")
    tries: int = Field(default=0, description="How often it was tried.")
    error: str | None = Field(default=None, description="Why the last try failed.")
    reached: tuple[str, ...] = Field(
        default=(), description="Digests of the addresses that have it, of several."
    )


class RetrainingRecord(Record):
    """A training that an alert started; an alert starts one at most."""

    id: Name = Field(default_factory=new_id, description="The retraining's id.")
    model: Name = Field(description="The model's name.")
    alert: Name = Field(description="The alert that started it.")
    asked: Moment = Field(default_factory=now, description="When it was asked for.")
    status: RetrainingStatus = Field(default="asked", description="How far it is.")
    changed: Moment = Field(default_factory=now, description="When that was last written.")
    revision: str | None = Field(
        default=None, description="The data revision that was made for it; null is the spec's."
    )
    rows: int | None = Field(default=None, description="Labelled predictions that were added.")
    run: Name | None = Field(default=None, description="The run that trained.")
    version: int | None = Field(default=None, description="The version that came of it.")
    reason: str = Field(default="", description="Why, or why it came to nothing.")
    evidence: dict[str, JsonValue] = Field(
        default_factory=dict, description="What else belongs to it, such as data hashes."
    )
