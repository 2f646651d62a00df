"""From a template to an answer, with the policy that lets nothing in but the page's own code."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from modelyard.errors import ModelyardError

HERE = Path(__file__).parent
MOUNT = "/modelyard"
log = logging.getLogger(__name__)


@cache
def _own(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - this package's own file


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"moment": _moment, "percent": _percent, "query": urlencode}
    return templates


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """Fill in a template; links in it are relative to where Airflow and the pages are mounted."""
    root = request.scope.get("root_path", "")
    html = (
        _templates()
        .get_template(f"{template}.html.j2")
        .render(
            root=root,
            airflow=root.removesuffix(MOUNT),
            style=_own("style.css"),
            script=_own("script.js"),
            **values,
        )
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": _policy()})


def or_message[Found](read: Callable[[], Found]) -> Found | str:
    """Read one part of a page; what cannot be read is a text, and hides nothing else."""
    try:
        return read()
    except ModelyardError as error:
        log.warning("the Modelyard page: %s", error)
        return str(error)


@cache
def _policy() -> str:
    """Allow the page's own style and script, word for word, and forms to this server only."""
    return (
        f"default-src 'none'; style-src {_hash('style.css')}; script-src {_hash('script.js')}; "
        "form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    )


def _hash(name: str) -> str:
    digest = base64.b64encode(hashlib.sha256(_own(name).encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")
