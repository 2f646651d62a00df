"""Trials and folds are runs below the search's or the cross-validation's run."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modelyard.tracking.client import connect
from modelyard.tracking.outbox import Outbox
from modelyard.tracking.run_log import RunLog, experiment_id
from modelyard.tracking.runs import open_run
from modelyard.workspace import Workspace
from tests.tracking.samples import spec


def search(workspace: Workspace) -> Any:
    return open_run(spec(), workspace, run="r", stage="tune", tags={"modelyard.dvc_hash": "h"})


def children(workspace: Workspace, parent: str) -> dict[str, Any]:
    client = connect(workspace.settings)
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    runs = client.search_runs([experiment_id(workspace.settings, "flowers")], query)
    return {run.info.run_name: run for run in runs}


def trial(log: RunLog, number: int) -> None:
    with log.child(f"trial-{number}", f"key-{number}") as run:
        run.params({"trainer": {"learning_rate": 0.1 * number}})
        for epoch in range(1, 11):
            run.epoch(epoch, 10, {"epoch": epoch, "validation/label.loss": number / epoch})
        run.metrics({"score": float(number)})
        run.tags({"pruned": "false"})


def test_children_told_from_threads_are_all_whole(workspace: Workspace) -> None:
    with search(workspace) as log:
        log.begin("threads", {})
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: trial(log, number), range(8)))
    found = children(workspace, log.run_id)
    assert sorted(found) == [f"trial-{number}" for number in range(8)]
    for number, run in ((n, found[f"trial-{n}"]) for n in range(8)):
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {"score": number, "validation/label.loss": number / 10}
        assert run.data.params == {"trainer.learning_rate": str(0.1 * number)}
        assert run.data.tags["pruned"] == "false"
        assert run.data.tags["modelyard.stage"] == "tune"


def test_a_fast_child_costs_three_calls(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Create, one batch, end; and nothing is searched for under a run that is new."""
    client = connect(workspace.settings)
    calls: Counter[str] = Counter()
    with search(workspace) as log:
        log.begin("calls", {})
        for name in ("create_run", "log_batch", "set_terminated", "search_runs", "set_tag"):
            monkeypatch.setattr(
                client, name, counted(calls, name, getattr(client, name), log.run_id)
            )
        for number in range(3):
            trial(log, number)
        assert calls == {"create_run": 3, "log_batch": 3, "set_terminated": 3}


def counted(calls: Counter[str], name: str, real: Any, parent: str) -> Any:
    def counting(*arguments: Any, **options: Any) -> Any:
        calls[name] += parent not in arguments
        return real(*arguments, **options)

    return counting


def test_a_search_that_is_resumed_continues_its_children(workspace: Workspace) -> None:
    runs = []
    for _ in range(2):
        with search(workspace) as log:
            log.begin("resumed", {})
            with log.child("trial-0", "k") as child:
                child.metrics({"score": 1.0})
        runs.append((log.run_id, child.run_id))
    assert runs[0] == runs[1]
    assert len(children(workspace, log.run_id)) == 1


def test_a_failed_trial_is_marked_and_a_later_success_clears_it(workspace: Workspace) -> None:
    def attempt(*, fails: bool) -> Any:
        with search(workspace) as log:
            log.begin("fails", {})
            with log.child("trial-0", "k") as child:
                if fails:
                    child.failed("out of memory")
        return children(workspace, log.run_id)["trial-0"]

    failed = attempt(fails=True)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["modelyard.error"] == "out of memory"
    done = attempt(fails=False)
    assert done.info.status == "FINISHED"
    assert "modelyard.error" not in done.data.tags


def test_an_exception_marks_the_child_and_goes_on(workspace: Workspace) -> None:
    with search(workspace) as log:
        log.begin("raises", {})
        with pytest.raises(ValueError, match="bad"), log.child("trial-0", "k"):
            raise ValueError("bad")  # noqa: EM101 - the words are what is looked for
    assert children(workspace, log.run_id)["trial-0"].data.tags["modelyard.error"] == "bad"
    assert connect(workspace.settings).get_run(log.run_id).info.status == "FINISHED"


def test_folds_of_a_trial_are_children_of_the_child(workspace: Workspace) -> None:
    with search(workspace) as log:
        log.begin("deep", {})
        with log.child("trial-0", "t") as child, child.child("fold-0", "t/f") as fold:
            fold.metrics({"score": 0.5})
    assert list(children(workspace, child.run_id)) == ["fold-0"]


def test_below_a_run_that_never_began_nothing_is_tracked(workspace: Workspace) -> None:
    with search(workspace) as log, log.child("trial-0", "k") as child:
        child.params({"a": 1})
        child.tags({"b": "c"})
        child.metrics({"d": 1.0})
    assert (log.run_id, child.run_id) == ("", "")


def test_a_search_and_the_training_after_it_are_two_runs_of_one_name(
    workspace: Workspace,
) -> None:
    client = connect(workspace.settings)
    ids = {}
    for stage in ("tune", "train"):
        with open_run(spec(), workspace, run="r9", stage=stage) as log:
            log.begin(f"{stage}-key", {})
        ids[stage] = client.get_run(log.run_id)
    assert [ids[stage].info.run_name for stage in ids] == ["r9 tune", "r9"]
    assert [ids[stage].data.tags["modelyard.stage"] for stage in ids] == ["tune", "train"]
    assert {run.data.tags["modelyard.run"] for run in ids.values()} == {"r9"}


def test_more_than_one_call_takes_arrives_in_several(workspace: Workspace) -> None:
    with search(workspace) as log:
        log.begin("many", {})
        client = connect(workspace.settings)
        outbox = Outbox(client, log.run_id, hold=60)
        outbox.add({f"m{number}": 1.0 for number in range(1700)}, step=0)
        outbox.params({f"p{number}": "1" for number in range(250)})
        outbox.tags({f"t{number}": "1" for number in range(120)})
        outbox.flush()
    run = client.get_run(log.run_id)
    assert sum(name.startswith("m") for name in run.data.metrics) == 1700
    assert len(run.data.params) == 250
    assert sum(name.startswith("t") for name in run.data.tags) == 120
