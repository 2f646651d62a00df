"""`modelyard drift`: spans, segments and columns, for people and for scripts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from modelyard.cli.drift import parse_window, register
from modelyard.errors import UsageError
from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard.store.records import PredictionRecord
from modelyard.tracking import registry

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]
type Run = Callable[..., Result]


@pytest.fixture
def run(
    tmp_path: Path,
    reference: Path,
    table: Draw,
    predictions: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Call the command on 300 calm predictions of two days ago and 200 drifted ones of today."""
    monkeypatch.setenv("MODELYARD_PROJECT", str(tmp_path))
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELYARD_DATABASE_URL", raising=False)
    get_settings.cache_clear()
    shutil.copytree(reference, tmp_path / "version" / "reference")
    monkeypatch.setattr(registry, "champion", lambda *_: SimpleNamespace(version=1))
    monkeypatch.setattr(registry, "download", lambda *_: tmp_path / "version")
    moment = datetime.now(UTC)
    with open_store(get_settings().database_url) as store:
        store.log_predictions(predictions(table(300), start=moment - timedelta(days=2)))
        store.log_predictions(
            predictions(table(200, shift=1.0), start=moment - timedelta(minutes=10))
        )
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("other")(lambda: None)
    register(app)
    return lambda *given: CliRunner().invoke(
        app, ["drift", "clinic", *given], env={"COLUMNS": "200"}
    )


def test_a_time_span_is_a_window(run: Run) -> None:
    check = json.loads(run("--window", "24h", "--json").output)["check"]
    assert (check["window"], check["rows"], check["drifted"]) == ("24h", 200, True)


def test_a_segment_is_compared_with_the_same_segment(run: Run) -> None:
    check = json.loads(run("--segment", "site=north", "--window", "all", "--json").output)["check"]
    assert check["segment"] == "site=north"
    assert 150 < check["rows"] < 350
    assert check["reference_rows"] < 2_000


def test_only_the_column_that_is_asked_for_is_shown(run: Run) -> None:
    done = run("--window", "24h", "--column", "level")
    assert "level" in done.output
    assert "size" not in done.output
    verdicts = json.loads(run("--column", "size", "--json").output)["check"]["verdicts"]
    assert [verdict["column"] for verdict in verdicts] == ["size"]


def test_a_column_that_is_misspelt_is_refused_with_the_near_one(run: Run) -> None:
    done = run("--column", "sizes")
    assert isinstance(done.exception, UsageError)
    assert "did you mean size?" in str(done.exception)


def test_since_when_and_how_large_is_said(run: Run) -> None:
    output = run("--window", "24h").output
    row = next(line for line in output.splitlines() if "size" in line)
    assert f"{datetime.now(UTC):%Y-%m-}" in row
    assert any(word in row for word in ("medium", "large"))
    assert "200 predictions of the last 24h against 2,000 reference rows" in output


def test_drift_elsewhere_does_not_fail_the_shown_column(run: Run) -> None:
    asked = ("--window", "24h", "--fail-on-drift")
    assert run(*asked, "--column", "level").exit_code == 0
    assert run(*asked, "--column", "size").exit_code == 1


@pytest.mark.parametrize("text", ["90m", "24h", "7d"])
def test_spans_are_windows(text: str) -> None:
    assert parse_window(text) == text


@pytest.mark.parametrize("text", ["24", "0h", "1w", "h", "-3d"])
def test_a_span_without_a_unit_or_a_number_is_none(text: str) -> None:
    if text == "24":
        assert parse_window(text) == 24
    else:
        with pytest.raises(UsageError, match="is no size"):
            parse_window(text)
