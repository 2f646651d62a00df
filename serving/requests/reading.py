"""Take a body off the wire: in bounded time, in one encoding, in plain bytes."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from serving.http.limits import MOST_BYTES
from serving.http.problems import Refusal

BODY_SECONDS: Final = 30.0
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def media_type(request: Request) -> str:
    """Return the body's content type in lower case; JSON where none is said.

    Raises:
        Refusal: 415, the body is compressed or in another charset than UTF-8.
    """
    headers = request.headers
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        # A compressed body would hide how large it is.
        refusal = Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "compressed bodies are not taken; send it without Content-Encoding",
        )
        refusal.extra_headers["Accept-Encoding"] = "identity"
        raise refusal
    kind, *parameters = headers.get("content-type", "application/json").split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in _UTF8:
            detail = f"charset {value.strip()[:40]!r} is not taken; send UTF-8"
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    return kind.strip().lower()


async def read_body(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        Refusal: 400, it ended early; 408, it did not arrive in time; 413, it is too large.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.body()
    except TimeoutError as error:
        raise _slow() from error
    except ClientDisconnect as error:
        raise _cut() from error


async def read_form(request: Request, most_files: int, most_fields: int) -> FormData:
    """Return the parts of a form; the caller closes it.

    Raises:
        Refusal: as `read_body`, and 400 for what is no form or has too many parts.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.form(
                max_files=most_files, max_fields=most_fields, max_part_size=MOST_BYTES
            )
    except TimeoutError as error:
        raise _slow() from error
    except ClientDisconnect as error:
        raise _cut() from error
    except HTTPException as error:
        detail = f"the form cannot be read: {error.detail}"
        raise Refusal(HTTPStatus.BAD_REQUEST, detail) from error


def _slow() -> Refusal:
    detail = f"the body did not arrive in {BODY_SECONDS:g} s; send it at once"
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, detail)


def _cut() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "the request ended before its body did")
