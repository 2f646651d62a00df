"""A run: one execution of the stages for one spec, frozen when it begins."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from modelyard.errors import UsageError
from modelyard.spec.models import CrossValidationSpec, Spec
from modelyard.spec.overrides import apply
from modelyard.workspace import Workspace, write_atomically

RUN_FILE = "run.json"
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
LOGGER = logging.getLogger("modelyard")


class Run(BaseModel):
    """What a run was asked to do; it does not change when the spec's file does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="The run's one name: in Airflow, MLflow, the log and the database.")
    spec: Spec = Field(description="The spec with the run's overrides in it.")
    fresh: bool = Field(default=False, description="Train again even if nothing changed.")
    scheduled_as: str = Field(
        default="",
        description="DAG/RUN, as its scheduler spells both; empty from the command line.",
    )
    because: dict[str, str] = Field(
        default_factory=dict,
        description="What started it beside a person or a clock: the alert and its retraining.",
    )

    @property
    def salt(self) -> str:
        """What keeps a fresh run from finding an earlier one's training."""
        return self.id if self.fresh else ""


def new_run_id(spec: Spec) -> str:
    """Name a run that was not started by Airflow: spec, UTC time and eight random hex digits."""
    return f"{spec.name}.{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def safe_run_id(text: str) -> str:
    """Spell a run id so that it can name a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:200]


def begin(  # noqa: PLR0913 - the choices of the trigger form, all by keyword
    spec: Spec,
    run_id: str,
    workspace: Workspace,
    *,
    revision: str | None = None,
    tune: bool | None = None,
    cross_validate: bool | None = None,
    overrides: Mapping[str, JsonValue] | None = None,
    fresh: bool = False,
    scheduled_as: str = "",
    because: Mapping[str, str] | None = None,
) -> Run:
    """Freeze a run's spec in its folder; called again for the same id, return what was frozen.

    Raises:
        SpecError: an override does not fit the spec.
        UsageError: tuning was asked for and the spec does not say what to tune.
    """
    try:
        return load(run_id, workspace)
    except UsageError:
        run = Run(
            id=run_id,
            spec=_chosen(apply(spec, overrides or {}), revision, tune, cross_validate),
            fresh=fresh,
            scheduled_as=scheduled_as,
            because=dict(because or {}),
        )
    file = workspace.run_folder(run_id) / RUN_FILE
    write_atomically(file, run.model_dump_json(indent=2))
    return run


def load(run_id: str, workspace: Workspace) -> Run:
    """Read a run that has begun; raise UsageError if there is none of this id."""
    try:
        text = (workspace.run_folder(run_id) / RUN_FILE).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        message = f"there is no run {run_id}"
        raise UsageError(message, hint="a run begins with its first stage, pull") from error
    return Run.model_validate_json(text)


def _chosen(
    spec: Spec, revision: str | None, tune: bool | None, cross_validate: bool | None
) -> Spec:
    changes: dict[str, object] = {}
    if revision:
        changes["data"] = spec.data.model_copy(update={"revision": revision})
    if tune is False:
        changes["tune"] = None
    if tune and spec.tune is None:
        message = f"{spec.name} has no section tune, so there is nothing to tune"
        raise UsageError(message, hint="add tune: {parameters: {...}} to the spec")
    if cross_validate is False:
        changes["cross_validation"] = None
    if cross_validate and spec.cross_validation is None:
        changes["cross_validation"] = CrossValidationSpec()
    return spec.model_copy(update=changes)


@contextmanager
def run_log(run_id: str, workspace: Workspace) -> Iterator[None]:
    """Write everything that Modelyard logs meanwhile to the run's one log file."""
    file = workspace.log_file(run_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    previous = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(min(logging.INFO, previous) if previous else logging.INFO)
    try:
        yield
    finally:
        LOGGER.setLevel(previous)
        LOGGER.removeHandler(handler)
        handler.close()
