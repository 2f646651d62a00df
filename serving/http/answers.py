"""Answers as HTTP carries them."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.http.problems import Refusal

LONGEST_PATH: Final = 200


class Problem(Response):
    """A refusal; says which request it answers, which only the scope knows.

    Under /v2 it is written as the Open Inference Protocol writes errors.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(status_code=refusal.document.status, headers=refusal.headers)
        self._document = refusal.document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the document."""
        path = str(scope.get("path", ""))
        request = scope.get("state", {}).get("request")
        if path == "/v2" or path.startswith("/v2/"):
            self.headers["content-type"] = "application/json"
            content: object = {"error": self._document.detail}
        else:
            told = {"instance": quote(path[:LONGEST_PATH], errors="replace"), "request": request}
            document = self._document.model_copy(update=told)
            content = document.model_dump(exclude_none=True)
        self.body = _dumped(content)
        self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def _dumped(content: object) -> bytes:
    try:
        return orjson.dumps(content)
    except TypeError:  # a lone surrogate, which a refusal may have to name
        return json.dumps(content).encode("ascii")


def json_response(
    content: object, headers: dict[str, str] | None = None, status: int = 200
) -> Response:
    """Write JSON; floats keep every digit."""
    return Response(
        orjson.dumps(content), status_code=status, media_type="application/json", headers=headers
    )


def problem_response(refusal: Refusal) -> Problem:
    """Write a problem document."""
    return Problem(refusal)
