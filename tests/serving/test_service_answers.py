"""What the service answers and logs, whom it chooses, and what it says of itself."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import pytest

from modelyard.rollout.routes import ModelTraffic, RouteTable, route_table
from modelyard.store.records import Variant
from serving.requests.bodies import Rows
from serving.requests.options import PredictOptions
from serving.requests.rows import Row
from tests.serving.fakes import CHALLENGER, CHAMPION, Direct
from tests.serving.scenes import ROW, fault, first, metrics, refused, run


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
