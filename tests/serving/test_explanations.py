"""GET /predictions/ID: who sees what, and how often MLflow is asked."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.api_keys import NewKey, make_key
from modelyard.errors import TrackingError
from modelyard.rollout.routes import route_table
from modelyard.settings import Settings
from modelyard.store.database import open_store
from modelyard.store.monitoring_records import AlertRecord
from modelyard.store.records import Label, LedgerEntry, PredictionRecord, ShadowRecord, Variant, now
from modelyard.tracking.lineage import ANSWER, Origin
from serving.access.keyring import Keyring
from serving.app import create_app
from serving.prediction_log.log import PredictionLog
from serving.service import Service
from serving.traffic import origins
from serving.traffic.origins import Origins, find_in_process
from serving.traffic.stored import Stored
from tests.serving.fakes import FLOWERS, Clock, FakeBackend, MemorySink

ORIGIN = Origin.model_validate(
    {
        **dict.fromkeys(set(Origin.model_fields) - {"git_dirty"}, "x"),
        "version": 1,
        "registered": now(),
        "git_dirty": False,
        "git_commit": "c" * 40,
    }
)
ADMIN = make_key("boss", ["admin"])
WATCHER = make_key("shop", ["predict", "metrics"])
ASKER = make_key("app", ["predict"])
FLORIST = make_key("florist", ["predict"], models=["flowers"])
OTHER = make_key("other", ["predict"], models=["digits"])
FEEDER = make_key("lab", ["feedback"])
KEYS = (ADMIN, WATCHER, ASKER, FLORIST, OTHER, FEEDER)
PAGE = {"accept": "text/html"}


def find(_model: str, _version: int) -> Origin:
    return ORIGIN


def fill(settings: Settings) -> None:
    common = {"model": "flowers", "outputs": {"kind": "rose"}, "probability": {"kind": 0.9}}
    seen = {"id": "p1", "at": now(), "version": 1, "request": "r", "inputs": {"length": 1.5}}
    unseen = {"prediction": "p1", "version": 2, "at": now(), "phase": "first", "agrees": True}
    alert = {"model": "flowers", "version": 1, "kind": "drift", "subject": "length"}
    level = {"level": "critical", "worst": "critical", "value": 1, "peak": 1, "reason": "far"}
    entry = LedgerEntry(
        id="first", model="flowers", action="promote", before={}, after={"1": 1}, reason="", by="me"
    )
    with open_store(settings.database_url) as store:
        store.move(
            "flowers", [Variant(model="flowers", version=1, weight=1, role="champion")], entry
        )
        record = {**common, **seen, "latency_ms": 1, "phase": "first", "client": "shop"}
        store.log_predictions([PredictionRecord.model_validate(record)])
        store.log_shadows([ShadowRecord.model_validate({**common, **unseen, "latency_ms": 1})])
        store.save_labels("flowers", [Label(prediction="p1", output="kind", value="a", by="lab")])
        opened = AlertRecord.model_validate(
            {**alert, **level, "windows": (), "onset": record["at"]}
        )
        store.change_alerts("flowers", lambda _open: ([opened], []))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("explained")
    settings = Settings(
        project=folder,
        MODELYARD_HOME=folder / "home",
        MODELYARD_TRACKING_URI="http://mlflow.internal:5000",
    )
    fill(settings)
    keyring = Keyring(settings, lambda: [key.record for key in KEYS], every=60)
    log = PredictionLog(MemorySink())
    service = Service(FakeBackend({"flowers": FLOWERS}), log, Stored(settings.database_url))
    service.route_by(route_table([Variant(model="flowers", version=1, weight=1, role="champion")]))
    app = create_app(service, keyring=keyring, origins=Origins(find), settings=settings)
    with TestClient(app) as opened:
        yield opened
    log.close()
    keyring.close()


def ask(client: TestClient, key: NewKey, path: str = "/predictions/p1") -> dict[str, Any]:
    answer = client.get(path, headers={"Authorization": f"Bearer {key.text}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    return document


def test_admin_sees_all(client: TestClient) -> None:
    found = ask(client, ADMIN)
    assert found["inputs"] == {"length": 1.5}
    assert len(found["input_hash"]) == 64
    assert (found["client"], found["labels"][0]["by"]) == ("shop", "lab")
    assert (found["role"], found["origin"]["git_commit"]) == ("champion", "c" * 40)
    assert found["links"]["mlflow_run"].startswith("http://mlflow.internal:5000/#/")
    assert (len(found["alerts"]), len(found["shadows"]), found["phase"]["id"]) == (1, 1, "first")


def test_inputs_and_the_names_of_others_are_admins_only(client: TestClient) -> None:
    found = ask(client, WATCHER)
    assert (found["inputs"], found["input_hash"]) == (None, None)
    assert "inputs" in " ".join(found["missing"])
    assert (found["client"], found["labels"][0]["by"]) == ("shop", None)
    assert (len(found["alerts"]), len(found["shadows"])) == (1, 1)
    assert ask(client, ASKER)["client"] is None


def test_without_the_scope_metrics_there_is_neither_ledger_nor_alert(client: TestClient) -> None:
    found = ask(client, ASKER)
    assert (found["alerts"], found["shadows"], found["phase"], found["links"]) == ([], [], None, {})
    assert found["outputs"] == {"kind": "rose"}
    assert found["origin"]["git_commit"] == "c" * 40
    assert "mlflow.internal" not in json.dumps(found)


def test_a_key_for_one_model_asks_below_that_model(client: TestClient) -> None:
    assert ask(client, FLORIST, "/models/flowers/predictions/p1")["prediction"] == "p1"
    for key, path, status in (
        (FLORIST, "/predictions/p1", 403),
        (OTHER, "/models/flowers/predictions/p1", 403),
        (OTHER, "/models/digits/predictions/p1", 404),
        (FEEDER, "/predictions/p1", 403),
        (ADMIN, "/predictions/p9", 404),
        (ADMIN, f"/predictions/{'x' * 300}", 404),
        (ADMIN, "/predictions/p1%00", 404),
    ):
        answer = client.get(path, headers={"Authorization": f"Bearer {key.text}"})
        assert answer.status_code == status, (key.record.name, path)
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/predictions/p1").status_code == 401


def test_a_browser_gets_a_page_without_data_and_without_a_key(client: TestClient) -> None:
    pages = [client.get(f"/predictions/{one}", headers=PAGE) for one in ("p1", "p9")]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].text == pages[1].text
    assert "rose" not in pages[0].text
    assert pages[0].headers["vary"] == "Accept"


@pytest.mark.parametrize("kinds", [("*/*", "text/html"), ("text/html", "application/json")])
def test_two_lines_of_accept_are_no_way_around_a_key(
    client: TestClient, kinds: tuple[str, str]
) -> None:
    for path in ("/predictions/p1", "/models/iris/predictions/p1", "/traffic"):
        answer = client.get(path, headers=[("accept", kind) for kind in kinds])
        assert answer.status_code == 401 or answer.headers["content-type"].startswith("text/html")


class Counting:
    """MLflow that counts how often it is asked, and is away for some versions."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, _model: str, version: int) -> Origin | None:
        self.asked.append(version)
        if version == 9:
            message = "MLflow does not answer"
            raise TrackingError(message)
        return ORIGIN if version == 1 else None


def test_mlflow_is_asked_once_a_version_and_again_after_a_minute_for_what_it_lacked() -> None:
    mlflow, clock = Counting(), Clock()

    async def ask_all() -> None:
        found = Origins(mlflow, clock)
        for _ in range(3):
            assert await found.find("flowers", 1) == ORIGIN
            assert await found.find("flowers", 2) is None
            with pytest.raises(TrackingError):
                await found.find("flowers", 9)
        assert mlflow.asked == [1, 2, 9]
        clock.now += 61
        await found.find("flowers", 1)
        await found.find("flowers", 2)
        with pytest.raises(TrackingError):
            await found.find("flowers", 9)
        found.close()

    asyncio.run(ask_all())
    assert mlflow.asked == [1, 2, 9, 2, 9]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "MOST_KEPT", 2)

    async def ask_all() -> None:
        found = Origins(find)
        for version in range(7):
            await found.find("flowers", version)
        assert sum(found.kept("flowers", version) is not None for version in range(7)) <= 2
        found.close()

    asyncio.run(ask_all())


@pytest.mark.parametrize(
    ("done", "found"),
    [
        (subprocess.CompletedProcess([], 0, ANSWER.dump_json(ORIGIN).decode()), ORIGIN),
        (subprocess.CompletedProcess([], 0, "null\n"), None),
        (subprocess.CompletedProcess([], 1, "", "http://mlflow.internal is away"), "refused"),
        (subprocess.TimeoutExpired([], 30), "refused"),
    ],
    ids=["found", "none", "failed", "late"],
)
def test_the_other_process_is_believed_or_the_reason_kept_from_strangers(
    monkeypatch: pytest.MonkeyPatch, done: object, found: object
) -> None:
    def answered(*_arguments: object, **_options: object) -> object:
        if isinstance(done, Exception):
            raise done
        return done

    monkeypatch.setattr(origins.subprocess, "run", answered)
    if found == "refused":
        with pytest.raises(TrackingError, match=r"^MLflow does not answer$"):
            find_in_process("flowers", 1)
    else:
        assert find_in_process("flowers", 1) == found


def test_the_other_process_can_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where MLflow has kept nothing yet, it says so without importing it."""
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    monkeypatch.delenv("MODELYARD_TRACKING_URI", raising=False)
    assert find_in_process("flowers", 1) is None
