"""`modelyard drift`: from the registry's champion to a report, for people and for scripts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from modelyard.cli.drift import parse_window, register
from modelyard.errors import MonitoringError, UsageError
from modelyard.settings import Settings, get_settings
from modelyard.spec.models import Spec
from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord
from modelyard.tracking import registry
from modelyard.watch import run_drift, watch_model

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty project with a home of its own."""
    (tmp_path / "model_specs").mkdir()
    monkeypatch.setenv("MODELYARD_PROJECT", str(tmp_path))
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELYARD_DATABASE_URL", raising=False)
    get_settings.cache_clear()
    return get_settings()


@pytest.fixture
def version(tmp_path: Path, reference: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version 1 of `clinic` is champion; MLflow itself is tested where it is used."""
    files = tmp_path / "version"
    shutil.copytree(reference, files / "reference")
    (files / "spec.json").write_text(spec.model_dump_json())
    monkeypatch.setattr(registry, "champion", lambda *_: SimpleNamespace(version=1))
    monkeypatch.setattr(registry, "download", lambda *_: files)
    return files


@pytest.fixture
def logged(settings: Settings, table: Draw, predictions: Make) -> Store:
    """The database with 200 drifted predictions."""
    store = open_store(settings.database_url)
    store.log_predictions(predictions(table(200, shift=1.0)))
    store.close()
    return store


@pytest.fixture
def app() -> typer.Typer:
    """The command, beside another so that it keeps its name."""
    made = typer.Typer(pretty_exceptions_enable=False)
    made.command("other")(lambda: None)
    register(made)
    return made


@pytest.mark.usefixtures("version", "logged")
def test_a_report_is_written_below_the_home(settings: Settings) -> None:
    report = run_drift(settings, "clinic", run="run-1")
    assert report.html.parent == settings.home / "reports" / "clinic"
    assert report.html.name.startswith("drift-")
    assert report.check.drifted
    with open_store(settings.database_url) as store:
        assert store.verdicts("clinic") == [report.check]


@pytest.mark.usefixtures("version", "logged")
def test_two_reports_in_a_row_do_not_overwrite_each_other(settings: Settings) -> None:
    first, second = run_drift(settings, "clinic"), run_drift(settings, "clinic")
    assert first.html != second.html
    assert first.html.exists()


@pytest.mark.usefixtures("logged")
def test_a_broken_spec_is_no_obstacle_to_watching(settings: Settings, version: Path) -> None:
    text = (version / "spec.json").read_text()
    changed = json.loads(text)
    changed["monitor"]["min_effect"] = 0.9
    (version / "spec.json").write_text(json.dumps(changed))
    (settings.specs / "clinic.yaml").write_text("nonsense: true\n")
    report = run_drift(settings, "clinic")
    assert (report.check.min_effect, report.check.drifted) == (0.9, False)


@pytest.mark.usefixtures("logged", "version")
def test_todays_spec_says_how_to_watch(settings: Settings, spec: Spec) -> None:
    changed = spec.model_dump(mode="json", exclude_defaults=True)
    changed["monitor"] = {"alpha": 0.01, "correction": "bonferroni"}
    (settings.specs / "clinic.json").write_text(json.dumps(changed))
    check = run_drift(settings, "clinic").check
    assert (check.alpha, check.correction) == (0.01, "bonferroni")


def test_a_model_without_a_champion_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "champion", lambda *_: None)
    with pytest.raises(MonitoringError, match=r"no champion.*modelyard run clinic"):
        run_drift(settings, "clinic")


@pytest.mark.usefixtures("version", "logged")
def test_the_command_shows_verdicts_and_where_the_report_is(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, ["drift", "clinic"])
    assert done.exit_code == 0
    assert "Drift in 1 of 3 columns" in done.output
    assert "drift-" in done.output
    assert ".html" in done.output


@pytest.mark.usefixtures("version", "logged")
def test_the_command_speaks_json(app: typer.Typer, tmp_path: Path) -> None:
    output = tmp_path / "here" / "report.html"
    done = CliRunner().invoke(app, ["drift", "clinic", "--json", "--output", str(output)])
    found = json.loads(done.output)
    assert (found["html"], found["check"]["drifted"]) == (str(output), True)
    assert output.exists()
    assert Path(found["json_file"]).exists()


@pytest.mark.usefixtures("version", "logged")
@pytest.mark.parametrize(("window", "code"), [("200", 1), ("all", 1)])
def test_drift_fails_the_command_only_if_asked(app: typer.Typer, window: str, code: int) -> None:
    asked = ["drift", "clinic", "--window", window]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert CliRunner().invoke(app, [*asked, "--fail-on-drift"]).exit_code == code


@pytest.mark.parametrize(("text", "window"), [("all", "all"), ("1000", 1000), ("10_000", 10_000)])
def test_a_window_is_a_number_or_all(text: str, window: object) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "everything", "\u0665"])
def test_a_window_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        parse_window(text)


def test_a_report_that_is_no_html_file_is_refused(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, ["drift", "clinic", "--output", "report.pdf"])
    assert isinstance(done.exception, UsageError)


class TestWatchModel:
    """`watch_model`: all windows, verdicts kept, alerts changed."""

    @pytest.fixture(autouse=True)
    def _served(self, version: Path) -> None:
        """Version 1 is served."""
        assert version.exists()

    def test_drift_becomes_one_alert_whatever_number_of_windows_show_it(
        self, settings: Settings, logged: Store
    ) -> None:
        watched = watch_model(settings, "clinic", run="run-1")
        assert [report.check.window for report in watched.reports] == ["1000", "10000", "all"]
        [alert] = watched.alerts
        assert (alert.version, alert.kind, alert.subject) == (1, "drift", "size")
        assert set(alert.windows) == {"1000", "10000", "all"}
        assert alert.report is not None
        assert (settings.home / alert.report).exists()
        assert alert.run == "run-1"
        assert [event.change for event in watched.events] == ["opened"]
        assert logged.alert(alert.id) == alert
        assert len(logged.verdicts("clinic")) == 3

    def test_the_same_predictions_again_change_nothing(
        self, settings: Settings, logged: Store
    ) -> None:
        first = watch_model(settings, "clinic", windows=[200])
        again = watch_model(settings, "clinic", windows=[200])
        assert again.events == ()
        assert [one.id for one in again.alerts] == [one.id for one in first.alerts]
        assert len(logged.alert_events()) == 1
