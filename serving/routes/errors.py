"""What the framework refuses, written as all refusals are written."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from serving.http.answers import problem_response
from serving.http.problems import FieldProblem, Refusal, invalid

_DETAILS: Final = {
    HTTPStatus.NOT_FOUND: "there is nothing here; see /docs",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take this method; see /docs",
}


def add_errors(app: FastAPI) -> None:
    """Answer refusals, and what Starlette and FastAPI refuse, with problem documents."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _malformed)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem_response(error)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    response = problem_response(Refusal(status, _DETAILS.get(status, str(error.detail))))
    response.headers.update(error.headers or {})
    return response


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        FieldProblem(field=".".join(map(str, item["loc"]))[:100], message=str(item["msg"])[:200])
        for item in error.errors()
    ]
    return problem_response(invalid(problems))
