"""What MLflow knows of where a version comes from; whatever is missing is told as missing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from modelyard.errors import ModelyardError, TrackingError
from modelyard.settings import Settings, get_settings
from modelyard.store.records import Moment
from modelyard.tracking.client import call, connect, found, is_new
from modelyard.tracking.environment import COMMIT, DIRTY

SECONDS: Final = 5.0
"""A person waits for it."""


class Origin(BaseModel):
    """Where a version comes from; an empty text is what nobody recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(description="The model version.")
    registered: Moment = Field(description="When it was registered.")
    run: str = Field(description="Modelyard's run that made it.")
    mlflow_run: str = Field(description="The MLflow run that made it.")
    experiment: str = Field(description="The id of that run's experiment.")
    spec_hash: str = Field(description="The hash of the spec.")
    data_revision: str = Field(description="The git commit of the data, or `work tree`.")
    content_hash: str = Field(description="DVC's hash of the data.")
    data_hash: str = Field(description="The hash of the table after transforms and split.")
    weights_hash: str = Field(description="The hash of the weights.")
    git_commit: str = Field(description="The git commit of the code.")
    git_dirty: bool = Field(description="Whether tracked files differed from it.")
    environment_hash: str = Field(description="The hash of Python and of all installed packages.")


ANSWER: Final = TypeAdapter(Origin | None)


def origin_of(settings: Settings, name: str, number: int) -> Origin | None:
    """Read where a version comes from; None if MLflow has no such version.

    Raises:
        TrackingError: MLflow cannot be reached within 5 s.
    """
    if is_new(settings):
        return None
    client = connect(settings)
    doing = f"find version {number} of {name}"
    stored = call(
        doing, lambda: found(lambda: client.get_model_version(name, str(number))), SECONDS
    )
    if stored is None:
        return None
    run = call("read its run", lambda: found(lambda: client.get_run(stored.run_id)), SECONDS)
    return _origin(stored, run)


def pages_of(settings: Settings, name: str, origin: Origin) -> dict[str, str]:
    """Return the addresses of run and version in MLflow's web pages; none without its server."""
    base = settings.tracking_uri
    if not base.startswith(("http://", "https://")):
        return {}
    base = base.rstrip("/")
    return {
        "mlflow_run": f"{base}/#/experiments/{origin.experiment}/runs/{origin.mlflow_run}",
        "mlflow_version": f"{base}/#/models/{quote(name)}/versions/{origin.version}",
    }


def _origin(stored: Any, run: Any) -> Origin:
    of_version = dict(stored.tags)
    of_run = {} if run is None else dict(run.data.tags)

    def tag(name: str) -> str:
        return str(of_version.get(name) or of_run.get(name) or "")

    return Origin(
        version=int(stored.version),
        registered=datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC),
        run=tag("modelyard.run"),
        mlflow_run=stored.run_id or "",
        experiment="" if run is None else str(run.info.experiment_id),
        spec_hash=tag("modelyard.spec_hash"),
        data_revision=tag("modelyard.data_revision"),
        content_hash=tag("modelyard.dvc_hash"),
        data_hash=tag("modelyard.data_hash"),
        weights_hash=tag("modelyard.weights_hash"),
        git_commit=tag(COMMIT),
        git_dirty=tag(DIRTY) == "true",
        environment_hash=tag("modelyard.environment_hash"),
    )


def read_answer(text: str, code: int) -> Origin | None:
    """Read what `python -m modelyard.tracking.lineage MODEL VERSION` said.

    Raises:
        TrackingError: it failed.
    """
    if code or not text.strip():
        # Its reason may name hosts, which are not the business of whoever asked.
        message = "MLflow does not answer"
        raise TrackingError(message)
    found: Origin | None = ANSWER.validate_json(text)
    return found


def main(arguments: Sequence[str]) -> int:
    """Write a version's origin as JSON, or null; for processes that shall not import MLflow."""
    model, version = arguments
    try:
        found = origin_of(get_settings(), model, int(version))
    except ModelyardError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(ANSWER.dump_json(found).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
