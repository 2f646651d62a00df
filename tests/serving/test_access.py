"""What each path needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Route

from serving.access.scopes import Need, is_loopback, needed, wants_page
from tests.serving.fakes import Endpoint


@pytest.mark.parametrize(
    ("path", "need"),
    [
        ("/health", Need(public=True)),
        ("/ready", Need(public=True)),
        ("/v2/health/live", Need(public=True)),
        ("/", Need(public=True)),
        ("/static/abc/page.js", Need(public=True)),
        ("/predict", Need(scope="predict")),
        ("/invocations", Need(scope="predict")),
        ("/models/digits/predict", Need(scope="predict", model="digits")),
        ("/models/digits/predict/", Need(scope="predict", model="digits")),
        ("/v2/models/digits/infer", Need(scope="predict", model="digits")),
        ("/v2/models/digits/versions/3/infer", Need(scope="predict", model="digits")),
        ("/models/digits/feedback", Need(scope="feedback", model="digits")),
        ("/metrics", Need(scope="metrics")),
        ("/models/digits/alerts", Need(scope="metrics", model="digits")),
        ("/alerts/3f2a/acknowledge", Need(scope="admin")),
        ("/traffic", Need(scope="metrics", page=True)),
        ("/predictions", Need(scope="metrics", page=True)),
        ("/predictions/p1", Need(scope="predict", page=True)),
        ("/models/digits/predictions/p1", Need(scope="predict", model="digits", page=True)),
        ("/model-info", Need()),
        ("/models/digits", Need(model="digits")),
        ("/v2/models/digits/ready", Need(model="digits")),
        ("/nothing", Need(scope="admin")),
        ("/models/digits/nothing", Need(scope="admin")),
        ("/health/secret", Need(scope="admin")),
        ("/healthz", Need(scope="admin")),
        ("/models//predict", Need(scope="admin")),
        ("/models/a/b/predict", Need(scope="admin")),
    ],
)
def test_a_path_needs_what_it_gives(path: str, need: Need) -> None:
    assert needed(path) == need


def paths(routes: list[BaseRoute]) -> list[str]:
    return [route.path for route in routes if isinstance(route, Route)]


def test_no_route_of_the_endpoint_is_forgotten(endpoint: Endpoint) -> None:
    """A path without a rule would ask for the scope admin, which nobody would expect."""
    found = paths(endpoint.client.app.routes)  # type: ignore[attr-defined]
    assert len(found) > 8
    unknown = {path for path in found if needed(path).scope == "admin"}
    assert unknown == {"/alerts/{identity}/acknowledge"}


def test_the_paths_that_show_data_are_not_public(endpoint: Endpoint) -> None:
    found = paths(endpoint.client.app.routes)  # type: ignore[attr-defined]
    public = {path for path in found if needed(path).public}
    assert public <= {
        "/",
        "/docs",
        "/openapi.json",
        "/health",
        "/ready",
        "/ping",
        "/v2/health/live",
        "/v2/health/ready",
        "/static/{revision}/{name}",
        "/favicon.ico",
    }


@given(st.text(alphabet="/abc.%\n\r\x00ä", max_size=20))
def test_no_trick_with_a_path_makes_it_public(path: str) -> None:
    need = needed(f"/models/{path}")
    assert not need.public
    assert need.model is None or "/" not in need.model


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("TEXT/HTML", True),
        ("application/json", False),
        ("text/html, application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_a_browser_is_known_by_what_it_accepts(accept: str, page: bool) -> None:
    assert wants_page(accept) is page


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.1", "::", "10.0.0.1", "127.0.0.1.evil.com", "localhost.evil.com", "1127.0.0.1"],
)
def test_no_other_host_passes_for_this_machine(host: str) -> None:
    assert not is_loopback(host)


def test_the_document_says_what_each_path_needs() -> None:
    """The table of scopes in docs/security.md is the rules'."""
    document = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    table = document.partition("| scope | paths |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (\w+) \|(.*)\|$", table, re.MULTILINE)
    told = {path: scope for scope, paths in rows for path in re.findall(r"`(/[^`]*)`", paths)}
    assert len(told) > 20
    for path, scope in told.items():
        need = needed(path.replace("…", "x"))
        assert ("none" if need.public else need.scope or "any") == scope, path
