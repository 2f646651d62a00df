"""The endpoint's HTTP server with a certificate, made as docs/security.md says."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from modelyard.errors import ServingError
from modelyard.settings import Settings
from modelyard.tls import client_context
from serving.http.http_server import HttpServer
from serving.http.limits import Limits
from tests.serving.cluster import free_ports

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


async def scheme(request: Request) -> JSONResponse:
    return JSONResponse(request.url.scheme)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the document's openssl command was run."""
    made = tmp_path_factory.mktemp("tls")
    (command,) = re.findall(r"^openssl req [^`]*?(?<!\\)$", DOCUMENT.read_text(), re.MULTILINE)
    subprocess.run(
        shlex.split(command.replace("\\\n", " ")), cwd=made, check=True, capture_output=True
    )
    return made


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    (port,) = free_ports(1)
    return Settings(
        project=folder,
        endpoint=f"https://127.0.0.1:{port}",
        tls_certificate=folder / "endpoint.pem",
        tls_key=folder / "endpoint.key",
    )


@pytest.fixture(scope="module")
def _listening(settings: Settings) -> Iterator[None]:
    app = Starlette(routes=[Route("/", scheme)])
    app.add_middleware(Limits)
    server = HttpServer(settings)
    server.listen(app, settings.bind_host, settings.bind_port)
    yield
    server.stop_listening()
    server.close()


def test_the_key_is_for_its_owner_only(folder: Path) -> None:
    assert (folder / "endpoint.key").stat().st_mode & 0o077 == 0


@pytest.mark.usefixtures("_listening")
def test_the_endpoint_speaks_tls(settings: Settings) -> None:
    answer = httpx.get(settings.endpoint, verify=client_context(settings), trust_env=False)
    assert answer.json() == "https"
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.usefixtures("_listening")
def test_who_does_not_know_the_certificate_does_not_trust_it(settings: Settings) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(settings.endpoint, trust_env=False)


@pytest.mark.usefixtures("_listening")
def test_plain_http_is_not_spoken_beside_it(settings: Settings) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(settings.endpoint.replace("https:", "http:"), trust_env=False)


def test_a_server_with_a_missing_file_says_which(settings: Settings) -> None:
    broken = settings.model_copy(update={"tls_key": settings.project / "none.key"})
    server = HttpServer(broken)
    with pytest.raises(ServingError, match=r"none\.key cannot be read"):
        server.listen(Starlette(), settings.bind_host, settings.bind_port)
    server.close()
