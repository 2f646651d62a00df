"""Read what a person says of an alert."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from serving.http.problems import refuse_field
from serving.requests.reading import read_body
from serving.requests.strict_json import parse_json

LONGEST_COMMENT: Final = 1000
EXAMPLE: Final = '{"comment": "TEXT"}'


async def read_note(request: Request) -> str | None:
    """Return the comment, or None where the body is empty or says none.

    Raises:
        Refusal: 400, 408, 413 or 422.
    """
    body = await read_body(request)
    if not body.strip():
        return None
    document = parse_json(body)
    if not isinstance(document, dict):
        refuse_field("comment", f"is missing; send {EXAMPLE}, or nothing")
    if others := [name for name in document if name != "comment"]:
        refuse_field(others[0][:100], f"is not known here; send {EXAMPLE}")
    comment = document.get("comment")
    if comment is not None and not isinstance(comment, str):
        refuse_field("comment", "must be text")
    if comment is not None and (len(comment) > LONGEST_COMMENT or "\x00" in comment):
        refuse_field("comment", f"must have at most {LONGEST_COMMENT} characters and no NUL")
    return comment
