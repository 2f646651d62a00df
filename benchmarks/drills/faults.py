"""Drills of faults: a database that goes away, a challenger that is broken."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.drills.broken import register_broken
from benchmarks.drills.traffic import BY, Outcome, running
from benchmarks.drills.yard import MODEL, Yard
from modelyard import serve_control
from modelyard.artifacts import RegisteredVersion
from modelyard.spec.load import load_spec, resolve
from modelyard.store.database import open_store

AWAY_SECONDS = 30.0
LOG_SECONDS = 60.0
DECIDE_SECONDS = 120.0


def database_away(yard: Yard) -> Outcome:
    """Stop PostgreSQL for half a minute."""
    before = _log_figures(yard)
    with running(yard) as sent:
        yard.database.stop()
        time.sleep(AWAY_SECONDS)
        during = _log_figures(yard)
        yard.database.start()
        back = time.monotonic()
    after = _wait_until_written(yard)
    written = after["written"] - before["written"]
    dropped = after["dropped"] - before["dropped"]
    ids = [identity for answer in sent.answers for identity in answer.ids]
    with open_store(yard.database.url) as store:
        missing = sum(store.prediction(one) is None for one in ids)
    note = (
        f"queued at its end {during['queued']}, said in /health: {bool(during['failing'])}; "
        f"{written} written and {dropped} counted as dropped of {len(ids)}; {missing} not in the "
        f"database {time.monotonic() - back:.0f} s after it came back"
    )
    honest = missing == dropped and during["failing"] is not None
    failed = sent.failed()
    return Outcome(
        "database stopped for 30 s", sent.count(), len(failed), honest and not failed, note
    )


def broken_challenger(yard: Yard, champion: int) -> Outcome:
    """Deploy a challenger that raises on every request."""
    serve_control.promote(yard.client, MODEL, champion, BY)
    version = register_broken(yard.client, MODEL, champion)
    spec = load_spec(resolve(MODEL, yard.client.specs))
    rules = {"canary": (0.25, 0.5), "shadow": 0}
    serve = spec.serve.model_copy(update={"rollout": spec.serve.rollout.model_copy(update=rules)})
    spec = spec.model_copy(update={"serve": serve})
    registered = RegisteredVersion(
        key="broken", model=MODEL, version=version, alias="challenger", mlflow_run=""
    )
    with running(yard) as sent:
        began = time.monotonic()
        with serve_control.rollout(yard.client) as control:
            control.deploy(spec, registered, BY)
        deployed = time.monotonic()
        row = _wait_for_rollback(yard, version)
        spent = time.monotonic() - deployed
    rescued = version not in sent.versions()
    note = (
        f"deployed in {deployed - began:.1f} s, rolled back by itself {spent:.1f} s later; "
        f"ledger, by {row.by}: {row.reason}"
    )
    failed = sent.failed()
    held = rescued and not failed and row.by != BY.by
    drill = "challenger raises on every request"
    return Outcome(drill, sent.count(), len(failed), held, note)


def _wait_for_rollback(yard: Yard, version: int) -> Any:
    deadline = time.monotonic() + DECIDE_SECONDS
    with open_store(yard.database.url) as store:
        while True:
            row = store.ledger(MODEL, 1)[0]
            if row.action == "rollback" and str(version) not in row.after:
                return row
            if time.monotonic() > deadline:
                message = f"version {version} was not rolled back: {row.action}: {row.reason}"
                raise RuntimeError(message)
            time.sleep(0.2)


def _wait_until_written(yard: Yard) -> dict[str, Any]:
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        found = _log_figures(yard)
        if found["queued"] == 0 or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _log_figures(yard: Yard) -> dict[str, Any]:
    figures: Any = yard.health()["prediction_log"]
    return dict(figures)
