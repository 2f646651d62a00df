"""What happens to a request: who answers, who steps in, and what is counted of it."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import RouteTable, route_table
from modelyard.store.records import Variant
from serving.http.problems import FieldProblem, invalid
from serving.model.backend import FaultKind, VariantFault
from serving.requests.bodies import Rows
from serving.requests.options import PredictOptions
from serving.traffic.breaker import RULES
from tests.serving.fakes import CHALLENGER, CHAMPION, FLOWERS, Direct
from tests.serving.scenes import ROW, fault, first, metrics, refused, run


class TestFallback:
    @pytest.mark.parametrize("kind", ["timeout", "overloaded", "down", "failed"])
    def test_the_champion_answers_where_the_challenger_fails(
        self, direct: Direct, kind: FaultKind
    ) -> None:
        direct.backend.faults[CHALLENGER] = fault(kind)
        answer = first(run(direct.ask(2)))
        assert (answer["version"], answer["fallback_from"]) == (1, 2)
        assert [app for app, _ in direct.backend.asked] == [CHALLENGER, CHAMPION]
        direct.log.close()
        [record] = direct.sink.records
        assert (record.version, record.fallback_from) == (1, 2)
        name = f'modelyard_fallbacks_total{{model="flowers",reason="{kind}",version="2"}}'
        assert metrics(direct)[name] == 1

    def test_a_challenger_that_hangs_is_given_up_after_the_timeout(self, direct: Direct) -> None:
        direct.split(timeout_ms=20)

        async def scene() -> dict[str, Any]:
            direct.backend.held[CHALLENGER] = asyncio.Event()
            return first(await direct.ask(2))

        assert run(scene())["fallback_from"] == 2

    def test_a_challenger_that_breaks_the_code_around_it_is_answered_for(
        self, direct: Direct, caplog: pytest.LogCaptureFixture
    ) -> None:
        direct.backend.faults[CHALLENGER] = ZeroDivisionError("inside")
        assert first(run(direct.ask(2)))["version"] == 1
        assert "unforeseen" in caplog.text
        assert caplog.records[0].levelno == logging.ERROR

    def test_a_challenger_that_cannot_even_say_what_it_is_is_answered_for(
        self, direct: Direct
    ) -> None:
        direct.backend.down.add(CHALLENGER)
        assert first(run(direct.ask(2)))["fallback_from"] == 2

    def test_rows_that_both_refuse_are_nobodys_fault(self, direct: Direct) -> None:
        refusal = refused(direct.ask(2, {"length": "abc"}))
        assert refusal.document.status == HTTPStatus.UNPROCESSABLE_ENTITY
        assert refusal.document.errors[0].field == "length"
        assert direct.backend.asked == []
        assert direct.counted() == {}
        assert direct.service.health()["breakers"] == {"flowers-v2": "closed"}

    def test_rows_that_only_the_model_of_the_challenger_refuses_are_its_fault(
        self, direct: Direct
    ) -> None:
        direct.backend.faults[CHALLENGER] = invalid([FieldProblem(row=1, message="no")])
        assert first(run(direct.ask(2)))["fallback_from"] == 2
        assert direct.counted() == {(2, "errors"): (1, 1)}

    def test_a_challenger_that_asks_for_more_than_the_champion_is_answered_for(
        self, direct: Direct
    ) -> None:
        more = ModelFeature(name="age", column="age", type="number", required=True)
        direct.backend.signatures[CHALLENGER] = ModelSignature(
            inputs=(*FLOWERS.inputs, more), outputs=FLOWERS.outputs
        )
        assert first(run(direct.ask(2)))["fallback_from"] == 2
        [(_, [row])] = direct.backend.asked
        assert "age" not in row
        assert direct.counted() == {(2, "errors"): (1, 1)}

    @pytest.mark.parametrize(
        ("kind", "status", "retry_after"),
        [("timeout", 504, 10), ("overloaded", 503, 1), ("down", 503, 5), ("failed", 500, None)],
    )
    def test_where_the_champion_fails_the_caller_is_told_and_nobody_else_is_asked(
        self, direct: Direct, kind: FaultKind, status: int, retry_after: int | None
    ) -> None:
        direct.backend.faults[CHAMPION] = fault(kind)
        refusal = refused(direct.ask(1))
        assert (refusal.document.status, refusal.retry_after) == (status, retry_after)
        assert [app for app, _ in direct.backend.asked] == [CHAMPION]

    def test_where_both_fail_the_caller_is_told_of_the_champion(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")
        direct.backend.faults[CHAMPION] = fault("down")
        assert refused(direct.ask(2)).document.status == HTTPStatus.SERVICE_UNAVAILABLE

    def test_the_former_champion_is_never_used_silently(self, direct: Direct) -> None:
        direct.service.route_by(
            route_table(
                [
                    Variant(model="flowers", version=1, weight=1, role="champion"),
                    Variant(model="flowers", version=2, weight=0, role="warm"),
                ]
            )
        )
        direct.backend.faults[CHAMPION] = fault("down")
        refused(direct.ask(1))
        assert [app for app, _ in direct.backend.asked] == [CHAMPION]

    def test_without_a_champion_a_fault_is_the_callers_to_know(self, direct: Direct) -> None:
        alone = Variant(model="flowers", version=2, weight=1, role="challenger")
        direct.service.route_by(route_table([alone]))
        direct.backend.faults[CHALLENGER] = fault("failed")
        for _ in range(2 * RULES.least_calls):
            assert refused(direct.ask(2)).document.status == HTTPStatus.INTERNAL_SERVER_ERROR

    def test_a_request_in_flight_keeps_its_variant_when_the_model_is_taken_away(
        self, direct: Direct
    ) -> None:
        name, [route, _] = direct.service.model(None)
        direct.service.route_by(RouteTable())
        answer = run(direct.service.predict(name, route, Rows([ROW])))
        assert first(answer)["version"] == 1


class TestBulkhead:
    def test_a_challenger_that_hangs_holds_at_most_half_of_the_places(self, direct: Direct) -> None:
        direct.places = 20

        async def scene() -> list[int]:
            gate = direct.backend.held[CHALLENGER] = asyncio.Event()
            asking = [asyncio.create_task(direct.ask(2)) for _ in range(20)]
            for _ in range(50):
                await asyncio.sleep(0)
            early = [first(task.result())["version"] for task in asking if task.done()]
            gate.set()
            await asyncio.gather(*asking)
            return early

        assert run(scene()) == [1] * 10
        name = 'modelyard_fallbacks_total{model="flowers",reason="bulkhead",version="2"}'
        assert metrics(direct)[name] == 10
        # What was not tried is no trial, of either version.
        assert direct.counted() == {(2, "errors"): (10, 0)}

    def test_a_challenger_without_room_is_answered_for_and_stays_in_use(
        self, direct: Direct
    ) -> None:
        direct.backend.faults[CHALLENGER] = fault("overloaded")
        for _ in range(2 * RULES.least_calls):
            assert first(run(direct.ask(2)))["fallback_from"] == 2
        assert direct.service.health()["breakers"] == {"flowers-v2": "closed"}

    def test_a_fault_is_not_logged_a_thousand_times(
        self, direct: Direct, caplog: pytest.LogCaptureFixture
    ) -> None:
        direct.backend.faults[CHALLENGER] = fault("overloaded")

        async def ask() -> None:
            for _ in range(30):
                await direct.ask(2)

        run(ask())
        assert len(caplog.records) == 1
        direct.clock.now += 10
        run(ask())
        assert len(caplog.records) == 2


def test_no_request_fails_while_weights_change_a_hundred_times(direct: Direct) -> None:
    """Each change is also a new phase; no call is counted twice, and none in two phases."""
    asked = 0

    async def ask(number: int) -> None:
        nonlocal asked
        while changes:
            key = f"user-{number}"
            answer = await direct.service.answer(None, Rows([ROW]), key)
            assert first(answer)["version"] in {1, 2}
            asked += 1
            await asyncio.sleep(0)

    changes = list(range(100))

    async def scene() -> None:
        asking = [asyncio.create_task(ask(number)) for number in range(10)]
        while changes:
            step = changes.pop()
            direct.split(step / 100, shadow=0.5, phase=f"move-{step}")
            await asyncio.sleep(0)
        await asyncio.gather(*asking)
        await direct.service.shadows.finish()

    run(scene())
    direct.log.close()
    live = [record for record in direct.sink.records if record.fallback_from is None]
    errors = [(key, n) for key, n in direct.sink.tallies.items() if key[3] == "errors"]
    copies = len(direct.sink.shadows)
    assert len(live) == asked > 500
    assert sum(trials for _, (trials, _) in errors) <= asked + copies
    assert sum(hits for _, (_, hits) in errors) == 0
    assert len({phase for (_, _, phase, _), _ in errors}) > 50


BEHAVIOURS = st.sampled_from([None, "failed", "down", "overloaded", "raises", "refuses"])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2), BEHAVIOURS, st.floats(0, 4)), max_size=40))
def test_whatever_a_challenger_does_every_request_is_answered_and_counted_once(
    steps: list[tuple[int, str | None, float]],
) -> None:
    faults: dict[str, Exception] = {
        kind: VariantFault(cast("FaultKind", kind), kind)
        for kind in ("failed", "down", "overloaded")
    }
    faults["raises"] = ZeroDivisionError()
    faults["refuses"] = invalid([FieldProblem(message="no")])
    direct = Direct()

    async def scene() -> list[dict[str, Any]]:
        answers = []
        for version, behaviour, seconds in steps:
            direct.clock.now += seconds
            direct.backend.faults = {CHALLENGER: faults[behaviour]} if behaviour else {}
            answers.append(first(await direct.ask(version)))
        return answers

    answers = run(scene())
    tried = [app for app, _ in direct.backend.asked].count(CHALLENGER)
    failed = [one for one in answers if "fallback_from" in one]
    untried = sum(version == 2 for version, _, _ in steps) - tried
    counted = direct.counted()
    assert len(answers) == len(steps) == len(direct.sink.records)
    assert counted.get((1, "errors"), (0, 0)) == (sum(v == 1 for v, _, _ in steps), 0)
    assert counted.get((2, "errors"), (0, 0)) == (tried, len(failed) - untried)


class TestPinned:
    """A caller may name a version, as the Open Inference Protocol lets it."""

    PINNED = PredictOptions(pinned=True)

    def test_no_other_version_answers_for_one_that_was_named(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")
        refusal = refused(direct.ask(2, options=self.PINNED))
        assert refusal.document.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert [app for app, _ in direct.backend.asked] == [CHALLENGER]

    def test_it_is_no_evidence_and_in_no_experiment(self, direct: Direct) -> None:
        direct.split(0.5, shadow=1, experiment="green-button")
        answers = [first(run(direct.ask(v, options=self.PINNED))) for v in (1, 2)]
        assert all("experiment" not in answer for answer in answers)
        assert direct.counted() == {}
        assert {(one.phase, one.experiment) for one in direct.sink.records} == {(None, None)}
        assert direct.sink.shadows == []

    def test_an_open_breaker_does_not_stand_in_the_way(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")

        async def scene() -> int:
            for _ in range(RULES.least_calls):
                await direct.ask(2)
            direct.backend.faults.clear()
            return cast("int", first(await direct.ask(2, options=self.PINNED))["version"])

        assert run(scene()) == 2


class TestBreaker:
    def test_after_enough_failures_the_challenger_is_no_longer_tried(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")

        async def ask() -> None:
            for _ in range(RULES.least_calls + 10):
                assert first(await direct.ask(2))["fallback_from"] == 2

        run(ask())
        tried = [app for app, _ in direct.backend.asked if app == CHALLENGER]
        assert len(tried) == RULES.least_calls
        assert direct.service.health()["breakers"] == {"flowers-v2": "open"}
        assert metrics(direct)['modelyard_breaker_state{model="flowers",version="2"}'] == 2
        # What was not tried is no trial, of either version.
        assert direct.counted() == {(2, "errors"): (RULES.least_calls, RULES.least_calls)}

    def test_it_is_tried_again_after_a_rest_and_answers_once_it_is_well(
        self, direct: Direct
    ) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")

        async def scene() -> list[int]:
            for _ in range(RULES.least_calls):
                await direct.ask(2)
            direct.backend.faults.clear()
            direct.clock.now += RULES.rest
            return [first(await direct.ask(2))["version"] for _ in range(RULES.probes + 1)]

        assert run(scene()) == [2] * (RULES.probes + 1)
        assert direct.service.health()["breakers"] == {"flowers-v2": "closed"}

    def test_a_caller_who_leaves_during_a_probe_does_not_block_the_next(
        self, direct: Direct
    ) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")

        async def scene() -> int:
            for _ in range(RULES.least_calls):
                await direct.ask(2)
            direct.backend.faults.clear()
            direct.clock.now += RULES.rest
            direct.backend.held[CHALLENGER] = asyncio.Event()
            probe = asyncio.create_task(direct.ask(2))
            await direct.backend.entered.wait()
            assert direct.service.health()["breakers"] == {"flowers-v2": "half-open"}
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            direct.backend.held.clear()
            return cast("int", first(await direct.ask(2))["version"])

        assert run(scene()) == 2

    def test_the_champion_is_asked_however_often_it_failed(self, direct: Direct) -> None:
        direct.backend.faults[CHAMPION] = fault("failed")
        for _ in range(3 * RULES.least_calls):
            refused(direct.ask(1))
        direct.backend.faults.clear()
        assert first(run(direct.ask(1)))["version"] == 1

    def test_model_info_says_where_it_stands(self, direct: Direct) -> None:
        info = cast("Any", run(direct.service.info()))
        assert [one["breaker"] for one in info["models"][0]["variants"]] == ["closed", "closed"]


class TestTallies:
    def test_both_arms_are_counted_alike(self, direct: Direct) -> None:
        direct.split(slow_ms=2)
        direct.backend.took[CHALLENGER] = 2.5

        async def ask() -> None:
            for version in (1, 1, 1, 2, 2):
                await direct.ask(version)

        run(ask())
        assert direct.counted() == {
            (1, "errors"): (3, 0),
            (1, "slow"): (3, 0),
            (2, "errors"): (2, 0),
            (2, "slow"): (2, 2),
        }

    def test_failures_of_the_champions_own_requests_count_for_it(self, direct: Direct) -> None:
        direct.backend.faults[CHAMPION] = fault("failed")
        refused(direct.ask(1))
        assert direct.counted() == {(1, "errors"): (1, 1)}

    def test_a_rescue_counts_for_the_challenger_and_not_for_the_champion(
        self, direct: Direct
    ) -> None:
        direct.split(slow_ms=1)
        direct.backend.faults[CHALLENGER] = fault("timeout")
        run(direct.ask(2))
        assert direct.counted() == {(2, "errors"): (1, 1)}

    def test_a_champion_that_takes_longer_than_the_limit_failed_as_a_challenger_would(
        self, direct: Direct
    ) -> None:
        direct.split(timeout_ms=100)

        async def scene() -> None:
            gate = direct.backend.held[CHAMPION] = asyncio.Event()
            asking = asyncio.create_task(direct.ask(1))
            await direct.backend.entered.wait()
            direct.clock.now += 0.2
            gate.set()
            assert first(await asking)["version"] == 1

        run(scene())
        assert direct.counted() == {(1, "errors"): (1, 1)}

    def test_a_request_of_many_rows_is_one_trial(self, direct: Direct) -> None:
        run(direct.ask(2, *([ROW] * 40)))
        assert direct.counted() == {(2, "errors"): (1, 0)}

    def test_without_a_phase_nothing_is_counted(self, direct: Direct) -> None:
        direct.split(phase="")
        run(direct.ask(2))
        direct.log.close()
        assert direct.sink.tallies == {}

    def test_a_request_that_was_picked_before_a_move_belongs_to_no_phase(
        self, direct: Direct
    ) -> None:
        name, [_, route] = direct.service.model(None)
        direct.split(0.9)
        run(direct.service.predict(name, route, Rows([ROW])))
        assert direct.counted() == {}
