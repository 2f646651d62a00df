"""What the tests of the service share: to ask it, and to read what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import pytest

from serving.http.problems import Refusal
from serving.model.backend import FaultKind, VariantFault
from tests.serving.fakes import Direct

ROW = {"length": 1.5}


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
