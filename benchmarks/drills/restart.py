"""A drill of a restart: a rollout is half way, every process is stopped, and it goes on."""

from __future__ import annotations

import time

import httpx

from benchmarks.drills.load import load
from benchmarks.drills.traffic import BY, Outcome
from benchmarks.drills.yard import MODEL, Yard
from modelyard import serve_control
from modelyard.artifacts import RegisteredVersion
from modelyard.spec.load import load_spec, resolve
from modelyard.stack import stack
from modelyard.store.database import Store, open_store
from modelyard.store.records import RolloutRecord

BEFORE = 50
DECIDE_SECONDS = 120.0


def restarted(yard: Yard, champion: int, challenger: int) -> Outcome:
    """Stop the whole stack in the middle of a canary, and start it again."""
    serve_control.promote(yard.client, MODEL, champion, BY)
    _deploy(yard, challenger)
    _ask(yard, BEFORE)
    with open_store(yard.database.url) as store:
        began = time.monotonic()
        stack.down(yard.settings)
        before, counted = _state(store)
        stack.up(yard.settings, yard.running.ports, lambda _event: None)
        after, kept = _state(store)
        spent = time.monotonic() - began
        with load(yard.url, yard.body()) as sent:
            ended = _wait_for_end(store, after)
    whole = before.id == after.id and before.step == after.step and counted == kept == BEFORE
    note = (
        f"down and up in {spent:.0f} s; the rollout before and after: {before.status} and {after.status}, "
        f"{counted} and {kept} calls counted; then {ended.status}: {ended.reason}"
    )
    held = whole and ended.status == "promoted" and not sent.failed()
    drill = "every process stopped in the middle of a canary"
    return Outcome(drill, sent.count(), len(sent.failed()), held, note)


def _deploy(yard: Yard, version: int) -> None:
    spec = load_spec(resolve(MODEL, yard.client.specs))
    rules = spec.serve.rollout.model_copy(update={"canary": (0.5,), "shadow": 0})
    serve = spec.serve.model_copy(update={"rollout": rules})
    registered = RegisteredVersion(
        key="restart", model=MODEL, version=version, alias="challenger", mlflow_run=""
    )
    with serve_control.rollout(yard.client) as control:
        control.deploy(spec.model_copy(update={"serve": serve}), registered, BY)


def _ask(yard: Yard, times: int) -> None:
    with httpx.Client(trust_env=False, timeout=30) as client:
        for _ in range(times):
            headers = {"Content-Type": "application/json"}
            client.post(yard.url, content=yard.body(), headers=headers).raise_for_status()


def _state(store: Store) -> tuple[RolloutRecord, int]:
    """The rollout that is under way, and how many calls were counted since its phase began."""
    record = store.rollout(MODEL)
    if record is None:
        message = "no rollout is under way"
        raise RuntimeError(message)
    tallies = store.tallies(MODEL, record.phase)
    return record, sum(one.trials for one in tallies if one.measure == "errors")


def _wait_for_end(store: Store, record: RolloutRecord) -> RolloutRecord:
    deadline = time.monotonic() + DECIDE_SECONDS
    while True:
        found = next(one for one in store.rollouts(MODEL) if one.id == record.id)
        if found.status in {"promoted", "rolled_back", "stopped"} or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
