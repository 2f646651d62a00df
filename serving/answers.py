"""Answers as HTTP carries them."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from serving.problems import Refusal


def json_response(content: object, headers: dict[str, str] | None = None) -> Response:
    """Write JSON; floats keep every digit."""
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)


def problem_response(refusal: Refusal) -> Response:
    """Write a problem document."""
    return Response(
        orjson.dumps(refusal.document.model_dump()),
        status_code=refusal.document.status,
        headers=refusal.headers,
    )
