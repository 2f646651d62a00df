"""`modelyard models` shows and moves what is served."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from modelyard.cli.models import app, parse_weights
from modelyard.errors import UsageError
from modelyard.rollout.deploy import Rollout
from modelyard.rollout.moves import Author
from modelyard.settings import Settings, get_settings
from modelyard.store.database import Store
from modelyard.tracking import registry
from tests.rollout.fakes import FakeServe
from tests.rollout.test_deploy import registered, spec

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def two_versions(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Version 1 is champion and 2 a challenger with a tenth of the traffic."""
    get_settings.cache_clear()
    monkeypatch.setattr(registry, "set_alias", lambda *_: None)
    control = Rollout(settings, store)
    control.deploy(spec(), registered(1), Author("stage", "run-1"))
    control.deploy(spec([0.1]), registered(2), Author("stage", "run-2"))
    yield
    get_settings.cache_clear()


def run(*arguments: str) -> Result:
    return RUNNER.invoke(app, [*arguments], catch_exceptions=False)


def answer(*arguments: str) -> object:
    return json.loads(run(*arguments, "--json").stdout)


def test_list_shows_versions_shares_and_states() -> None:
    assert answer("list") == [
        {"model": "m", "version": 1, "role": "champion", "share": 0.9, "state": "running"},
        {"model": "m", "version": 2, "role": "challenger", "share": 0.1, "state": "running"},
    ]
    assert "90.0%" in run("list").stdout


def test_list_without_serve_still_says_what_was_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELYARD_SERVE_API")
    get_settings.cache_clear()
    assert "not serving" in run("list").stdout


def test_list_while_serve_does_not_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_SERVE_API", "http://127.0.0.1:9")
    get_settings.cache_clear()
    result = run("list")
    assert "does not answer" in result.stderr
    assert "champion" in result.stdout


def test_promote_moves_all_traffic(serve: FakeServe) -> None:
    assert "version 2 becomes champion" in run("promote", "m").stdout
    assert [route.share for route in serve.table().models["m"]] == [0, 1]


def test_promoting_the_champion_again_says_that_there_is_nothing_to_change() -> None:
    run("promote", "m", "2")
    assert "nothing to change" in run("promote", "m", "2").stdout
    assert answer("promote", "m", "2")["changed"] is None  # type: ignore[call-overload, index]


def test_rollback_takes_the_challenger_away(serve: FakeServe) -> None:
    assert "version 2 is taken away" in run("rollback", "m").stdout
    assert serve.apps() == ["modelyard-m-v1", "modelyard"]


def test_split_divides_by_weights(serve: FakeServe) -> None:
    run("split", "m", "--weights", "1=3,2=1")
    assert [route.share for route in serve.table().models["m"]] == [0.75, 0.25]


def test_history_tells_every_change_newest_first() -> None:
    run("rollback", "m")
    entries = answer("history", "m")
    assert [entry["action"] for entry in entries] == [  # type: ignore[attr-defined]
        "rollback",
        "canary",
        "deploy",
        "promote",
        "deploy",
    ]
    assert entries[1]["run"] == "run-2"  # type: ignore[index]
    assert "rollback" in run("history", "m", "--last", "1").stdout


@pytest.mark.parametrize(
    "arguments", [("rollback", "x"), ("show", "x"), ("history", "x"), ("promote", "x")]
)
def test_an_unknown_model_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="there is no model x"):
        run(*arguments)


def test_a_version_that_does_not_exist_is_refused_before_it_is_started(serve: FakeServe) -> None:
    serve.puts.clear()
    with pytest.raises(UsageError, match="m has no version 9"):
        run("promote", "m", "9")
    with pytest.raises(UsageError, match="m has no version 9"):
        run("split", "m", "--weights", "1=1,9=1")
    assert serve.puts == []


@pytest.mark.parametrize("text", ["", "3", "3=", "=1", "a=1", "3=x", "3=1;4=1", "3=1,3=2", "3=1,"])
def test_wrong_weights_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"such as: --weights 3=0\.9,4=0\.1"):
        parse_weights(text)


@given(st.dictionaries(st.integers(1, 999), st.floats(0, 100), min_size=1))
def test_weights_are_read_as_they_are_written(weights: dict[int, float]) -> None:
    assert parse_weights(",".join(f"{key}={value}" for key, value in weights.items())) == weights


def test_every_command_has_an_example() -> None:
    for command in ("list", "show", "promote", "rollback", "split", "history"):
        assert "Example" in run(command, "--help").stdout
