"""Labels by the ids of predictions: checked, kept, counted, and replaced by later ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import JsonValue

from modelyard.features import ModelFeature, ModelSignature
from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord, RolloutRecord, RolloutStatus, Tally, now
from serving.http.problems import FieldProblem, Refusal
from serving.prediction_log import log
from serving.prediction_log.log import Batch
from serving.requests.feedback_labels import MOST_LABELS, check_labels
from serving.traffic.breaker import RULES
from serving.traffic.stored import Stored
from tests.serving.fakes import CHALLENGER, CHAMPION, Direct, MemorySink

ID = "0" * 31 + "a"


class WritingSink(MemorySink):
    """Also writes predictions, shadows and counts into a database."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store

    def keep(self, batch: Batch) -> int:
        refused = super().keep(batch)
        self.store.log_predictions(self.records)
        self.store.log_shadows(self.shadows)
        tallies = [
            Tally.model_validate(
                {
                    "model": model,
                    "version": version,
                    "phase": phase,
                    "measure": measure,
                    "trials": trials,
                    "hits": hits,
                }
            )
            for (model, version, phase, measure), trials, hits in batch.tallies
        ]
        self.store.add_tallies(tallies)
        return refused


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/yard.db") as made:
        yield made


@pytest.fixture
def direct(store: Store, tmp_path: Path) -> Iterator[Direct]:
    made = Direct(Stored(f"sqlite:///{tmp_path}/yard.db"), WritingSink(store))
    made.split(0, shadow=1)
    yield made
    made.log.close()
    asyncio.run(made.service.close())


def feature(name: str, kind: str, *categories: str) -> ModelFeature:
    return ModelFeature(
        name=name, column=name, type=kind, required=True, categories=categories or None
    )


def signature(*outputs: ModelFeature) -> ModelSignature:
    return ModelSignature(inputs=(), outputs=outputs)


def problems(awaited: Awaitable[object]) -> Refusal:
    async def wait() -> None:
        await awaited

    with pytest.raises(Refusal) as caught:
        asyncio.run(wait())
    return caught.value


def refused(outputs: ModelSignature, *labels: object) -> tuple[FieldProblem, ...]:
    with pytest.raises(Refusal) as caught:
        check_labels([outputs], labels, None)
    return caught.value.document.errors


async def answered(direct: Direct, rows: int = 1) -> list[str]:
    """Predict, let copies end, and return the ids."""
    answer = cast("Any", await direct.ask(1, *([{"length": 1.0}] * rows)))
    await direct.service.shadows.finish()
    return [one["id"] for one in answer["predictions"]]


class TestKeeping:
    def test_a_label_of_a_prediction_that_is_still_queued_is_kept_and_counted(
        self, direct: Direct, store: Store
    ) -> None:
        direct.backend.said[CHALLENGER] = "b"
        direct.backend.signatures["flowers"] = ModelSignature(
            inputs=direct.backend.signatures["flowers"].inputs,
            outputs=(feature("kind", "category", "a", "b"),),
        )

        async def scene() -> dict[str, JsonValue]:
            [identity] = await answered(direct)
            label = {"id": identity, "value": "b"}
            return await direct.service.feedback("flowers", [label], "ann")

        said = asyncio.run(scene())
        assert said == {"model": "flowers", "saved": 1, "replaced": 0, "unknown": []}
        [label] = store.labels("flowers", last=None)
        assert (label.output, label.value, label.by, label.wrong) == ("kind", "b", "ann", True)
        direct.log.close()
        wrong = {
            tally.version: (tally.trials, tally.hits)
            for tally in store.tallies("flowers", "move-1")
            if tally.measure == "wrong"
        }
        assert wrong[1] == (1, 1)

    def test_a_label_of_a_prediction_that_is_not_written_in_time_is_to_be_sent_again(
        self, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "SETTLE_SECONDS", 0.0)
        direct.sink.gate.clear()

        async def scene() -> None:
            [identity] = await answered(direct)
            await direct.service.feedback("flowers", [{"id": identity, "value": "a"}])

        with pytest.raises(Refusal, match="not written yet") as caught:
            asyncio.run(scene())
        direct.sink.gate.set()
        assert (caught.value.document.status, caught.value.retry_after) == (503, 5)

    def test_a_second_label_replaces_the_first(self, direct: Direct, store: Store) -> None:
        async def scene() -> list[dict[str, JsonValue]]:
            [identity] = await answered(direct)
            label = {"id": identity, "value": "a"}
            return [await direct.service.feedback(None, [label]) for _ in range(2)]

        first, second = asyncio.run(scene())
        assert (first["saved"], second["saved"], second["replaced"]) == (1, 0, 1)
        assert len(store.labels("flowers", last=None)) == 1

    def test_ids_that_are_not_known_are_named_beside_those_that_are_kept(
        self, direct: Direct
    ) -> None:
        async def scene() -> dict[str, JsonValue]:
            [identity] = await answered(direct)
            labels = [{"id": identity, "value": "a"}, {"id": ID, "value": "a"}]
            return await direct.service.feedback("flowers", labels)

        said = asyncio.run(scene())
        assert (said["saved"], said["unknown"]) == (1, [ID])

    def test_a_request_of_which_no_id_is_known_is_not_found(self, direct: Direct) -> None:
        refusal = problems(direct.service.feedback("flowers", [{"id": ID, "value": "a"}]))
        assert refusal.document.status == 404
        assert ID in refusal.document.detail

    def test_ids_of_another_model_are_not_known(self, direct: Direct, store: Store) -> None:
        record = PredictionRecord(
            id=ID,
            at=now(),
            model="digits",
            version=1,
            request="r",
            inputs={},
            outputs={"label": "1"},
            probability={},
            latency_ms=1,
        )
        store.log_predictions([record])
        refusal = problems(direct.service.feedback("flowers", [{"id": ID, "value": "a"}]))
        assert refusal.document.status == 404

    def test_a_wrong_label_is_refused_before_any_is_kept(
        self, direct: Direct, store: Store
    ) -> None:
        async def scene() -> None:
            [identity] = await answered(direct)
            labels = [{"id": identity, "value": "a"}, {"id": identity, "value": "x"}]
            await direct.service.feedback("flowers", labels)

        refusal = problems(scene())
        assert refusal.document.status == 422
        [problem] = refusal.document.errors
        assert (problem.row, problem.field) == (2, "value")
        assert store.labels("flowers", last=None) == []

    def test_a_class_that_only_the_challenger_knows_is_taken(self, direct: Direct) -> None:
        direct.backend.signatures[CHALLENGER] = ModelSignature(
            inputs=direct.backend.signatures["flowers"].inputs,
            outputs=(feature("kind", "category", "a", "new"),),
        )

        async def scene() -> dict[str, JsonValue]:
            [identity] = await answered(direct)
            return await direct.service.feedback("flowers", [{"id": identity, "value": "new"}])

        assert asyncio.run(scene())["saved"] == 1

    def test_while_no_version_answers_labels_are_to_be_sent_again(self, direct: Direct) -> None:
        direct.backend.down = {CHAMPION, CHALLENGER}
        refusal = problems(direct.service.feedback("flowers", [{"id": ID, "value": "a"}]))
        assert (refusal.document.status, refusal.retry_after) == (503, 5)


class TestDatabase:
    def test_without_a_database_feedback_and_alerts_are_refused(self) -> None:
        direct = Direct()
        refusals = [
            problems(direct.service.feedback("flowers", [{"id": ID, "value": "a"}])),
            problems(direct.service.alerts()),
        ]
        direct.log.close()
        assert [one.document.status for one in refusals] == [503, 503]

    def test_a_database_that_does_not_answer_is_said_without_its_address(self) -> None:
        stored = Stored("postgresql://ann:secret@127.0.0.1:1/yard")
        refusal = problems(stored.ask(lambda store: store.variants()))
        stored.close()
        assert (refusal.document.status, refusal.retry_after) == (503, 5)
        assert "secret" not in refusal.document.detail
        assert "127.0.0.1" not in refusal.document.detail

    def test_a_query_runs_beside_the_event_loop(self, tmp_path: Path) -> None:
        stored = Stored(f"sqlite:///{tmp_path}/yard.db")
        name = asyncio.run(_asked(stored))
        stored.close()
        assert name != threading.main_thread().name

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("waiting", "approval"),
            ("rolled_back", "rollback"),
            ("promoted", None),
            ("canary", None),
        ],
    )
    def test_a_rollout_that_waits_or_went_back_is_an_alert(
        self, direct: Direct, store: Store, status: RolloutStatus, kind: str | None
    ) -> None:
        record = RolloutRecord(
            model="flowers", version=2, status=status, phase="p", policy={}, by="x", reason="why"
        )
        store.save_rollout(record)
        alerts = cast("Any", asyncio.run(direct.service.alerts()))["alerts"]
        assert [one["kind"] for one in alerts] == ([kind] if kind else [])
        assert all((one["version"], one["reason"]) == (2, "why") for one in alerts)

    def test_an_open_breaker_is_an_alert(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = ZeroDivisionError()

        async def scene() -> Any:
            for _ in range(RULES.least_calls):
                await direct.ask(2)
            return await direct.service.alerts("flowers")

        [alert] = asyncio.run(scene())["alerts"]
        assert (alert["kind"], alert["version"]) == ("breaker", 2)


async def _asked(stored: Stored) -> str:
    return await stored.ask(lambda _: threading.current_thread().name)


class TestChecks:
    KIND = signature(feature("kind", "category", "a", "b"))

    @pytest.mark.parametrize(
        ("label", "field"),
        [
            (7, None),
            ({"value": "a"}, "id"),
            ({"id": 7, "value": "a"}, "id"),
            ({"id": "abc", "value": "a"}, "id"),
            ({"id": ID + "\n", "value": "a"}, "id"),
            ({"id": ID}, "value"),
            ({"id": ID, "value": None}, "value"),
            ({"id": ID, "value": "c"}, "value"),
            ({"id": ID, "value": ["a"]}, "value"),
            ({"id": ID, "value": "a", "output": "other"}, "output"),
            ({"id": ID, "value": "a", "output": 3}, "output"),
            ({"id": ID, "value": "a", "extra": 3}, "extra"),
        ],
    )
    def test_what_is_wrong_is_named_by_row_and_field(
        self, label: object, field: str | None
    ) -> None:
        [problem] = refused(self.KIND, {"id": ID, "value": "a"}, label)
        assert (problem.row, problem.field) == (2, field)

    @pytest.mark.parametrize(
        ("categories", "value", "kept"),
        [
            (("1", "2"), 1, "1"),
            (("1", "2"), 1.0, "1"),
            (("1.0", "2.0"), 1, "1.0"),
            (("False", "True"), True, "True"),
            (("0", "1"), True, "1"),
            (("False", "True"), "true", "True"),
            (("no", "yes"), "YES", "yes"),
        ],
    )
    def test_a_class_is_found_however_it_is_written(
        self, categories: tuple[str, ...], value: object, kept: str
    ) -> None:
        outputs = signature(feature("kind", "binary", *categories))
        [label] = check_labels([outputs], [{"id": ID, "value": value}], None)
        assert label.value == kept

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, True, "1", [1]])
    def test_a_number_must_be_a_finite_one(self, value: object) -> None:
        [problem] = refused(signature(feature("y", "number")), {"id": ID, "value": value})
        assert problem.field == "value"

    def test_numbers_lists_and_texts_are_taken(self) -> None:
        outputs = signature(
            feature("n", "number"), feature("s", "timeseries"), feature("t", "text")
        )
        values: dict[str, JsonValue] = {"n": 3, "s": [1, 2.5], "t": "so it was"}
        sent = [{"id": ID, "output": name, "value": value} for name, value in values.items()]
        labels = check_labels([outputs], sent, None)
        assert [label.value for label in labels] == [3.0, [1.0, 2.5], "so it was"]

    def test_lists_must_hold_numbers_and_texts_must_be_text(self) -> None:
        assert refused(signature(feature("s", "vector")), {"id": ID, "value": [1, "2"]})
        assert refused(signature(feature("s", "vector")), {"id": ID, "value": []})
        assert refused(signature(feature("t", "text")), {"id": ID, "value": "a\0b"})
        assert refused(signature(feature("t", "text")), {"id": ID, "value": 1})

    def test_a_mask_cannot_be_labelled(self) -> None:
        [problem] = refused(signature(feature("mask", "image")), {"id": ID, "value": "x"})
        assert "image" in problem.message

    def test_of_several_outputs_one_must_be_named(self) -> None:
        outputs = signature(feature("x", "number"), feature("y", "number"))
        [problem] = refused(outputs, {"id": ID, "value": 1})
        assert (problem.field, problem.message) == ("output", "is missing; the model predicts x, y")

    def test_many_classes_are_not_all_listed(self) -> None:
        outputs = signature(feature("kind", "category", *map(str, range(1000))))
        [problem] = refused(outputs, {"id": ID, "value": "x"})
        assert len(problem.message) < 200

    def test_none_and_too_many_are_refused(self) -> None:
        assert refused(self.KIND)[0].field == "labels"
        with pytest.raises(Refusal) as caught:
            check_labels([self.KIND], [{"id": ID, "value": "a"}] * (MOST_LABELS + 1), None)
        assert caught.value.document.status == 413
