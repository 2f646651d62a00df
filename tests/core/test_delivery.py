"""Alerts reach people by e-mail and programs by webhook; what is down is tried again."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import json
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from modelyard.delivery import deliver
from modelyard.delivery.addresses import addresses_of
from modelyard.delivery.webhook import signature
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertEvent, AlertRecord

PASSWORD = "s3cr3t-pa55"
AT = datetime(2026, 11, 20, 18, tzinfo=UTC)
AT_ONCE = datetime.now(UTC)


class Mailbox:
    """Keeps mails that a server took."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take one."""
        del server, session
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content))
        return "250 OK"


class Hook:
    """Keeps what was posted, and answers as it is told to."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes, str]] = []
        self.status = 200
        self.url = ""

    @property
    def documents(self) -> list[Any]:
        return [json.loads(body) for _, body, _ in self.posts]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Controller]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, controller
    controller.stop()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def listening(hook: Hook, port: int = 0) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.posts.append((headers, body, self.path))
            self.send_response(hook.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    with listening(made) as port:
        made.url = f"127.0.0.1:{port}"
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/home/modelyard.db") as opened:
        yield opened


def settings_of(tmp_path: Path, *urls: str) -> Settings:
    return Settings(
        project=tmp_path,
        home_override=tmp_path / "home",
        notify=tuple(SecretStr(url) for url in urls),
    )


def alert_of(**changes: object) -> AlertRecord:
    fields: dict[str, object] = {
        "id": "alert-1",
        "model": "digits-cnn",
        "version": 3,
        "kind": "drift",
        "subject": "image.brightness",
        "level": "critical",
        "worst": "critical",
        "value": 0.31,
        "peak": 0.31,
        "windows": ("1000", "all"),
        "reason": "image.brightness differs from the reference in the last 1,000 predictions",
        "onset": AT - timedelta(hours=1),
        "opened": AT,
        "report": "reports/digits-cnn/drift-1.html",
    }
    return AlertRecord.model_validate({**fields, **changes})


def put(store: Store, alert: AlertRecord, *events: AlertEvent) -> None:
    store.change_alerts(alert.model, lambda _: ([alert], events))


def event_of(identity: str, **changes: object) -> AlertEvent:
    fields = {"id": identity, "alert": "alert-1", "model": "digits-cnn", "change": "opened"}
    told = {"level": "critical", "deliver": True, **changes}
    return AlertEvent.model_validate({**fields, **told})


def test_a_mail_says_what_where_how_bad_since_when_and_what_to_do(
    tmp_path: Path, store: Store, mailbox: tuple[Mailbox, Controller]
) -> None:
    box, controller = mailbox
    put(store, alert_of(), event_of("event-1"))
    url = f"mailto://127.0.0.1:{controller.port}?to=ann@example.org&from=yard@example.org"
    assert [one.id for one in deliver(settings_of(tmp_path, url))] == ["event-1"]
    [mail] = box.mails
    assert mail["Subject"] == "[critical] digits-cnn 3: drift of image.brightness"
    assert mail["To"] == "ann@example.org"
    assert mail.get_content_type() == "text/plain"
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode()
    for part in (
        "differs from the reference in the last 1,000 predictions",
        "2026-11-20 17:00 UTC, first seen 2026-11-20 18:00 UTC",
        str(tmp_path / "home" / "reports" / "digits-cnn" / "drift-1.html"),
        "http://127.0.0.1:8000/models/digits-cnn/alerts",
        "modelyard alerts ack alert-1",
        "modelyard run digits-cnn",
        "event-1",
    ):
        assert part in text
    assert store.alert_events(waiting=True) == []


def test_a_webhook_gets_a_document_with_the_id_of_the_event(
    tmp_path: Path, store: Store, hook: Hook
) -> None:
    put(store, alert_of(), event_of("event-1"))
    deliver(settings_of(tmp_path, f"webhook+http://{hook.url}/in?team=a+b"))
    [(headers, _, path)] = hook.posts
    [document] = hook.documents
    assert headers["webhook-id"] == document["event"]["id"] == "event-1"
    assert "webhook-signature" not in headers
    assert path == "/in?team=a+b"
    assert document["event"]["change"] == "opened"
    assert document["alert"]["subject"] == "image.brightness"
    assert document["alert"]["level"] == "critical"
    assert document["title"].startswith("[critical]")
    assert document["links"]["report"].endswith("drift-1.html")


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (PASSWORD, PASSWORD.encode()),
        ("whsec_" + base64.b64encode(b"\xfb\xff key").decode(), b"\xfb\xff key"),
    ],
    ids=["text", "base64"],
)
def test_a_webhook_is_signed_by_a_secret_that_is_not_sent(
    tmp_path: Path, store: Store, hook: Hook, secret: str, key: bytes
) -> None:
    put(store, alert_of(), event_of("event-1"))
    deliver(settings_of(tmp_path, f"webhook+http://ann:{PASSWORD}@{hook.url}/in?secret={secret}"))
    [(headers, body, path)] = hook.posts
    moment = headers["webhook-timestamp"]
    expected = hmac.new(key, f"event-1.{moment}.".encode() + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert path == "/in"
    assert base64.b64encode(f"ann:{PASSWORD}".encode()).decode() in headers["authorization"]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the reference implementation."""
    body = b'{"test": 2432232314}'
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, secret) == known


def test_apprises_own_webhooks_work_too(tmp_path: Path, store: Store, hook: Hook) -> None:
    put(store, alert_of(), event_of("event-1"))
    assert len(deliver(settings_of(tmp_path, f"json://{hook.url}/in"))) == 1
    [document] = hook.documents
    assert document["title"] == "[critical] digits-cnn 3: drift of image.brightness"
    assert document["type"] == "failure"
    assert "modelyard alerts ack alert-1" in document["message"]


def test_what_a_server_does_not_take_waits_and_is_delivered_later(
    tmp_path: Path, store: Store
) -> None:
    port = free_port()
    put(store, alert_of(), event_of("event-1"))
    settings = settings_of(tmp_path, f"webhook+http://127.0.0.1:{port}/in")
    assert deliver(settings) == []
    assert deliver(settings) == []
    [waiting] = store.alert_events(waiting=True)
    assert waiting.tries == 2
    assert waiting.error == "webhook+http://127.0.0.1: no answer (ConnectError)"
    hook = Hook()
    with listening(hook, port):
        assert [one.id for one in deliver(settings)] == ["event-1"]
        assert deliver(settings) == []
    assert len(hook.posts) == 1
    [event] = store.alert_events()
    assert (event.tries, event.error) == (3, None)
    assert event.delivered is not None


def test_an_address_that_has_an_event_does_not_get_it_again_because_another_is_down(
    tmp_path: Path, store: Store, hook: Hook
) -> None:
    put(store, alert_of(), event_of("event-1"))
    down = f"webhook+http://127.0.0.1:{free_port()}/in"
    settings = settings_of(tmp_path, f"webhook+http://{hook.url}/in", down)
    assert deliver(settings) == deliver(settings) == []
    assert len(hook.posts) == 1
    [waiting] = store.alert_events(waiting=True)
    assert waiting.tries == 2
    without = settings_of(tmp_path, f"webhook+http://{hook.url}/in")
    assert [one.id for one in deliver(without)] == ["event-1"]
    assert len(hook.posts) == 1


def test_an_address_that_is_down_is_soon_left_in_peace(
    tmp_path: Path, store: Store, hook: Hook
) -> None:
    hook.status = 503
    put(store, alert_of(), *(event_of(f"event-{number}") for number in range(6)))
    settings = settings_of(tmp_path, f"webhook+http://{hook.url}/in")
    assert deliver(settings) == []
    assert len(hook.posts) == 3
    assert [one.tries for one in store.alert_events(waiting=True)] == [1, 1, 1, 0, 0, 0]
    hook.status = 204
    assert len(deliver(settings)) == 6


def test_events_are_told_in_their_order(tmp_path: Path, store: Store, hook: Hook) -> None:
    changes = ("opened", "raised", "ended")
    put(store, alert_of(), *(event_of(f"e-{one}", change=one) for one in changes))
    deliver(settings_of(tmp_path, f"webhook+http://{hook.url}/in"))
    assert [one["event"]["change"] for one in hook.documents] == list(changes)


def test_what_changed_in_one_look_is_one_mail_and_a_document_each(
    tmp_path: Path, store: Store, hook: Hook, mailbox: tuple[Mailbox, Controller]
) -> None:
    box, controller = mailbox
    names = ("size", "age", "site")
    levels = ("warning", "immediate", "critical")
    alerts = [
        alert_of(id=name, subject=name, level=level, worst=level, opened=AT)
        for name, level in zip(names, levels, strict=True)
    ]
    over = {"ended": AT, "ending": "two looks in a row did not show it"}
    alerts[2] = alerts[2].model_copy(update=over)
    events = [event_of(f"e-{one.id}", alert=one.id, level=one.level, at=AT_ONCE) for one in alerts]
    store.change_alerts("digits-cnn", lambda _: (alerts, events))
    mail = f"mailto://127.0.0.1:{controller.port}?to=ann@example.org&from=yard@example.org"
    sent = deliver(settings_of(tmp_path, mail, f"webhook+http://{hook.url}/in"))
    assert [one.id for one in sent] == ["e-size", "e-age", "e-site"]
    assert [one["event"]["id"] for one in hook.documents] == ["e-size", "e-age", "e-site"]
    [found] = box.mails
    assert found["Subject"] == "[immediate] digits-cnn: 3 changes of alerts"
    payload = found.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode()
    places = [text.index(f"drift of {name}") for name in ("age", "size", "site")]
    assert places == sorted(places)
    assert "modelyard alerts ack age" in text
    assert "modelyard alerts ack site" not in text
    assert text.count("Open the report.") == 1


def test_an_event_whose_alert_was_deleted_keeps_no_other_waiting(
    tmp_path: Path, store: Store, hook: Hook
) -> None:
    put(store, alert_of(), event_of("orphan", alert="nobody"), event_of("event-1"))
    settings = settings_of(tmp_path, f"webhook+http://{hook.url}/in")
    assert [one.id for one in deliver(settings)] == ["event-1"]
    [waiting] = store.alert_events(waiting=True)
    assert waiting.error == "its alert is not in the database any more"


def test_what_nobody_is_to_be_told_is_not_sent(tmp_path: Path, store: Store, hook: Hook) -> None:
    put(store, alert_of(), event_of("event-1", deliver=False))
    assert deliver(settings_of(tmp_path, f"webhook+http://{hook.url}/in")) == []
    assert hook.posts == []


def test_news_of_last_week_are_given_up(tmp_path: Path, store: Store, hook: Hook) -> None:
    old = datetime.now(UTC) - timedelta(days=8)
    put(store, alert_of(), event_of("old", at=old), event_of("new"))
    settings = settings_of(tmp_path, f"webhook+http://{hook.url}/in")
    assert [one.id for one in deliver(settings)] == ["new"]
    assert [one.deliver for one in store.alert_events()] == [False, True]


def test_without_addresses_everything_waits(tmp_path: Path, store: Store) -> None:
    put(store, alert_of(), event_of("event-1"))
    assert deliver(settings_of(tmp_path)) == []
    assert [one.tries for one in store.alert_events(waiting=True)] == [0]


@pytest.mark.parametrize(
    "url",
    [
        f"json://ann:{PASSWORD}@127.0.0.1:PORT/{PASSWORD}?+X-Token={PASSWORD}",
        f"mailto://ann:{PASSWORD}@127.0.0.1:PORT?to=a@example.org&from=b@example.org",
        f"webhook+http://ann:{PASSWORD}@127.0.0.1:PORT/{PASSWORD}?token={PASSWORD}&secret={PASSWORD}",
        f"webhook+http://ann:{PASSWORD}@[::1/{PASSWORD}",
        f"webhook+http://{PASSWORD}:{PASSWORD}",
        f"slak://{PASSWORD}/{PASSWORD}",
        f"{PASSWORD}",
        f"json://{PASSWORD}:{PASSWORD}:{PASSWORD}@/",
    ],
    ids=["json", "mail", "webhook", "brackets", "port", "misspelt", "no-url", "colons"],
)
def test_passwords_are_in_no_log_error_or_table(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    put(store, alert_of(), event_of("event-1"))
    settings = settings_of(tmp_path, url.replace("PORT", str(free_port())))
    assert deliver(settings) == []
    [waiting] = store.alert_events(waiting=True)
    assert waiting.error
    told = [caplog.text, waiting.model_dump_json(), repr(settings), repr(addresses_of(settings))]
    assert [one for one in told if PASSWORD in one] == []


def test_a_server_that_takes_no_mail_of_ours_is_said(
    tmp_path: Path, store: Store, mailbox: tuple[Mailbox, Controller]
) -> None:
    box, controller = mailbox
    put(store, alert_of(), event_of("event-1"))
    address = f"ann:{PASSWORD}@127.0.0.1:{controller.port}"
    url = f"mailto://{address}?to=a@example.org&from=b@example.org"
    assert deliver(settings_of(tmp_path, url)) == []  # it knows no AUTH
    [waiting] = store.alert_events(waiting=True)
    assert waiting.error is not None
    assert waiting.error.startswith("mailto://127.0.0.1: ")
    assert box.mails == []


def test_hostile_names_break_no_line_and_no_header(
    tmp_path: Path, store: Store, mailbox: tuple[Mailbox, Controller]
) -> None:
    box, controller = mailbox
    subject = "size\r\nBcc: everyone@example.org\u202e" + "x" * 200
    put(store, alert_of(subject=subject, reason="a\nevent    forged"), event_of("event-1"))
    url = f"mailto://127.0.0.1:{controller.port}?to=ann@example.org&from=yard@example.org"
    assert len(deliver(settings_of(tmp_path, url))) == 1
    [mail] = box.mails
    assert mail["Bcc"] is None
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert "\nevent    forged" not in payload.decode()


def test_two_that_deliver_at_once_send_each_event_once(
    tmp_path: Path, store: Store, hook: Hook
) -> None:
    put(store, alert_of(), *(event_of(f"event-{number}") for number in range(5)))
    settings = settings_of(tmp_path, f"webhook+http://{hook.url}/in")
    threads = [threading.Thread(target=deliver, args=(settings,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [one["event"]["id"] for one in hook.documents]
    assert sorted(sent) == [f"event-{number}" for number in range(5)]


def test_the_lines_of_the_document_check_the_signature(
    tmp_path: Path, store: Store, hook: Hook
) -> None:
    page = Path(__file__).parents[2] / "docs" / "alerts.md"
    [block] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    told: dict[str, Any] = {}
    exec(block, told)  # noqa: S102 - our own document
    put(store, alert_of(), event_of("event-1"))
    secret = "whsec_c2VjcmV0"
    deliver(settings_of(tmp_path, f"webhook+http://{hook.url}/in?secret={secret}"))
    [(headers, body, _)] = hook.posts
    assert told["is_ours"](secret, headers, body)
    assert told["is_ours"]("secret", headers, body)
    assert not told["is_ours"]("other", headers, body)
    assert not told["is_ours"](secret, headers, body + b" ")
