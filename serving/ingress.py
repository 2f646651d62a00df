"""The endpoint as a Ray Serve deployment: routes by a table that changes without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException

from modelyard.rollout.routes import RouteTable
from modelyard.settings import get_settings
from serving.app import create_app
from serving.backend import Description, Predicted
from serving.log import PredictionLog
from serving.problems import Refusal
from serving.rows import Row
from serving.service import Service
from serving.sink import StoreSink

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application
    from ray.serve.handle import DeploymentHandle

ANSWER_SECONDS: Final = 30.0
HEALTH_SECONDS: Final = 2.0


class RayBackend:
    """Reaches variants through Serve's handles."""

    def __init__(self) -> None:
        self._handles: dict[str, DeploymentHandle[Any]] = {}

    async def describe(self, app: str) -> Description:
        """Ask a variant what it is."""
        return Description.model_validate(await self._call(app, "describe"))

    async def predict(self, app: str, rows: Sequence[Row]) -> Predicted:
        """Let a variant predict checked rows."""
        answer = await self._call(app, "predict", rows)
        if isinstance(answer, Predicted):
            return answer
        if answer.by_its_rows:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, answer.reason)
        detail = f"{app} failed at these rows ({answer.reason}); its log says why"
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, detail)

    async def _call(self, app: str, method: str, *arguments: object) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await getattr(self._handle(app), method).remote(*arguments)
        except TimeoutError as error:
            detail = f"{app} did not answer in {ANSWER_SECONDS:.0f} s; it may be starting"
            raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, detail, retry_after=10) from error
        except BackPressureError as error:
            detail = f"{app} has more requests than it can answer; try again"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=1) from error
        except (RayError, RayServeException) as error:
            self._handles.pop(app, None)
            detail = f"{app} does not answer; it may be restarting"
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=5) from error

    def _handle(self, app: str) -> DeploymentHandle[Any]:
        if app not in self._handles:
            self._handles[app] = serve.get_app_handle(app)
        return self._handles[app]


@serve.ingress()
class Ingress:
    """The deployment."""

    def __init__(self) -> None:
        self._log = PredictionLog(StoreSink(get_settings()))
        self._service = Service(RayBackend(), self._log)

    def reconfigure(self, table: dict[str, Any]) -> None:
        """Take a new route table."""
        self._service.route_by(RouteTable.model_validate(table))

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Make the HTTP application in the replica, where its service is."""
        return create_app(self._service)

    async def __del__(self) -> None:
        """Write the last predictions before the replica ends."""
        await asyncio.to_thread(self._log.close)


def build(_args: dict[str, Any]) -> Application:
    """Make the Serve application of the endpoint."""
    deployment = serve.deployment(
        Ingress,
        name="Ingress",
        max_ongoing_requests=256,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_timeout_s=15,
    )
    return deployment.bind()
