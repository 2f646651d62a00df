"""The DAG that asks a person: what it shows, and what becomes of the answer."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from modelyard.settings import get_settings
from modelyard.spec.serve import RolloutSpec, ServeSpec
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, RolloutRecord, Variant

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Airflow's own
]
EVIDENCE = {
    "measures": {
        "errors": {
            "champion": {"trials": 900, "hits": 1},
            "challenger": {"trials": 100, "hits": 0},
            "low": -0.004,
            "high": 0.018,
            "margin": 0.02,
        }
    }
}


def waiting() -> None:
    variants = [
        Variant(model="m", version=1, weight=0.9, role="champion"),
        Variant(model="m", version=2, weight=0.1, role="challenger"),
    ]
    entry = LedgerEntry(
        id="phase-1",
        model="m",
        action="wait",
        before={},
        after={},
        reason="version 2 waits",
        by="steward",
        evidence=EVIDENCE,
    )
    rules = ServeSpec(rollout=RolloutSpec(canary=(0.1,), approve=True))
    record = RolloutRecord(
        model="m",
        version=2,
        status="waiting",
        phase="phase-1",
        policy=rules.model_dump(mode="json"),
        by="stage",
    )
    with open_store(get_settings().database_url) as store:
        store.move("m", variants, entry, record)


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, list[object]]]:
    """Stand in for a task's context; return what it announced."""
    from modelyard_dags import approval

    from modelyard.tracking import registry

    metrics = {1: {"label.accuracy": 0.91}, 2: {"label.accuracy": 0.95}}
    monkeypatch.setattr(
        registry, "version", lambda _s, _m, number: SimpleNamespace(metrics=metrics[number])
    )
    monkeypatch.setattr(registry, "set_alias", lambda *_: None)

    def make(answer: dict[str, object] | None = None, phase: str | None = "phase-1") -> dict:
        announced: list[object] = []
        events = SimpleNamespace(add=lambda _asset, extra: announced.append(extra))
        told = {"evidence": {"phase": phase}, "approval": answer}
        found = {
            "params": {"model": "m", "phase": phase},
            "ti": SimpleNamespace(xcom_pull=lambda task_ids: told[task_ids]),
            "outlet_events": {approval.ENDPOINT: events},
        }
        monkeypatch.setattr(approval, "get_current_context", lambda: found)
        return {"announced": announced}

    return make


def test_the_request_shows_counts_bounds_and_metrics(context: Callable[..., object]) -> None:
    from modelyard_dags.approval import request

    waiting()
    context()
    found = request()
    assert found["subject"] == "m: may version 2 take over from version 1?"
    body = found["body"]
    assert isinstance(body, str)
    assert "| failed calls | 1 of 900 (0.11%) | 0 of 100 (0.00%) | -0.40% to +1.80% | 2% |" in body
    assert "| label.accuracy | 0.91 | 0.95 |" in body
    assert "Version 2 has 10% of the requests" in body


def test_what_was_decided_meanwhile_is_not_asked(context: Callable[..., object]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException
    from modelyard_dags.approval import request

    context()
    with pytest.raises(AirflowSkipException, match="waits for this approval any more"):
        request()
    waiting()
    context(phase="an earlier one")
    with pytest.raises(AirflowSkipException):
        request()


def answered(option: str, share: float = 1.0) -> dict[str, object]:
    user = {"id": "7", "name": "ann"}
    return {
        "chosen_options": [option],
        "params_input": {"share": share},
        "responded_by_user": user,
    }


@pytest.mark.parametrize(
    ("given", "after", "status"),
    [
        (answered("Approve"), {"1": 0, "2": 1}, "promoted"),
        (answered("Approve", 0.5), {"1": 0.5, "2": 0.5}, "canary"),
        (answered("Reject"), {"1": 1}, "rolled_back"),
    ],
)
def test_the_answer_moves_the_traffic_and_the_ledger_says_whose_it_was(
    context: Callable[..., dict[str, list[object]]],
    given: dict[str, object],
    after: dict[str, float],
    status: str,
) -> None:
    from modelyard_dags.approval import answer

    waiting()
    announced = context(given)["announced"]
    assert answer() == after
    assert len(announced) == 1
    with open_store(get_settings().database_url) as store:
        assert store.ledger("m")[0].by == "ann"
        assert store.rollouts("m")[0].status == status


def test_a_late_answer_changes_nothing(context: Callable[..., object]) -> None:
    from airflow.sdk.exceptions import AirflowSkipException
    from modelyard_dags.approval import answer

    context(answered("Approve"))
    with pytest.raises(AirflowSkipException, match="decided elsewhere"):
        answer()


def test_the_task_asks_with_two_options_and_a_share(bag: Callable[[], object]) -> None:
    task = bag().dags["approve"].get_task("approval")
    assert list(task.options) == ["Approve", "Reject"]
    assert dict(task.params)["share"] == 1.0
