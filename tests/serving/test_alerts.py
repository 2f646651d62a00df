"""`/alerts`: what needs a person, and taking note of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import validate
from starlette.testclient import TestClient

from modelyard.api_keys import make_key
from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertRecord
from modelyard.store.records import RolloutRecord
from serving.access.keyring import Keyring
from serving.app import create_app
from serving.traffic.stored import Stored
from tests.serving.fakes import Direct

AT = datetime(2026, 11, 20, 18, tzinfo=UTC)
ADMIN, METRICS = make_key("ops", ["admin"]), make_key("prometheus", ["metrics"])


def alert(identity: str, **changes: object) -> AlertRecord:
    fields: dict[str, object] = {
        "id": identity,
        "model": "flowers",
        "version": 1,
        "kind": "drift",
        "subject": identity,
        "level": "warning",
        "worst": "critical",
        "value": 0.2,
        "peak": 0.4,
        "windows": ("1000", "all"),
        "reason": "it differs",
        "onset": AT - timedelta(hours=1),
        "opened": AT,
        "gone": AT,
    }
    return AlertRecord.model_validate({**fields, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/yard.db") as made:
        yield made


@pytest.fixture
def direct(store: Store, tmp_path: Path) -> Iterator[Direct]:
    assert store.variants() == []
    made = Direct(Stored(f"sqlite:///{tmp_path}/yard.db"))
    yield made
    made.log.close()
    asyncio.run(made.service.close())


@pytest.fixture
def client(direct: Direct) -> TestClient:
    return TestClient(create_app(direct.service), base_url="http://127.0.0.1:8000")


def put(store: Store, *alerts: AlertRecord) -> None:
    for one in alerts:
        store.change_alerts(one.model, lambda _, one=one: ([one], []))  # type: ignore[misc]


def listed(client: TestClient, path: str = "/alerts") -> list[str]:
    return [one.get("id") for one in client.get(path).json()["alerts"]]


def test_open_alerts_are_listed_the_newest_first_beside_what_else_needs_a_person(
    client: TestClient, store: Store
) -> None:
    put(store, alert("old"), alert("new", opened=AT + timedelta(hours=2), kind="performance"))
    put(store, alert("over", ended=AT), alert("trees", model="trees"))
    store.save_rollout(
        RolloutRecord(
            id="rollout",
            model="flowers",
            version=2,
            status="waiting",
            phase="p",
            policy={},
            by="x",
            changed=AT + timedelta(hours=1),
        )
    )
    found = client.get("/alerts").json()["alerts"]
    assert [one["id"] for one in found] == ["new", "rollout", "old"]
    assert [one["kind"] for one in found] == ["performance", "approval", "drift"]


def test_ended_alerts_come_last_if_they_are_asked_for(client: TestClient, store: Store) -> None:
    put(store, alert("over", ended=AT, opened=AT + timedelta(days=1)), alert("open"))
    assert listed(client, "/alerts?all=true") == ["open", "over"]
    assert listed(client, "/alerts?all=false") == ["open"]


def test_a_models_alerts_have_a_path_of_their_own(client: TestClient, store: Store) -> None:
    put(store, alert("one"), alert("over", ended=AT))
    assert listed(client, "/models/flowers/alerts") == ["one"]
    assert listed(client, "/models/flowers/alerts?all=1") == ["one", "over"]
    assert listed(client, "/alerts?model=flowers") == ["one"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/alerts?models=flowers", 422),
        ("/alerts?all=perhaps", 422),
        ("/alerts?model=trees", 404),
        ("/models/trees/alerts", 404),
        ("/models/flowers/alerts?model=flowers", 422),
    ],
)
def test_what_does_not_exist_is_refused(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_an_alert_is_what_the_openapi_document_says(client: TestClient, store: Store) -> None:
    put(store, alert("one", report="reports/flowers/drift-1.html"))
    document = client.get("/openapi.json").json()
    [found] = client.get("/alerts").json()["alerts"]
    validate(found, {"$ref": "#/components/schemas/Alert", "components": document["components"]})
    assert set(found) == set(document["components"]["schemas"]["Alert"]["properties"])
    assert (found["at"], found["peak"]) == ("2026-11-20T18:00:00Z", 0.4)


@pytest.mark.parametrize(
    ("body", "comment"),
    [(None, None), ({}, None), ({"comment": "a new camera"}, "a new camera")],
    ids=["nothing", "empty", "comment"],
)
def test_a_person_takes_note(
    client: TestClient, store: Store, body: object, comment: str | None
) -> None:
    put(store, alert("one"))
    noted = client.post("/alerts/one/acknowledge", json=body).json()
    assert (noted["acknowledged_by"], noted["comment"]) == ("endpoint", comment)
    assert noted["acknowledged"] is not None
    kept = store.alert("one")
    assert kept is not None
    assert kept.comment == comment
    assert [event.change for event in store.alert_events(alert="one")] == ["acknowledged"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/alerts/two/acknowledge", {}, 404),
        ("/alerts/one/acknowledge", {"comments": "x"}, 422),
        ("/alerts/one/acknowledge", {"comment": 7}, 422),
        ("/alerts/one/acknowledge", {"comment": "x" * 1001}, 422),
        ("/alerts/one/acknowledge", {"comment": "a\0b"}, 422),
        ("/alerts/one/acknowledge", ["x"], 422),
    ],
    ids=["unknown", "misspelt", "number", "long", "nul", "list"],
)
def test_a_note_that_does_not_fit_is_refused(
    client: TestClient, store: Store, path: str, body: object, status: int
) -> None:
    put(store, alert("one"))
    assert client.post(path, json=body).status_code == status
    kept = store.alert("one")
    assert kept is not None
    assert kept.acknowledged is None


def test_to_take_note_needs_the_scope_admin_and_says_whose_key_it_was(
    direct: Direct, store: Store, tmp_path: Path
) -> None:
    put(store, alert("one"))
    settings = Settings.model_validate({"project": tmp_path, "require_keys": "always"})
    ring = Keyring(settings, lambda: (ADMIN.record, METRICS.record), every=60)
    with TestClient(create_app(direct.service, keyring=ring)) as client:

        def asked(key: str) -> tuple[int, int]:
            head = {"X-API-Key": key}
            noted = client.post("/alerts/one/acknowledge", headers=head)
            return client.get("/alerts", headers=head).status_code, noted.status_code

        assert asked("nonsense") == (401, 401)
        assert asked(METRICS.text) == (200, 403)
        assert asked(ADMIN.text) == (200, 200)
    kept = store.alert("one")
    assert kept is not None
    assert kept.acknowledged_by == "ops"


def test_a_thousand_alerts_are_listed_at_once(client: TestClient, store: Store) -> None:
    many = [alert(f"a{number}", ended=AT if number % 2 else None) for number in range(1000)]
    store.change_alerts("flowers", lambda _: (many, []))
    client.get("/alerts")
    began = time.perf_counter()
    assert len(listed(client, "/alerts?all=true")) == 500
    assert time.perf_counter() - began < 1
