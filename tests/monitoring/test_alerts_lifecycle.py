"""The life of an alert: it opens, rises, is lowered, ends, and does not flap."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.monitoring.alerts.levels import rank
from modelyard.spec.monitor import LEVELS, Level, MonitorSpec
from modelyard.store.monitoring_records import AlertRecord
from tests.monitoring.alerts import HOUR, ROWS, START, Followed, finding

W, C, I = LEVELS  # noqa: E741 - the three levels
levels = st.sampled_from([None, *LEVELS])


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([None, None], ["-", "-"]),
        ([W, W, W], ["opened", "-", "-"]),
        ([W, C, I], ["opened", "raised", "raised"]),
        ([C, W, W, W], ["opened", "-", "lowered", "-"]),
        ([I, W, C], ["opened", "-", "lowered"]),
        ([W, None, None, None], ["opened", "-", "ended", "-"]),
        ([W, None, W, None, W], ["opened", "-", "-", "-", "-"]),
        ([C, W, C, W, C], ["opened", "-", "-", "-", "-"]),
        ([C, None, W], ["opened", "-", "lowered"]),
        ([C, W, None, None], ["opened", "-", "-", "ended"]),
        ([W, None, None, W], ["opened", "-", "ended", "opened"]),
    ],
    ids=lambda value: "-".join(str(one or "none")[:4] for one in value),
)
def test_what_happens_look_after_look(seen: list[Level | None], told: list[str]) -> None:
    assert Followed().follow(seen) == told


def test_an_alert_has_its_onset_its_end_and_its_peak() -> None:
    model = Followed()
    since = START - HOUR / 2
    model.look([finding(W, since=since)])
    model.look([finding(I, 1, since=START)], 1)
    model.look([finding(None, 2)], 2)
    model.look([finding(None, 3)], 3)
    [alert] = model.alerts.values()
    assert (alert.onset, alert.ended) == (since, START + 2 * HOUR)
    assert (alert.level, alert.worst, alert.value, alert.peak) == (I, I, 0.6, 0.6)
    assert alert.ending == "two looks in a row did not show it"
    assert [one.level for one in model.events] == [W, I, I]


def test_an_onset_that_is_found_to_be_earlier_moves() -> None:
    model = Followed()
    model.look([finding(W, since=START)])
    model.look([finding(W, 1, since=START - 3 * HOUR)], 1)
    assert model.open[0].onset == START - 3 * HOUR


def test_without_a_since_the_window_tells_the_onset() -> None:
    model = Followed()
    model.look([finding(W)])
    model.look([finding(W, 1)], 1)
    assert model.open[0].onset == finding(W).first_at


def test_looking_twice_at_the_same_predictions_ends_nothing() -> None:
    model = Followed()
    model.look([finding(C)])
    for _ in range(3):
        assert model.look([finding(None, 1)], 1) == []
    assert [one.change for one in model.look([finding(None, 2)], 2)] == ["ended"]


def test_what_could_not_be_judged_changes_nothing() -> None:
    model = Followed()
    model.look([finding(W)])
    model.look([finding(None, 1)], 1)
    before = model.open
    for number in range(2, 6):
        assert model.look([], number) == []
    assert model.open == before


class TestWindows:
    """Many windows, one alert."""

    def test_the_shortest_window_that_shows_it_says_how_bad_it_is_now(self) -> None:
        model = Followed()
        model.look([finding(W, 0, "all"), finding(C, 0, "1000"), finding(W, 0, "10000")])
        [alert] = model.open
        assert (alert.level, alert.windows) == (C, ("1000", "10000", "all"))
        assert (alert.check, alert.reason) == ("check-0-1000", "size differs: critical")

    def test_it_ends_though_longer_windows_still_hold_the_old_predictions(self) -> None:
        model = Followed()
        model.look([finding(C, 0, window) for window in ROWS])
        for number in range(1, 20):
            long = ("10000", "all") if number < 5 else ("all",)
            old = [finding(C, number, window) for window in long]
            model.look([finding(None, number), *old], number)
        assert model.changes == ["opened", "ended"]

    def test_it_opens_again_when_the_short_window_shows_it_again(self) -> None:
        model = Followed()
        for number, level in enumerate([C, None, None, W, W]):
            old = finding(I, number, "all")
            model.look([finding(level, number), old], number)
        assert model.changes == ["opened", "ended", "opened"]
        [alert] = model.open
        assert (alert.level, alert.windows) == (W, ("1000",))
        [ended] = [one for one in model.alerts.values() if one.ended]
        assert ended.ended is not None
        assert alert.onset >= ended.ended

    def test_a_longer_window_that_began_after_the_end_opens_it_again(self) -> None:
        model = Followed()
        model.look([finding(C)])
        model.look([finding(None, 1)], 1)
        model.look([finding(None, 2)], 2)
        late = finding(W, 30, "10000")
        assert late.first_at > START + 2 * HOUR
        model.look([finding(None, 30), late], 30)
        assert model.changes == ["opened", "ended", "opened"]

    def test_small_drift_that_only_the_long_window_is_sure_of_stays_open(self) -> None:
        model = Followed()
        for number in range(6):
            unsure = finding(None, number, value=0.12, small=False)
            model.look([unsure, finding(W, number, "10000")], number)
        assert model.changes == ["opened"]
        assert model.open[0].windows == ("10000",)

    def test_a_short_window_that_lost_its_certainty_keeps_an_alert_open(self) -> None:
        model = Followed()
        model.look([finding(W), finding(W, 0, "10000")])
        for number in range(1, 5):
            unsure = finding(None, number, value=0.12, small=False)
            model.look([unsure, finding(W, number, "10000")], number)
        assert model.changes == ["opened"]

    def test_a_look_at_another_window_that_is_clear_says_nothing_of_it(self) -> None:
        model = Followed()
        model.look([finding(W)])
        for number in range(1, 4):
            model.look([finding(None, number, "all")], number)
        assert model.changes == ["opened"]

    def test_a_look_at_a_longer_window_alone_does_not_make_it_forget_the_short_one(self) -> None:
        model = Followed()
        model.look([finding(W), finding(W, 0, "all")])
        model.look([finding(W, 1, "all")], 1)
        assert model.open[0].windows == ("1000", "all")
        for number in (2, 3):
            model.look([finding(None, number), finding(W, number, "all")], number)
        assert model.changes == ["opened", "ended"]

    def test_a_short_window_that_was_unsure_once_still_decides(self) -> None:
        model = Followed()
        model.look([finding(W), finding(W, 0, "all")])
        unsure = finding(None, 1, value=0.12, small=False)
        model.look([unsure, finding(W, 1, "all")], 1)
        for number in (2, 3):
            model.look([finding(None, number), finding(W, number, "all")], number)
        assert model.changes == ["opened", "ended"]

    def test_after_an_end_the_windows_of_a_new_spec_open_alerts_again(self) -> None:
        model = Followed()
        model.follow([W, None, None])
        model.look([finding(W, 3, "all")], 3)
        assert model.changes == ["opened", "ended"]
        model.monitor = MonitorSpec(windows=("all",))
        model.look([finding(W, 4, "all")], 4)
        assert model.changes == ["opened", "ended", "opened"]

    def test_a_window_that_the_spec_has_no_more_does_not_keep_it_open(self) -> None:
        model = Followed(monitor=MonitorSpec(windows=("all",)))
        model.look([finding(W)])
        model.look([finding(None, 1, "all")], 1)
        model.look([finding(None, 2, "all")], 2)
        assert model.changes == ["opened", "ended"]


class TestScope:
    """What is no longer served or watched."""

    def test_alerts_of_a_version_that_is_no_longer_served_end_with_that_reason(self) -> None:
        model = Followed()
        model.look([finding(W)])
        model.served = frozenset({2})
        model.look([finding(W, 1), finding(W, 1, version=2)], 1)
        assert sorted(model.changes) == ["ended", "opened", "opened"]
        [ended] = [one for one in model.alerts.values() if one.ended]
        assert ended.ending == "version 1 is no longer served"
        assert [one.version for one in model.open] == [2]

    def test_a_version_that_is_not_served_raises_none(self) -> None:
        model = Followed()
        model.look([finding(I, version=7)])
        assert model.alerts == {}

    def test_alerts_of_a_segment_that_is_no_longer_watched_end(self) -> None:
        model = Followed()
        north = finding(W, segment="site=north")
        model.look([north], 0, ["", "site=north"])
        model.look([], 1, ["", "site=north"])
        assert model.changes == ["opened"]
        model.look([finding(None, 2)], 2)
        assert model.changes == ["opened", "ended"]

    @pytest.mark.parametrize(
        ("kind", "changed", "ends"),
        [
            ("estimate", {"estimate": False}, True),
            ("estimate", {}, False),
            ("performance", {"metrics": ["label.f1"]}, True),
            ("performance", {"metrics": ["label.accuracy"]}, False),
            ("performance", {}, False),
            ("drift", {"estimate": False, "metrics": ["label.f1"]}, False),
        ],
    )
    def test_alerts_of_metrics_that_are_no_longer_watched_end(
        self, kind: str, changed: dict[str, object], ends: bool
    ) -> None:
        model = Followed()
        model.look([finding(W, kind=kind, subject="label.accuracy")])
        model.monitor = MonitorSpec.model_validate(changed)
        model.look([], 1)
        assert model.changes == (["opened", "ended"] if ends else ["opened"])

    def test_an_estimate_is_over_when_labels_tell_the_truth(self) -> None:
        model = Followed()
        estimate = finding(W, kind="estimate", subject="label.accuracy")
        model.look([estimate])
        model.look([], 1)
        assert model.changes == ["opened"]
        known = finding(None, 2, kind="performance", subject="label.accuracy")
        model.look([known], 2)
        assert model.changes == ["opened", "ended"]
        [alert] = model.alerts.values()
        assert alert.ending == "labels tell it now"

    def test_two_subjects_are_two_alerts(self) -> None:
        model = Followed()
        told = [finding(W), finding(W, segment="site=north"), finding(W, kind="performance")]
        model.look([*told, finding(W, subject="age"), finding(W, version=1)])
        assert len(model.open) == 4


class TestDelivery:
    """Of which changes people are told."""

    @pytest.mark.parametrize(
        ("notify", "told"),
        [
            (W, [True, True, True, False, True]),
            (C, [False, True, True, False, True]),
            (I, [False, False, True, False, True]),
            (None, [False] * 5),
        ],
    )
    def test_the_level_of_the_spec_decides(self, notify: Level | None, told: list[bool]) -> None:
        model = Followed(monitor=MonitorSpec(notify=notify))
        model.follow([W, C, I, W, W, None, None])
        assert model.changes == ["opened", "raised", "raised", "lowered", "ended"]
        assert [one.deliver for one in model.events] == told

    def test_the_end_of_what_nobody_was_told_is_no_news(self) -> None:
        model = Followed(monitor=MonitorSpec(notify=C))
        model.follow([W, None, None])
        assert [one.deliver for one in model.events] == [False, False]

    def test_an_acknowledged_alert_is_told_again_only_when_it_rises(self) -> None:
        model = Followed()
        model.look([finding(W)])
        [alert] = model.open
        model.alerts[alert.id] = alert.model_copy(update={"acknowledged": START})
        model.look([finding(C, 1)], 1)
        model.look([finding(None, 2)], 2)
        model.look([finding(None, 3)], 3)
        assert model.changes == ["opened", "raised", "ended"]
        assert [one.deliver for one in model.events] == [True, True, False]


class TestInvariants:
    """What holds whatever the looks show."""

    @given(st.lists(levels, max_size=30))
    def test_every_change_of_level_is_one_event_and_every_event_one_change(
        self, seen: list[Level | None]
    ) -> None:
        model = Followed()
        known: dict[str, AlertRecord] = {}
        for number, level in enumerate(seen):
            before, count = dict(model.alerts), len(model.events)
            model.look([finding(level, number)], number)
            changed = {
                one.id for one in model.alerts.values() if _state(before.get(one.id)) != _state(one)
            }
            assert {event.alert for event in model.events[count:]} == changed
            assert len(model.events) - count == len(changed)
            known = model.alerts
        for alert in known.values():
            assert _replayed(model, alert.id) == _state(alert)

    @given(st.lists(levels, max_size=30))
    def test_an_ended_alert_never_changes(self, seen: list[Level | None]) -> None:
        model = Followed()
        ended: dict[str, AlertRecord] = {}
        for number, level in enumerate(seen):
            model.look([finding(level, number)], number)
            for identity, alert in ended.items():
                assert model.alerts[identity] == alert
            ended = {one.id: one for one in model.alerts.values() if one.ended}

    @given(st.lists(st.tuples(levels, levels, levels), max_size=20))
    @settings(max_examples=60)
    def test_one_subject_has_one_open_alert_whatever_windows_show(
        self, seen: list[tuple[Level | None, ...]]
    ) -> None:
        model = Followed()
        for number, shown in enumerate(seen):
            found = zip(shown, ROWS, strict=True)
            model.look([finding(level, number, window) for level, window in found], number)
            assert len(model.open) <= 1
            for alert in model.alerts.values():
                assert alert.onset <= (alert.ended or alert.seen)
                assert rank(alert.worst) >= rank(alert.level)
                assert alert.peak >= alert.value
        per_look = Counter(event.at for event in model.events)
        assert max(per_look.values(), default=0) <= 1

    @given(st.tuples(levels, levels, levels), st.integers(2, 12))
    @settings(max_examples=60)
    def test_a_constant_input_makes_no_events_after_the_first(
        self, shown: tuple[Level | None, ...], looks: int
    ) -> None:
        model = Followed()
        for number in range(looks):
            found = zip(shown, ROWS, strict=True)
            model.look([finding(level, number, window) for level, window in found], number)
        assert model.changes == (["opened"] if any(shown) else [])

    @given(levels, levels, st.integers(2, 40))
    def test_an_alternating_input_makes_a_bounded_number_of_events(
        self, one: Level | None, other: Level | None, looks: int
    ) -> None:
        model = Followed()
        model.follow([(one, other)[number % 2] for number in range(looks)])
        assert len(model.events) <= 2

    @given(st.lists(levels, min_size=1, max_size=30))
    def test_no_look_is_worse_than_the_alert_says_and_two_alike_settle_it(
        self, seen: list[Level | None]
    ) -> None:
        model = Followed()
        for number, (before, now) in enumerate(pairwise([None, *seen])):
            model.look([finding(now, number)], number)
            level = max((rank(alert.level) for alert in model.open), default=0)
            assert level >= rank(now)
            if before == now:
                assert level == rank(now)


def _state(alert: AlertRecord | None) -> tuple[object, ...] | None:
    return None if alert is None else (alert.level, alert.ended is not None)


def _replayed(model: Followed, identity: str) -> tuple[object, ...]:
    """Tell an alert's state from its events alone."""
    events = [event for event in model.events if event.alert == identity]
    assert events[0].change == "opened"
    return (events[-1].level, events[-1].change == "ended")
