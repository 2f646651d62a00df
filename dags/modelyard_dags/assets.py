"""What runs make known to other DAGs: data that was pulled, models registered, endpoints changed."""

from __future__ import annotations

from collections.abc import Mapping

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.definitions.context import Context
from pydantic import JsonValue

from modelyard.spec.models import Spec

type Outlet = Asset | AssetAlias

TOLD: Mapping[str, tuple[str, ...]] = {
    "pull": ("revision", "content_hash"),
    "register": ("model", "version", "alias", "mlflow_run"),
    "deploy": ("model", "variants", "endpoint"),
}
ALIASES = {
    "pull": AssetAlias("any_data"),
    "register": AssetAlias("any_model"),
    "deploy": AssetAlias("any_endpoint"),
}


def data_asset(path: str) -> Asset:
    """The data of a spec's `data.path`."""
    return Asset(name=path, uri=f"modelyard://data/{path.strip('/')}")


def model_asset(name: str) -> Asset:
    """The versions of one model."""
    return Asset(name=f"model_{name}", uri=f"modelyard://models/{name}")


def endpoint_asset(name: str) -> Asset:
    """What is served of one model."""
    return Asset(name=f"endpoint_{name}", uri=f"modelyard://endpoints/{name}")


def drift_asset(name: str) -> Asset:
    """Drift that was found in one model's inputs."""
    return Asset(name=f"drift_{name}", uri=f"modelyard://drift/{name}")


def retrain_asset(name: str) -> Asset:
    """Retrainings that were asked for of one model."""
    return Asset(name=f"retrain_{name}", uri=f"modelyard://retrain/{name}")


def outlets(stage: str, spec: Spec | None) -> list[Outlet]:
    """What a stage makes known; a DAG for any spec uses aliases, resolved when it runs."""
    if stage not in TOLD:
        return []
    return [ALIASES[stage] if spec is None else _asset(stage, spec)]


def announce(
    context: Context, stage: str, spec: Spec, run: str, artifacts: Mapping[str, JsonValue]
) -> None:
    """Attach what other DAGs want to know to the asset event of this stage."""
    if stage not in TOLD:
        return
    extra = {"run": run, **_extra(stage, artifacts)}
    for outlet in context["task"].outlets:
        events = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            events.add(_asset(stage, spec), extra=extra)
        else:
            events.extra.update(extra)


def _asset(stage: str, spec: Spec) -> Asset:
    if stage == "pull":
        return data_asset(spec.data.path)
    return model_asset(spec.name) if stage == "register" else endpoint_asset(spec.name)


def _extra(stage: str, artifacts: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    artifact = _dict(artifacts.get(stage))
    extra = {key: artifact.get(key) for key in TOLD[stage]}
    if stage == "register":
        extra["metrics"] = _dict(artifacts.get("evaluate")).get("metrics")
    return extra


def _dict(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
