"""The addresses that alerts go to: Apprise's, and webhooks that get the whole document.

An address may hold passwords. Nothing here says more of one than its service and its host.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from modelyard.delivery.webhook import WEBHOOKS, NotDelivered, post
from modelyard.monitoring.alerts.message import Digest, Message
from modelyard.settings import Settings

SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}", re.IGNORECASE)
MAIL: Final = frozenset({"mailto", "mailtos"})
# Of other services the host is an access token more often than a host.
WITH_HOST: Final = MAIL | {"json", "jsons", "xml", "xmls", "form", "forms", *WEBHOOKS}
SHORTEST_SECRET: Final = 3
TALKATIVE: Final = ("apprise", "httpx", "httpcore", "urllib3", "requests")

__all__ = ["Address", "NotDelivered", "addresses_of"]


class Address(ABC):
    """Where messages go."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Short on purpose: it tells a home's addresses apart, and no password can be found by it.
        self.digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        self.name = _name(url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def parts(self, messages: Sequence[Message]) -> list[Sequence[Message]]:
        """Divide the messages of one look by what is sent at once."""

    @abstractmethod
    def send(self, messages: Sequence[Message]) -> None:
        """Send one part.

        Raises:
            NotDelivered: the service did not take it; says why, and nothing secret.
        """


class Webhook(Address):
    """Posts the document of a change as JSON, signed where the address has a secret."""

    def parts(self, messages: Sequence[Message]) -> list[Sequence[Message]]:
        """Programs get each by itself."""
        return [[message] for message in messages]

    def send(self, messages: Sequence[Message]) -> None:
        """Post it; any 2xx answer takes it."""
        [message] = messages
        with _in_silence():
            post(self._url, message.event.id, message.document())


class AppriseAddress(Address):
    """Sends title and body as plain text by whatever service Apprise knows."""

    def parts(self, messages: Sequence[Message]) -> list[Sequence[Message]]:
        """People get one text."""
        return [messages]

    def send(self, messages: Sequence[Message]) -> None:
        """Hand it to Apprise, which says yes or no."""
        with _in_silence() as said:
            taken = self._notify(messages[0] if len(messages) == 1 else Digest(messages))
        if not taken:
            reason = _without_secrets("; ".join(said), self._url)
            raise NotDelivered(reason or "the service did not take it")

    def _notify(self, message: Message | Digest) -> bool:
        from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

        kind = NotifyType.WARNING if message.level == "warning" else NotifyType.FAILURE
        asset = AppriseAsset(app_id="Modelyard", app_desc="Modelyard", async_mode=False)
        sender = Apprise(asset=asset)
        if not sender.add(_as_text(self._url)):
            reason = "Apprise knows no such address; see docs/alerts.md"
            raise NotDelivered(reason)
        try:
            taken = sender.notify(
                title=message.title,
                body=message.body,
                notify_type=NotifyType.SUCCESS if message.is_over else kind,
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 - a hundred plugins raise what they like
            reason = f"the service's plugin failed: {type(error).__name__}"
            raise NotDelivered(reason) from None
        return bool(taken)


def addresses_of(settings: Settings) -> tuple[Address, ...]:
    """Read the addresses of MODELYARD_NOTIFY; each once."""
    urls = dict.fromkeys(secret.get_secret_value() for secret in settings.notify)
    return tuple(Webhook(url) if _scheme(url) in WEBHOOKS else AppriseAddress(url) for url in urls)


def _as_text(url: str) -> str:
    """Ask for plain text in a mail, which Apprise else writes in HTML."""
    if _scheme(url) not in MAIL or "format=" in url.lower():
        return url
    return f"{url}{'&' if '?' in url else '?'}format=text"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _name(url: str) -> str:
    """Name an address by its service and, where that is no secret, its host."""
    scheme = _scheme(url)
    if "://" not in url or not SCHEME.fullmatch(scheme):
        return "an address that is no URL"
    return f"{scheme}://{_host(url) or '...'}"


def _host(url: str) -> str:
    """Return the host; nothing where it may be a token, or a password without its host."""
    parts = _split(url)
    return (parts.hostname or "") if parts is not None and parts.scheme in WITH_HOST else ""


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is read, and found to be no number, only now
    except ValueError:
        return None
    return parts


def _without_secrets(text: str, url: str) -> str:
    """Blank out whatever of the address a service's words repeat, but for its host."""
    parts = _split(url)
    if parts is None:
        return ""
    pieces = re.split(r"[/?&=:@#,;]+", url.partition("://")[2])
    secrets = {piece for piece in [*pieces, *map(unquote, pieces)] if len(piece) >= SHORTEST_SECRET}
    for secret in sorted(secrets - {_host(url)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


@contextmanager
def _in_silence() -> Iterator[list[str]]:
    """Keep services from logging addresses; yield the warnings that they would have written."""
    said: list[str] = []
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    states = [(one.propagate, one.level) for one in loggers]
    handler = _Listener(said)
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
        one.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some plugins import what is deprecated
            yield said
    finally:
        for one, (propagate, level) in zip(loggers, states, strict=True):
            one.removeHandler(handler)
            one.propagate = propagate
            one.setLevel(level)


class _Listener(logging.Handler):
    """Keeps what is logged, first words first, each once."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        text = record.getMessage().strip().rstrip(".")
        if text not in self._said:
            self._said.append(text)
