"""The page as a FastAPI application inside of Airflow's api-server."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from modelyard.errors import ModelyardError
from modelyard.settings import Settings, get_settings
from modelyard_ui import views

HERE = Path(__file__).parent
log = logging.getLogger(__name__)


def make_app() -> FastAPI:
    """Make the application; whoever may see Airflow's plugins may see it."""
    app = FastAPI(
        title="Modelyard",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
    )
    app.middleware("http")(_guarded)
    app.get("/", response_class=HTMLResponse)(overview)
    app.get("/reports/{name:path}")(report)
    return app


def overview() -> HTMLResponse:
    """Show specs, models and reports; one part that cannot be read does not hide the others."""
    settings = get_settings()
    style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "theme.js")
    )
    page = _templates().get_template("overview.html.j2")
    html = page.render(
        style=Markup(style),  # noqa: S704 - this package's own file
        script=Markup(script),  # noqa: S704 - this package's own file
        specs=_or_message(views.specs, settings),
        models=_or_message(views.models, settings),
        reports=_or_message(views.reports, settings),
        endpoint=settings.endpoint,
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": _policy(style, script)})


def report(name: str) -> FileResponse:
    """Show a drift report."""
    path = views.find_report(get_settings().home / "reports", name)
    if path is None:
        raise HTTPException(404, "there is no such report")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
    return FileResponse(
        path,
        media_type=views.REPORT_TYPES[path.suffix],
        headers={"Content-Security-Policy": policy},
    )


async def _guarded(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Scripts of this origin can read the session's cookie, so none may come in with the data."""
    response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _policy(style: str, script: str) -> str:
    """Allow the page's own style and script, word for word, and nothing else."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "frame-ancestors 'self'; base-uri 'none'"
    )


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _or_message[Row](
    read: Callable[[Settings], list[Row]], settings: Settings
) -> Sequence[Row] | str:
    try:
        return read(settings)
    except ModelyardError as error:
        log.warning("the Modelyard page: %s", error)
        return str(error)
