"""`ModelMonitor`: metrics, drift, plots, alerts and profiles from a program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modelyard
from modelyard.errors import MonitoringError, UsageError
from modelyard.monitor import ModelMonitor
from modelyard.monitor_plots import COLOURS
from modelyard.monitoring.live import LiveProfiles
from modelyard.monitoring.reference import make_reference
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import (
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    Verdict,
)
from modelyard.store.records import Label, PredictionRecord
from modelyard.tracking import registry
from modelyard.watch import watch_model

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n"


def rows(count: int, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {"size": random.normal(shift, 1, count), "site": random.choice(["north", "south"], count)}
    )


def records(count: int, shift: float = 0.0) -> list[PredictionRecord]:
    return [
        PredictionRecord(
            id=f"p{number:05d}",
            at=START + timedelta(seconds=number),
            model="clinic",
            version=1,
            request="r",
            inputs=row,
            outputs={"label": "yes" if number % 4 else "no"},
            probability={"label": 0.9},
            latency_ms=1.0,
        )
        for number, row in enumerate(rows(count, shift).to_dict("records"))
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 as it was registered."""
    folder = tmp_path_factory.mktemp("version")
    features = [{"name": "size", "type": "number"}, {"name": "site", "type": "category"}]
    outputs = [{"name": "label", "type": "category"}]
    spec = Spec.model_validate(
        {
            "name": "clinic",
            "data": {"path": "data/clinic"},
            "model": {"input_features": features, "output_features": outputs},
        }
    )
    make_reference(spec)(rows(1_000), folder, folder / "reference")
    truth = np.where(np.arange(400) % 4 > 0, "yes", "no")
    answers = pd.DataFrame(
        {"predicted.label": truth, "probability.label": 0.9, "truth.label": truth}
    )
    answers.to_parquet(folder / "reference" / "outputs.parquet")
    (folder / "spec.json").write_text(spec.model_dump_json())
    return folder


@pytest.fixture
def settings(tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project of its own; MLflow itself is tested where it is used."""
    monkeypatch.setattr(registry, "champion", lambda *_: SimpleNamespace(version=1))
    monkeypatch.setattr(registry, "download", lambda *_: files)
    monkeypatch.delenv("MODELYARD_DATABASE_URL", raising=False)
    return Settings(project=tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.database_url) as opened:
        yield opened


@pytest.fixture
def monitor(settings: Settings) -> ModelMonitor:
    return ModelMonitor("clinic", settings)


def looked(hours: int, version: int = 1, **metric: Any) -> PerformanceCheck:
    at = START + timedelta(hours=hours)
    values = {"output": "label", "metric": "accuracy", "watched": True, "rows": 9, "value": 0.9}
    return PerformanceCheck(
        at=at,
        model="clinic",
        version=version,
        window="1000",
        rows=9,
        labelled=9,
        first_at=at,
        last_at=at,
        alpha=0.05,
        metrics=(MetricVerdict.model_validate({**values, **metric}),),
    )


def compared(hours: int, effects: dict[str, float], window: str = "1000") -> DriftCheck:
    at = START + timedelta(hours=hours)
    return DriftCheck(
        at=at,
        model="clinic",
        version=1,
        window=window,
        rows=9,
        first_at=at,
        last_at=at,
        reference_rows=9,
        alpha=0.05,
        correction="bonferroni",
        min_effect=0.1,
        drifted=True,
        verdicts=tuple(
            Verdict(
                column=column,
                kind="number",
                test="t",
                statistic=1.0,
                p_value=0.01,
                p_adjusted=0.01,
                effect=effect,
                effect_name="KS distance",
                drifted=effect > 0.1,
                reference_rows=9,
                live_rows=9,
                reference_missing=0,
                live_missing=0,
            )
            for column, effect in effects.items()
        ),
    )


def legend(figure: Any) -> list[str]:
    return [text.get_text().strip("\u200b") for text in figure.legends[0].get_texts()]


class TestMetrics:
    """`calculate_metrics`."""

    def test_labels_give_metrics_and_the_rest_an_estimate(
        self, monitor: ModelMonitor, store: Store
    ) -> None:
        store.log_predictions(records(400))
        truths = [
            Label(prediction=f"p{number:05d}", output="label", value="yes") for number in range(100)
        ]
        store.save_labels("clinic", truths)
        found = monitor.calculate_metrics()
        assert found["label.accuracy"] == pytest.approx(0.75)
        assert 0.8 < found["estimated.label.accuracy"] <= 1
        assert store.performance("clinic") == []

    def test_what_is_saved_can_be_drawn(self, monitor: ModelMonitor, store: Store) -> None:
        store.log_predictions(records(200))
        monitor.calculate_metrics(window=200, save=True)
        assert store.performance("clinic")
        assert monitor.plot_metrics("accuracy").axes[0].get_title(loc="left").startswith("clinic")

    @pytest.mark.usefixtures("store")
    def test_without_predictions_there_are_none(self, monitor: ModelMonitor) -> None:
        assert monitor.calculate_metrics() == {}


class TestDrift:
    """`detect_drift`."""

    def test_it_is_kept_and_reported_as_by_the_command(
        self, monitor: ModelMonitor, store: Store, settings: Settings
    ) -> None:
        store.log_predictions(records(300, shift=1.0))
        report = monitor.detect_drift(window=200)
        assert (report.check.drifted, report.check.rows) == (True, 200)
        assert store.verdicts("clinic") == [report.check]
        assert report.html.parent == settings.home / "reports" / "clinic"

    def test_unsaved_it_leaves_nothing_behind(
        self, monitor: ModelMonitor, store: Store, settings: Settings
    ) -> None:
        store.log_predictions(records(100))
        report = monitor.detect_drift("all", save=False)
        assert not report.check.drifted
        assert report.html.exists()
        assert store.verdicts("clinic") == []
        assert not (settings.home / "reports").exists()
        again = monitor.detect_drift("all", save=False)
        assert report.html != again.html
        monitor.close()
        assert not report.html.exists()
        monitor.close()

    @pytest.mark.usefixtures("store")
    def test_too_few_predictions_and_no_windows_are_refused(self, monitor: ModelMonitor) -> None:
        with pytest.raises(MonitoringError, match="30 more"):
            monitor.detect_drift()
        with pytest.raises(UsageError, match="is no window"):
            monitor.detect_drift("yesterday")


class TestMetricPlot:
    """`plot_metrics`."""

    def test_each_version_has_a_line_and_the_levels_are_named(
        self, monitor: ModelMonitor, store: Store, tmp_path: Path
    ) -> None:
        for hour in range(4):
            more = {"low": 0.85, "high": 0.95, "baseline": 0.92, "degradation": 0.02}
            store.save_performance(looked(hour, version=1 + hour // 2, **more))
        store.save_performance(looked(5, estimated=True))
        path = tmp_path / "accuracy.png"
        figure = monitor.plot_metrics("accuracy", path)
        assert legend(figure) == [
            "version 1, by labels",
            "version 1, estimated",
            "version 2, by labels",
        ]
        notes = {text.get_text(): text.xy[1] for text in figure.axes[0].texts}
        assert notes["at the evaluation"] == 0.92
        assert notes["critical"] == pytest.approx(0.92 * 0.9)
        assert path.read_bytes().startswith(PNG)

    def test_an_error_gets_worse_upwards(self, monitor: ModelMonitor, store: Store) -> None:
        store.save_performance(looked(0, metric="rmse", value=2.4, baseline=2.0, degradation=0.2))
        notes = {
            text.get_text(): text.xy[1] for text in monitor.plot_metrics("label.rmse").axes[0].texts
        }
        assert notes["immediate"] == pytest.approx(2.4)

    def test_a_name_that_means_nothing_or_too_much_is_refused(
        self, monitor: ModelMonitor, store: Store
    ) -> None:
        with pytest.raises(MonitoringError, match="never measured"):
            monitor.plot_metrics()
        store.save_performance(looked(0))
        store.save_performance(looked(1, output="other"))
        with pytest.raises(MonitoringError, match=r"say which: label\.accuracy, other\.accuracy"):
            monitor.plot_metrics()
        with pytest.raises(MonitoringError, match=r"recall of clinic was not measured"):
            monitor.plot_metrics("recall")
        with pytest.raises(MonitoringError, match="in the window 24h"):
            monitor.plot_metrics(window="24h")


class TestDriftPlot:
    """`plot_drift`."""

    def test_the_columns_that_differ_most_are_drawn(
        self, monitor: ModelMonitor, store: Store
    ) -> None:
        for hour in range(3):
            effects = {f"c{number}": number / 40 for number in range(12)}
            store.save_verdicts(compared(hour, effects))
        store.save_verdicts(compared(3, {"elsewhere": 0.9}, window="all"))
        names = legend(monitor.plot_drift())
        assert names == [f"c{number}" for number in range(11, 11 - len(COLOURS), -1)]

    def test_one_column_is_drawn_by_its_name_whatever_it_is(
        self, monitor: ModelMonitor, store: Store, tmp_path: Path
    ) -> None:
        name = "_price in $\\frac{a}{b}$ \u65e5"
        store.save_verdicts(compared(0, {name: 0.4, "other": 0.1}))
        figure = monitor.plot_drift(name, tmp_path / "drift.png")
        assert len(legend(figure)) == 1
        assert (tmp_path / "drift.png").read_bytes().startswith(PNG)

    def test_an_unknown_column_is_refused_with_those_there_are(
        self, monitor: ModelMonitor, store: Store
    ) -> None:
        store.save_verdicts(compared(0, {"size": 0.4}))
        with pytest.raises(MonitoringError, match="compared were size"):
            monitor.plot_drift("sizes")


def test_a_look_leaves_reports_that_name_the_alerts_that_came_of_it(
    monitor: ModelMonitor, store: Store, settings: Settings
) -> None:
    store.log_predictions(records(300, shift=1.0))
    watch_model(settings, "clinic", windows=[200])
    [alert] = monitor.alerts()
    said = json.loads((settings.home / str(alert.report)).with_suffix(".json").read_text())
    assert [one["id"] for one in said["alerts"]] == [alert.id]


def test_alerts_are_the_open_ones_unless_all_are_asked_for(
    settings: Settings, store: Store
) -> None:
    def alert(version: int, ended: datetime | None) -> AlertRecord:
        return AlertRecord(
            model="clinic",
            version=version,
            kind="drift",
            subject="size",
            level="warning",
            worst="warning",
            value=0.2,
            peak=0.2,
            windows=("1000",),
            reason="size differs",
            onset=START,
            ended=ended,
        )

    alerts = [alert(1, None), alert(1, START), alert(2, None)]
    store.change_alerts("clinic", lambda _: (alerts, ()))
    assert len(ModelMonitor("clinic", settings).alerts()) == 2
    assert len(ModelMonitor("clinic", settings, version=1).alerts(open_only=False)) == 2


def test_profiles_are_those_of_the_hours_that_are_asked_for(
    monitor: ModelMonitor, settings: Settings
) -> None:
    profiles = LiveProfiles(settings.home)
    profiles.add(records(50))
    profiles.close()
    assert monitor.profiles(START, START)["size"].count == 50
    assert monitor.profiles(until=START - timedelta(days=1)) == {}


def test_the_package_gives_it_by_name_and_stays_cheap_to_import() -> None:
    assert modelyard.ModelMonitor is ModelMonitor
    code = "import sys, modelyard.monitor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "matplotlib", "scipy", "mlflow", "whylogs", "torch", "sqlalchemy"}
    assert heavy.isdisjoint(done.stdout.split())


def test_the_examples_of_the_page_run(
    settings: Settings,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store.log_predictions(records(1_000, shift=1.0))
    store.save_performance(looked(0))
    store.save_verdicts(compared(0, {"image.brightness": 0.3}))
    monkeypatch.setattr("modelyard.monitor.get_settings", lambda: settings)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 4
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block.replace("digits-cnn", "clinic"), scope)  # noqa: S102 - our own page
    said = capsys.readouterr().out
    assert "size KS distance" in said
    assert "1000 predictions, drift" in said
    assert {path.name for path in tmp_path.glob("*.*g")} == {
        "accuracy.png",
        "brightness.svg",
        "drift.png",
    }
