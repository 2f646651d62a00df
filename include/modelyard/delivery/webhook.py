"""Webhooks for programs: JSON, and a signature as Standard Webhooks has it.

An address is ``webhook+https://user:password@host/path?secret=...``: the secret signs and is not sent.
https://www.standardwebhooks.com: the header webhook-signature is ``v1,`` and, in base64, the
HMAC-SHA256 of ``ID.TIMESTAMP.BODY``, by the secret (``whsec_`` and base64, or any text).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

PREFIX: Final = "webhook+"
WEBHOOKS: Final = frozenset({f"{PREFIX}http", f"{PREFIX}https"})
MARK: Final = "whsec_"
SECRET: Final = "secret="  # noqa: S105 - the name of an option
SECONDS: Final = 10.0
LAST_GOOD: Final = 299


class NotDelivered(Exception):  # noqa: N818 - it waits and is tried again
    """A service did not take a message; the text holds nothing secret."""


def post(url: str, event: str, document: Mapping[str, JsonValue]) -> None:
    """Post a document; `event` is the id that the receiver drops repeats by.

    Raises:
        NotDelivered: there is no answer, or one that is not 2xx.
    """
    import httpx
    import orjson

    target, secret = _target(url)
    body = orjson.dumps(document)
    headers = {"content-type": "application/json", **_signed(event, body, secret)}
    try:
        answer = httpx.post(target, content=body, headers=headers, timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The error's own text may name the whole address.
        reason = f"no answer ({type(error).__name__})"
        raise NotDelivered(reason) from None
    if answer.status_code > LAST_GOOD:
        reason = f"answered {answer.status_code}"
        raise NotDelivered(reason)


def signature(event: str, moment: int, body: bytes, secret: str) -> str:
    """Sign a message: `moment` is in seconds since 1970."""
    digest = hmac.new(_key(secret), f"{event}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _target(url: str) -> tuple[str, str | None]:
    """Tell the address that is asked from the secret that is not sent."""
    try:
        parts = urlsplit(url.removeprefix(PREFIX))
    except ValueError:
        reason = "the address is no URL"
        raise NotDelivered(reason) from None
    options = parts.query.split("&")
    found = [text.removeprefix(SECRET) for text in options if text.startswith(SECRET)]
    kept = "&".join(text for text in options if not text.startswith(SECRET))
    # A plus sign is a plus sign here, for base64 has them.
    return parts._replace(query=kept).geturl(), unquote(found[0]) if found else None


def _signed(event: str, body: bytes, secret: str | None) -> dict[str, str]:
    moment = int(time.time())
    headers = {"webhook-id": event, "webhook-timestamp": str(moment)}
    if secret:
        headers["webhook-signature"] = signature(event, moment, body, secret)
    return headers


def _key(secret: str) -> bytes:
    if secret.startswith(MARK):
        try:
            return base64.b64decode(secret.removeprefix(MARK), validate=True)
        except ValueError:  # of base64 or of letters that no base64 has
            pass
    return secret.encode()
