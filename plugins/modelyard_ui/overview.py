"""The three pages that read: each part by itself, so that one that fails hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Request
from fastapi.responses import HTMLResponse

from modelyard.errors import ModelyardError
from modelyard.settings import get_settings
from modelyard.store.database import Store, open_store
from modelyard_ui import airflow_runs, drift, models, reports, specs
from modelyard_ui.render import or_message, page
from modelyard_ui.safety import seal
from modelyard_ui.visitor import VisitorDep

type Read = Callable[..., object]


class _Broken:
    """What stands for a store that cannot be opened: each part that asks it is told why."""

    def __init__(self, error: ModelyardError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Read:
        def refuse(*_args: object, **_more: object) -> object:
            raise self._error

        return refuse


@contextmanager
def _store() -> Iterator[Store]:
    try:
        store = open_store(get_settings().database_url)
    except ModelyardError as error:
        yield _Broken(error)  # type: ignore[misc]
        return
    with store:
        yield store


def specs_page(request: Request, visitor: VisitorDep, user: GetUserDep) -> HTMLResponse:
    """Show each spec: valid or not, last run, champion, how good it is."""
    settings = get_settings()
    rows = or_message(partial(specs.specs, settings))
    names = [] if isinstance(rows, str) else [row.name for row in rows]
    with _store() as store:
        champions = or_message(partial(specs.champions, settings, store))
    return page(
        request,
        "specs",
        tab="specs",
        visitor=visitor,
        rows=rows,
        runs=or_message(partial(airflow_runs.last_runs, user, names)),
        champions=champions,
        headline=specs.headline,
    )


def models_page(request: Request, visitor: VisitorDep, model: str | None = None) -> HTMLResponse:
    """Show what is served, and of one model the rollout, the ledger, the alerts and the buttons."""
    settings = get_settings()
    with _store() as store:
        rows = or_message(partial(models.models, store))
        known = {} if isinstance(rows, str) else {row.name: row for row in rows}
        name = model if model in known else next(iter(known), None)
        parts = (
            {}
            if name is None
            else {
                "rollout": or_message(partial(models.rollout, store, name)),
                "ledger": or_message(partial(models.ledger, store, name)),
                "alerts": or_message(partial(drift.alerts, store, settings, name)),
            }
        )
    return page(
        request,
        "models",
        tab="models",
        visitor=visitor,
        rows=rows,
        row=None if name is None else known[name],
        unknown=model if model is not None and model not in known else None,
        endpoint=settings.endpoint,
        seal_alert=_sealer(visitor),
        **{"rollout": None, "ledger": [], "alerts": [], **parts},
    )


def drift_page(  # noqa: PLR0913, PLR0917 - what may be chosen
    request: Request,
    visitor: VisitorDep,
    model: str | None = None,
    version: str | None = None,
    window: str | None = None,
    segment: str | None = None,
) -> HTMLResponse:
    """Show one model's verdicts over time, alerts, performance, reports and retrainings."""
    settings = get_settings()
    number = int(version) if version and version.isdecimal() and len(version) < 10 else None  # noqa: PLR2004
    with _store() as store:
        rows = or_message(partial(models.models, store))
        names = [] if isinstance(rows, str) else [row.name for row in rows]
        name = model or next(iter(names), None)
        if name is None:
            return page(request, "drift", tab="drift", visitor=visitor, names=rows, choice=None)
        monitor = drift.monitor_of(settings, name)
        choice = or_message(partial(drift.choose, store, name, number, window or None, segment))
        known = drift.Choice(name, None, None, None) if isinstance(choice, str) else choice
        return page(
            request,
            "drift",
            tab="drift",
            visitor=visitor,
            names=rows if isinstance(rows, str) else [*dict.fromkeys([*names, name])],
            choice=known,
            verdicts=or_message(partial(drift.verdicts, store, known, monitor)),
            alerts=or_message(partial(drift.alerts, store, settings, name)),
            charts=or_message(partial(drift.performance, store, known, monitor)),
            retrainings=or_message(partial(drift.retrainings, store, name)),
            reports=or_message(partial(reports.reports, settings, name)),
            seal_alert=_sealer(visitor),
        )


def _sealer(visitor: VisitorDep) -> Callable[[str], str]:
    return lambda identity: seal(visitor, "acknowledge", {"alert": identity})
