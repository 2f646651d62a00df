"""A command beside a running stack uses it; the environment, where it says something, wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard.cli.neighbour import use_running_stack
from modelyard.settings import Settings, get_settings
from modelyard.stack import environment, state
from modelyard.stack.ports import Ports

PORTS = Ports(mlflow=5001, ray=6381, ray_dashboard=8266, endpoint=8001)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path))
    for name in environment.ADDRESSES:
        monkeypatch.setenv(name, "")  # so that monkeypatch takes away what the command sets
        monkeypatch.delenv(name)
    get_settings.cache_clear()
    return get_settings()


def test_a_running_stack_is_used(home: Settings) -> None:
    state.record(home, os.getpid(), PORTS)
    use_running_stack()
    found = get_settings()
    assert found.tracking_uri == "http://127.0.0.1:5001"
    assert found.ray_address == "127.0.0.1:6381"
    assert found.serve_api == "http://127.0.0.1:8266"
    assert found.endpoint == "http://127.0.0.1:8001"
    assert found.ray_token_override == home.home / "secrets" / "ray_token"


def test_addresses_of_the_environment_win(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    state.record(home, os.getpid(), PORTS)
    monkeypatch.setenv("MODELYARD_SERVE_API", "http://ray.example:8265")
    use_running_stack()
    get_settings.cache_clear()
    assert get_settings().serve_api == "http://ray.example:8265"
    assert get_settings().ray_address is None


def test_without_a_stack_nothing_changes(home: Settings) -> None:
    use_running_stack()
    assert get_settings() == home
    assert not set(environment.ADDRESSES) & set(os.environ)
