"""A column has drifted if the difference is sure enough and large enough, and not otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import MonitoringError
from modelyard.monitoring.drift import MIN_ROWS, compare, drifted, pooled
from modelyard.spec.models import MonitorSpec
from modelyard.store.monitoring_records import Verdict

type Draw = Callable[..., pd.DataFrame]
MONITOR = MonitorSpec()


def of(verdicts: list[Verdict], column: str, kind: str | None = None) -> Verdict:
    (found,) = [
        one for one in verdicts if one.column == column and (kind is None or one.kind == kind)
    ]
    return found


def columns(**values: object) -> pd.DataFrame:
    return pd.DataFrame(values)


def test_a_shifted_number_drifts_and_the_others_do_not(table: Draw) -> None:
    verdicts = compare(table(2000), table(500, shift=1.0), MONITOR)
    assert drifted(verdicts) == ["size"]
    first = verdicts[0]
    assert (first.column, first.kind, first.effect_name) == ("size", "number", "KS distance")
    assert first.effect == first.statistic
    assert first.effect > 0.3
    assert first.p_adjusted is not None
    assert first.p_value is not None
    assert first.p_value <= first.p_adjusted < 1e-6


def test_equal_tables_do_not_drift(table: Draw) -> None:
    same = table(1000)
    verdicts = compare(same, same, MONITOR)
    assert [one.effect for one in verdicts] == [0, 0, 0]
    assert drifted(verdicts) == []


def test_a_sure_but_small_difference_is_no_drift(random: np.random.Generator) -> None:
    known = columns(x=random.normal(size=50_000))
    live = columns(x=random.normal(0.1, 1, 50_000))
    found = of(compare(known, live, MONITOR), "x")
    assert found.p_adjusted is not None
    assert found.p_adjusted < 1e-6
    assert found.effect < MONITOR.min_effect
    assert not found.drifted
    assert of(compare(known, live, MonitorSpec(min_effect=0.01)), "x").drifted


def test_a_large_but_unsure_difference_is_no_drift(random: np.random.Generator) -> None:
    known, live = columns(x=random.normal(size=1000)), columns(x=random.normal(0.4, 1, 30))
    found = of(compare(known, live, MonitorSpec(alpha=1e-9)), "x")
    assert found.effect > MONITOR.min_effect
    assert not found.drifted


@pytest.mark.parametrize("rows", [0, 1, MIN_ROWS - 1])
def test_a_tiny_window_is_refused_with_how_many_more_it_takes(table: Draw, rows: int) -> None:
    with pytest.raises(MonitoringError, match=f"has {rows} rows.*{MIN_ROWS - rows} more"):
        compare(table(100), table(rows), MONITOR)


def test_a_tiny_reference_is_refused(table: Draw) -> None:
    with pytest.raises(MonitoringError, match="the reference has 5 rows"):
        compare(table(5), table(100), MONITOR)


def test_the_smallest_window_is_judged(table: Draw) -> None:
    assert drifted(compare(table(2000), table(MIN_ROWS, shift=2.0), MONITOR)) == ["size"]


def test_a_changed_mix_of_categories_drifts(random: np.random.Generator) -> None:
    known = columns(c=random.choice(["a", "b"], 1000, p=[0.7, 0.3]))
    live = columns(c=random.choice(["a", "b"], 1000, p=[0.4, 0.6]))
    found = of(compare(known, live, MONITOR), "c")
    assert found.drifted
    assert found.kind == "category"
    assert found.effect == pytest.approx(0.3, abs=0.06)


def test_a_category_that_was_never_seen_is_named(random: np.random.Generator) -> None:
    known = columns(c=random.choice(["a", "b"], 1000))
    live = columns(c=random.choice(["a", "b", "new", "x" * 99], 200, p=[0.3, 0.3, 0.3, 0.1]))
    found = of(compare(known, live, MONITOR), "c")
    assert found.drifted
    assert found.note is not None
    assert "not in the reference: new (" in found.note
    assert len(found.note) < 120


def test_many_new_categories_are_summed_up(random: np.random.Generator) -> None:
    known, live = columns(c=["a"] * 100), columns(c=random.choice(list("bcdefg"), 100))
    found = of(compare(known, live, MONITOR), "c")
    assert found.drifted
    assert found.note is not None
    assert found.note.endswith("and 3 more")


def test_identifiers_are_too_rare_to_compare() -> None:
    known = columns(c=[f"id{number}" for number in range(2000)])
    live = columns(c=[f"id{number}" for number in range(2000, 2100)])
    found = of(compare(known, live, MONITOR), "c")
    assert (found.test, found.drifted) == ("none", False)


def test_rare_categories_are_counted_together() -> None:
    rare = {f"rare{number}": 1 for number in range(20)}
    first, second = pooled(Counter(a=900, b=80, **rare), Counter(a=90, b=10))
    assert (first.sum(), second.sum()) == (1000, 100)
    assert len(first) == 3


def test_values_that_vanish_are_a_verdict_of_their_own(random: np.random.Generator) -> None:
    values = random.normal(size=500)
    known, live = columns(x=values), columns(x=np.where(np.arange(500) % 2, values, np.nan))
    verdicts = compare(known, live, MONITOR)
    assert of(verdicts, "x", "missing").drifted
    assert of(verdicts, "x", "missing").live_missing == 0.5
    assert not of(verdicts, "x", "number").drifted


def test_columns_without_gaps_have_no_verdict_on_gaps(table: Draw) -> None:
    assert {one.kind for one in compare(table(100), table(100), MONITOR)} == {"number", "category"}


def test_measures_of_one_feature_share_the_verdict_on_gaps(random: np.random.Generator) -> None:
    values = random.normal(size=100)
    known = pd.DataFrame({"photo.light": values, "photo.sharpness": values})
    live = known.copy()
    live.iloc[:50] = np.nan
    kinds = [(one.column, one.kind) for one in compare(known, live, MONITOR)]
    assert len([kind for _, kind in kinds if kind == "missing"]) == 1
    assert len(kinds) == 3


@pytest.mark.parametrize("known", [[1.0] * 50, ["a"] * 50])
def test_a_column_that_is_all_missing_now_drifts(known: list[object]) -> None:
    verdicts = compare(columns(x=known), columns(x=[None] * 50), MONITOR)
    assert of(verdicts, "x", "missing").drifted
    (other,) = [one for one in verdicts if one.kind != "missing"]
    assert (other.test, other.note) == ("none", "fewer than 10 values in the window")


def test_a_column_that_the_window_lacks_drifts(random: np.random.Generator) -> None:
    known = columns(x=random.normal(size=50), y=random.normal(size=50))
    live = columns(y=random.normal(size=50))
    assert drifted(compare(known, live, MONITOR)) == ["x"]


def test_a_column_that_never_had_a_value_says_so() -> None:
    verdicts = compare(columns(x=[None] * 50), columns(x=[None] * 50), MONITOR)
    assert {one.test for one in verdicts} == {"none"}
    assert of(verdicts, "x", "missing").note == "there is never a value"


@pytest.mark.parametrize(("value", "note"), [(3.0, "always 3"), ("red", "always red")])
def test_a_constant_column_is_not_tested(value: object, note: str) -> None:
    (found,) = compare(columns(x=[value] * 50), columns(x=[value] * 40), MONITOR)
    assert (found.test, found.p_value, found.drifted, found.note) == ("none", None, False, note)


def test_a_constant_that_changed_drifts() -> None:
    assert drifted(compare(columns(x=[1.0] * 50), columns(x=[2.0] * 50), MONITOR)) == ["x"]


def test_a_constant_column_does_not_blunt_the_others(table: Draw) -> None:
    known, live = table(500), table(100, shift=0.5)
    alone = of(compare(known, live, MONITOR), "size").p_adjusted
    constants = {f"c{number}": 1.0 for number in range(50)}
    among = of(compare(known.assign(**constants), live.assign(**constants), MONITOR), "size")
    assert among.p_adjusted == alone


def test_infinities_count_as_missing(random: np.random.Generator) -> None:
    values = random.normal(size=100)
    known, live = columns(x=values), columns(x=[*values[:60], *[np.inf] * 40])
    assert of(compare(known, live, MONITOR), "x", "missing").live_missing == 0.4


def test_text_in_a_column_of_numbers_counts_as_missing(random: np.random.Generator) -> None:
    known = columns(x=random.normal(size=100))
    live = columns(x=pd.Series(["1.5", "0.2", "broken", "n/a"] * 25, dtype="object"))
    assert of(compare(known, live, MONITOR), "x", "missing").live_missing == 0.5


def test_what_names_a_row_is_not_compared(table: Draw) -> None:
    known = table(50).assign(**{"photo.sha256": [f"{number}" for number in range(50)]})
    assert "photo.sha256" not in {one.column for one in compare(known, known, MONITOR)}


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(MIN_ROWS, 80))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_does_not_matter(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    known = columns(x=random.normal(size=100), c=random.choice(list("abc"), 100))
    live = columns(x=random.normal(0.5, 1, rows), c=random.choice(list("bcd"), rows))
    shuffled = live.sample(frac=1, random_state=seed % 1000)
    assert compare(known, live, MONITOR) == compare(known, shuffled, MONITOR)


@given(
    values=st.lists(
        st.one_of(st.none(), st.floats(), st.integers(-(2**70), 2**70), st.text(max_size=5)),
        min_size=MIN_ROWS,
        max_size=60,
    )
)
@settings(max_examples=40, deadline=None)
def test_whatever_was_logged_gets_a_verdict(values: list[object]) -> None:
    numbers = columns(x=np.arange(100.0))
    words = columns(x=[str(number % 7) for number in range(100)])
    live = pd.DataFrame({"x": pd.Series(values, dtype="object")})
    for known in (numbers, words):
        assert all(0 <= one.effect <= 1 for one in compare(known, live, MONITOR))


OUTPUTS = ("predicted.label", "probability.label")


def answers(random: np.random.Generator, rows: int, yes: float = 0.5) -> pd.DataFrame:
    """What a version answered, with an embedding of two numbers."""
    return pd.DataFrame(
        {
            "predicted.label": random.choice(["yes", "no"], rows, p=[yes, 1 - yes]),
            "probability.label": random.beta(8, 2, rows),
            "truth.label": "yes",
            "embedding.0": random.normal(size=rows),
            "embedding.1": random.normal(size=rows),
        }
    )


def test_outputs_are_judged_with_the_inputs(table: Draw, random: np.random.Generator) -> None:
    outputs = answers(random, 800), answers(random, 500, yes=0.9)
    verdicts = compare(table(2000), table(500), MONITOR, outputs)
    kinds = {one.column: one.kind for one in verdicts}
    assert kinds == {
        "size": "number",
        "level": "number",
        "site": "category",
        "embedding": "embedding",
        "predicted.label": "category",
        "probability.label": "number",
    }
    assert drifted(verdicts) == ["predicted.label"]
    assert of(verdicts, "predicted.label").measures["cross_entropy"] > 0


def test_an_embedding_is_one_column(table: Draw, random: np.random.Generator) -> None:
    known, seen = answers(random, 800), answers(random, 400)
    seen["embedding.1"] += 1
    seen.loc[:40, "embedding.0"] = np.nan
    found = of(compare(table(200), table(400), MONITOR, (known, seen)), "embedding")
    assert (found.drifted, found.live_rows, found.reference_rows) == (True, 359, 800)
    assert found.live_missing == pytest.approx(41 / 400)
    assert found.effect_name == "maximum mean discrepancy"


def test_versions_without_an_embedding_are_judged_without(
    table: Draw, random: np.random.Generator
) -> None:
    known, seen = answers(random, 800), answers(random, 400)[list(OUTPUTS)]
    columns_found = {one.column for one in compare(table(200), table(400), MONITOR, (known, seen))}
    assert columns_found == {"size", "level", "site", *OUTPUTS}


@pytest.mark.parametrize(
    ("outputs", "note"),
    [(np.zeros((50, 2)), "always the same"), (np.full((50, 2), np.nan), "fewer than 10 values")],
    ids=["constant", "missing"],
)
def test_an_embedding_that_says_nothing_is_not_tested(
    table: Draw, outputs: np.ndarray, note: str
) -> None:
    frame = pd.DataFrame(outputs, columns=["embedding.0", "embedding.1"])
    found = of(compare(table(200), table(50), MONITOR, (frame, frame)), "embedding")
    assert found.test == "none"
    assert note in str(found.note)


@pytest.mark.parametrize(
    ("tests", "column", "effect"),
    [
        ({"number": "z"}, "size", "standardised difference of means"),
        ({"number": "wasserstein"}, "size", "Wasserstein distance"),
        ({"number": "psi"}, "size", "population stability index"),
        ({"category": "hellinger"}, "site", "Hellinger distance"),
        ({"category": "jensen-shannon"}, "site", "Jensen-Shannon divergence"),
        ({"embedding": "classifier"}, "embedding", "2 AUC - 1"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_the_spec_chooses_the_test(
    table: Draw, random: np.random.Generator, tests: dict[str, str], column: str, effect: str
) -> None:
    monitor = MonitorSpec.model_validate({"tests": tests})
    live = table(400, shift=1.5)
    live["site"] = "north"
    seen = answers(random, 400)
    seen["embedding.0"] += 2
    found = of(compare(table(1000), live, monitor, (answers(random, 500), seen)), column)
    assert (found.effect_name, found.drifted) == (effect, True)


def test_all_cheap_measures_are_there_for_information(table: Draw) -> None:
    verdicts = compare(table(500), table(200, shift=0.5), MONITOR)
    common = {"psi", "jensen_shannon", "kl", "hellinger", "cross_entropy"}
    assert set(of(verdicts, "site").measures) == common
    assert set(of(verdicts, "size").measures) == {*common, "wasserstein", "mean_shift"}
    assert of(verdicts, "size").measures["mean_shift"] == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize(
    ("known", "seen"),
    [([True, False] * 50, [True, False] * 30), (["3", "4"] * 50, [3.0, 4.0] * 30)],
    ids=["truths", "classes"],
)
def test_a_category_is_the_same_however_it_is_spelled(
    known: list[object], seen: list[object]
) -> None:
    live = columns(x=pd.Series(seen, dtype="object"))
    assert of(compare(columns(x=known), live, MONITOR), "x").effect == 0
