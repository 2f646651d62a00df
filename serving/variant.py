"""One model version as a Ray Serve deployment: batches what comes in, by links and handles."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import ray
from ray import serve

from modelyard.settings import get_settings
from serving.model.backend import Predicted
from serving.model.predictor import Failure, load
from serving.requests.rows import Row
from serving.transport.batcher import Batcher
from serving.transport.link import LinkAddress
from serving.transport.link_server import LinkServer

if TYPE_CHECKING:
    from ray.serve import Application

MOST_ROWS_A_BATCH: Final = 1000
HEALTH_SECONDS: Final = 2.0
STOP_SECONDS: Final = 15.0
# The endpoint may still route here for a moment after Serve decided that this ends.
LEAVE_SECONDS: Final = 0.3


class Variant:
    """The deployment."""

    def __init__(self, model: str, version: int) -> None:
        self._predictor = load(get_settings(), model, version)
        self._one_at_a_time = threading.Lock()
        self._batcher: Batcher[Sequence[Row], Predicted | Failure] = Batcher(
            self._answer, size=len, most=MOST_ROWS_A_BATCH
        )
        self._links = LinkServer(self._answer, MOST_ROWS_A_BATCH)
        # What was loaded stays: looking through it again and again would hold answers up.
        gc.collect()
        gc.freeze()

    def describe(self) -> dict[str, Any]:
        """Say what this is."""
        return self._predictor.description.model_dump()

    def link(self) -> dict[str, str]:
        """Say where an endpoint on the same machine finds this replica."""
        node = ray.get_runtime_context().get_node_id()
        return LinkAddress(node=node, path=self._links.path).model_dump()

    async def predict(self, rows: Sequence[Row]) -> Predicted | Failure:
        """Answer one request of an endpoint elsewhere, in a batch with others that wait."""
        return await self._batcher.ask(rows)

    def check_health(self) -> None:
        """Tell Serve to start another replica if this one's links have ended."""
        if not self._links.alive:
            message = "the links of this replica have ended"
            raise RuntimeError(message)

    async def __del__(self) -> None:
        """Answer what endpoints still send before the replica ends."""
        await asyncio.sleep(LEAVE_SECONDS)
        await asyncio.to_thread(self._links.close, STOP_SECONDS - 1)

    def _answer(self, requests: Sequence[Sequence[Row]]) -> Sequence[Predicted | Failure]:
        with self._one_at_a_time:
            return self._predictor.answer(requests)


def build(args: dict[str, Any]) -> Application:
    """Make the Serve application of one variant."""
    deployment = serve.deployment(
        Variant,
        name="Variant",
        max_ongoing_requests=64,
        max_queued_requests=512,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=STOP_SECONDS,
    )
    return deployment.bind(str(args["model"]), int(args["version"]))
