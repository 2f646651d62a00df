"""The section `monitor` of a spec: how live inputs and outputs are watched, and what follows."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from modelyard.spec.base import Section

type Level = Literal["warning", "critical", "immediate"]
type WindowSpec = (
    Annotated[int, Field(ge=50)]
    | Literal["all"]
    | Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mhd]$")]
)

LEVELS: tuple[Level, ...] = ("warning", "critical", "immediate")


class TestsSpec(Section):
    """Which two-sample test decides; its own effect size is what min_effect is held against."""

    number: Literal["ks", "z", "wasserstein", "psi", "jensen-shannon", "kl", "hellinger"] = Field(
        default="ks",
        description="For numbers: ks (Kolmogorov-Smirnov; effect: KS distance), z (mean shift; effect: standardised difference of means), wasserstein (in reference standard deviations), or a divergence over bins: psi, jensen-shannon (bits), kl (nats), hellinger.",
    )
    category: Literal["chi-square", "psi", "jensen-shannon", "kl", "hellinger"] = Field(
        default="chi-square",
        description="For categories: chi-square (effect: total variation) or a divergence: psi, jensen-shannon (bits), kl (nats), hellinger.",
    )
    embedding: Literal["mmd", "classifier"] = Field(
        default="mmd",
        description="For embeddings of images: mmd (maximum mean discrepancy) or classifier (how well a linear classifier tells the window from the reference; effect: 2 AUC - 1).",
    )


class LevelsSpec(Section):
    """By what share a metric may be worse than at the evaluation before it is an alert."""

    warning: float = Field(default=0.05, gt=0, lt=1, description="More than this is a warning.")
    critical: float = Field(default=0.10, gt=0, lt=1, description="More than this is critical.")
    immediate: float = Field(
        default=0.20, gt=0, lt=1, description="More than this needs somebody at once."
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.warning < self.critical < self.immediate:
            message = "levels must rise: warning < critical < immediate"
            raise ValueError(message)
        return self


class DriftLevelsSpec(Section):
    """From which effect size on drift is more than a warning."""

    critical: float = Field(
        default=0.25, gt=0, description="Drift of this effect size or more is critical."
    )
    immediate: float = Field(
        default=0.5, gt=0, description="Drift of this effect size or more needs somebody at once."
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.critical >= self.immediate:
            message = "levels must rise: critical < immediate"
            raise ValueError(message)
        return self


class RetrainSpec(Section):
    """What a retraining that an alert starts learns from, and how often there may be one."""

    data: Literal["spec", "labelled"] = Field(
        default="spec",
        description="spec: the data as the spec says, pulled anew; labelled: a new data revision with the logged predictions that have labels added to it.",
    )
    min_labels: int = Field(
        default=200,
        ge=1,
        description="With data: labelled, how many new labelled predictions it takes.",
    )
    cooldown_hours: float = Field(
        default=24, ge=0, description="So long after a retraining none is started."
    )
    budget: int = Field(default=4, ge=1, description="How many may be started in 30 days.")


class MonitorSpec(Section):
    """How live inputs and outputs are watched."""

    windows: tuple[WindowSpec, ...] = Field(
        default=(1000, 10_000, "all"),
        min_length=1,
        description="The stretches of predictions that are compared with the reference: the last N, all, or a time span such as 90m, 24h or 7d.",
    )
    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="The share of windows without drift that may raise a false alarm.",
    )
    correction: Literal["benjamini-hochberg", "bonferroni"] = Field(
        default="benjamini-hochberg",
        description="How the many columns of one window are accounted for.",
    )
    tests: TestsSpec = Field(default_factory=TestsSpec, description="Which tests decide.")
    min_effect: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Smaller differences are not drift, however sure they are; in the measure of the test. 0.1 is made for the KS distance and total variation; as large a shift is about 0.25 for z and wasserstein, 0.06 for psi, 0.03 for kl, 0.01 for jensen-shannon, 0.09 for hellinger.",
    )
    drift_levels: DriftLevelsSpec = Field(
        default_factory=DriftLevelsSpec,
        description="From which effect size on drift is more than a warning, in the measure of the test.",
    )
    metrics: tuple[Annotated[str, Field(pattern=r"^[^.\s]+\.[^\s]+$")], ...] = Field(
        default=(),
        description="Metrics that are watched once labels arrive, such as label.accuracy, label.f1, or label.recall.malignant for one class; empty is accuracy for labels and the root mean squared error for numbers.",
    )
    levels: LevelsSpec = Field(
        default_factory=LevelsSpec,
        description="By what share a metric may be worse than at the evaluation before it is an alert.",
    )
    estimate: bool = Field(
        default=True,
        description="Whether accuracy is estimated from the model's confidence where labels are missing.",
    )
    segment_by: str | None = Field(
        default=None,
        description="An input column with few values; each value's rows are watched by themselves too.",
    )
    notify: Level | None = Field(
        default="warning",
        description="From which level on alerts are delivered to MODELYARD_NOTIFY; null delivers none.",
    )
    keep_inputs: bool = Field(
        default=False,
        description="Whether the prediction log keeps inputs whole, which a retraining on labelled predictions and example inputs need where they are no numbers or categories.",
    )
    retrain_on: Level | None = Field(
        default=None, description="The level of alert that starts a retraining; null never does."
    )
    retrain: RetrainSpec = Field(
        default_factory=RetrainSpec,
        description="What such a retraining learns from, and how often there may be one.",
    )
