"""Counts add up whoever writes them, and labels count whoever answered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import JsonValue

from modelyard.store.database import Store
from modelyard.store.evidence import is_wrong
from modelyard.store.records import Label, PredictionRecord, ShadowRecord, Tally

type Make = Callable[..., PredictionRecord]
MODEL = "digits-cnn"


def tally(version: int = 1, trials: int = 1, hits: int = 0, **changes: object) -> Tally:
    fields: dict[str, object] = {
        "model": MODEL,
        "version": version,
        "phase": "e1",
        "measure": "errors",
        "trials": trials,
        "hits": hits,
    }
    return Tally.model_validate({**fields, **changes})


def shadow(prediction: PredictionRecord, answer: str, version: int = 2) -> ShadowRecord:
    return ShadowRecord(
        prediction=prediction.id,
        version=version,
        at=prediction.at,
        model=prediction.model,
        phase="e1",
        outputs={"label": answer},
        probability={},
        latency_ms=1,
        agrees=answer == prediction.outputs["label"],
    )


def wrong(store: Store, phase: str = "e1") -> dict[int, tuple[int, int]]:
    return {
        one.version: (one.hits, one.trials)
        for one in store.tallies(MODEL, phase)
        if one.measure == "wrong"
    }


def test_counts_of_many_writers_add_up(store: Store) -> None:
    def write(number: int) -> None:
        store.add_tallies([tally(2, 3, 1), tally(1, 1, number % 2), tally(1, 1, measure="slow")])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert store.tallies(MODEL, "e1") == [
        tally(1, 12, 6),
        tally(1, 12, 0, measure="slow"),
        tally(2, 36, 12),
    ]


def test_phases_and_models_are_counted_apart(store: Store) -> None:
    store.add_tallies([tally(), tally(phase="e2"), tally(model="other")])
    assert store.tallies(MODEL, "e2") == [tally(phase="e2")]
    assert store.tallies("nobody", "e1") == []


def test_an_unseen_answer_is_kept_once(store: Store, record: Make) -> None:
    first, second = (shadow(record(number), "7") for number in (1, 2))
    store.log_shadows([first, second])
    store.log_shadows([first])
    assert store.shadows(MODEL, last=10) == [second, first]


def test_a_label_counts_for_all_that_answered(store: Store, record: Make) -> None:
    answered = record(1, version=1, phase="e1")
    store.log_predictions([answered])
    store.log_shadows([shadow(answered, "3")])
    saved = store.save_labels(MODEL, [Label(prediction=answered.id, output="label", value="3")])
    assert (saved.saved, saved.replaced, saved.unknown) == (1, 0, ())
    assert wrong(store) == {1: (1, 1), 2: (0, 1)}
    assert [(one.value, one.wrong) for one in store.labels(MODEL, last=5)] == [("3", True)]


def test_a_second_label_takes_the_place_of_the_first_in_the_counts_too(
    store: Store, record: Make
) -> None:
    store.log_predictions([record(1, phase="e1"), record(2, phase="e1")])
    for value in ("3", "7", "7"):
        labels = [Label(prediction=record(1).id, output="label", value=value)]
        store.save_labels(MODEL, [*labels, Label(prediction=record(2).id, output="label", value=7)])
    assert wrong(store) == {1: (0, 2)}


def test_labels_of_unknown_predictions_are_named_and_the_others_kept(
    store: Store, record: Make
) -> None:
    store.log_predictions([record(1), record(2, model="other")])
    labels = [
        Label(prediction=identity, output="label", value="7")
        for identity in ("p000001", "p000002", "nobody")
    ]
    saved = store.save_labels(MODEL, labels)
    assert (saved.saved, saved.unknown) == (1, ("nobody", "p000002"))


def test_a_number_is_kept_and_not_counted_as_right_or_wrong(store: Store, record: Make) -> None:
    store.log_predictions([record(1, outputs={"price": 1.5})])
    saved = store.save_labels(MODEL, [Label(prediction="p000001", output="price", value=1.6)])
    assert saved.saved == 1
    assert store.labels(MODEL, last=1)[0].wrong is None
    assert wrong(store, "") == {}


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        ("7", 7, False),
        (7, "8", True),
        (True, "true", False),
        ("False", True, True),
        ("true", "True", False),
        (1.5, 1.5, None),
        (None, "7", None),
        (["a"], "a", None),
    ],
)
def test_labels_are_compared_as_text(
    predicted: JsonValue, truth: JsonValue, expected: bool | None
) -> None:
    assert is_wrong(predicted, truth) is expected
