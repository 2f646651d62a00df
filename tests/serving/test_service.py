"""What happens to a request: who answers, who steps in, and what is counted and logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from http import HTTPStatus
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.features import ModelFeature, ModelSignature
from modelyard.rollout.routes import ModelTraffic, RouteTable, route_table
from modelyard.store.records import Variant
from serving.http.problems import FieldProblem, Refusal, invalid
from serving.model.backend import FaultKind, VariantFault
from serving.requests.bodies import Rows
from serving.requests.options import PredictOptions
from serving.requests.rows import Row
from serving.traffic.breaker import RULES
from tests.serving.fakes import CHALLENGER, CHAMPION, FLOWERS, Direct

ROW = {"length": 1.5}


@pytest.fixture
def direct() -> Iterator[Direct]:
    made = Direct()
    yield made
    made.sink.gate.set()
    made.log.close()


def run[T](awaitable: Awaitable[T]) -> T:
    async def wait() -> T:
        async with asyncio.timeout(20):
            return await awaitable

    return asyncio.run(wait())


def first(answer: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", answer["predictions"][0])


def fault(kind: FaultKind) -> VariantFault:
    return VariantFault(kind, f"v2 has a {kind}")


def refused(ask: Awaitable[object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        run(ask)
    return caught.value


def metrics(direct: Direct) -> dict[str, float]:
    """Read the Prometheus text: name with labels to value."""
    text, _ = direct.service.figures().text()
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


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


class TestAnswersAndLog:
    def test_an_experiment_is_in_the_answer_and_in_the_log(self, direct: Direct) -> None:
        direct.split(experiment="green-button")
        answers = [first(run(direct.ask(version))) for version in (1, 2)]
        assert [one["experiment"] for one in answers] == ["green-button"] * 2
        direct.log.close()
        assert {record.experiment for record in direct.sink.records} == {"green-button"}

    def test_without_experiment_and_fallback_an_answer_does_not_speak_of_them(
        self, direct: Direct
    ) -> None:
        answer = first(run(direct.ask(2)))
        assert answer.keys() == {"id", "version", "kind"}

    def test_phase_client_and_request_are_logged(self, direct: Direct) -> None:
        run(direct.ask(2, options=PredictOptions(client="shop", request="r-1")))
        direct.log.close()
        [record] = direct.sink.records
        assert (record.phase, record.client, record.request) == ("move-1", "shop", "r-1")

    def test_probabilities_are_left_out_on_request_and_logged_all_the_same(
        self, direct: Direct
    ) -> None:
        answer = first(run(direct.ask(1, options=PredictOptions(probabilities=False))))
        assert answer["kind"] == {"prediction": "a", "probability": 0.75}
        direct.log.close()
        assert direct.sink.records[0].probability == {"kind": 0.75}

    def test_ids_are_of_version_7_and_all_different(self, direct: Direct) -> None:
        answer = cast("Any", run(direct.ask(1, *([ROW] * 40))))
        ids = [one["id"] for one in answer["predictions"]]
        assert len(set(ids)) == 40
        assert {one[12] for one in ids} == {"7"}
        assert {one[16] for one in ids} <= set("89ab")
        assert all(len(one) == 32 and int(one, 16) for one in ids)


class TestChoosing:
    def test_a_header_wins_over_the_field_that_the_spec_names(self, direct: Direct) -> None:
        direct.split(sticky_field="colour")
        body = Rows([{"colour": "red"}, {"colour": "blue"}])
        assert direct.service.sticky_key("flowers", "ann", body) == "ann"
        assert direct.service.sticky_key("flowers", None, body) == "red"
        direct.split()
        assert direct.service.sticky_key("flowers", None, body) is None

    def test_the_same_field_is_answered_by_the_same_version(self, direct: Direct) -> None:
        direct.split(0.5, sticky_field="length")

        async def ask() -> dict[float, set[int]]:
            seen: dict[float, set[int]] = {}
            for number in range(60):
                row = {"length": float(number % 20)}
                answer = first(await direct.service.answer("flowers", Rows([row]), None))
                seen.setdefault(row["length"], set()).add(answer["version"])
            return seen

        versions = run(ask()).values()
        assert all(len(found) == 1 for found in versions)
        assert {version for found in versions for version in found} == {1, 2}

    def test_rows_of_several_keys_are_answered_each_by_its_own_version(
        self, direct: Direct
    ) -> None:
        direct.split(0.5, sticky_field="length")
        rows: list[Row] = [{"length": float(number)} for number in range(12)]

        async def ask() -> tuple[list[Any], list[Any]]:
            alone = [first(await direct.service.answer(None, Rows([row]), None)) for row in rows]
            answer = cast("Any", await direct.service.answer(None, Rows([*rows]), None))
            return alone, answer["predictions"]

        alone, together = run(ask())
        assert [one["version"] for one in together] == [one["version"] for one in alone]
        assert {one["version"] for one in together} == {1, 2}
        direct.log.close()
        by_id = {record.id: record for record in direct.sink.records}
        logged = [by_id[one["id"]] for one in together]
        assert [record.inputs["length"] for record in logged] == [
            str(row["length"]) for row in rows
        ]
        assert len({record.request for record in logged}) == 1

    def test_a_header_keeps_all_rows_together(self, direct: Direct) -> None:
        direct.split(0.5, sticky_field="length")
        body = Rows([{"length": float(number)} for number in range(12)])
        answer = cast("Any", run(direct.service.answer(None, body, "ann")))
        assert len({one["version"] for one in answer["predictions"]}) == 1

    def test_a_divided_request_with_a_wrong_row_is_refused_whole_and_by_its_own_count(
        self, direct: Direct
    ) -> None:
        direct.split(0.5, sticky_field="length")
        body = Rows([*({"length": float(number)} for number in range(12)), {"length": "x"}])
        refusal = refused(direct.service.answer(None, body, None))
        assert refusal.document.errors[0].row == 13
        assert direct.backend.asked == []

    def test_a_divided_request_is_answered_whole_though_the_challenger_fails(
        self, direct: Direct
    ) -> None:
        direct.split(0.5, sticky_field="length")
        direct.backend.faults[CHALLENGER] = fault("failed")
        body = Rows([{"length": float(number)} for number in range(12)])
        answer = cast("Any", run(direct.service.answer(None, body, None)))
        assert {one["version"] for one in answer["predictions"]} == {1}
        assert {one.get("fallback_from") for one in answer["predictions"]} == {None, 2}

    def test_a_divided_request_fails_whole_if_a_part_has_no_answer(self, direct: Direct) -> None:
        direct.split(0.5, sticky_field="length")
        direct.backend.faults[CHAMPION] = fault("down")
        body = Rows([{"length": float(number)} for number in range(12)])
        refusal = refused(direct.service.answer(None, body, None))
        assert refusal.document.status == HTTPStatus.SERVICE_UNAVAILABLE

    def test_a_choice_among_routes_that_were_replaced_meanwhile_still_holds(
        self, direct: Direct
    ) -> None:
        name, routes = direct.service.model("flowers")
        direct.split(0)
        assert direct.service.choose(name, routes, "x") in routes

    def test_several_models_are_split_each_by_its_own(self, direct: Direct) -> None:
        direct.service.route_by(
            route_table(
                [
                    Variant(model="flowers", version=1, weight=1, role="champion"),
                    Variant(model="digits", version=5, weight=2, role="champion"),
                    Variant(model="digits", version=6, weight=2, role="challenger"),
                ],
                {"digits": ModelTraffic(phase="p")},
            )
        )
        name, routes = direct.service.model("digits")
        picked = {direct.service.choose(name, routes, f"k{n}").version for n in range(30)}
        assert (name, picked) == ("digits", {5, 6})


class TestReady:
    def test_it_is_ready_once_every_champion_answers(self, direct: Direct) -> None:
        assert run(direct.service.ready())["ready"] is True
        direct.backend.down.add(CHAMPION)
        state = cast("Any", run(direct.service.ready()))
        assert state["ready"] is False
        assert "flowers: modelyard-flowers-v1 does not answer" in state["reasons"][0]
        direct.backend.down = {CHALLENGER}
        assert run(direct.service.ready("flowers"))["ready"] is True

    def test_it_is_not_ready_without_a_model_or_without_a_champion(self, direct: Direct) -> None:
        table = route_table([Variant(model="flowers", version=1, weight=0, role="challenger")])
        direct.service.route_by(table)
        state = run(direct.service.ready())
        assert (state["ready"], state["revision"]) == (False, table.revision)
        direct.service.route_by(RouteTable())
        assert run(direct.service.ready())["ready"] is False

    def test_it_says_the_revision_that_it_routes_by(self, direct: Direct) -> None:
        before = run(direct.service.ready())["revision"]
        direct.split(0.9)
        assert run(direct.service.ready())["revision"] != before


class TestFigures:
    def test_requests_are_counted_by_version_and_outcome(self, direct: Direct) -> None:
        run(direct.ask(1))
        direct.backend.faults[CHALLENGER] = fault("failed")
        run(direct.ask(2))
        refused(direct.ask(1, {"length": "abc"}))
        direct.backend.faults[CHAMPION] = fault("down")
        refused(direct.ask(1))
        found = metrics(direct)
        counted = {
            outcome: found[
                f'modelyard_requests_total{{model="flowers",outcome="{outcome}",version="1"}}'
            ]
            for outcome in ("answered", "fallback", "refused", "failed")
        }
        assert counted == {"answered": 1, "fallback": 1, "refused": 1, "failed": 1}
        assert found['modelyard_request_seconds_count{model="flowers",version="1"}'] == 2
        assert found["modelyard_in_flight"] == 0

    def test_the_document_has_the_last_minute_by_model_and_version(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = fault("failed")

        async def ask() -> None:
            for version in (1, 1, 1, 2):
                await direct.ask(version)
                direct.clock.now += 1

        run(ask())
        document = cast("Any", direct.service.figures().document())
        [model] = document["models"]
        one, two = model["variants"]
        assert (model["requests"], model["error_rate"]) == (4, 0)
        assert (one["requests"], one["error_rate"], one["fallbacks"]) == (3, 0, 0)
        assert (two["requests"], two["error_rate"], two["fallbacks"]) == (1, 1, 1)
        assert model["per_second"] == pytest.approx(1)
        direct.clock.now += 61
        [later] = cast("Any", direct.service.figures().document())["models"]
        assert (later["requests"], later["p50_ms"]) == (0, None)

    def test_a_request_is_in_flight_until_it_is_answered(self, direct: Direct) -> None:
        async def scene() -> tuple[float, float]:
            gate = direct.backend.held[CHAMPION] = asyncio.Event()
            asking = asyncio.create_task(direct.ask(1))
            await direct.backend.entered.wait()
            during = metrics(direct)["modelyard_in_flight"]
            gate.set()
            await asking
            return during, metrics(direct)["modelyard_in_flight"]

        assert run(scene()) == (1, 0)

    def test_the_prediction_log_is_in_the_figures(self, direct: Direct) -> None:
        run(direct.ask(1))
        direct.log.close()
        assert metrics(direct)["modelyard_prediction_log_written_total"] == 1


def test_two_endpoints_in_one_process_count_for_themselves(
    direct: Direct, request: pytest.FixtureRequest
) -> None:
    other = Direct()
    request.addfinalizer(other.log.close)
    run(other.ask(1))
    name = 'modelyard_requests_total{model="flowers",outcome="answered",version="1"}'
    assert metrics(other)[name] == 1
    assert name not in metrics(direct)
