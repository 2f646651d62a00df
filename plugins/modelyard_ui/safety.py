"""Against forged requests: what a form sends must come from a page that this server gave this user.

Airflow's session is a cookie (SameSite=Lax), and a cookie does not know ports: a page of another
service on the same machine counts as the same site. So a POST is believed only if the browser says
that it comes from this origin, and if it bears a seal that was made for this user and purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from airflow.configuration import conf
from fastapi import HTTPException, Request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from modelyard_ui.visitor import Visitor

LARGEST_FORM: Final = 16_384
MOST_FIELDS: Final = 100
FORM = "application/x-www-form-urlencoded"
DAY: Final = 86_400
"""Seconds; Airflow's session lasts as long."""


def seal(visitor: Visitor, purpose: str, values: Mapping[str, object]) -> str:
    """Sign values for one user and purpose."""
    return _serializer(purpose).dumps({"user": visitor.id, "values": dict(values)})


def unseal(text: str, visitor: Visitor, purpose: str, seconds: int = DAY) -> dict[str, object]:
    """Return what was sealed; raises HTTPException 403 for what was not, or for somebody else."""
    try:
        sealed = _serializer(purpose).loads(text, max_age=seconds)
    except SignatureExpired as error:
        raise HTTPException(403, "The page is too old; load it again.") from error
    except BadSignature as error:
        raise HTTPException(403, "This was not asked for by a page of yours.") from error
    if sealed["user"] != visitor.id:
        raise HTTPException(403, "This page was made for another user; load it again.")
    return dict(sealed["values"])


async def form(request: Request) -> dict[str, str]:
    """Read the fields of a form that this server's own page sent; a dependency of every POST.

    Raises:
        HTTPException: 403 from elsewhere, 413 too large, 415 no form.
    """
    if not _same_origin(request):
        raise HTTPException(403, "This was not sent by a page of this server.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(415, f"Only {FORM} is read.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise HTTPException(413, "The form is too large.")
    try:
        text = body.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise HTTPException(400, "The form cannot be read.") from error


def _same_origin(request: Request) -> bool:
    """Believe Sec-Fetch-Site; over plain HTTP, where browsers leave it out, the Origin's host."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        sent = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        return False
    public = urlsplit(conf.get("api", "base_url", fallback="") or "").netloc
    return bool(sent) and sent in {request.headers.get("host"), public}


def _serializer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        conf.get_mandatory_value("api", "secret_key"), salt=f"modelyard.{purpose}"
    )
