"""What the pages have to show: small rows of the database, and a log-in."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard.store.monitoring_records import (
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    Verdict,
)
from modelyard.store.records import LedgerEntry, Variant

if TYPE_CHECKING:
    from starlette.testclient import TestClient

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def log_in(server: "TestClient", user: str) -> None:
    """Send a user's token with each request; tests of forged requests send the cookie instead."""
    server.headers["Authorization"] = f"Bearer {token_of(server, user)}"


def token_of(server: "TestClient", user: str) -> str:
    passwords = Path(os.environ["AIRFLOW_HOME"], "simple_auth_manager_passwords.json.generated")
    login = {"username": user, "password": json.loads(passwords.read_text())[user]}
    return str(server.post("/auth/token", json=login).json()["access_token"])


def write_report(name: str, text: str = "<h1>report</h1>") -> Path:
    path = get_settings().home / "reports" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def serve(model: str, *, champion: int = 1, challenger: int | None = None, by: str = "ada") -> str:
    """Let a model be served, and return its ledger row."""
    variants = [Variant(model=model, version=champion, weight=1, role="champion")]
    if challenger is not None:
        variants.append(Variant(model=model, version=challenger, weight=0, role="challenger"))
    entry = LedgerEntry(
        model=model, action="promote", before={}, after={str(champion): 1}, reason=by, by=by[:255]
    )
    with open_store(get_settings().database_url) as store:
        store.move(model, variants, entry)
    return entry.id


def drift_check(  # noqa: PLR0913, PLR0917 - what may differ
    hour: int,
    model: str = "toy",
    version: int = 1,
    window: str = "1000",
    segment: str = "",
    column: str = "size",
    effect: float = 0.02,
    rows: int = 1000,
) -> DriftCheck:
    at = START + timedelta(hours=hour)
    verdict = Verdict(
        column=column,
        kind="number",
        test="Kolmogorov-Smirnov",
        statistic=effect,
        p_value=1e-9,
        p_adjusted=1e-9,
        effect=effect,
        effect_name="KS distance",
        drifted=effect >= 0.1,
        reference_rows=500,
        live_rows=rows,
        reference_missing=0,
        live_missing=0,
        note=column,
    )
    return DriftCheck(
        at=at,
        model=model,
        version=version,
        window=window,
        segment=segment,
        rows=rows,
        first_at=at,
        last_at=at,
        reference_rows=500,
        alpha=0.05,
        correction="bonferroni",
        min_effect=0.1,
        drifted=verdict.drifted,
        verdicts=(verdict,),
    )


def performance_check(  # noqa: PLR0913, PLR0917 - what may differ
    hour: int,
    model: str = "toy",
    value: float = 0.8,
    window: str = "1000",
    segment: str = "",
    metric: str = "accuracy",
) -> PerformanceCheck:
    at = START + timedelta(hours=hour)
    worse = (value - 0.9) / 0.9 if metric == "loss" else (0.9 - value) / 0.9
    measured = MetricVerdict(
        output="label",
        metric=metric,
        watched=True,
        rows=1000,
        value=value,
        low=value - 0.02,
        high=value + 0.02,
        baseline=0.9,
        degradation=worse,
    )
    return PerformanceCheck(
        at=at,
        model=model,
        version=1,
        window=window,
        segment=segment,
        rows=1000,
        labelled=900,
        first_at=at,
        last_at=at,
        alpha=0.05,
        metrics=(measured,),
    )


def alert() -> AlertRecord:
    return AlertRecord(
        model="toy",
        version=1,
        kind="drift",
        subject="size",
        level="warning",
        worst="warning",
        value=0.3,
        peak=0.3,
        windows=("1000",),
        reason="size drifted",
        onset=START,
    )
