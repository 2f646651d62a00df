"""Keys to the endpoint: made here, shown once, kept as a hash.

A key is ``mdy_ID_SECRET``: the id finds it, and the secret is 256 random bits. Nobody can guess such
a secret from its hash, however fast the hash is, so SHA-256 is enough; a slow hash such as bcrypt is
for passwords that people choose, and would cost each request as much as a prediction.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from modelyard.errors import UsageError
from modelyard.store.records import ApiKey

PREDICT, FEEDBACK, METRICS, ADMIN = "predict", "feedback", "metrics", "admin"
SCOPES: Final = {
    PREDICT: "ask for predictions, and what models take and answer",
    FEEDBACK: "send labels for predictions",
    METRICS: "read figures: /metrics, /traffic, alerts",
    ADMIN: "all of it, and whatever the endpoint may have besides",
}
MARK: Final = "mdy"
ID_BYTES, SECRET_BYTES = 8, 32
LONGEST: Final = 200
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NOBODY: Final = hashlib.sha256(b"").hexdigest()
"""What the key of an unknown id is compared with, so that it takes as long as that of a known one."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made just now; only here is it known whole."""

    record: ApiKey
    text: str = field(repr=False)


def make_key(
    name: str,
    scopes: Sequence[str],
    models: Sequence[str] = (),
    rate_per_minute: int | None = None,
) -> NewKey:
    """Make a key.

    Raises:
        UsageError: a name, scope or rate that cannot be.
    """
    _check(name, scopes, rate_per_minute)
    identity = secrets.token_hex(ID_BYTES)
    text = f"{MARK}_{identity}_{secrets.token_urlsafe(SECRET_BYTES)}"
    record = ApiKey(
        id=identity,
        name=name,
        digest=digest(text),
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        models=tuple(sorted(set(models))),
        rate_per_minute=rate_per_minute,
    )
    return NewKey(record, text)


def digest(text: str) -> str:
    """Hash a key as it is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verify(text: str, keys: Mapping[str, ApiKey]) -> ApiKey | None:
    """Return the key that `text` is, or None; takes as long for an unknown id as for a wrong secret.

    `keys` are by id.
    """
    if len(text) > LONGEST:
        return None
    known = keys.get(_id_of(text))
    right = hmac.compare_digest(digest(text), NOBODY if known is None else known.digest)
    return known if right and known is not None and known.revoked is None else None


def allows(key: ApiKey, scope: str | None) -> bool:
    """Whether a key has a scope; None is any, and admin has all."""
    return scope is None or scope in key.scopes or ADMIN in key.scopes


def _id_of(text: str) -> str:
    mark, _, rest = text.partition("_")
    return rest.partition("_")[0] if mark == MARK else ""


def _check(name: str, scopes: Sequence[str], rate_per_minute: int | None) -> None:
    if not NAME.fullmatch(name):
        message = (
            f"a key's name has letters, digits, dots, dashes and underscores, and not {name[:80]!r}"
        )
        raise UsageError(message, hint="such as: web-shop")
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        message = f"there is no scope {unknown[0]!r}"
        raise UsageError(message, hint=f"scopes: {', '.join(SCOPES)}")
    if not scopes:
        message = "a key needs at least one scope"
        raise UsageError(message, hint=f"scopes: {', '.join(SCOPES)}")
    if rate_per_minute is not None and rate_per_minute < 1:
        message = f"a rate is at least 1 request a minute, and not {rate_per_minute}"
        raise UsageError(message)
