"""What a verdict means for an alert, and in which words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelyard.monitoring.alerts.levels import (
    Finding,
    drift_findings,
    drift_level,
    performance_findings,
    rank,
)
from modelyard.monitoring.alerts.message import LONGEST_TITLE, Links, Message
from modelyard.spec.monitor import LEVELS, Level, MonitorSpec
from modelyard.store.monitoring_records import (
    AlertEvent,
    AlertRecord,
    DriftCheck,
    MetricVerdict,
    PerformanceCheck,
    Verdict,
)

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def verdict(column: str = "size", effect: float = 0.3, **changes: object) -> Verdict:
    fields: dict[str, object] = {
        "column": column,
        "kind": "number",
        "test": "KS",
        "statistic": effect,
        "p_value": 0.001,
        "p_adjusted": 0.002,
        "effect": effect,
        "effect_name": "KS distance",
        "drifted": effect >= 0.1,
        "reference_rows": 100,
        "live_rows": 100,
        "reference_missing": 0.0,
        "live_missing": 0.0,
        "since": AT - timedelta(hours=1),
    }
    return Verdict.model_validate({**fields, **changes})


def check(*verdicts: Verdict, window: str = "1000", segment: str = "") -> DriftCheck:
    return DriftCheck(
        id="check-1",
        model="clinic",
        version=1,
        window=window,
        segment=segment,
        rows=1000,
        first_at=AT - timedelta(hours=2),
        last_at=AT,
        reference_rows=100,
        alpha=0.05,
        correction="benjamini-hochberg",
        min_effect=0.1,
        drifted=True,
        verdicts=verdicts,
    )


def metric(**changes: object) -> MetricVerdict:
    fields: dict[str, object] = {
        "output": "label",
        "metric": "accuracy",
        "watched": True,
        "rows": 400,
        "value": 0.81,
        "baseline": 0.9,
        "degradation": 0.1,
        "p_value": 0.001,
        "level": "warning",
    }
    return MetricVerdict.model_validate({**fields, **changes})


def measured(*metrics: MetricVerdict) -> PerformanceCheck:
    return PerformanceCheck(
        model="clinic",
        version=1,
        window="24h",
        segment="site=north",
        rows=1000,
        labelled=400,
        first_at=AT - timedelta(hours=2),
        last_at=AT,
        alpha=0.05,
        metrics=metrics,
    )


def told(found: list[Finding]) -> dict[str, Level | None]:
    return {one.subject: one.level for one in found}


@pytest.mark.parametrize(
    ("effect", "level"),
    [
        (0.09, None),
        (0.1, "warning"),
        (0.249, "warning"),
        (0.25, "critical"),
        (0.499, "critical"),
        (0.5, "immediate"),
        (float("inf"), "immediate"),
    ],
)
def test_any_drift_is_a_warning_and_large_drift_is_more(effect: float, level: Level | None) -> None:
    assert drift_level(verdict(effect=effect), MonitorSpec()) == level


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_larger_the_effect_the_higher_the_level(one: float, other: float) -> None:
    small, large = sorted((one, other))
    levels = [drift_level(verdict(effect=effect), MonitorSpec()) for effect in (small, large)]
    assert rank(levels[0]) <= rank(levels[1])


def test_levels_rise() -> None:
    assert [rank(None), *map(rank, LEVELS)] == [0, 1, 2, 3]


def test_a_finding_knows_its_window_report_and_reason() -> None:
    [size, *_] = drift_findings(check(verdict()), MonitorSpec(), "reports/clinic/a.html")
    missing, size = sorted((size, *_), key=lambda one: one.level is not None)
    assert missing.subject == "size (missing)"
    assert size.reason == (
        "size differs from the reference in the last 1,000 predictions: KS distance 0.3"
    )
    assert (size.window, size.report, size.check) == ("1000", "reports/clinic/a.html", "check-1")
    assert (size.since, size.small) == (AT - timedelta(hours=1), False)


def test_values_and_missing_values_are_two_subjects() -> None:
    gone = verdict(kind="missing", live_missing=0.4, reference_missing=0.01, effect=0.39)
    found = list(drift_findings(check(verdict(), gone, segment="site=north"), MonitorSpec()))
    assert told(found) == {"size": "critical", "size (missing)": "critical"}
    assert found[1].reason == (
        "size is missing in 40.0%, against 1.0% in the reference,"
        " in the last 1,000 predictions with site=north: KS distance 0.39"
    )


def test_where_nothing_is_missing_any_more_that_is_over() -> None:
    found = list(drift_findings(check(verdict()), MonitorSpec()))
    assert told(found) == {"size": "critical", "size (missing)": None}


def test_what_could_not_be_tested_is_no_finding() -> None:
    untested = verdict(effect=0.0, p_value=None, p_adjusted=None, statistic=None, test="none")
    found = list(drift_findings(check(untested), MonitorSpec()))
    assert told(found) == {"size (missing)": None}


def test_a_column_with_a_very_long_name_still_fits() -> None:
    gone = verdict("x" * 300, kind="missing")
    lengths = [len(one.subject) for one in drift_findings(check(gone), MonitorSpec())]
    assert lengths == [255]


def test_a_watched_metric_is_a_finding_with_its_own_rows() -> None:
    [found] = performance_findings(measured(metric()), MonitorSpec())
    assert (found.kind, found.subject, found.level) == ("performance", "label.accuracy", "warning")
    assert (found.rows, found.value, found.segment) == (400, 0.1, "site=north")
    assert found.reason == (
        "label.accuracy is 0.81, 10.0% worse than 0.9 at the evaluation,"
        " in the last 24h with site=north (400 rows)"
    )


def test_an_estimate_is_another_kind_of_alert() -> None:
    [found] = performance_findings(measured(metric(estimated=True)), MonitorSpec())
    assert found.kind == "estimate"
    assert found.reason.startswith("estimated label.accuracy is 0.81")


@pytest.mark.parametrize(
    "changes",
    [{"watched": False}, {"degradation": None}, {"p_value": None, "level": None}],
    ids=["not-watched", "no-baseline", "untested"],
)
def test_what_is_not_watched_or_could_not_be_judged_is_none(changes: dict[str, object]) -> None:
    assert list(performance_findings(measured(metric(**changes)), MonitorSpec())) == []


@pytest.mark.parametrize(("degradation", "small"), [(-0.1, True), (0.05, True), (0.06, False)])
def test_a_metric_that_chance_alone_may_have_lowered_is_not_over(
    degradation: float, small: bool
) -> None:
    verdicts = measured(metric(degradation=degradation, level=None))
    [found] = performance_findings(verdicts, MonitorSpec())
    assert (found.level, found.small, found.reason) == (None, small, "")


def test_the_spec_of_the_document_is_what_holds_by_default() -> None:
    page = Path(__file__).parents[2] / "docs" / "alerts.md"
    [block] = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    told = yaml.safe_load(block)["monitor"]
    assert told.pop("retrain_on") == "critical"
    assert told.pop("metrics") == ["label.accuracy"]
    assert MonitorSpec.model_validate(told) == MonitorSpec()


class TestMessage:
    """What is told of a change."""

    @pytest.fixture
    def alert(self) -> AlertRecord:
        return AlertRecord(
            id="alert-1",
            model="clinic",
            version=3,
            kind="performance",
            subject="label.f1",
            segment="site=north",
            level="critical",
            worst="immediate",
            value=0.15,
            peak=0.3,
            windows=("1000", "all"),
            reason="it is worse",
            onset=AT - timedelta(hours=1),
            opened=AT,
        )

    def message(self, alert: AlertRecord, change: str) -> Message:
        event = AlertEvent.model_validate(
            {"alert": alert.id, "model": alert.model, "change": change, "level": alert.level}
        )
        return Message(event, alert, Links("http://here/alerts"))

    @pytest.mark.parametrize(
        ("change", "how"),
        [
            ("opened", "critical"),
            ("raised", "raised to critical"),
            ("lowered", "lowered to critical"),
            ("ended", "ended"),
        ],
    )
    def test_the_title_says_what_where_and_how_bad(
        self, alert: AlertRecord, change: str, how: str
    ) -> None:
        title = self.message(alert, change).title
        assert title == f"[{how}] clinic 3: performance of label.f1 where site=north"

    def test_the_title_is_one_short_line(self, alert: AlertRecord) -> None:
        long = alert.model_copy(update={"subject": "a\nb" * 100})
        title = self.message(long, "opened").title
        assert len(title) == LONGEST_TITLE
        assert "\n" not in title

    @pytest.mark.parametrize("kind", ["drift", "performance", "estimate"])
    def test_the_body_says_what_to_do(self, alert: AlertRecord, kind: str) -> None:
        body = self.message(alert.model_copy(update={"kind": kind}), "opened").body
        assert "modelyard drift clinic" in body or "modelyard run clinic" in body
        assert "critical, at its worst immediate" in body
        assert "modelyard alerts ack alert-1" in body

    def test_of_what_ended_it_says_why_and_asks_for_nothing(self, alert: AlertRecord) -> None:
        over = alert.model_copy(update={"ended": AT, "ending": "version 3 is no longer served"})
        body = self.message(over, "ended").body
        assert "2026-11-20 12:00 UTC: version 3 is no longer served" in body
        assert "ack" not in body

    def test_programs_get_the_alert_whole(self, alert: AlertRecord) -> None:
        document = self.message(alert, "opened").document()
        assert set(document) == {"event", "alert", "title", "message", "links"}
        known = document["alert"]
        assert isinstance(known, dict)
        assert (known["segment"], known["windows"]) == ("site=north", ["1000", "all"])
