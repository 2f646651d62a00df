"""Predictions with their labels: counted as predictions, whole, and found by the labels alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic import command
from sqlalchemy import text

from modelyard.store import migrate
from modelyard.store.database import Store, open_store
from modelyard.store.engine import WRITE, make_engine, parse_url
from modelyard.store.predictions import Labelled, Span
from modelyard.store.records import Label, PredictionRecord, ShadowRecord

type Make = Callable[..., PredictionRecord]
MODEL = "digits-cnn"


def read(store: Store, span: Span, version: int = 1, size: int = 5_000) -> list[list[Labelled]]:
    return list(store.labelled(MODEL, version, span, size=size))


def label(store: Store, *numbers: int, outputs: tuple[str, ...] = ("label",)) -> None:
    labels = [
        Label(prediction=f"p{number:06d}", output=output, value=f"{output} {number}")
        for number in numbers
        for output in outputs
    ]
    store.save_labels(MODEL, labels)


def test_the_last_ones_are_counted_as_predictions_and_not_as_labels(
    store: Store, record: Make
) -> None:
    store.log_predictions([record(number) for number in range(10)])
    label(store, 1, 3, 5, 7, outputs=("label", "size", "shade"))
    [found] = read(store, Span(3))
    assert [one.id for one in found] == ["p000007", "p000005", "p000003"]
    assert found[0].truth == {"label": "label 7", "size": "size 7", "shade": "shade 7"}
    assert found[0].inputs == record(7).inputs


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
@pytest.mark.parametrize("last", [None, 4, 9], ids=["all", "4", "9"])
def test_no_prediction_is_divided_between_two_pieces(
    store: Store, record: Make, size: int, last: int | None
) -> None:
    store.log_predictions([record(number) for number in range(6)])
    label(store, *range(6), outputs=("label", "size", "shade"))
    batches = read(store, Span(last), size=size)
    found = [one for batch in batches for one in batch]
    assert [one.id for one in found] == [f"p{n:06d}" for n in range(5, -1, -1)][:last]
    assert all(len(one.truth) == 3 for one in found)
    assert all(len(batch) == size for batch in batches[:-1])


def test_a_stretch_is_that_of_the_answers_and_not_of_the_labels(store: Store, record: Make) -> None:
    store.log_predictions([record(number) for number in range(10)])
    label(store, *range(10))
    span = Span(since=record(3).at, until=record(6).at)
    assert [one.id for one in read(store, span)[0]] == [f"p00000{n}" for n in (6, 5, 4, 3)]
    assert [one.id for one in read(store, span._replace(last=2))[0]] == ["p000006", "p000005"]


def test_labels_belong_to_the_version_whose_answer_was_seen(store: Store, record: Make) -> None:
    store.log_predictions([record(1), record(2, version=2), record(3, model="other")])
    unseen = {"version": 2, "at": record(1).at, "model": MODEL, "phase": "", "agrees": True}
    store.log_shadows(
        [
            ShadowRecord.model_validate(
                {
                    "prediction": "p000001",
                    "outputs": {},
                    "probability": {},
                    "latency_ms": 1,
                    **unseen,
                }
            )
        ]
    )
    label(store, 1, 2, 3)
    assert [one.id for one in read(store, Span())[0]] == ["p000001"]
    assert [one.id for one in read(store, Span(), version=2)[0]] == ["p000002"]
    assert read(store, Span(), version=3) == []


def test_a_label_that_is_changed_stays_one(store: Store, record: Make) -> None:
    store.log_predictions([record(1)])
    label(store, 1)
    store.save_labels(MODEL, [Label(prediction="p000001", output="label", value=7)])
    assert [one.truth for one in read(store, Span(5))[0]] == [{"label": 7}]


def test_labels_of_an_older_modelyard_are_found_too(url: str, record: Make) -> None:
    with open_store(url) as store:
        store.log_predictions([record(1), record(2)])
        label(store, 1, 2)
    engine = make_engine(parse_url(url))
    with engine.connect().execution_options(**WRITE) as connection, connection.begin():
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        connection.execute(text("DELETE FROM predictions WHERE id = 'p000001'"))
    engine.dispose()
    with open_store(url) as store:
        assert [(one.id, one.truth) for one in read(store, Span())[0]] == [
            ("p000002", {"label": "label 2"})
        ]
