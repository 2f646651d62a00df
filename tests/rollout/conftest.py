"""A database, a stand-in for Ray Serve, and the means to move traffic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.settings import Settings
from modelyard.store.database import Store, open_store
from tests.rollout.fakes import FakeServe


@pytest.fixture
def serve() -> Iterator[FakeServe]:
    started = FakeServe()
    yield started
    started.close()


@pytest.fixture
def settings(tmp_path: Path, serve: FakeServe, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    monkeypatch.setenv("MODELYARD_SERVE_API", serve.url)
    monkeypatch.setenv("MODELYARD_ENDPOINT", serve.url)
    return Settings()


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.database_url) as opened:
        yield opened
