"""A client of the real HTTP interface, with fakes behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from modelyard.store.records import Variant
from serving.app import create_app
from serving.prediction_log.log import PredictionLog
from serving.service import Service
from tests.serving.fakes import DIGITS, FLOWERS, Direct, Endpoint, FakeBackend, MemorySink
from tests.serving.live import Live, live_endpoint


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The interface on a real port; who changes its routes brings them back."""
    with live_endpoint(tmp_path_factory.mktemp("live")) as made:
        yield made


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def endpoint(sink: MemorySink) -> Iterator[Endpoint]:
    backend = FakeBackend({"flowers": FLOWERS, "digits": DIGITS})
    log = PredictionLog(sink)
    service = Service(backend, log)
    with TestClient(create_app(service), raise_server_exceptions=False) as client:
        made = Endpoint(client, service, backend, sink, log)
        made.route(Variant(model="flowers", version=3, weight=1, role="champion"))
        yield made
    sink.gate.set()
    sink.fault = None
    log.close()


@pytest.fixture
def direct() -> Iterator[Direct]:
    """A service with fakes behind it, without HTTP."""
    made = Direct()
    yield made
    made.sink.gate.set()
    made.log.close()
