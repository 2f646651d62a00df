"""`modelyard alerts`: list, show and take note, for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from modelyard.cli import output
from modelyard.cli.alerts import app
from modelyard.cli.app import build_app
from modelyard.cli.neighbour import USERS
from modelyard.errors import UsageError
from modelyard.settings import get_settings
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertEvent, AlertRecord

AT = datetime(2026, 11, 20, 18, tzinfo=UTC)

type Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    with open_store(get_settings().database_url) as opened:
        put(opened, "aaaa1111", subject="size")
        put(opened, "aaaa2222", subject="[red]age", segment="site=north", level="immediate")
        put(opened, "bbbb3333", model="trees", kind="performance", subject="label.accuracy")
        put(opened, "cccc4444", subject="old", ended=AT + timedelta(hours=1), ending="it is over")
        yield opened


def put(store: Store, identity: str, **changes: object) -> None:
    fields: dict[str, object] = {
        "id": identity,
        "model": "clinic",
        "version": 1,
        "kind": "drift",
        "level": "warning",
        "worst": "immediate",
        "value": 0.2,
        "peak": 0.4,
        "windows": ("1000",),
        "reason": "it differs from the reference",
        "onset": AT - timedelta(hours=1),
        "opened": AT,
        "report": "reports/clinic/drift-1.html",
    }
    alert = AlertRecord.model_validate({**fields, **changes})
    event = AlertEvent(
        alert=identity, model=alert.model, at=AT, change="opened", level=alert.level, deliver=True
    )
    store.change_alerts(alert.model, lambda _: ([alert], [event]))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(output.out, "_width", 200)
    return lambda *words: CliRunner().invoke(app, list(words))


def ids(done: Result) -> list[str]:
    return [one["id"] for one in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ["aaaa1111", "aaaa2222", "bbbb3333"]),
        (("clinic",), ["aaaa1111", "aaaa2222"]),
        (("--all",), ["aaaa1111", "aaaa2222", "bbbb3333", "cccc4444"]),
        (("list", "clinic", "--all"), ["aaaa1111", "aaaa2222", "cccc4444"]),
        (("nobody",), []),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("store")
def test_open_alerts_are_listed_or_all(run: Run, words: tuple[str, ...], found: list[str]) -> None:
    assert ids(run(*words, "--json")) == found


@pytest.mark.usefixtures("store")
def test_a_person_reads_what_is_wrong_and_since_when(run: Run) -> None:
    output = run("--all").output
    for part in (
        "drift of size",
        "drift of [red]age where site=north",
        "performance of label.accuracy",
        "immediate",
        "2026-11-20 17:00",
        "ended 2026-11-20 19:00",
    ):
        assert part in output


@pytest.mark.usefixtures("store")
def test_no_alert_is_said(run: Run) -> None:
    assert run("nobody").output == "no open alert of nobody\n"


def test_a_person_takes_note_by_how_the_id_begins(store: Store, run: Run) -> None:
    done = run("ack", "bbbb", "--comment", "labels [are] late")
    assert done.exit_code == 0
    assert done.output == f"bbbb3333 trees 1: performance of label.accuracy: noted by {getuser()}\n"
    noted = store.alert("bbbb3333")
    assert noted is not None
    assert (noted.acknowledged_by, noted.comment) == (getuser(), "labels [are] late")
    assert f"noted by {getuser()}" in run("trees").output


def test_somebody_else_may_be_named(store: Store, run: Run) -> None:
    assert json.loads(run("ack", "aaaa1111", "--by", "ann", "--json").stdout)["comment"] is None
    noted = store.alert("aaaa1111")
    assert noted is not None
    assert noted.acknowledged_by == "ann"


@pytest.mark.parametrize(
    ("identity", "said"),
    [("dddd", "there is no alert dddd"), ("aaaa", "begins several"), ("", "there is no alert")],
)
@pytest.mark.usefixtures("store")
def test_an_id_that_does_not_mean_one_alert_is_refused(run: Run, identity: str, said: str) -> None:
    error = run("ack", identity).exception
    assert isinstance(error, UsageError)
    assert said in str(error)
    assert error.exit_code == 2


def test_all_that_happened_is_shown_with_what_could_not_be_delivered(
    store: Store, run: Run
) -> None:
    [event] = store.alert_events(alert="aaaa2222")
    store.mark_delivery(event.id, "mailto://mail.example.org: no answer")
    run("ack", "aaaa2222", "--by", "ann", "--comment", "seen")
    output = run("show", "aaaa2222").output
    for part in (
        "clinic 1: drift of [red]age where site=north",
        "it differs from the reference",
        "since 2026-11-20 17:00, open",
        "drift-1.html",
        "noted by ann",
        ": seen",
        "waits, tried 1 times: mailto://mail.example.org: no answer",
        "acknowledged",
    ):
        assert part in output
    found = json.loads(run("show", "aaaa2222", "--json").stdout)
    assert [one["change"] for one in found["events"]] == ["opened", "acknowledged"]
    assert "it is over" in run("show", "cccc").output


@pytest.mark.parametrize(
    "words", [("--help",), ("list", "--help"), ("ack", "--help"), ("show", "--help")]
)
def test_each_command_explains_itself_with_an_example(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.exit_code == 0
    assert "modelyard alerts" in done.output


@pytest.mark.parametrize("name", ["alerts", "watch"])
def test_beside_a_running_stack_the_commands_use_it(name: str) -> None:
    assert name in USERS
    done = CliRunner().invoke(build_app(), [name, "--help"])
    assert done.exit_code == 0
    assert f"modelyard {name}" in done.output
