"""The table that the endpoint routes by: written here, read by `serving`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.spec.models import content_hash
from modelyard.store.records import Variant

INGRESS_APP = "modelyard"


def app_name(model: str, version: int) -> str:
    """The name of a variant's Serve application."""
    return f"modelyard-{model}-v{version}"


class Route(BaseModel):
    """One variant and its share of a model's requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(description="The model version.")
    role: Literal["champion", "challenger", "warm"] = Field(description="What it is here for.")
    share: float = Field(ge=0, le=1, description="Its share of the requests.")
    app: str = Field(description="The Serve application that answers.")
    shadow: float = Field(
        default=0, ge=0, le=1, description="The share of requests that are copied to it."
    )
    experiment: str | None = Field(
        default=None, description="The experiment that its answers belong to."
    )


class ModelTraffic(BaseModel):
    """What holds for all requests of a model, whichever variant answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phase: str = Field(
        default="", description="The id of the newest ledger row: each move begins new counts."
    )
    slow_ms: float | None = Field(
        default=None, description="Answers that take longer are counted as slow; null: not counted."
    )
    timeout_ms: float = Field(
        default=10_000, gt=0, description="After this time the champion answers instead."
    )
    sticky_field: str | None = Field(
        default=None, description="The input whose value keeps a request with its variant."
    )


class RouteTable(BaseModel):
    """All models and their variants, by version, so that a sticky key keeps its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, tuple[Route, ...]] = Field(
        default_factory=dict, description="Model to routes."
    )
    traffic: dict[str, ModelTraffic] = Field(
        default_factory=dict, description="Model to what holds for all its requests."
    )

    def traffic_of(self, model: str) -> ModelTraffic:
        """Return what holds for a model's requests, or the defaults."""
        return self.traffic.get(model, NO_TRAFFIC)

    @property
    def revision(self) -> str:
        """A hash of the table: the endpoint says it once it routes by it."""
        return content_hash(self.model_dump(mode="json"))[:16]


NO_TRAFFIC = ModelTraffic()


def route_table(
    variants: Iterable[Variant], traffic: Mapping[str, ModelTraffic] | None = None
) -> RouteTable:
    """Make shares of weights of any sum; where all are 0 the champion answers.

    Args:
        variants: What is served; its order does not matter.
        traffic: Model to what holds for all its requests; models without variants are left out.
    """
    models: dict[str, list[Variant]] = {}
    for variant in sorted(variants, key=lambda item: (item.model, item.version)):
        models.setdefault(variant.model, []).append(variant)
    return RouteTable(
        models={model: _routes(found) for model, found in models.items()},
        traffic={model: held for model, held in sorted((traffic or {}).items()) if model in models},
    )


def _routes(variants: list[Variant]) -> tuple[Route, ...]:
    total = sum(variant.weight for variant in variants)
    return tuple(
        Route(
            version=variant.version,
            role=variant.role,
            share=variant.weight / total if total else float(variant.role == "champion"),
            app=app_name(variant.model, variant.version),
            shadow=variant.shadow,
            experiment=variant.experiment,
        )
        for variant in variants
    )
