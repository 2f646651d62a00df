"""A plan says what a change would do, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelyard.cli.models import app
from modelyard.rollout import moves
from modelyard.rollout.deploy import Rollout
from modelyard.rollout.plan import PLANNER, PlanState, plan_move, plan_spec
from modelyard.settings import Settings, get_settings
from modelyard.stages import order
from modelyard.store.database import Store
from modelyard.store.records import Variant
from modelyard.tracking import registry
from tests.rollout.test_automatic import count, spec, under_way
from tests.rollout.test_deploy import ME, actions, registered, shares

CHAMPION = Variant(model="m", version=1, weight=1, role="champion")
WARM = Variant(model="m", version=1, weight=0, role="warm")
NEW = Variant(model="m", version=2, weight=1, role="champion")


def test_a_first_run_makes_everything_and_serves_it_at_once() -> None:
    found = plan_spec(spec(canary=[0.1]), PlanState(), order(spec()))
    assert {stage.state for stage in found.stages} == {"runs", "depends"}
    assert found.registers == "version 1, if the gate lets it pass"
    assert [(one.version, one.role, one.share) for one in found.after] == [(1, "champion", 1)]
    assert found.starts == ("version 1: 1 process",)
    assert found.then == ("version 1 is the first, and becomes champion at once",)


def test_what_was_made_before_is_found_and_nothing_moves() -> None:
    stages = order(spec())
    state = PlanState(
        variants=(CHAMPION,), done=dict.fromkeys(stages, True), registered=1, newest=1
    )
    found = plan_spec(spec(canary=[0.1]), state, stages)
    assert {stage.state for stage in found.stages} == {"done"}
    assert found.before == found.after
    assert found.starts == found.stops == found.then == ()


def test_a_later_version_is_planned_with_its_steps_and_rules() -> None:
    state = PlanState(variants=(WARM, NEW), newest=2)
    asked = spec(shadow=200, canary=[0.1, 0.5], approve=True, max_hours=24)
    found = plan_spec(asked, state, order(asked))
    assert [(one.version, one.share, one.shadow) for one in found.after] == [
        (1, 0, 0),
        (2, 1, 0),
        (3, 0, 1),
    ]
    assert found.then[:5] == (
        "shadow: copies of 100% of requests, 200 at least",
        "canary: 10%, 50 requests at least",
        "canary: 50%, 50 requests at least",
        "a person approves",
        "version 3 becomes champion",
    )
    assert "24 hours" in found.then[-1]


def test_a_move_by_hand_is_planned_with_what_it_starts_and_stops() -> None:
    state = PlanState(variants=(WARM, NEW), replicas={5: 3})
    found = plan_move("m", "promote", state, [5], lambda now: moves.promote(now, "m", 5, PLANNER))
    assert [(one.version, one.role) for one in found.after] == [(2, "warm"), (5, "champion")]
    assert found.starts == ("version 5: 3 processes",)
    assert found.stops == ("version 1: 1 process",)


def test_a_move_that_changes_nothing_says_so() -> None:
    state = PlanState(variants=(CHAMPION,))
    assert plan_move("m", "x", state, [], lambda now: moves.promote(now, "m", 1, PLANNER)).nothing


@pytest.fixture
def commands(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """Version 1 is champion, 2 waits for approval."""
    get_settings.cache_clear()
    monkeypatch.setattr(registry, "set_alias", lambda *_: None)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    control = Rollout(settings, store)
    control.deploy(spec(), registered(1), ME)
    control.deploy(spec(approve=True), registered(2), ME)
    return control


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(
    "arguments", [("promote", "m"), ("rollback", "m"), ("split", "m", "--weights", "1=1,2=1")]
)
@pytest.mark.usefixtures("commands")
def test_a_dry_run_tells_and_changes_nothing(store: Store, arguments: tuple[str, ...]) -> None:
    before = store.ledger("m")
    told = json.loads(run(*arguments, "--dry-run", "--json"))
    assert told["before"] != told["after"]
    assert told["notes"] == ["the rollout of version 2 ends: by hand beats automatics"]
    assert "version" in run(*arguments, "--dry-run")
    assert store.ledger("m") == before


def test_a_challenger_is_approved_and_rejected_by_command(commands: Rollout, store: Store) -> None:
    run("approve", "m", "--share", "0.4", "--why", "a trial")
    assert shares(store)[2] == (0.4, "challenger")
    assert store.ledger("m")[0].reason.endswith(": a trial")
    commands.rollback("m", ME)
    commands.deploy(spec(approve=True), registered(3), ME)
    run("reject", "m")
    assert shares(store) == {1: (1, "champion")}
    assert actions(store)[-1] == "rollback"


def test_progress_is_shown_with_evidence_and_what_is_missing(
    commands: Rollout, store: Store
) -> None:
    from modelyard.cli import rollouts

    commands.approve("m", ME, 0.4)
    count(store, 2, errors=(30, 1))
    found = rollouts.progress(commands.settings, "m")
    assert found is not None
    told = rollouts.as_json(found)
    assert isinstance(told, dict)
    assert told["status"] == "canary"
    assert told["evidence"]["missing"] == ["requests: 30 of 50"]  # type: ignore[index, call-overload]
    rollouts.show(found)
    assert under_way(store).version == 2


def test_a_plan_of_an_untouched_home_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard.plans import look_around

    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    assert look_around(Settings(), "m") == PlanState()
    assert not (tmp_path / "home").exists()
