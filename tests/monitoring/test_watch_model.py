"""`watch_model`: which versions, windows and segments are judged, and what follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner, Result

from modelyard import look
from modelyard.cli import output
from modelyard.cli import watch as command
from modelyard.errors import MonitoringError, UsageError
from modelyard.monitoring import performance
from modelyard.monitoring.check import DriftReport
from modelyard.monitoring.reports import gather
from modelyard.settings import Settings, get_settings
from modelyard.spec.models import Spec
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import (
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    Verdict,
)
from modelyard.store.records import LedgerEntry, Variant
from modelyard.tracking import registry
from modelyard.watch import watch_model, watched_models

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

type Asked = tuple[int, object, str | None]


class Judge:
    """Stands for the tests of drift and performance: says what it is told to."""

    def __init__(self, store: Store, home: Path) -> None:
        self.store = store
        self.home = home
        self.asked: list[Asked] = []
        self.effect = 0.0
        self.degradation: float | None = None
        self.at = AT
        self.too_few: set[object] = set()

    def drift(self, model: str, version: int, **asked: object) -> DriftReport:
        window, segment = asked["window"], asked["segment"]
        assert segment is None or isinstance(segment, str)
        self.asked.append((version, window, segment))
        if window in self.too_few or version in self.too_few:
            message = "the window has 3 rows, a comparison needs 30"
            raise MonitoringError(message, hint="wait")
        drifted = self.effect > 0.1
        verdict = Verdict(
            column="size",
            kind="number",
            test="KS",
            statistic=self.effect,
            p_value=0.001 if drifted else 0.7,
            p_adjusted=0.001 if drifted else 0.7,
            effect=self.effect,
            effect_name="KS distance",
            drifted=drifted,
            reference_rows=100,
            live_rows=100,
            reference_missing=0,
            live_missing=0,
            since=self.at - timedelta(minutes=30) if drifted else None,
        )
        check = DriftCheck(
            model=model,
            version=version,
            window=str(window),
            segment=segment or "",
            rows=window if isinstance(window, int) else 50_000,
            first_at=self.at - timedelta(hours=1),
            last_at=self.at,
            reference_rows=100,
            alpha=0.05,
            correction="benjamini-hochberg",
            min_effect=0.1,
            drifted=drifted,
            verdicts=(verdict,),
        )
        self.store.save_verdicts(check)
        html = asked["destination"]
        assert isinstance(html, Path)
        return DriftReport(check=check, html=html, json_file=html, profile=html)

    def measure(self, model: str, version: int, **asked: object) -> tuple[PerformanceCheck, ...]:
        if self.degradation is None:
            return ()
        metric = MetricVerdict(
            output="label",
            metric="accuracy",
            watched=True,
            rows=500,
            value=0.9 * (1 - self.degradation),
            baseline=0.9,
            degradation=self.degradation,
            p_value=0.001,
            level="critical" if self.degradation > 0.1 else None,
        )
        check = PerformanceCheck(
            model=model,
            version=version,
            window=str(asked["window"]),
            segment=str(asked["segment"] or ""),
            rows=500,
            labelled=500,
            first_at=self.at - timedelta(hours=1),
            last_at=self.at,
            alpha=0.05,
            metrics=(metric,),
        )
        return (check,)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Spec) -> Settings:
    """A project with the spec, and with version 1 as the champion."""
    (tmp_path / "model_specs").mkdir()
    for name in ("DATABASE_URL", "NOTIFY"):
        monkeypatch.delenv(f"MODELYARD_{name}", raising=False)
    monkeypatch.setenv("MODELYARD_PROJECT", str(tmp_path))
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(registry, "champion", lambda *_: SimpleNamespace(version=1))
    monkeypatch.setattr(registry, "download", lambda *_: tmp_path / "version")
    watched_as(tmp_path, spec)
    get_settings.cache_clear()
    return get_settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.database_url) as opened:
        yield opened


@pytest.fixture
def judge(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Judge:
    made = Judge(store, settings.home)
    monkeypatch.setattr(look, "drift", made.drift)
    monkeypatch.setattr(performance, "measure", made.measure)
    monkeypatch.setattr(gather, "renew_reports", lambda *_: None)
    return made


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    assert settings.home
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("other")(lambda: None)
    command.register(app)
    monkeypatch.setattr(output.out, "_width", 200)
    return lambda *words: CliRunner().invoke(app, ["watch", *words])


def watched_as(project: Path, spec: Spec, **monitor: object) -> None:
    """Write the spec as it is today."""
    document = spec.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps({**document, "monitor": monitor})
    (project / "model_specs" / "clinic.json").write_text(text)


def serve(store: Store, *variants: tuple[int, str, float]) -> None:
    """Serve versions: number, role, weight."""
    rows = [
        Variant.model_validate({"model": "clinic", "version": one, "role": role, "weight": weight})
        for one, role, weight in variants
    ]
    entry = LedgerEntry(model="clinic", action="deploy", before={}, after={}, reason="", by="x")
    store.move("clinic", rows, entry)


def test_every_window_of_the_spec_is_judged(settings: Settings, judge: Judge) -> None:
    watched = watch_model(settings, "clinic")
    assert judge.asked == [(1, 1000, None), (1, 10_000, None), (1, "all", None)]
    assert (watched.alerts, watched.events, watched.skipped) == ((), (), ())
    assert len(watched.reports) == 3


def test_the_champion_and_a_challenger_with_traffic_are_judged(
    settings: Settings, store: Store, judge: Judge
) -> None:
    serve(store, (1, "champion", 0.9), (2, "challenger", 0.1), (3, "warm", 0), (4, "challenger", 0))
    watch_model(settings, "clinic", windows=["24h"])
    assert sorted(judge.asked) == [(1, "24h", None), (2, "24h", None)]


def test_alerts_end_when_their_version_is_no_longer_served(
    settings: Settings, store: Store, judge: Judge
) -> None:
    judge.effect = 0.3
    [before] = watch_model(settings, "clinic").alerts
    serve(store, (1, "warm", 0), (2, "champion", 1))
    judge.effect = 0.0
    watched = watch_model(settings, "clinic")
    assert watched.alerts == ()
    assert [event.change for event in watched.events] == ["ended"]
    ended = store.alert(before.id)
    assert ended is not None
    assert ended.ending == "version 1 is no longer served"


def test_alerts_of_a_model_that_nobody_serves_end_too(
    settings: Settings, store: Store, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge.effect = 0.3
    watch_model(settings, "clinic")
    monkeypatch.setattr(registry, "champion", lambda *_: None)
    assert watched_models(settings) == ["clinic"]
    assert watch_model(settings, "clinic").alerts == ()
    assert watched_models(settings) == []
    with pytest.raises(MonitoringError, match="no champion"):
        watch_model(settings, "clinic")
    assert store.alerts("clinic", open_only=True) == []


def test_too_few_predictions_are_said_and_change_nothing(settings: Settings, judge: Judge) -> None:
    judge.effect = 0.3
    [alert] = watch_model(settings, "clinic").alerts
    judge.effect, judge.too_few = 0.0, {1000, 10_000, "all"}
    for hour in range(1, 4):
        judge.at = AT + timedelta(hours=hour)
        watched = watch_model(settings, "clinic")
        assert watched.alerts == (alert,)
    assert watched.skipped[0] == (
        "version 1, drift, window 1000: the window has 3 rows, a comparison needs 30"
    )


def test_that_a_look_did_not_show_it_is_remembered_until_the_next(
    settings: Settings, store: Store, judge: Judge
) -> None:
    judge.effect = 0.3
    [alert] = watch_model(settings, "clinic").alerts
    judge.effect, judge.at = 0.0, AT + timedelta(hours=1)
    [once] = watch_model(settings, "clinic").alerts
    assert once == alert.model_copy(update={"gone": judge.at, "eased": judge.at})
    judge.at = AT + timedelta(hours=2)
    assert watch_model(settings, "clinic").alerts == ()
    ended = store.alert(alert.id)
    assert ended is not None
    assert (ended.onset, ended.ended) == (AT - timedelta(minutes=30), AT + timedelta(hours=1))
    assert [event.change for event in store.alert_events()] == ["opened", "ended"]


def test_looks_at_the_same_time_open_one_alert(
    settings: Settings, store: Store, judge: Judge
) -> None:
    judge.effect = 0.3
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: watch_model(settings, "clinic"), range(4)))
    assert {alert.id for watched in found for alert in watched.alerts} == {
        alert.id for alert in store.alerts("clinic")
    }
    assert [event.change for event in store.alert_events()] == ["opened"]


def test_a_report_that_is_gone_keeps_no_alert_from_it(
    settings: Settings, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renew(*_: object) -> None:
        message = "the report cannot be written again"
        raise MonitoringError(message)

    monkeypatch.setattr(gather, "renew_reports", renew)
    judge.effect = 0.3
    watched = watch_model(settings, "clinic")
    assert len(watched.alerts) == 1
    assert watched.skipped == ("the report cannot be written again",)


def test_a_version_that_is_not_served_is_judged_and_raises_no_alert(
    settings: Settings, judge: Judge
) -> None:
    judge.effect = 0.9
    watched = watch_model(settings, "clinic", version=7, windows=[1000])
    assert judge.asked == [(7, 1000, None)]
    assert watched.alerts == ()
    assert watched.skipped == ("version 7 is not served, so it raises no alert",)


def test_performance_is_kept_and_raises_alerts(
    settings: Settings, store: Store, judge: Judge
) -> None:
    judge.degradation = 0.15
    watched = watch_model(settings, "clinic", windows=[1000])
    [alert] = watched.alerts
    assert (alert.kind, alert.subject, alert.level) == ("performance", "label.accuracy", "critical")
    assert alert.reason == (
        "label.accuracy is 0.765, 15.0% worse than 0.9 at the evaluation,"
        " in the last 1,000 predictions (500 rows)"
    )
    assert tuple(store.performance("clinic")) == watched.performance


def test_each_value_of_the_segments_column_is_judged_by_itself(
    settings: Settings, judge: Judge, spec: Spec, reference: Path
) -> None:
    reference.rename(settings.project / "moved")
    (settings.project / "version").mkdir()
    (settings.project / "moved").rename(settings.project / "version" / "reference")
    watched_as(settings.project, spec, segment_by="site", windows=[1000])
    judge.effect = 0.3
    watched = watch_model(settings, "clinic")
    names = ["site=east", "site=north", "site=south"]
    assert judge.asked == [(1, 1000, None), *((1, 1000, name) for name in names)]
    assert sorted(alert.segment for alert in watched.alerts) == ["", *names]
    watched_as(settings.project, spec, windows=[1000])
    judge.at += timedelta(hours=1)
    watched = watch_model(settings, "clinic")
    assert [alert.segment for alert in watched.alerts] == [""]
    assert [event.change for event in watched.events] == ["ended"] * 3


def test_a_column_that_the_reference_lacks_has_no_segments(
    settings: Settings, judge: Judge, spec: Spec
) -> None:
    watched_as(settings.project, spec, segment_by="site", windows=[1000])
    watched = watch_model(settings, "clinic")
    assert judge.asked == [(1, 1000, None)]
    assert watched.skipped == ("version 1, the reference has no column site (segment_by)",)


class TestRetraining:
    """Which alert asks for a retraining."""

    @pytest.mark.parametrize(
        ("retrain_on", "effect", "asks"),
        [
            (None, 0.9, False),
            ("critical", 0.15, False),
            ("critical", 0.3, True),
            ("critical", 0.9, True),
            ("immediate", 0.3, False),
        ],
    )
    def test_the_level_of_the_spec_decides(  # noqa: PLR0913, PLR0917 - cases and fixtures
        self,
        settings: Settings,
        judge: Judge,
        spec: Spec,
        retrain_on: str | None,
        effect: float,
        asks: bool,
    ) -> None:
        watched_as(settings.project, spec, retrain_on=retrain_on)
        judge.effect = effect
        watched = watch_model(settings, "clinic")
        assert (watched.retrain is not None) is asks

    def test_it_is_the_same_alert_as_long_as_none_is_worse(
        self, settings: Settings, judge: Judge, spec: Spec
    ) -> None:
        watched_as(settings.project, spec, retrain_on="critical", windows=[1000])
        judge.effect = 0.3
        first = watch_model(settings, "clinic").retrain
        judge.degradation = 0.15
        judge.at += timedelta(hours=1)
        watched = watch_model(settings, "clinic")
        assert len(watched.alerts) == 2
        assert first is not None
        assert watched.retrain is not None
        assert watched.retrain.id == first.id

    def test_an_alert_of_a_challenger_asks_for_none(
        self, settings: Settings, store: Store, judge: Judge, spec: Spec
    ) -> None:
        watched_as(settings.project, spec, retrain_on="warning", windows=[1000])
        serve(store, (1, "champion", 0.9), (2, "challenger", 0.1))
        judge.effect, judge.too_few = 0.9, {1}
        watched = watch_model(settings, "clinic")
        assert [alert.version for alert in watched.alerts] == [2]
        assert watched.retrain is None


class TestCommand:
    """`modelyard watch`."""

    def test_it_says_what_was_judged_and_what_is_wrong(
        self, judge: Judge, run: Callable[..., Result]
    ) -> None:
        judge.effect, judge.degradation = 0.3, 0.15
        done = run("clinic", "--window", "1000")
        assert done.exit_code == 0
        for part in ("drift: size 0.30", "label.accuracy", "15.0% worse: critical", "2 opened"):
            assert part in done.output

    def test_it_speaks_json(self, judge: Judge, run: Callable[..., Result]) -> None:
        judge.effect = 0.3
        judge.too_few = {10_000}
        [found] = json.loads(run("clinic", "--json").stdout)
        assert found["model"] == "clinic"
        assert [one["check"]["window"] for one in found["reports"]] == ["1000", "all"]
        assert [one["subject"] for one in found["alerts"]] == ["size"]
        assert len(found["skipped"]) == 1

    @pytest.mark.parametrize(
        ("effect", "level", "code"),
        [
            (0.3, "warning", 1),
            (0.3, "critical", 1),
            (0.3, "immediate", 0),
            (0.0, "warning", 0),
        ],
    )
    def test_it_fails_on_a_level_if_asked(
        self, judge: Judge, run: Callable[..., Result], effect: float, level: str, code: int
    ) -> None:
        judge.effect = effect
        assert run("clinic", "--fail-on", level).exit_code == code

    def test_all_are_the_served_models_and_one_that_fails_keeps_no_other_from_it(
        self,
        store: Store,
        judge: Judge,
        run: Callable[..., Result],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("clinic", "absent"):
            rows = [Variant(model=name, version=1, role="champion", weight=1)]
            entry = LedgerEntry(model=name, action="deploy", before={}, after={}, reason="", by="x")
            store.move(name, rows, entry)
        found = registry.download

        def download(settings: Settings, name: str, number: int) -> Path:
            if name == "absent":
                message = "absent has no version 1"
                raise UsageError(message)
            return found(settings, name, number)

        monkeypatch.setattr(registry, "download", download)
        done = run("--all")
        assert done.exit_code == 1
        assert "absent has no version 1" in done.output
        assert {version for version, *_ in judge.asked} == {1}

    @pytest.mark.parametrize("words", [(), ("clinic", "--all"), ("clinic", "--fail-on", "bad")])
    def test_what_cannot_work_is_refused(
        self, run: Callable[..., Result], words: tuple[str, ...]
    ) -> None:
        assert isinstance(run(*words).exception, UsageError)

    def test_without_an_address_it_says_that_nothing_is_delivered(
        self, judge: Judge, run: Callable[..., Result]
    ) -> None:
        judge.effect = 0.3
        assert "MODELYARD_NOTIFY" in run("clinic", "--deliver").output

    def test_what_cannot_be_delivered_is_said_without_its_password(
        self, judge: Judge, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        judge.effect = 0.3
        monkeypatch.setenv("MODELYARD_NOTIFY", "webhook+http://ann:s3cr3t@127.0.0.1:1/x")
        get_settings.cache_clear()
        done = run("clinic", "--deliver")
        assert "0 events delivered, 1 wait" in done.output
        assert "no answer" in done.output
        assert "s3cr3t" not in done.output
