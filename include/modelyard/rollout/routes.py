"""The table that the endpoint routes by: written here, read by `serving`."""

from __future__ import annotations

from collections.abc import Iterable
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


class RouteTable(BaseModel):
    """All models and their variants, by version, so that a sticky key keeps its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, tuple[Route, ...]] = Field(
        default_factory=dict, description="Model to routes."
    )

    @property
    def revision(self) -> str:
        """A hash of the table: the endpoint says it once it routes by it."""
        return content_hash(self.model_dump(mode="json"))[:16]


def route_table(variants: Iterable[Variant]) -> RouteTable:
    """Make shares of weights of any sum; where all are 0 the champion answers."""
    models: dict[str, list[Variant]] = {}
    for variant in sorted(variants, key=lambda item: (item.model, item.version)):
        models.setdefault(variant.model, []).append(variant)
    return RouteTable(models={model: _routes(found) for model, found in models.items()})


def _routes(variants: list[Variant]) -> tuple[Route, ...]:
    total = sum(variant.weight for variant in variants)
    return tuple(
        Route(
            version=variant.version,
            role=variant.role,
            share=variant.weight / total if total else float(variant.role == "champion"),
            app=app_name(variant.model, variant.version),
        )
        for variant in variants
    )
