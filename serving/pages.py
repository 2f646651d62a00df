"""The endpoint's web pages: ask a model, watch the traffic, read how to call it. None needs a network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from modelyard import __version__
from serving.assets import load_assets
from serving.http.problems import KINDS, Refusal

KEPT: Final = "public, max-age=31536000, immutable"
ASKED_AGAIN: Final = "no-cache"
ROWS: Final = "multipart/form-data"
ADDRESSES: Final = 16
DEEPEST: Final = 3


def add_pages(app: FastAPI) -> None:
    """Give an application its pages and the files that they load."""

    @app.get("/", include_in_schema=False)
    async def start(request: Request) -> Response:
        return _page(request, _shell("predict", "./"))

    @app.get("/predictions", include_in_schema=False)
    async def predictions(request: Request) -> Response:
        return _page(request, _shell("explain", "predictions"))

    # Whoever asks need show no key, so that it must cost little to answer again.
    written = lru_cache(maxsize=ADDRESSES)(lambda base: docs_page(app.openapi(), base))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return _page(request, written(str(request.base_url)))

    @app.get("/static/{revision}/{name}", include_in_schema=False)
    async def static(request: Request, revision: str, name: str) -> Response:
        return _file(request, revision, name)


def traffic_page(request: Request) -> Response:
    """Answer the page of live traffic; its address answers JSON to those who ask for that."""
    response = _page(request, _shell("traffic", "traffic"))
    response.headers["Vary"] = "Accept"
    return response


def explanation_page(request: Request) -> Response:
    """Answer the page of one prediction, whose address answers JSON to those who ask for that."""
    depth = request.url.path.strip("/").count("/")
    response = _page(request, _shell("explain", "predictions", "../" * min(depth, DEEPEST)))
    response.headers["Vary"] = "Accept"
    return response


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("serving"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, here: str, root: str = "", **values: object) -> str:
    """Write a page; `root` leads from its folder to the endpoint's own."""
    static = f"{root}static/{load_assets().revision}"
    page = _templates().get_template(template)
    return page.render(version=__version__, static=static, here=here, root=root, **values)


@cache
def _shell(name: str, here: str, root: str = "") -> str:
    """A page without data: its scripts fetch them."""
    modules = load_assets().modules(f"{name}.js")[1:]
    return _render(f"{name}.html", here, root, modules=modules)


def docs_page(openapi: Mapping[str, Any], base: str) -> str:
    """Say what each path takes and answers, out of the OpenAPI document."""
    return _render(
        "docs.html",
        "docs",
        description=openapi["info"]["description"],
        operations=list(_operations(openapi)),
        schemas=openapi.get("components", {}).get("schemas", {}),
        base=base.rstrip("/"),
        kinds=KINDS,
        type_of=_type_of,
        schema_names=_schema_names,
    )


def _operations(openapi: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            bodies = operation.get("requestBody", {}).get("content", {})
            yield {
                **operation,
                "path": path,
                "method": method.upper(),
                "anchor": re.sub(r"\W+", "-", f"{method}{path}").strip("-"),
                "takes_rows": ROWS in bodies,
                "bodies": [
                    (media, _named(body.get("schema", {}))) for media, body in bodies.items()
                ],
            }


def _schema_names(answer: Mapping[str, Any]) -> list[str]:
    """The schemas of an answer that the page describes."""
    found = [_named(content.get("schema", {})) for content in answer.get("content", {}).values()]
    return [name for name in dict.fromkeys(found) if name]


def _named(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type_of(schema: Mapping[str, Any]) -> str:
    """Name a JSON schema's type in a word or two."""
    if "$ref" in schema:
        return _named(schema)
    if "anyOf" in schema:
        return " or ".join(_type_of(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _page(request: Request, html: str) -> Response:
    return _tagged(request, html.encode(), "text/html; charset=utf-8", ASKED_AGAIN)


def _file(request: Request, revision: str, name: str) -> Response:
    """Answer a file; under another process's revision it is sent too, but not to be kept."""
    assets = load_assets()
    asset = assets.files.get(name)
    if asset is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such file; reload the page")
    cached = KEPT if revision == assets.revision else ASKED_AGAIN
    return _tagged(request, asset.content, asset.media_type, cached)


def _tagged(request: Request, content: bytes, media_type: str, cached: str) -> Response:
    """Answer content, or only that it is what the browser has (RFC 9110, section 13.1.2)."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": cached, "Content-Type": media_type}
    known = re.findall(r'"[^"]*"', request.headers.get("if-none-match", ""))
    if tag in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, headers=headers)
