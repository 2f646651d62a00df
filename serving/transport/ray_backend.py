"""Reach variants on Ray Serve: by links on this machine, through Serve's handles elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException

from serving.http.problems import refused_by_model
from serving.model.backend import Description, FaultKind, Predicted, VariantFault
from serving.model.predictor import Failure
from serving.requests.rows import Row
from serving.transport.link import LinkAddress
from serving.transport.link_client import Link, LinkLostError, Links

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

ASK_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 5.0
LOOK_AGAIN_SECONDS: Final = 0.25
MOST_UNDER_WAY: Final = 512
log = logging.getLogger("ray.serve")


class _Variant:
    """One application: its handle, its links, and the task that follows its replicas."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._handle: DeploymentHandle[Any] | None = None
        self.links = Links()
        self.replicas = 1
        self.looked = asyncio.Event()
        self._look = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    @property
    def handle(self) -> DeploymentHandle[Any]:
        """Serve's handle; RayServeException if there is no such application."""
        if self._handle is None:
            self._handle = serve.get_app_handle(self._app)
        return self._handle

    def look(self) -> None:
        """Ask at once which replicas there are."""
        self._look.set()

    def leave(self) -> None:
        """Follow no more."""
        self._task.cancel()
        self.links.close()

    async def _follow(self) -> None:
        while True:
            try:
                addresses = await self._addresses()
                self.replicas = len(addresses)
                await self.links.follow(item.path for item in addresses if item.node == _node())
            except (RayError, RayServeException, TimeoutError, RuntimeError, OSError) as error:
                # It starts, ends or restarts: its links say themselves if they are lost.
                log.debug("%s: its replicas are not known now: %s", self._app, error)
            self.looked.set()
            wait = LOOK_SECONDS if self.links.best() is not None else LOOK_AGAIN_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()

    async def _addresses(self) -> list[LinkAddress]:
        # The handle asks Serve's controller the first time, and waits for it.
        handle = await asyncio.to_thread(lambda: self.handle)
        found = await handle.broadcast("link").results_async(
            timeout_s=LOOK_SECONDS, return_exceptions=True
        )
        return [LinkAddress.model_validate(item) for item in found if isinstance(item, dict)]


class RayBackend:
    """Knows the variants that are routed to; for one event loop."""

    def __init__(self) -> None:
        self._variants: dict[str, _Variant] = {}
        self._replaceable: frozenset[str] = frozenset()

    async def follow(
        self, apps: Iterable[str], replaceable: Iterable[str] = (), patience: float = 0.0
    ) -> None:
        """Follow the replicas of these applications and of no others.

        Args:
            apps: The applications that the route table names.
            replaceable: Those of them for which another can answer: while they have no replica
                they are down at once, where others are waited for.
            patience: Seconds to wait until new ones are found.
        """
        self._replaceable = frozenset(replaceable)
        wanted = set(apps)
        for app in set(self._variants) - wanted:
            self._variants.pop(app).leave()
        found = [self._variant(app) for app in wanted]
        if patience and found:
            waits = [asyncio.create_task(variant.looked.wait()) for variant in found]
            await asyncio.wait(waits, timeout=patience)
            for wait in waits:
                wait.cancel()

    async def describe(self, app: str) -> Description:
        """Ask a variant what it is."""
        return Description.model_validate(await self._called(app, ASK_SECONDS, "describe"))

    async def predict(self, app: str, rows: Sequence[Row], timeout_s: float) -> Predicted:
        """Let a variant predict checked rows; another replica is asked if one dies under them."""
        until = time.monotonic() + timeout_s
        links = self._variant(app).links
        link = links.best()
        answer = None if link is None else await self._ask(app, link, rows, timeout_s)
        if answer is None and (other := links.best(without=link)) is not None:
            answer = await self._ask(app, other, rows, until - time.monotonic())
        if answer is None:
            if app in self._replaceable and not self._variant(app).replicas:
                raise _fault(app, "down", "has no process that runs")
            answer = await self._called(app, until - time.monotonic(), "predict", rows)
        return _predicted(app, answer)

    async def _ask(
        self, app: str, link: Link, rows: Sequence[Row], timeout_s: float
    ) -> Predicted | Failure | None:
        """Ask a replica by its link; None if it has ended."""
        if link.load >= MOST_UNDER_WAY:
            raise _fault(app, "overloaded", "has more requests than it can answer")
        try:
            return await link.ask(rows, timeout_s)
        except TimeoutError as error:
            raise _late(app, timeout_s) from error
        except LinkLostError:
            self._variant(app).look()
            return None

    def _variant(self, app: str) -> _Variant:
        if app not in self._variants:
            self._variants[app] = _Variant(app)
        return self._variants[app]

    async def _called(self, app: str, timeout_s: float, method: str, *arguments: object) -> Any:
        """Call a replica through Serve, which waits for one if there is none."""
        until = time.monotonic() + timeout_s
        try:
            try:
                return await self._call(app, timeout_s, method, *arguments)
            except RayActorError:
                return await self._call(app, until - time.monotonic(), method, *arguments)
        except TimeoutError as error:
            raise _late(app, timeout_s) from error
        except BackPressureError as error:
            raise _fault(app, "overloaded", "has more requests than it can answer") from error
        except RayTaskError as error:
            log.exception("%s failed", app)
            raise _fault(app, "failed", "failed; its log says why") from error
        except (RayError, RayServeException) as error:
            raise _fault(app, "down", "does not answer; it may be restarting") from error

    async def _call(self, app: str, timeout_s: float, method: str, *arguments: object) -> Any:
        async with asyncio.timeout(max(timeout_s, 0)):
            return await getattr(self._variant(app).handle, method).remote(*arguments)


def _node() -> str:
    node: str = ray.get_runtime_context().get_node_id()
    return node


def _fault(app: str, kind: FaultKind, what: str) -> VariantFault:
    return VariantFault(kind, f"{app} {what}")


def _late(app: str, timeout_s: float) -> VariantFault:
    return _fault(app, "timeout", f"did not answer in {timeout_s:.3g} s")


def _predicted(app: str, answer: Predicted | Failure) -> Predicted:
    if isinstance(answer, Predicted):
        return answer
    if answer.by_its_rows:
        raise refused_by_model(answer.reason)
    raise _fault(app, "failed", f"failed at these rows ({answer.reason}); its log says why")
