"""API keys at the door: who asks, whether they may, and how often."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.api_keys import allows, verify
from modelyard.store.records import ApiKey
from serving.access.keyring import Door, Keyring
from serving.access.rates import Rates
from serving.access.scopes import Need, is_loopback, needed, wants_page
from serving.http.answers import problem_response
from serving.http.problems import Refusal

AUTHORIZATION: Final = b"authorization"
SHOWN: Final = frozenset({AUTHORIZATION, b"x-api-key"})
BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)
FORWARDED: Final = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"})
"""Said by a proxy, whose callers may be anywhere."""
REALM: Final = 'Bearer realm="modelyard"'
MAKE: Final = "make one: modelyard keys create NAME --scope predict"
NEEDED: Final = "an API key is needed; send one as Authorization: Bearer KEY, or as X-API-Key: KEY"
UNKNOWN: Final = f"this API key is not known, or was revoked; {MAKE}"

type Headers = Sequence[tuple[bytes, bytes]]


class Guard:
    """An ASGI layer: refuses who may not, and names the key in ``scope["state"]["client"]``.

    Its record, whose digest no handler may show, is in ``scope["state"]["key"]``.

    No key is told to anybody: not to a log, nor in an answer.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, origins: Iterable[str] = ()) -> None:
        self.app = app
        self._keyring = keyring
        self._origins = frozenset(origins)
        self._rates = Rates()
        self._table = keyring.keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it with a refusal before its body is read."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is no websocket here, and none shall slip past
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._admit(scope)
        except Refusal as refusal:
            self._keyring.refused[refusal.document.status] += 1
            await problem_response(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        need = needed(scope["path"])
        headers: Headers = scope["headers"]
        door = self._keyring.door
        if need.public or (need.page and wants_page(_header(headers, b"accept"))):
            return
        if door is Door.OPEN:
            return
        if door is Door.LOCAL:
            _check_local(headers, self._origins)
            return
        if door is not Door.KEYS:
            raise _closed(door)
        key = self._identify(headers)
        _check_scope(key, need)
        self._check_rate(key)
        scope.setdefault("state", {}).update(client=key.name, key=key)

    def _identify(self, headers: Headers) -> ApiKey:
        text = shown_key(headers)
        if text is None:
            raise _challenge(HTTPStatus.UNAUTHORIZED, NEEDED)
        key = verify(text, self._keyring.keys)
        if key is None:
            raise _challenge(HTTPStatus.UNAUTHORIZED, UNKNOWN, ', error="invalid_token"')
        return key

    def _check_rate(self, key: ApiKey) -> None:
        if self._table is not self._keyring.keys:
            self._table = self._keyring.keys
            self._rates.keep(self._table)
        if key.rate_per_minute is None:
            return
        wait = self._rates.take(key.id, key.rate_per_minute)
        if wait > 0:
            detail = f"the key {key.name} may send {key.rate_per_minute} requests a minute"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after=max(1, math.ceil(wait)))


def shown_key(headers: Headers) -> str | None:
    """Read the key that a request shows; None for none, or for more than one."""
    found: str | None = None
    for name, value in headers:
        if name not in SHOWN:
            continue
        text = value.decode("latin-1").strip()
        bearer = BEARER.fullmatch(text) if name == AUTHORIZATION else None
        key = text if name != AUTHORIZATION else bearer and bearer[1]
        if not key or key == found:
            continue
        if found is not None:
            return None
        found = key
    return found


def _all(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in headers if key == name]


def _header(headers: Headers, name: bytes) -> str:
    return ",".join(_all(headers, name))


def _check_scope(key: ApiKey, need: Need) -> None:
    if not allows(key, need.scope):
        detail = f"the key {key.name} has not the scope {need.scope}, which this path needs"
        more = f', error="insufficient_scope", scope="{need.scope}"'
        raise _challenge(HTTPStatus.FORBIDDEN, detail, more)
    if key.models and need.model not in key.models:
        there = ", ".join(f"/models/{model}" for model in key.models)
        detail = f"the key {key.name} is for paths below {there} only"
        raise _challenge(HTTPStatus.FORBIDDEN, detail)


def _check_local(headers: Headers, origins: frozenset[str]) -> None:
    """Keep the pages of other sites, open in a browser on this machine, from using an open endpoint.

    Their requests name another origin, or, where they trick the name server, another host.
    """
    host = _header(headers, b"host")
    origin = _header(headers, b"origin")
    if not is_loopback(_hostname(host)) or any(name in FORWARDED for name, _ in headers):
        detail = f"without API keys the endpoint answers at 127.0.0.1 and localhost only; {MAKE}"
        raise Refusal(HTTPStatus.FORBIDDEN, detail)
    if origin and origin.partition("://")[2] != host and origin not in origins:
        detail = "without API keys the endpoint answers no pages of other sites; "
        raise Refusal(HTTPStatus.FORBIDDEN, f"{detail}see MODELYARD_CORS_ORIGINS")


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _closed(door: Door) -> Refusal:
    if door is Door.UNKNOWN:
        detail = "the API keys could not be read from the database yet; its log says why"
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=2)
    detail = f"the endpoint asks for API keys, and there is none yet; {MAKE}"
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=60)


def _challenge(status: HTTPStatus, detail: str, more: str = "") -> Refusal:
    """Refuse, telling how to prove oneself (RFC 6750, section 3)."""
    refusal = Refusal(status, detail)
    refusal.extra_headers["WWW-Authenticate"] = f"{REALM}{more}"
    return refusal
