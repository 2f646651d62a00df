"""The section `serve` of a spec: how versions are served, and how a challenger gets its traffic."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from modelyard.spec.base import Section


class MarginsSpec(Section):
    """By how much more often than the champion a challenger may fail before it counts as worse."""

    errors: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="Calls that fail or time out, as a difference of shares.",
    )
    slow: float = Field(
        default=0.1, gt=0, lt=1, description="Answers that take longer than latency_ms, likewise."
    )
    wrong: float = Field(
        default=0.05, gt=0, lt=1, description="Answers that a label contradicts, likewise."
    )


class RolloutSpec(Section):
    """How a challenger gets its traffic, and what decides that it goes on or back."""

    shadow: int = Field(
        default=0,
        ge=0,
        description="How many requests a challenger answers unseen before it gets real ones.",
    )
    shadow_share: float = Field(
        default=1,
        gt=0,
        le=1,
        description="The share of requests that are copied to the challenger in the shadow step.",
    )
    canary: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        description="The shares of traffic on the way to all of it; empty promotes at once.",
    )
    min_requests: int = Field(
        default=50,
        ge=1,
        description="How many requests a challenger answers at least in each canary step.",
    )
    min_labels: int = Field(
        default=0,
        ge=0,
        description="How many of its answers must be labelled in each step; 0 waits for no labels, and uses those that come.",
    )
    alpha: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="The chance that a rollout rolls back a challenger that is no worse, and the chance that it promotes one that is worse by more than a margin.",
    )
    margins: MarginsSpec = Field(
        default_factory=MarginsSpec,
        description="By how much more often than the champion a challenger may fail.",
    )
    max_disagreement: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The share of requests to which a challenger may answer another label than the champion in the shadow step; null only reports it.",
    )
    latency_ms: float | None = Field(
        default=None,
        gt=0,
        description="Answers that take longer are slow; null is twice what 95 % of the champion's took.",
    )
    timeout_ms: float = Field(
        default=10_000,
        gt=0,
        description="After this time the champion answers in the challenger's place.",
    )
    max_hours: float | None = Field(
        default=None,
        gt=0,
        description="A step that is undecided after so many hours is rolled back; null waits for evidence or a person.",
    )
    approve: bool = Field(
        default=False, description="Whether a person must agree before all traffic moves."
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.canary) != sorted(set(self.canary)):
            message = "canary shares must rise, such as [0.05, 0.25, 0.5]"
            raise ValueError(message)
        return self


class ServeSpec(Section):
    """How versions of this model are served."""

    rollout: RolloutSpec = Field(
        default_factory=RolloutSpec, description="How a challenger gets its traffic."
    )
    replicas: int = Field(default=1, ge=1, le=1000, description="Processes a variant.")
    sticky: str | None = Field(
        default=None,
        description="The input column whose value keeps a request with its variant; null decides each request anew, or by the header X-Sticky-Key.",
    )
