"""Copies of requests: unseen, after the answer, dropped first, counted always."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import JsonValue

from serving.http.problems import FieldProblem, invalid
from serving.model.backend import VariantFault
from serving.model.masks import differing, pixels_of, run_lengths
from serving.requests.rows import Row
from serving.traffic import shadow
from serving.traffic.agreement import agrees
from serving.traffic.breaker import RULES
from tests.serving.fakes import CHALLENGER, CHAMPION, Direct


@pytest.fixture
def direct() -> Iterator[Direct]:
    made = Direct()
    made.split(0, shadow=1)
    yield made
    made.log.close()


def asked(direct: Direct, *rows: Row, version: int = 1, times: int = 1) -> list[dict[str, Any]]:
    """Ask some times, one after the other, and let all copies end."""

    async def scene() -> list[dict[str, Any]]:
        answers = []
        for _ in range(times):
            answers.append(cast("Any", await direct.ask(version, *rows))["predictions"][0])
            await direct.service.shadows.finish()
        return answers

    return asyncio.run(scene())


def ends(direct: Direct) -> dict[str, int]:
    return cast("dict[str, int]", direct.service.health()["shadows"])


def output(value: JsonValue, **more: JsonValue) -> dict[str, dict[str, JsonValue]]:
    return {"y": {"prediction": value, **more}}


def mask(pixels: np.ndarray[Any, Any]) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


class TestCopies:
    def test_a_copy_is_answered_unseen_and_kept_beside_the_answer(self, direct: Direct) -> None:
        direct.backend.said[CHALLENGER] = "b"
        direct.backend.took[CHALLENGER] = 7
        [answer] = asked(direct)
        assert (answer["version"], answer["kind"]["prediction"]) == (1, "a")
        assert direct.counted() == {
            (1, "errors"): (1, 0),
            (2, "errors"): (1, 0),
            (2, "disagreements"): (1, 1),
        }
        [record] = direct.sink.records
        [copy] = direct.sink.shadows
        assert (copy.prediction, copy.version, copy.phase) == (record.id, 2, "move-1")
        assert (copy.outputs, copy.probability) == ({"kind": "b"}, {"kind": 0.75})
        assert (copy.agrees, copy.error, copy.latency_ms) == (False, None, 7)
        assert record.version == 1

    def test_slow_copies_are_counted_as_slow_answers_are(self, direct: Direct) -> None:
        direct.split(0, shadow=1, slow_ms=5)
        direct.backend.took[CHALLENGER] = 7
        asked(direct)
        counted = direct.counted()
        assert (counted[1, "slow"], counted[2, "slow"]) == ((1, 0), (1, 1))

    def test_the_answer_does_not_wait_for_the_copy(self, direct: Direct) -> None:
        async def scene() -> tuple[int, int]:
            gate = direct.backend.held[CHALLENGER] = asyncio.Event()
            await direct.ask(1)
            under_way = ends(direct)["in_flight"]
            gate.set()
            await direct.service.shadows.finish()
            return under_way, ends(direct)["in_flight"]

        assert asyncio.run(scene()) == (1, 0)

    def test_only_the_share_that_is_asked_for_is_copied(
        self, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        direct.split(0, shadow=0.25)
        chances = iter([0.24, 0.9, 0.26, 0.25, 0.1, 0.5])
        monkeypatch.setattr(direct.service.shadows, "_chance", lambda: next(chances))
        asked(direct, times=4)
        # The first and the last number of a copy pick the row that stands for the request.
        assert [app for app, _ in direct.backend.asked].count(CHALLENGER) == 2

    def test_many_rows_are_kept_each_and_one_of_them_is_the_trial(self, direct: Direct) -> None:
        asked(direct, *({"length": float(number)} for number in range(9)))
        assert direct.counted()[2, "disagreements"] == (1, 0)
        assert len(direct.sink.shadows) == 9
        assert {copy.prediction for copy in direct.sink.shadows} == {
            record.id for record in direct.sink.records
        }

    def test_a_copy_that_fails_is_an_error_of_the_version_and_nobody_sees_it(
        self, direct: Direct
    ) -> None:
        direct.backend.faults[CHALLENGER] = VariantFault("failed", "it raised")
        [answer] = asked(direct)
        assert "fallback_from" not in answer
        assert ends(direct)["failed"] == 1
        assert direct.counted() == {(1, "errors"): (1, 0), (2, "errors"): (1, 1)}
        [copy] = direct.sink.shadows
        assert (copy.agrees, copy.error, copy.outputs) == (None, "failed: it raised", {})

    def test_a_copy_that_hangs_is_given_up(
        self, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shadow, "COPY_SECONDS", 0.01)

        async def scene() -> None:
            direct.backend.held[CHALLENGER] = asyncio.Event()
            await direct.ask(1)
            await direct.service.shadows.finish()

        asyncio.run(scene())
        direct.log.close()
        assert direct.sink.shadows[0].error == "timeout: modelyard-flowers-v2 does not answer"

    def test_rows_that_only_the_copy_is_refused_for_are_its_fault(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = invalid([FieldProblem(row=1, message="no")])
        asked(direct)
        assert direct.counted()[2, "errors"] == (1, 1)

    def test_an_unforeseen_fault_of_a_copy_is_counted_and_logged(
        self, direct: Direct, caplog: pytest.LogCaptureFixture
    ) -> None:
        direct.backend.faults[CHALLENGER] = ZeroDivisionError()
        asked(direct)
        assert ends(direct)["failed"] == 1
        assert "unforeseen" in caplog.text

    def test_requests_of_others_and_rescued_ones_are_not_copied(self, direct: Direct) -> None:
        direct.split(0.5, shadow=1)
        asked(direct, version=2)
        direct.backend.faults[CHALLENGER] = VariantFault("failed", "it raised")
        asked(direct, version=2)
        assert [app for app, _ in direct.backend.asked] == [CHALLENGER, CHALLENGER, CHAMPION]
        assert ends(direct) == {"in_flight": 0, "sent": 0, "dropped": 0, "failed": 0}


class TestLoad:
    def test_copies_beyond_the_bound_are_dropped_and_counted(self, direct: Direct) -> None:
        async def scene() -> None:
            gate = direct.backend.held[CHALLENGER] = asyncio.Event()
            for _ in range(shadow.MOST_COPIES + 5):
                await direct.ask(1)
            assert ends(direct)["in_flight"] == shadow.MOST_COPIES
            gate.set()
            await direct.service.shadows.finish()

        asyncio.run(scene())
        found = ends(direct)
        assert (found["sent"], found["dropped"]) == (shadow.MOST_COPIES, 5)
        text = direct.service.figures().text()[0].decode()
        name = 'modelyard_shadows_total{model="flowers",outcome="dropped",version="2"} 5.0'
        assert name in text

    def test_many_rows_at_once_are_bounded_too(
        self, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shadow, "MOST_ROWS", 10)

        async def scene() -> None:
            gate = direct.backend.held[CHALLENGER] = asyncio.Event()
            for _ in range(3):
                await direct.ask(1, *([{"length": 1.0}] * 6))
            gate.set()
            await direct.service.shadows.finish()
            await direct.ask(1, *([{"length": 1.0}] * 30))
            await direct.service.shadows.finish()

        asyncio.run(scene())
        assert (ends(direct)["sent"], ends(direct)["dropped"]) == (2, 2)

    def test_while_many_live_requests_wait_nothing_is_copied(
        self, direct: Direct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loads = iter([0.4, shadow.BUSY_LOAD, 0.51, 1.0, 0.1])
        monkeypatch.setattr(direct.service.shadows, "_load", lambda: next(loads))
        asked(direct, times=5)
        assert ends(direct) == {"in_flight": 0, "sent": 3, "dropped": 2, "failed": 0}

    def test_a_challenger_without_room_gets_no_copies_for_a_while_and_is_not_blamed(
        self, direct: Direct
    ) -> None:
        direct.backend.faults[CHALLENGER] = VariantFault("overloaded", "full")
        asked(direct, times=3)
        assert ends(direct)["dropped"] == 3
        assert [app for app, _ in direct.backend.asked].count(CHALLENGER) == 1
        direct.backend.faults.clear()
        direct.clock.now += shadow.PAUSE_SECONDS
        asked(direct)
        assert ends(direct)["sent"] == 1
        assert direct.counted()[2, "errors"] == (1, 0)

    def test_copies_to_a_broken_challenger_stop_with_its_breaker(self, direct: Direct) -> None:
        direct.backend.faults[CHALLENGER] = VariantFault("failed", "it raised")
        asked(direct, times=RULES.least_calls + 3)
        found = ends(direct)
        assert (found["failed"], found["dropped"]) == (RULES.least_calls, 3)
        assert direct.counted()[2, "errors"] == (RULES.least_calls, RULES.least_calls)


class TestAgreement:
    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("a", "a", True),
            ("a", "b", False),
            (True, True, True),
            (True, False, False),
            (3, 4, False),
            (100.0, 104.9, True),
            (100.0, 106.0, False),
            (-1.0, 1.0, False),
            (0.0, 0.0, True),
            (None, 1.0, False),
            (None, None, True),
            ([1.0, 2.0], [1.01, 2.0], True),
            ([1.0, 2.0], [2.0, 1.0], False),
            ([1.0], [1.0, 2.0], False),
            (["a", "b"], ["a", "b"], True),
            (["a", "b"], ["a", "c"], False),
            ([None, 1.0], [0.0, 1.0], False),
            ("1", 1, False),
        ],
    )
    def test_answers_agree_by_their_kind(
        self, one: JsonValue, other: JsonValue, same: bool
    ) -> None:
        assert agrees(output(one), output(other)) is same

    def test_all_outputs_must_agree(self) -> None:
        one = {"x": {"prediction": "a"}, "y": {"prediction": 1.0}}
        other = {"x": {"prediction": "a"}, "y": {"prediction": 2.0}}
        assert not agrees(one, other)
        assert not agrees(one, {"x": {"prediction": "a"}})

    @settings(deadline=None)
    @given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-0.2, 0.2))
    def test_numbers_agree_in_both_directions(self, number: float, change: float) -> None:
        one, other = output(number), output(number * (1 + change))
        assert agrees(one, other) == agrees(other, one)
        assert agrees(one, one)

    @pytest.mark.parametrize(("changed", "same"), [(0, True), (1, True), (2, False)])
    def test_masks_agree_up_to_one_pixel_in_a_hundred(self, changed: int, same: bool) -> None:
        pixels = np.zeros((10, 10))
        other = pixels.copy()
        other.flat[:changed] = 255
        one, two = (output(mask(some), share=0.0) for some in (pixels, other))
        assert agrees(one, two) is same

    def test_masks_of_different_size_differ(self) -> None:
        assert differing(mask(np.zeros((2, 2))), mask(np.zeros((2, 3)))) == 1

    @settings(max_examples=30, deadline=None)
    @given(
        st.integers(1, 12).flatmap(
            lambda width: st.lists(
                st.lists(st.sampled_from([0, 1, 255]), min_size=width, max_size=width),
                min_size=1,
                max_size=8,
            )
        )
    )
    def test_run_lengths_give_the_mask_back(self, rows: list[list[int]]) -> None:
        pixels = np.array(rows)
        runs = cast("Any", run_lengths(mask(pixels)))
        back = np.repeat(runs["values"], runs["lengths"]).reshape(runs["height"], runs["width"])
        assert np.array_equal(back, pixels)
        assert np.array_equal(pixels_of(mask(pixels)), pixels)
        assert all(one != two for one, two in zip(runs["values"], runs["values"][1:], strict=False))
