"""One model version as a Ray Serve deployment: batches what comes in, predicts beside its event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ray import serve

from modelyard.settings import get_settings
from serving.backend import Predicted
from serving.batcher import Batcher
from serving.predictor import Failure, load
from serving.rows import Row

if TYPE_CHECKING:
    from ray.serve import Application

MOST_ROWS_A_BATCH: Final = 1000
HEALTH_SECONDS: Final = 2.0


class Variant:
    """The deployment."""

    def __init__(self, model: str, version: int) -> None:
        self._predictor = load(get_settings(), model, version)
        self._batcher: Batcher[Sequence[Row], Predicted | Failure] = Batcher(
            self._predictor.answer, size=len, most=MOST_ROWS_A_BATCH
        )

    def describe(self) -> dict[str, Any]:
        """Say what this is."""
        return self._predictor.description.model_dump()

    async def predict(self, rows: Sequence[Row]) -> Predicted | Failure:
        """Answer one request, in a batch with others that wait."""
        return await self._batcher.ask(rows)


def build(args: dict[str, Any]) -> Application:
    """Make the Serve application of one variant."""
    deployment = serve.deployment(
        Variant,
        name="Variant",
        max_ongoing_requests=64,
        max_queued_requests=512,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=15,
    )
    return deployment.bind(str(args["model"]), int(args["version"]))
