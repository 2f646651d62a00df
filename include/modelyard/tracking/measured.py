"""What a registered version was measured by, without importing MLflow where it is a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel, ConfigDict

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.tracking.aliases import ROOT, Rest, is_server
from modelyard.tracking.run_log import FINAL

PATIENCE = 0.5
"""A page waits for it."""


class _Metric(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    key: str
    value: float


def metrics_of(
    settings: Settings, model: str, version: int, patience: float = PATIENCE
) -> dict[str, float]:
    """Return OUTPUT.METRIC of a version on its test split; empty if nothing is known of it.

    Raises:
        TrackingError: MLflow cannot be reached for so many seconds, or refuses.
        UsageError: MLflow is a file, and has no such version.
    """
    if not is_server(settings):
        from modelyard.tracking import registry

        return registry.version(settings, model, version).metrics
    with Rest(settings, patience, ROOT) as rest:
        wanted = {"name": model, "version": str(version)}
        answer = rest.call("GET", "/model-versions/get", {**wanted}, missing=True)
        run = "" if answer is None else _run_of(answer)
        found = rest.call("GET", "/runs/get", {"run_id": run}, missing=True) if run else None
    return {} if found is None else _final(found)


def _run_of(answer: Mapping[str, object]) -> str:
    stored = answer.get("model_version")
    return str(stored.get("run_id") or "") if isinstance(stored, dict) else ""


def _final(answer: Mapping[str, object]) -> dict[str, float]:
    try:
        data = cast("dict[str, dict[str, object]]", answer["run"])["data"]
        listed = cast("list[object]", data.get("metrics", []))
        metrics = [_Metric.model_validate(one) for one in listed]
    except (KeyError, TypeError, ValueError) as error:
        message = f"MLflow's answer cannot be read: {error}"
        raise TrackingError(message) from error
    return {one.key.removeprefix(FINAL): one.value for one in metrics if one.key.startswith(FINAL)}
