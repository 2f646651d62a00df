"""The pages as a FastAPI application inside of Airflow's api-server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

from modelyard.settings import get_settings
from modelyard_ui import confirm, overview, reports
from modelyard_ui.render import page

UNAUTHORIZED = 401
TITLES = {401: "Log in", 403: "Not allowed", 404: "Not found"}
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)


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
    app.exception_handler(HTTPException)(_told)
    app.get("/", response_class=HTMLResponse)(overview.specs_page)
    app.get("/models", response_class=HTMLResponse)(overview.models_page)
    app.get("/drift", response_class=HTMLResponse)(overview.drift_page)
    app.get("/plan", response_class=HTMLResponse)(confirm.plan_page)
    app.post("/act", response_class=HTMLResponse)(confirm.act)
    app.get("/act", response_model=None)(confirm.back)
    app.get("/acknowledge", response_model=None)(confirm.back)
    app.post("/acknowledge", response_model=None)(confirm.acknowledge)
    app.get("/reports/{name:path}")(report)
    return app


def report(name: str) -> FileResponse:
    """Show a drift report, without any script."""
    path = reports.find_report(get_settings().home / "reports", name)
    if path is None:
        raise HTTPException(404, "There is no such report.")
    return FileResponse(
        path,
        media_type=reports.TYPES[path.suffix],
        headers={"Content-Security-Policy": REPORT_POLICY},
    )


async def _guarded(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Scripts of this origin can use the session, so none may come in with the data."""
    response = await call_next(request)
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'")
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: browsers would then send the Origin null with our own forms.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _told(request: Request, error: Exception) -> Response:
    """Say a refusal in words; with how to log in, to whom is not."""
    assert isinstance(error, HTTPException)
    log_in = get_auth_manager().get_url_login() if error.status_code == UNAUTHORIZED else None
    return page(
        request,
        "told",
        status=error.status_code,
        title=TITLES.get(error.status_code, "Refused"),
        message=str(error.detail),
        log_in=log_in,
        move=None,
        model=None,
        tab=None,
        visitor=None,
    )
