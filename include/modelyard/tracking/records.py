"""All that MLflow has recorded of a version, enough to make it again."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.tracking import registry
from modelyard.tracking.environment import CHANGES, COMMIT, DIRTY, Commit
from modelyard.tracking.kept import CONFIG, SPEC, kept, read_json, run_of


class Record(BaseModel):
    """What a version was made from, and what came of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="The version, as people call it.")
    spec: dict[str, JsonValue] = Field(description="Its spec, as its own Modelyard wrote it.")
    config: dict[str, JsonValue] = Field(description="Ludwig's full configuration.")
    code: Commit = Field(description="The state of the code.")
    packages: str = Field(description="The hash of the installed packages.")
    revision: str = Field(description="The git commit of the data, or `work tree`.")
    content: str = Field(description="The hash of the data.")
    weights: str = Field(description="The hash of the weights.")
    metrics: dict[str, float] = Field(description="OUTPUT.METRIC on the test split.")


def record_of(settings: Settings, name: str, number: int) -> Record:
    """Read what is recorded of a version; the home's stage folders are not needed.

    Raises:
        UsageError: there is no such version.
        TrackingError: its run is gone, or says too little.
    """
    version = registry.version(settings, name, number)
    run = run_of(settings, version.mlflow_run)
    tags = run.data.tags
    record = Record(
        title=version.title,
        spec=read_json(settings, run, SPEC),
        config=_config(settings, version.mlflow_run),
        code=Commit(
            commit=tags.get(COMMIT, ""),
            dirty=tags.get(DIRTY) == "true",
            changes=tags.get(CHANGES, ""),
        ),
        packages=tags.get("modelyard.environment_hash", ""),
        revision=tags.get("modelyard.data_revision", ""),
        content=tags.get("modelyard.dvc_hash", ""),
        weights=version.weights,
        metrics=version.metrics,
    )
    missing = [
        what for what in ("spec", "config", "content", "weights") if not getattr(record, what)
    ]
    if missing:
        message = f"MLflow has no record of the {', '.join(missing)} of {version.title}"
        raise TrackingError(message, hint=f"train again: modelyard run {name} --fresh")
    return record


def _config(settings: Settings, run_id: str) -> dict[str, JsonValue]:
    with kept(settings, run_of(settings, run_id), CONFIG) as folder:
        files = sorted(folder.glob("*.json")) if folder is not None else []
        if not files:
            return {}
        content: dict[str, JsonValue] = json.loads(files[0].read_bytes())
        return content
