"""The page of specs: valid or not, last run, champion and how good it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from modelyard.errors import ModelyardError
from modelyard.settings import Settings
from modelyard.spec.load import Loaded, load_all
from modelyard.spec.models import Spec
from modelyard.store.database import Store
from modelyard_ui.airflow_runs import dag_id

PATIENCE: Final = 0.6
"""Seconds that the page waits for MLflow; what comes later is there when it is loaded again."""
PARALLEL: Final = 8
HEADLINE: Final = 4
log = logging.getLogger(__name__)

_readers = ThreadPoolExecutor(PARALLEL, thread_name_prefix="modelyard-metrics")
_known: dict[tuple[str, str, int], dict[str, float]] = {}
"""A version's metrics never change."""


@dataclass(frozen=True, slots=True)
class SpecRow:
    """One file of model_specs/."""

    file: str
    name: str
    dag: str
    description: str
    features: str
    first_metrics: tuple[str, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves, and its metrics on the test split; None is not known by now."""

    version: int
    metrics: Mapping[str, float] | None


def specs(settings: Settings) -> list[SpecRow]:
    """List every spec, broken ones with what is wrong and in which line."""
    return [_row(loaded) for loaded in load_all(settings.specs)]


def _row(loaded: Loaded) -> SpecRow:
    name, file = loaded.path.stem, loaded.path.name
    spec = loaded.spec
    if spec is None:
        error = str(loaded.error).replace(f"{loaded.path.parent}/", "")
        return SpecRow(file, name, dag_id(name), "", "", (), error)
    first = tuple(dict.fromkeys(rule.metric for rule in spec.gate))
    return SpecRow(file, name, dag_id(name), spec.description, _features(spec), first, None)


def _features(spec: Spec) -> str:
    sides = [", ".join(sorted({one.type for one in side})) for side in (spec.inputs, spec.outputs)]
    return " to ".join(sides)


def champions(settings: Settings, store: Store) -> dict[str, Champion]:
    """Return the champion of each served model; waits for MLflow a moment only."""
    versions = {one.model: one.version for one in store.variants() if one.role == "champion"}
    deadline = time.monotonic() + PATIENCE
    jobs = {
        model: _readers.submit(_read, settings, model, version)
        for model, version in versions.items()
        if (settings.tracking_uri, model, version) not in _known
    }
    wait(jobs.values(), timeout=max(0.0, deadline - time.monotonic()))
    for job in jobs.values():
        job.cancel()
    return {
        model: Champion(version, _known.get((settings.tracking_uri, model, version)))
        for model, version in versions.items()
    }


def _read(settings: Settings, model: str, version: int) -> None:
    from modelyard.tracking.measured import metrics_of

    try:
        found = metrics_of(settings, model, version)
    except ModelyardError as error:
        log.warning("metrics of %s %d: %s", model, version, error)
        return
    _known[settings.tracking_uri, model, version] = found


def headline(row: SpecRow, metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """Choose the metrics that are told first: those of the gate, then the usual ones."""
    usual = ("accuracy", "roc_auc", "root_mean_squared_error", "mean_absolute_error", "r2")
    named = [name for name in metrics for last in usual if name.endswith(f".{last}")]
    chosen = dict.fromkeys([*(one for one in row.first_metrics if one in metrics), *named])
    others = [name for name in sorted(metrics) if not name.startswith("combined.")]
    ordered = dict.fromkeys([*chosen, *others])
    return [(name, metrics[name]) for name in [*ordered][:HEADLINE]]
