"""The shortcut changes how quickly a path answers, and not what it answers."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serving.http.answers import json_response
from serving.http.direct import add_direct
from serving.http.problems import FieldProblem, invalid
from serving.http.shortcut import add_shortcut
from serving.routes.errors import add_errors

SENT: list[tuple[str, bytes, dict[str, str]]] = [
    ("/predict", b'{"a": 1}', {}),
    ("/models/flowers/predict", b'{"a": 1}', {}),
    ("/models/a%2Fb/predict", b'{"a": 1}', {}),
    ("/models//predict", b"", {}),
    ("/predict/", b"", {}),
    ("/predict?refuse=rows", b"", {}),
    ("/predict?refuse=http", b"", {}),
    ("/predict?refuse=fault", b"", {}),
    ("/other", b"x", {}),
    ("/nowhere", b"", {}),
]


def make(*, shortcut: bool) -> FastAPI:
    app = FastAPI()
    add_errors(app)

    async def predict(request: Request) -> Response:
        refuse = request.query_params.get("refuse")
        if refuse == "rows":
            raise invalid([FieldProblem(row=1, field="a", message="is wrong")])
        if refuse == "http":
            raise HTTPException(418, "no coffee here")
        if refuse == "fault":
            raise ZeroDivisionError
        body = (await request.body()).decode()
        return json_response({"name": request.path_params.get("name"), "body": body})

    async def other(_request: Request) -> Response:
        return json_response("other")

    for path, handler in (
        ("/predict", predict),
        ("/models/{name}/predict", predict),
        ("/other", other),
    ):
        add_direct(app, "POST", path, handler, summary="x", tag="x")
    if shortcut:
        add_shortcut(app)
    return app


@pytest.fixture(scope="module")
def clients() -> list[TestClient]:
    made = [make(shortcut=False), make(shortcut=True)]
    return [TestClient(app, raise_server_exceptions=False) for app in made]


def told(client: TestClient, method: str, path: str, body: bytes, headers: dict[str, str]) -> Any:
    answer = client.request(method, path, content=body, headers=headers)
    return answer.status_code, answer.content, dict(answer.headers)


@pytest.mark.parametrize(("path", "body", "headers"), SENT, ids=[sent[0] for sent in SENT])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_each_answer_is_the_same(
    clients: list[TestClient], method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    plain, short = (told(client, method, path, body, headers) for client in clients)
    assert short == plain


def test_a_hot_path_does_not_reach_the_router(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(shortcut=True)

    async def refuse(*_arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr(app.router, "app", refuse)
    monkeypatch.setattr(app.router, "middleware_stack", refuse)
    with pytest.raises(AssertionError):
        TestClient(app).post("/other")
    assert TestClient(app).post("/models/x/predict").json() == {"name": "x", "body": ""}
