from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import StackError, UsageError
from modelyard.stack import ports as subject
from modelyard.stack.ports import HOST, Ports, claim, holder, is_free, read_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_defaults_are_what_each_program_is_known_for() -> None:
    ports = read_ports()
    assert (ports.airflow, ports.mlflow, ports.ray_dashboard, ports.endpoint) == (
        8080,
        5000,
        8265,
        8000,
    )


def test_the_environment_changes_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PORT_AIRFLOW", "9090")
    assert read_ports().airflow == 9090


@pytest.mark.parametrize("value", ["many", "-1", "70000", ""])
def test_a_value_that_is_no_port_is_a_usage_error(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_PORT_MLFLOW", value)
    with pytest.raises(UsageError, match="MODELYARD_PORT_MLFLOW must be a port"):
        read_ports()


def test_two_services_cannot_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PORT_MLFLOW", "8080")
    with pytest.raises(UsageError, match="mlflow and airflow were both given port 8080"):
        read_ports()


def test_several_services_may_take_any_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_PORT_MLFLOW", "0")
    monkeypatch.setenv("MODELYARD_PORT_AIRFLOW", "0")
    assert read_ports().airflow == 0


def test_free_ports_are_chosen_and_differ() -> None:
    numbers = list(claim(read_ports(any_free=True)).model_dump().values())
    assert len(set(numbers)) == len(numbers)
    assert all(map(is_free, numbers))


def test_a_taken_port_names_its_holder_and_what_to_do(taken: int) -> None:
    ports = Ports.model_validate({**dict.fromkeys(Ports.model_fields, 0), "mlflow": taken})
    with pytest.raises(StackError) as refused:
        claim(ports)
    text = str(refused.value)
    assert f"port {taken} for mlflow is taken by pid {os.getpid()} (" in text
    assert "MODELYARD_PORT_MLFLOW=0" in text


def test_all_taken_ports_are_told_at_once(taken: int) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        ports = {"mlflow": taken, "airflow": other.getsockname()[1]}
        with pytest.raises(StackError, match=r"for airflow is taken.*\n.*for mlflow is taken"):
            claim(Ports.model_validate({**dict.fromkeys(Ports.model_fields, 0), **ports}))


def test_a_port_that_was_just_left_is_free(taken: int) -> None:
    with socket.socket() as client:
        client.connect((HOST, taken))
    assert not is_free(taken)


def test_a_holder_that_cannot_be_seen_is_somebody_else(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(subject.psutil, "net_connections", lambda **_: [])
    assert holder(taken) == "a process of another user"


@given(st.sets(st.integers(20000, 30000), min_size=6, max_size=6))
def test_a_port_that_was_asked_for_is_kept_or_refused_never_changed(numbers: set[int]) -> None:
    asked = dict(zip(Ports.model_fields, numbers, strict=True))
    try:
        claimed = claim(Ports.model_validate(asked))
    except StackError:
        return
    assert claimed.model_dump() == asked
