"""The model registry: versions, champion and challenger, and a version's files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from modelyard.artifacts import Evaluation, RegisteredVersion, SplitData, TrainedModel
from modelyard.errors import UsageError
from modelyard.settings import Settings
from modelyard.spec.models import Spec, content_hash
from modelyard.tracking import aliases
from modelyard.tracking.card import Subject, as_description, model_card
from modelyard.tracking.client import call, connect, created, found, is_new, quiet
from modelyard.tracking.kept import run_of
from modelyard.tracking.package import write_package
from modelyard.tracking.run_log import FINAL, KEY
from modelyard.workspace import Workspace

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as Stored
    from pandas import DataFrame

CHAMPION, CHALLENGER = "champion", "challenger"
ROLE = "modelyard.role"
FOLDER = "model"


class Loaded(Protocol):
    """A loaded model, as MLflow wraps it."""

    def predict(self, data: DataFrame) -> DataFrame:
        """Answer with `<output>`, and `_probability` and `_probabilities` of labels."""


class ModelVersion(BaseModel):
    """A registered version and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="The registered model.")
    version: int = Field(description="Its number, from 1.")
    aliases: tuple[str, ...] = Field(description="champion, challenger, or none.")
    mlflow_run: str = Field(description="The MLflow run that made it.")
    run: str = Field(description="The run's id.")
    spec_hash: str = Field(description="The spec that it was made from.")
    data_hash: str = Field(description="The data that it learned from.")
    weights: str = Field(description="The hash of its weights.")
    metrics: dict[str, float] = Field(description="OUTPUT.METRIC on the test split.")
    created: datetime = Field(description="When it was registered.")
    folder: str = Field(description="Where its files are.")

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name} {self.version}"


def register(  # noqa: PLR0913 - the artifacts that a version is made of
    spec: Spec,
    workspace: Workspace,
    split: SplitData,
    trained: TrainedModel,
    evaluation: Evaluation,
    *,
    run: str,
    tags: Mapping[str, str] | None = None,
) -> RegisteredVersion:
    """Register the model once, however often and by however many this is called.

    What was trained is what makes a version: against whom it was measured later does not.
    The first version becomes champion; a later one challenger. `tags` are kept with a new one.

    Raises:
        TrackingError: MLflow cannot be reached for a minute, or has lost the training's run.
    """
    settings = workspace.settings
    key = content_hash(["register", spec.name, trained.key, trained.weights_hash])
    said = {
        **(tags or {}),
        KEY: key,
        "modelyard.run": run,
        "modelyard.dag_run": run,
        "modelyard.spec_hash": spec.hash,
        "modelyard.data_hash": split.content_hash,
        "modelyard.weights_hash": trained.weights_hash,
        "modelyard.gate": "passed" if evaluation.passed else "refused",
    }
    with _locked(settings, spec.name):
        stored = call("look for the version", lambda: _by_key(settings, spec.name, key))
        if stored is None:
            source, card = _upload(spec, workspace, split, trained, evaluation)
            stored = call(
                "register the version",
                lambda: (
                    _by_key(settings, spec.name, key)
                    or _create(settings, spec, source, trained.mlflow_run, said, card)
                ),
            )
        alias = call("set the alias", lambda: _alias(settings, spec.name, stored))
    return RegisteredVersion(
        key=key,
        model=spec.name,
        version=int(stored.version),
        alias=alias,
        mlflow_run=trained.mlflow_run,
    )


def champion(settings: Settings, name: str) -> ModelVersion | None:
    """Return the version that serves now, or None."""
    return by_alias(settings, name, CHAMPION)


def by_alias(settings: Settings, name: str, alias: str) -> ModelVersion | None:
    """Return the version that bears an alias, or None."""
    if is_new(settings):
        return None
    client = connect(settings)
    stored = call(
        f"find the {alias} of {name}",
        lambda: _with_alias(settings, name, alias),
    )
    return None if stored is None else _version(client, stored)


def version(settings: Settings, name: str, number: int) -> ModelVersion:
    """Return one version; raise UsageError if there is none of this number."""
    if not is_new(settings):
        client = connect(settings)
        stored = call(
            f"find version {number} of {name}",
            lambda: found(lambda: client.get_model_version(name, str(number))),
        )
        if stored is not None:
            return _version(client, stored)
    message = f"{name} has no version {number}"
    raise UsageError(message, hint=f"see: modelyard models show {name}")


def versions(settings: Settings, name: str | None = None) -> list[ModelVersion]:
    """Return all versions of a model, or of all models, the newest first."""
    if is_new(settings):
        return []
    client = connect(settings)
    query = f"name = '{name}'" if name else None
    stored = call("list versions", lambda: _all_pages(client, query))
    bearers = {one: _aliases(settings, one) for one in {entry.name for entry in stored}}
    listed = [
        _version(client, entry).model_copy(
            update={"aliases": bearers[entry.name].get(int(entry.version), ())}
        )
        for entry in stored
    ]
    return sorted(listed, key=lambda one: (one.name, -one.version))


def find(settings: Settings, text: str) -> ModelVersion:
    """Return the version that `NAME:3` or `NAME:champion` means.

    Raises:
        UsageError: it is spelled otherwise, or there is none.
    """
    name, _, which = text.rpartition(":")
    if not name or not which:
        message = f"a version is NAME:NUMBER or NAME:ALIAS, and not {text!r}"
        raise UsageError(message, hint="such as digits-cnn:3 or digits-cnn:champion")
    if which.isdigit():
        return version(settings, name, int(which))
    known = by_alias(settings, name, which) if which in {CHAMPION, CHALLENGER} else None
    if known is None:
        message = f"{name} has no {which}"
        raise UsageError(message, hint=f"see: modelyard models show {name}")
    return known


def set_alias(settings: Settings, name: str, alias: str, number: int | None) -> None:
    """Give an alias to a version, and take it from the one that had it; None only takes it."""
    client = connect(settings)
    if number is None:
        call(
            f"take the alias {alias}",
            lambda: found(lambda: client.delete_registered_model_alias(name, alias)),
        )
        aliases.note(settings, name, alias, None)
        return
    version(settings, name, number)
    call(
        f"make version {number} the {alias}",
        lambda: client.set_registered_model_alias(name, alias, str(number)),
    )
    aliases.note(settings, name, alias, number)


def download(settings: Settings, name: str, number: int) -> Path:
    """Return a local folder with a version's files: MLmodel, data/model/, spec.json, signature.json, reference/."""
    source = version(settings, name, number).folder
    local = Path(source.removeprefix("file://"))
    if local.is_dir():
        return local
    return _fetch(settings, source, settings.home / "models" / name / str(number))


def load(settings: Settings, name: str, number: int) -> Loaded:
    """Load a version, ready to predict."""
    folder = download(settings, name, number)
    with quiet():
        from mlflow.pyfunc import load_model

        loaded: Loaded = load_model(str(folder))
    return loaded


def _fetch(settings: Settings, source: str, destination: Path) -> Path:
    """Copy a version's files from a remote artifact store, once."""
    from mlflow.artifacts import download_artifacts

    destination.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(destination.with_suffix(".lock")):
        if not (destination / "MLmodel").exists():
            call(
                f"download {source}",
                lambda: download_artifacts(
                    artifact_uri=source,
                    dst_path=str(destination),
                    tracking_uri=settings.tracking_uri,
                ),
            )
    return next(destination.rglob("MLmodel")).parent


def _locked(settings: Settings, name: str) -> FileLock:
    """One at a time: who is first decides who is champion."""
    folder = settings.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"registry-{name}.lock")


def _by_key(settings: Settings, name: str, key: str) -> Stored | None:
    query = f"name = '{name}' and tags.`{KEY}` = '{key}'"
    return next(iter(connect(settings).search_model_versions(query, max_results=1)), None)


def _upload(
    spec: Spec,
    workspace: Workspace,
    split: SplitData,
    trained: TrainedModel,
    evaluation: Evaluation,
) -> tuple[str, str]:
    """Put the version's files into the training's run, and return where they are and the card.

    Called again, they are the same files.
    """
    client, run_id = connect(workspace.settings), trained.mlflow_run
    run = run_of(workspace.settings, run_id)
    data = run.data
    card = model_card(Subject(spec, workspace, split, trained, evaluation, data.tags, data.metrics))
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        folder = Path(scratch) / FOLDER
        package = write_package(spec, workspace, split, trained, evaluation, card, folder)
        call("keep the model", lambda: client.log_artifacts(run_id, str(package), FOLDER))
    return f"{run.info.artifact_uri}/{FOLDER}", card


def _create(  # noqa: PLR0913, PLR0917 - what a version is
    settings: Settings, spec: Spec, source: str, run_id: str, tags: dict[str, str], card: str
) -> Stored:
    client = connect(settings)
    created(lambda: client.create_registered_model(spec.name, description=spec.description))
    text = as_description(card)
    return client.create_model_version(spec.name, source, run_id, tags=tags, description=text)


def _alias(settings: Settings, name: str, stored: Stored) -> str | None:
    """Return the version's alias; give it one if it was registered but never got so far."""
    client = connect(settings)
    current = client.get_model_version(name, stored.version)
    if ROLE in current.tags:
        return next((a for a in (CHAMPION, CHALLENGER) if a in current.aliases), None)
    leader = _with_alias(settings, name, CHAMPION)
    is_first = leader is None or leader.version == current.version
    alias = CHAMPION if is_first else CHALLENGER
    # Noted first, or the steward would take the alias for one that a person has set.
    aliases.note(settings, name, alias, int(current.version))
    client.set_registered_model_alias(name, alias, str(current.version))
    client.set_model_version_tag(name, str(current.version), ROLE, alias)
    return alias


def _with_alias(settings: Settings, name: str, alias: str) -> Stored | None:
    """Find the bearer of an alias; MLflow calls a missing alias an invalid parameter."""
    client = connect(settings)
    model = found(lambda: client.get_registered_model(name))
    number = model.aliases.get(alias) if model is not None else None
    return None if number is None else client.get_model_version(name, number)


def _aliases(settings: Settings, name: str) -> dict[int, tuple[str, ...]]:
    """Ask for the aliases of all versions, which MLflow's search leaves out."""
    client = connect(settings)
    model = call("read aliases", lambda: found(lambda: client.get_registered_model(name)))
    bearers: dict[int, tuple[str, ...]] = {}
    for alias, number in sorted((model.aliases if model is not None else {}).items()):
        bearers[int(number)] = (*bearers.get(int(number), ()), alias)
    return bearers


def _all_pages(client: Any, query: str | None) -> list[Stored]:
    page = client.search_model_versions(query)
    entries = list(page)
    while page.token:
        page = client.search_model_versions(query, page_token=page.token)
        entries += page
    return entries


def _version(client: Any, stored: Stored) -> ModelVersion:
    run = call("read the run", lambda: found(lambda: client.get_run(stored.run_id)))
    measured = run.data.metrics if run is not None else {}
    return ModelVersion(
        name=stored.name,
        version=int(stored.version),
        aliases=tuple(sorted(stored.aliases)),
        mlflow_run=stored.run_id or "",
        run=stored.tags.get("modelyard.run", ""),
        spec_hash=stored.tags.get("modelyard.spec_hash", ""),
        data_hash=stored.tags.get("modelyard.data_hash", ""),
        weights=stored.tags.get("modelyard.weights_hash", ""),
        metrics={k.removeprefix(FINAL): v for k, v in measured.items() if k.startswith(FINAL)},
        created=datetime.fromtimestamp(stored.creation_timestamp / 1000, UTC),
        folder=stored.source,
    )
