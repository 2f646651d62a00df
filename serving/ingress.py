"""The endpoint as a Ray Serve deployment: routes by a table that changes without a restart.

Serve starts it, gives it the table, watches and ends it. Requests come to the HTTP server in it, and
not through Serve's proxy.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final

from ray import serve

from modelyard.rollout.routes import RouteTable
from modelyard.settings import Settings, get_settings
from serving.access.keyring import Keyring, Refusals
from serving.app import create_app
from serving.http.admission import Admission, AdmissionFigures, Capacity
from serving.http.http_server import HttpServer
from serving.http.shortcut import add_shortcut
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.log_process import ProcessSink
from serving.service import Service
from serving.traffic.origins import Origins
from serving.traffic.stored import Stored
from serving.transport.ray_backend import RayBackend

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.types import ASGIApp

HEALTH_SECONDS: Final = 2.0
STOP_SECONDS: Final = 20.0
FIND_SECONDS: Final = 5.0


class Endpoint:
    """What answers requests, whoever starts it; made and used on the server's event loop."""

    def __init__(self, settings: Settings, log: PredictionLog) -> None:
        self.backend = RayBackend()
        self.capacity = Capacity()
        self.stored = Stored(settings.database_url)
        self.keyring = Keyring(settings)
        self.service = Service(self.backend, log, self.stored, load=self._load, home=settings.home)
        self.origins = Origins()
        made = create_app(
            self.service,
            keyring=self.keyring,
            cors_origins=settings.cors_origins,
            origins=self.origins,
            settings=settings,
        )
        add_shortcut(made)
        self.service.count_also(AdmissionFigures(self.capacity))
        self.service.count_also(Refusals(self.keyring))
        self.app: ASGIApp = Admission(made, self.capacity)

    async def route_by(self, table: RouteTable, patience: float = 0.0) -> None:
        """Take a new table, finding the replicas of what it names first."""
        routes = [route for found in table.models.values() for route in found]
        apps = [route.app for route in routes]
        replaceable = [route.app for route in routes if route.role != "champion"]
        await self.backend.follow(apps, replaceable, patience)
        self.service.route_by(table)

    def _load(self) -> float:
        """Say how much of what may be under way is, 0 to 1."""
        state = self.capacity.state
        return state.under_way / state.limit

    async def close(self) -> None:
        """Let go of variants and database."""
        await self.backend.follow(())
        await self.service.close()
        self.origins.close()
        self.keyring.close()


class Ingress:
    """The deployment."""

    def __init__(self, host: str, port: int) -> None:
        # Who is let in depends on where it listens, which only who deployed it knows.
        bound = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        settings = get_settings().model_copy(update={"bind_override": bound})
        self._address = (host, port)
        self._log = PredictionLog(ProcessSink())
        self._server = HttpServer(settings)
        self._endpoint = self._server.run(self._make(settings))
        # What was loaded stays: looking through it again and again would hold requests up.
        gc.collect()
        gc.freeze()

    def reconfigure(self, table: dict[str, Any]) -> None:
        """Take a new route table; take requests once there is the first."""
        found = RouteTable.model_validate(table)
        self._server.run(self._endpoint.route_by(found, FIND_SECONDS), 2 * FIND_SECONDS)
        if not self._server.alive:
            self._server.listen(self._endpoint.app, *self._address)

    def check_health(self) -> None:
        """Tell Serve to start another if this one's HTTP server has ended."""
        if not self._server.alive:
            message = "the HTTP server of this replica has ended"
            raise RuntimeError(message)

    async def __del__(self) -> None:
        """Answer what is under way and write the last predictions before the replica ends."""
        await asyncio.to_thread(self._stop)

    async def _make(self, settings: Settings) -> Endpoint:
        return Endpoint(settings, self._log)

    def _stop(self) -> None:
        try:
            self._server.stop_listening()
        finally:
            self._log.close()
            self._server.run(self._endpoint.close())
            self._server.close()


def build(args: dict[str, Any]) -> Application:
    """Make the Serve application of the endpoint, which listens on `host` and `port`."""
    deployment = serve.deployment(
        Ingress,
        name="Ingress",
        max_ongoing_requests=256,
        health_check_period_s=HEALTH_SECONDS,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=STOP_SECONDS,
    )
    return deployment.bind(str(args["host"]), int(args["port"]))
