"""Who is let in, and what a refusal says."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from modelyard.api_keys import NewKey, make_key
from modelyard.errors import StoreError
from modelyard.settings import Settings
from modelyard.store.database import open_store
from modelyard.store.records import ApiKey
from serving.access.keyring import Door, Keyring, door_of
from serving.access.keys import Guard, shown_key
from serving.app import create_app
from serving.http.limits import Limits
from tests.serving.fakes import Endpoint

SHOP = make_key("shop", ["predict"])
DIGITS = make_key("digits-only", ["predict", "feedback"], ["digits"])
SLOW = make_key("slow", ["predict"], rate_per_minute=1)
GONE = make_key("gone", ["admin"])
ADMIN = make_key("ops", ["admin"])
METRICS = make_key("prometheus", ["metrics"])
REVOKED = GONE.record.model_copy(update={"revoked": datetime.now(UTC)})
KEYS = (*(made.record for made in (SHOP, DIGITS, SLOW, ADMIN, METRICS)), REVOKED)

type Ask = Callable[..., TestClient]


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"client": request.scope.get("state", {}).get("client")})


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Ask]:
    """An endpoint with these keys, bound to that address."""
    rings: list[Keyring] = []

    def make(
        keys: Sequence[ApiKey] = KEYS,
        bind: str = "10.0.0.5",
        require: str = "auto",
        origins: Sequence[str] = (),
    ) -> TestClient:
        settings = Settings.model_validate(
            {"project": tmp_path, "MODELYARD_BIND": bind, "require_keys": require}
        )
        rings.append(Keyring(settings, lambda: keys, every=60))
        methods = ["GET", "POST"]
        app = Starlette(routes=[Route("/{path:path}", echo, methods=methods)])
        app.add_middleware(Guard, keyring=rings[-1], origins=origins)
        app.add_middleware(Limits)
        return TestClient(app, base_url="http://127.0.0.1:8000")

    yield make
    for ring in rings:
        ring.close()


def bearer(made: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {made.text}"}


def test_a_key_lets_in_and_is_named(client: Ask) -> None:
    answer = client().post("/models/digits/predict", headers=bearer(SHOP))
    assert answer.json() == {"client": "shop"}


def test_a_key_may_come_in_its_own_header(client: Ask) -> None:
    answer = client().post("/predict", headers={"X-API-Key": SHOP.text})
    assert answer.json() == {"client": "shop"}


def test_without_a_key_the_answer_says_what_to_send(client: Ask) -> None:
    answer = client().post("/predict")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="modelyard"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize(
    "text",
    ["nonsense", SHOP.text + "x", SHOP.text[:-1], GONE.text, "mdy__"],
    # Keys are made by chance, and each process of a test run must call the tests the same.
    ids=["nonsense", "longer", "shorter", "revoked", "empty"],
)
def test_a_wrong_or_revoked_key_is_refused(client: Ask, text: str) -> None:
    answer = client().post("/predict", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_key_in_the_address_is_not_taken(client: Ask) -> None:
    """Addresses stand in logs."""
    assert client().post(f"/predict?api_key={SHOP.text}").status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/static/1/page.js"])
def test_health_and_the_files_of_pages_need_no_key(client: Ask, path: str) -> None:
    assert client().get(path).status_code == 200
    assert client(keys=()).get(path).status_code == 200


@pytest.mark.parametrize(
    ("made", "path", "status"),
    [
        (SHOP, "/models/any/feedback", 403),
        (SHOP, "/metrics", 403),
        (SHOP, "/model-info", 200),
        (METRICS, "/metrics", 200),
        (METRICS, "/traffic", 200),
        (METRICS, "/predict", 403),
        (METRICS, "/models/any", 200),
        (ADMIN, "/metrics", 200),
        (ADMIN, "/models/any/feedback", 200),
        (ADMIN, "/something/new", 200),
        (SHOP, "/something/new", 403),
        (DIGITS, "/models/digits/predict", 200),
        (DIGITS, "/models/digits/feedback", 200),
        (DIGITS, "/v2/models/digits/infer", 200),
        (DIGITS, "/models/flowers/predict", 403),
        (DIGITS, "/predict", 403),
        (DIGITS, "/model-info", 403),
    ],
)
def test_a_key_may_do_what_its_scopes_and_models_say(
    client: Ask, made: NewKey, path: str, status: int
) -> None:
    assert client().post(path, headers=bearer(made)).status_code == status


def test_a_refusal_names_the_scope_and_the_key(client: Ask) -> None:
    answer = client().get("/metrics", headers=bearer(SHOP))
    challenge = answer.headers["www-authenticate"]
    assert challenge.endswith('error="insufficient_scope", scope="metrics"')
    assert "shop" in answer.json()["detail"]


def test_a_refusal_says_which_models_a_key_is_for(client: Ask) -> None:
    answer = client().post("/predict", headers=bearer(DIGITS))
    assert "/models/digits" in answer.json()["detail"]


def test_too_many_requests_are_told_when_to_come_again(client: Ask) -> None:
    asked = client()
    assert asked.post("/predict", headers=bearer(SLOW)).status_code == 200
    answer = asked.post("/predict", headers=bearer(SLOW))
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert asked.post("/predict", headers=bearer(SHOP)).status_code == 200


def test_refusals_are_counted(client: Ask) -> None:
    asked = client()
    asked.post("/predict")
    asked.post("/metrics", headers=bearer(SHOP))
    asked.post("/metrics", headers=bearer(SHOP))
    ring: Keyring = asked.app.user_middleware[-1].kwargs["keyring"]  # type: ignore[attr-defined]
    assert ring.refused == {401: 1, 403: 2}


def test_no_secret_is_told_to_anybody(client: Ask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = client()
    told = []
    for made in (SHOP, SLOW, GONE, DIGITS):
        secret = made.text.split("_", 2)[2]
        for path in ("/predict", "/metrics", f"/models/x/predict?key={made.text}"):
            for headers in (bearer(made), {"X-API-Key": made.text[:-1]}):
                answer = asked.post(path, headers=headers)
                told.append(answer.text + str(answer.headers))
        ours = [
            record.getMessage() for record in caplog.records if not record.name.startswith("httpx")
        ]
        assert not [text for text in (*told, *ours) if secret in text]
    assert len(told) == 24


def test_a_page_is_for_everybody_and_its_data_are_not(client: Ask) -> None:
    asked = client()
    assert asked.get("/traffic", headers={"Accept": "text/html"}).status_code == 200
    assert asked.get("/traffic", headers={"Accept": "application/json"}).status_code == 401
    assert asked.get("/traffic").status_code == 401


def test_an_open_laptop_needs_no_key(client: Ask) -> None:
    asked = client(keys=(), bind="127.0.0.1")
    assert asked.post("/predict").json() == {"client": None}
    assert asked.get("/metrics").status_code == 200


@pytest.mark.parametrize("host", ["rebound.evil.com:8000", "10.0.0.3:8000", ""])
def test_an_open_laptop_answers_only_under_its_own_name(client: Ask, host: str) -> None:
    """A name server that is not honest could let a web page talk to it as its own site."""
    answer = client(keys=(), bind="127.0.0.1").post("/predict", headers={"Host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
def test_an_open_laptop_answers_no_caller_of_a_proxy(client: Ask, name: str) -> None:
    answer = client(keys=(), bind="127.0.0.1").post("/predict", headers={name: "10.0.0.9"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("https://evil.com", 403),
        ("null", 403),
        ("http://127.0.0.1:9999", 403),
        ("https://app.example.org", 200),
    ],
)
def test_an_open_laptop_answers_no_page_of_another_site(
    client: Ask, origin: str, status: int
) -> None:
    asked = client(keys=(), bind="127.0.0.1", origins=["https://app.example.org"])
    assert asked.post("/predict", headers={"Origin": origin}).status_code == status


def test_the_network_gets_nothing_before_there_is_a_key(client: Ask) -> None:
    answer = client(keys=(), bind="10.0.0.5").post("/predict")
    assert answer.status_code == 503
    assert "modelyard keys create" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("require", "bind", "keys", "door"),
    [
        ("auto", "127.0.0.1", (), Door.LOCAL),
        ("auto", "127.0.0.1", KEYS, Door.KEYS),
        ("auto", "127.0.0.1", (REVOKED,), Door.KEYS),
        ("auto", "10.0.0.5", (), Door.CLOSED),
        ("auto", "models.example.org", KEYS, Door.KEYS),
        ("always", "127.0.0.1", (), Door.CLOSED),
        ("always", "127.0.0.1", KEYS, Door.KEYS),
        ("never", "10.0.0.5", KEYS, Door.OPEN),
        ("auto", "127.0.0.1", None, Door.UNKNOWN),
        ("never", "10.0.0.5", None, Door.OPEN),
    ],
)
def test_the_door_is_as_the_settings_say(
    tmp_path: Path, require: str, bind: str, keys: Sequence[ApiKey] | None, door: Door
) -> None:
    settings = Settings.model_validate(
        {"project": tmp_path, "MODELYARD_BIND": bind, "require_keys": require}
    )
    table = None if keys is None else {key.id: key for key in keys}
    assert door_of(settings, table) is door


def test_a_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        pytest.fail("it got in")

    import asyncio

    guard = Guard(app, keyring=FixedRing())  # type: ignore[arg-type]
    asyncio.run(guard({"type": "websocket"}, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]


class FixedRing:
    keys: dict[str, ApiKey] = {}  # noqa: RUF012 - never changed
    door = Door.KEYS


NAMES = st.sampled_from([b"authorization", b"x-api-key", b"host", b"accept"])


@given(st.lists(st.tuples(NAMES, st.binary(max_size=80)), max_size=6))
def test_any_headers_can_be_read(headers: list[tuple[bytes, bytes]]) -> None:
    found = shown_key(headers)
    assert found is None or any(found.encode("latin-1") in value for _, value in headers)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([("authorization", "Bearer abc")], "abc"),
        ([("authorization", "bearer   abc ")], "abc"),
        ([("authorization", "BEARER abc")], "abc"),
        ([("x-api-key", "abc")], "abc"),
        ([("authorization", "Basic abc"), ("x-api-key", "key")], "key"),
        ([("authorization", "Bearer abc"), ("x-api-key", "abc")], "abc"),
        ([("authorization", "Bearer abc"), ("x-api-key", "other")], None),
        ([("x-api-key", "abc"), ("x-api-key", "other")], None),
        ([("authorization", "Basic abc")], None),
        ([("authorization", "Bearer")], None),
        ([("authorization", "Bearer a b")], None),
        ([("x-api-key", "")], None),
        ([], None),
    ],
)
def test_a_key_is_read_from_two_headers(headers: list[tuple[str, str]], key: str | None) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    assert shown_key(encoded) == key


class Source:
    """Keys that change and a database that may be away."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys: tuple[ApiKey, ...] = keys
        self.fault: Exception | None = None
        self.asked = threading.Event()

    def __call__(self) -> Sequence[ApiKey]:
        self.asked.set()
        if self.fault is not None:
            raise self.fault
        return self.keys


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(project=tmp_path)


def test_a_key_that_is_revoked_holds_no_longer(settings: Settings) -> None:
    source = Source(SHOP.record)
    ring = Keyring(settings, source, every=0.01)
    assert ring.keys[SHOP.record.id].revoked is None
    source.keys = (SHOP.record.model_copy(update={"revoked": datetime.now(UTC)}),)
    for _ in range(2):
        source.asked.clear()
        assert source.asked.wait(5)
    ring.close()
    assert ring.keys[SHOP.record.id].revoked is not None


@pytest.mark.parametrize("fault", [StoreError("away"), ValueError("a row that cannot be read")])
def test_while_the_database_is_away_the_last_known_keys_hold(
    settings: Settings, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source(SHOP.record)
    ring = Keyring(settings, source, every=60)
    source.fault = fault
    for _ in range(3):
        ring.refresh()
    assert ring.door is Door.KEYS
    assert SHOP.record.id in ring.keys
    assert (
        len([record for record in caplog.records if record.name == "serving.access.keyring"]) == 1
    )
    source.fault, source.keys = None, ()
    ring.refresh()
    ring.close()
    assert ring.keys == {}


def test_before_the_keys_were_read_nobody_is_let_in(settings: Settings) -> None:
    source = Source()
    source.fault = StoreError("away")
    ring = Keyring(settings, source, every=60)
    assert ring.door is Door.UNKNOWN
    ring.close()


def test_keys_come_from_the_database(settings: Settings) -> None:
    with open_store(settings.database_url) as store:
        store.add_api_key(SHOP.record)
    ring = Keyring(settings, every=60)
    ring.close()
    assert ring.keys == {SHOP.record.id: SHOP.record}


@pytest.fixture
def guarded(endpoint: Endpoint, settings: Settings) -> Iterator[TestClient]:
    """The real application, with these keys."""
    ring = Keyring(settings, lambda: KEYS, every=60)
    app = create_app(endpoint.service, keyring=ring, cors_origins=["https://app.example.org"])
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client
    ring.close()


def test_a_refusal_of_the_endpoint_is_a_whole_answer(guarded: TestClient) -> None:
    answer = guarded.post("/models/flowers/predict", json={"rows": [{"length": 1}]})
    assert answer.status_code == 401
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == answer.json()["request"]


def test_the_endpoint_answers_who_shows_a_key_and_logs_its_name(
    guarded: TestClient, endpoint: Endpoint
) -> None:
    body = {"rows": [{"length": 1}]}
    answer = guarded.post("/models/flowers/predict", json=body, headers=bearer(SHOP))
    assert answer.status_code == 200
    endpoint.log.close()
    assert [record.client for record in endpoint.sink.records] == ["shop"]


@pytest.mark.parametrize(
    ("origin", "told"),
    [("https://app.example.org", "https://app.example.org"), ("https://evil.com", None)],
)
def test_a_preflight_request_of_a_listed_site_needs_no_key(
    guarded: TestClient, origin: str, told: str | None
) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-api-key",
    }
    answer = guarded.options("/predict", headers=headers)
    assert answer.headers.get("access-control-allow-origin") == told
