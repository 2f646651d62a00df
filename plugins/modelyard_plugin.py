"""Modelyard's page in the Airflow UI.

Every Airflow process imports this file, tasks too, so the page itself is imported when it is first
asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar

from airflow.sdk.plugins_manager import AirflowPlugin

type Message = MutableMapping[str, Any]
type App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class LazyApp:
    """An ASGI application that is built at its first request."""

    def __init__(self) -> None:
        self._app: App | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        if self._app is None:
            from modelyard_ui.app import make_app

            self._app = make_app()
        await self._app(scope, receive, send)


class ModelyardPlugin(AirflowPlugin):
    """Adds `Modelyard` to the menu."""

    name = "modelyard"
    fastapi_apps: ClassVar[list[dict[str, object]]] = [
        {"app": LazyApp(), "url_prefix": "/modelyard", "name": "Modelyard"}
    ]
    external_views: ClassVar[list[dict[str, object]]] = [
        {
            "name": "Modelyard",
            "href": "modelyard/",
            "destination": "nav",
            "url_route": "modelyard",
            "nav_top_level": True,
        }
    ]
