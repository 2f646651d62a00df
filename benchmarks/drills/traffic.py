"""Drills of the traffic: weights, versions that come and go, replicas that die, too many requests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.drills.load import BUSY, OK, Load, load
from benchmarks.drills.yard import MODEL, Yard
from modelyard import serve_control
from modelyard.rollout.moves import Author

BY = Author("drill")
CHANGES = 100
TIMES_CAPACITY = 5
SLOW_MODEL = "digits-shufflenet"
AT_CAPACITY = 16
CALM_SECONDS, CROWD_SECONDS = 10.0, 15.0
SETTLE_SECONDS = 3.0
STARTS_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill shows: requests, how many failed, and what else is worth knowing."""

    drill: str
    requests: int
    failed: int
    held: bool
    note: str


def weights(yard: Yard, versions: tuple[int, int]) -> Outcome:
    """Change the weights a hundred times under load."""
    first, second = versions
    serve_control.promote(yard.client, MODEL, first, BY)
    serve_control.split(yard.client, MODEL, {first: 1, second: 1}, BY)
    with running(yard) as sent:
        began = time.monotonic()
        for number in range(CHANGES):
            share = (number % 9 + 1) / 10
            serve_control.split(yard.client, MODEL, {first: share, second: 1 - share}, BY)
        spent = time.monotonic() - began
    answered = sent.versions()
    note = f"{CHANGES} changes in {spent:.1f} s; versions answered {dict(answered)}"
    return _outcome("weights changed 100 times", sent, note, also={first, second} == set(answered))


def replaced(yard: Yard, old: int, new: int) -> Outcome:
    """Deploy another version and retire the one that served."""
    serve_control.promote(yard.client, MODEL, old, BY)
    for other in {variant for variant in _served(yard) if variant != old}:
        serve_control.withdraw(yard.client, MODEL, other, BY)
    with running(yard) as sent:
        began = time.monotonic()
        serve_control.promote(yard.client, MODEL, new, BY)
        serve_control.withdraw(yard.client, MODEL, old, BY)
        spent = time.monotonic() - began
    gone = old not in _served(yard)
    note = f"version {new} for {old} in {spent:.1f} s; answered {dict(sent.versions())}"
    return _outcome("a version deployed, the old one retired", sent, note, also=gone)


def killed_replica(yard: Yard, version: int) -> Outcome:
    """SIGKILL one of the champion's two replicas."""
    serve_control.promote(yard.client, MODEL, version, BY)
    before = _wait_for_replicas(yard, version, 2)
    with running(yard) as sent:
        os.kill(before[0], signal.SIGKILL)
        killed = time.monotonic()
        after = _wait_for_replicas(yard, version, 2, without=before[0])
        spent = time.monotonic() - killed
        time.sleep(SETTLE_SECONDS)
    worst = max((one.milliseconds for one in sent.answers if one.at < killed + 5), default=0.0)
    note = f"back in {spent:.1f} s as {after}; slowest answer around it {worst:.0f} ms"
    return _outcome("SIGKILL a replica of the champion (2 replicas)", sent, note)


def killed_endpoint(yard: Yard) -> Outcome:
    """SIGKILL the endpoint's process; which cannot be hidden from those in flight with one of them."""
    (pid, *_) = yard.replicas(None)
    with running(yard) as sent:
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        while not any(one.status == OK and one.at > killed + 0.5 for one in sent.answers[-50:]):
            time.sleep(0.1)
        back = next(one.at for one in sent.answers if one.status == OK and one.at > killed + 0.1)
        time.sleep(SETTLE_SECONDS)
    note = f"answers again after {back - killed:.1f} s; 0 failures are not asked of this one"
    return _outcome("SIGKILL the endpoint's only process", sent, note, most=None)


def overload(yard: Yard) -> Outcome:
    """Offer five times what can be answered, of a model that is slow enough for one load generator."""
    yard.train(1, "--set", "model.trainer.epochs=1", model=SLOW_MODEL)
    serve_control.promote(yard.client, SLOW_MODEL, 1, BY)
    url, body = f"{yard.client.endpoint}/models/{SLOW_MODEL}/predict", yard.image()
    with load(url, body, AT_CAPACITY) as sent:
        time.sleep(SETTLE_SECONDS)
        began = time.monotonic()
        time.sleep(CALM_SECONDS)
        capacity = sent.rate(began, time.monotonic())
    calm, calm_late = sent.milliseconds(0.5, 0.99, since=began)
    with load(url, body, rate=TIMES_CAPACITY * capacity) as crowd:
        time.sleep(CROWD_SECONDS)
    accepted, late = crowd.milliseconds(0.5, 0.99)
    refused = [one for one in crowd.answers if one.status == BUSY]
    others = [one for one in crowd.failed() if one.status != BUSY]
    slowest = max((one.milliseconds for one in refused), default=0.0)
    bare = sum(one.retry_after is None for one in refused)
    note = (
        f"{SLOW_MODEL}: capacity {capacity:.0f}/s at {AT_CAPACITY} at a time, p50 {calm:.0f} ms, "
        f"p99 {calm_late:.0f} ms; offered {TIMES_CAPACITY}x: "
        f"{len(crowd.answers) - len(refused) - len(others)} answered, p50 {accepted:.0f} ms, "
        f"p99 {late:.0f} ms; {len(refused)} refused with 503, slowest in {slowest:.0f} ms, "
        f"{bare} without Retry-After; {crowd.unsent} could not be sent"
    )
    held = not others and bare == 0 and bool(refused) and accepted <= 2 * calm
    return Outcome("overload at 5x capacity", len(crowd.answers), len(others), held, note)


@contextmanager
def running(yard: Yard, concurrency: int = 8) -> Iterator[Load]:
    """Keep a load on the model, some of it before and after what is done meanwhile."""
    with load(yard.url, yard.body(), concurrency) as sent:
        time.sleep(SETTLE_SECONDS)
        yield sent
        time.sleep(SETTLE_SECONDS)


def _outcome(
    drill: str, sent: Load, note: str, *, also: bool = True, most: int | None = 0
) -> Outcome:
    failed = sent.failed()
    if failed:
        note += f"; first failure: {failed[0].status} {failed[0].fault[:150]}"
    held = also and sent.count() > 0 and (most is None or len(failed) <= most)
    return Outcome(drill, sent.count(), len(failed), held, note)


def _served(yard: Yard) -> list[int]:
    with serve_control.rollout(yard.client) as control:
        return [variant.version for variant in control.store.variants(MODEL)]


def _wait_for_replicas(
    yard: Yard, version: int, count: int, without: int | None = None
) -> list[int]:
    deadline = time.monotonic() + STARTS_SECONDS
    while True:
        found = [pid for pid in yard.replicas(version) if pid != without]
        if len(found) >= count:
            return found
        if time.monotonic() > deadline:
            message = f"version {version} has {len(found)} replicas, not {count}"
            raise RuntimeError(message)
        time.sleep(0.2)
