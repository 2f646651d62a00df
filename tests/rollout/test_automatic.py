"""Rollouts that decide by themselves, from the first copy to the last step, against a real database."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from modelyard.errors import UsageError
from modelyard.rollout.attend import attend, outlook_of
from modelyard.rollout.deploy import Rollout
from modelyard.rollout.moves import Author
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.spec.serve import ServeSpec
from modelyard.store.database import Store
from modelyard.store.records import PredictionRecord, RolloutRecord, Tally, now
from tests.rollout.fakes import FakeServe
from tests.rollout.test_deploy import ME, Aliases, actions, registered, shares

STEWARD = "steward"


def spec(**rules: object) -> Spec:
    return Spec.model_validate(
        {
            "name": "m",
            "data": {"path": "data/m.csv"},
            "model": {},
            "serve": {"sticky": "customer", "rollout": rules},
        }
    )


@pytest.fixture
def aliases() -> Aliases:
    return Aliases()


@pytest.fixture
def control(settings: Settings, store: Store, aliases: Aliases) -> Rollout:
    made = Rollout(settings, store, aliases)
    made.deploy(spec(), registered(1), ME)
    return made


def under_way(store: Store) -> RolloutRecord:
    found = store.rollout("m")
    assert found is not None
    return found


def count(store: Store, version: int, **measures: tuple[int, int]) -> None:
    """Count as the endpoint does, in the phase that the traffic has now."""
    phase = store.phases()["m"]
    store.add_tallies(
        [
            Tally.model_validate(
                {
                    "model": "m",
                    "version": version,
                    "phase": phase,
                    "measure": measure,
                    "trials": trials,
                    "hits": hits,
                }
            )
            for measure, (trials, hits) in measures.items()
        ]
    )


def good(store: Store) -> None:
    count(store, 1, errors=(5_000, 1))
    count(store, 2, errors=(600, 0))


def test_a_challenger_goes_all_the_way_by_its_evidence(
    control: Rollout, store: Store, serve: FakeServe, aliases: Aliases
) -> None:
    control.deploy(spec(shadow=100, shadow_share=0.5, canary=[0.1, 0.5]), registered(2), ME)
    seen: list[Mapping[int, object]] = []
    while (record := store.rollout("m")) is not None:
        [shadow] = [item.shadow for item in store.variants("m") if item.version == 2]
        seen.append({1: shares(store)[1][0], 2: shares(store)[2][0], 0: shadow})
        assert attend(control, record) is None, "nothing was counted yet in this phase"
        good(store)
        assert attend(control, record) is not None
    assert seen == [
        {1: 1, 2: 0, 0: 0.5},
        {1: 0.9, 2: 0.1, 0: 0},
        {1: 0.5, 2: 0.5, 0: 0},
    ]
    assert shares(store) == {1: (0, "warm"), 2: (1, "champion")}
    assert actions(store)[2:] == ["deploy", "shadow", "canary", "canary", "promote"]
    assert serve.table() == control.table()
    assert aliases.now == {"champion": 2, "challenger": None}
    [done] = [one for one in store.rollouts("m") if one.version == 2]
    assert done.status == "promoted"


def test_each_decision_is_a_ledger_row_with_its_evidence(control: Rollout, store: Store) -> None:
    control.deploy(spec(canary=[0.1]), registered(2), ME)
    good(store)
    attend(control, under_way(store))
    entry = store.ledger("m")[0]
    assert (entry.action, entry.by) == ("promote", STEWARD)
    assert "0 of 600" in entry.reason
    assert entry.evidence["measures"]["errors"]["challenger"] == {"trials": 600, "hits": 0}  # type: ignore[index, call-overload]


def test_a_broken_challenger_is_rolled_back_within_tens_of_requests(
    control: Rollout, store: Store, aliases: Aliases
) -> None:
    control.deploy(spec(canary=[0.05]), registered(2), ME)
    count(store, 1, errors=(120, 0))
    count(store, 2, errors=(6, 6))
    attend(control, under_way(store))
    assert shares(store) == {1: (1, "champion")}
    assert "6 of 6 (100 %)" in store.ledger("m")[0].reason
    assert aliases.now == {"champion": 1, "challenger": None}
    assert store.rollouts("m")[0].status == "rolled_back"


def test_counts_of_an_earlier_phase_decide_nothing(control: Rollout, store: Store) -> None:
    control.deploy(spec(canary=[0.1, 0.5]), registered(2), ME)
    good(store)
    attend(control, under_way(store))
    assert attend(control, under_way(store)) is None
    assert shares(store)[2] == (0.5, "challenger")


def test_approval_is_waited_for_and_given(control: Rollout, store: Store) -> None:
    control.deploy(spec(canary=[0.1], approve=True), registered(2), ME)
    good(store)
    attend(control, under_way(store))
    assert under_way(store).status == "waiting"
    assert shares(store)[2] == (0.1, "challenger")
    good(store)
    assert attend(control, under_way(store)) is None
    control.approve("m", Author("ann", reason="looks good"))
    assert shares(store)[2] == (1, "champion")
    assert store.ledger("m")[0].reason == "approved by ann: looks good"
    assert store.rollout("m") is None


def test_approval_of_a_share_is_one_more_step_and_waits_again(
    control: Rollout, store: Store
) -> None:
    control.deploy(spec(approve=True), registered(2), ME)
    assert under_way(store).status == "waiting"
    control.approve("m", Author("ann"), 0.3)
    assert (under_way(store).status, under_way(store).step) == ("canary", 1)
    assert shares(store)[2] == (0.3, "challenger")
    good(store)
    attend(control, under_way(store))
    assert under_way(store).status == "waiting"
    assert shares(store)[2] == (0.3, "challenger")
    control.reject("m", Author("ann"))
    assert shares(store) == {1: (1, "champion")}
    assert store.rollouts("m")[0].status == "rolled_back"


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(control: Rollout, share: float) -> None:
    control.deploy(spec(approve=True), registered(2), ME)
    with pytest.raises(UsageError, match="a share is"):
        control.approve("m", ME, share)


def test_nothing_can_be_approved_where_nothing_waits(control: Rollout) -> None:
    control.deploy(spec(canary=[0.1]), registered(2), ME)
    with pytest.raises(UsageError, match="no challenger of m waits"):
        control.approve("m", ME)


@pytest.mark.parametrize(
    ("hand", "status"),
    [
        (lambda control: control.promote("m", None, ME), "promoted"),
        (lambda control: control.rollback("m", ME), "rolled_back"),
        (lambda control: control.split("m", {1: 1, 2: 1}, ME), "stopped"),
    ],
)
def test_by_hand_beats_automatics(
    control: Rollout, store: Store, hand: object, status: str
) -> None:
    control.deploy(spec(canary=[0.1]), registered(2), ME)
    stale = under_way(store)
    hand(control)  # type: ignore[operator]
    assert store.rollout("m") is None
    assert store.rollouts("m")[0].status == status
    before = shares(store)
    good(store)
    assert attend(control, stale) is None
    assert shares(store) == before


def test_a_newer_version_takes_the_place_of_a_rollout(control: Rollout, store: Store) -> None:
    control.deploy(spec(shadow=100), registered(2), ME)
    control.deploy(spec(canary=[0.1]), registered(3), ME)
    assert shares(store) == {1: (0.9, "champion"), 3: (0.1, "challenger")}
    assert under_way(store).version == 3
    old = next(one for one in store.rollouts("m") if one.version == 2)
    assert old.status == "stopped"


def test_a_newer_version_that_does_not_start_leaves_the_rollout_going(
    control: Rollout, store: Store, serve: FakeServe
) -> None:
    control.deploy(spec(shadow=100), registered(2), ME)
    serve.broken["modelyard-m-v3"] = "OSError: disk is full"
    with pytest.raises(Exception, match="disk is full"):
        control.deploy(spec(canary=[0.1]), registered(3), ME)
    record = under_way(store)
    assert (record.version, record.status) == (2, "shadow")
    assert record.phase == store.phases()["m"]


def test_deploying_again_does_not_begin_again(control: Rollout, store: Store) -> None:
    author = Author("stage", "run-2")
    control.deploy(spec(approve=True), registered(2), author)
    first = under_way(store)
    control.deploy(spec(approve=True), registered(2), author)
    assert under_way(store) == first


def test_a_rollout_goes_on_after_everything_was_started_again(
    settings: Settings, control: Rollout, store: Store
) -> None:
    control.deploy(spec(canary=[0.1]), registered(2), ME)
    good(store)
    attend(Rollout(settings, store), under_way(store))
    assert shares(store)[2] == (1, "champion")


def test_what_is_slow_is_twice_the_champions_usual_and_frozen(
    control: Rollout, store: Store
) -> None:
    store.log_predictions(
        [
            PredictionRecord(
                id=f"p{number}",
                at=now(),
                model="m",
                version=1,
                request="r",
                inputs={},
                outputs={},
                probability={},
                latency_ms=float(number + 1),
            )
            for number in range(100)
        ]
    )
    control.deploy(spec(canary=[0.1]), registered(2), ME)
    assert under_way(store).slow_ms == 190
    traffic = control.table().traffic["m"]
    assert traffic.slow_ms == 190
    assert traffic.phase == under_way(store).phase
    assert traffic.sticky_field == "customer"


def test_a_limit_of_the_spec_comes_before_what_is_usual(control: Rollout) -> None:
    control.deploy(spec(canary=[0.1], latency_ms=70, timeout_ms=500), registered(2), ME)
    traffic = control.table().traffic["m"]
    assert (traffic.slow_ms, traffic.timeout_ms) == (70, 500)


def test_a_version_deployed_by_hand_is_served_as_its_spec_says(
    settings: Settings, store: Store, aliases: Aliases
) -> None:
    control = Rollout(settings, store, aliases, read_serve=lambda *_: ServeSpec(sticky="household"))
    control.deploy(spec(), registered(1), ME)
    control.promote("m", 5, ME)
    assert control.table().traffic["m"].sticky_field == "household"


def test_an_experiment_is_named_until_the_next_move(control: Rollout, store: Store) -> None:
    control.split("m", {1: 1, 4: 1}, ME, "bigger-net")
    assert {item.experiment for item in store.variants("m")} == {"bigger-net"}
    control.promote("m", 1, ME)
    assert {item.experiment for item in store.variants("m")} == {None}


def test_what_is_missing_is_told(control: Rollout, store: Store) -> None:
    control.deploy(spec(canary=[0.1]), registered(2), ME)
    count(store, 2, errors=(30, 0))
    outlook = outlook_of(store, under_way(store))
    assert outlook is not None
    assert outlook.missing == ("requests: 30 of 50",)
