"""Comparisons are kept with their verdicts, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from modelyard.store.database import Store
from modelyard.store.monitoring_records import DriftCheck, Verdict

MOMENT = datetime(2026, 11, 1, tzinfo=UTC)


def verdict(column: str) -> Verdict:
    return Verdict(
        column=column,
        kind="number",
        test="two-sample Kolmogorov-Smirnov",
        statistic=0.2,
        p_value=0.001,
        p_adjusted=0.01,
        effect=0.2,
        effect_name="KS distance",
        drifted=True,
        measures={"psi": 0.1},
        reference_rows=5000,
        live_rows=1000,
        reference_missing=0.0,
        live_missing=0.01,
    )


def check(identity: str, hours: int = 0, columns: tuple[str, ...] = ("a", "b")) -> DriftCheck:
    return DriftCheck(
        id=identity,
        at=MOMENT + timedelta(hours=hours),
        model="m",
        version=3,
        window="1000",
        rows=1000,
        first_at=MOMENT,
        last_at=MOMENT,
        reference_rows=5000,
        alpha=0.05,
        correction="benjamini-hochberg",
        min_effect=0.1,
        drifted=True,
        verdicts=tuple(verdict(column) for column in columns),
    )


def test_comparisons_come_back_newest_first(store: Store) -> None:
    older, newer = check("c1"), check("c2", hours=1, columns=("b", "a"))
    store.save_verdicts(older)
    store.save_verdicts(newer)
    assert store.verdicts("m") == [newer, older]
    assert store.verdicts("m", 1) == [newer]


def test_comparisons_are_chosen_by_version_window_and_segment(store: Store) -> None:
    plain = check("c1")
    whole = plain.model_copy(update={"id": "c2", "window": "all"})
    part = plain.model_copy(update={"id": "c3", "segment": "site=a"})
    later = plain.model_copy(update={"id": "c4", "version": 4})
    for one in (plain, whole, part, later):
        store.save_verdicts(one)
    assert store.verdicts("m", version=3, window="1000", segment="") == [plain]
    assert store.verdicts("m", segment="site=a") == [part]
    assert store.verdicts("m", version=4) == [later]
    assert store.verdicts("m", version=5) == []
    assert store.drift_views("m") == [
        (4, "1000", ""),
        (3, "1000", ""),
        (3, "1000", "site=a"),
        (3, "all", ""),
    ]
    assert store.drift_views("other") == []


def test_a_comparison_that_is_saved_again_is_left_alone(store: Store) -> None:
    store.save_verdicts(check("c1"))
    store.save_verdicts(check("c1", columns=("other",)))
    assert store.verdicts("m") == [check("c1")]


def test_a_comparison_without_verdicts_is_kept(store: Store) -> None:
    store.save_verdicts(check("c1", columns=()))
    assert store.verdicts("m") == [check("c1", columns=())]


def test_there_may_be_none(store: Store) -> None:
    assert store.verdicts("m") == []
