from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelyard.stages import STAGES

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

pytestmark = pytest.mark.filterwarnings(
    # Airflow's own reading of .airflowignore
    "ignore:GitWildMatchPattern:DeprecationWarning"
)


def test_each_spec_has_its_dag(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("one")
    write_spec("two")
    assert set(bag().dags) == {
        "train_one",
        "train_two",
        "train_any",
        "approve",
        "monitoring",
        "rollout",
    }


def test_a_project_without_specs_still_parses(bag: Callable[[], "DagBag"]) -> None:
    assert set(bag().dags) == {"train_any", "approve", "monitoring", "rollout"}


def test_a_dag_carries_the_words_of_its_spec(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("toy")
    dag = bag().dags["train_toy"]
    assert dag.description == "A toy model, for tests."
    assert set(dag.tags) == {"modelyard", "toy", "category", "number"}
    assert "### toy" in dag.doc_md
    assert dag.max_active_runs == 1
    assert dag.schedule is None


def test_a_spec_that_is_retrained_waits_for_the_asset_of_its_retrainings(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("toy", more="monitor: {retrain_on: critical}\n")
    write_spec("still")
    dags = bag().dags
    assert [asset.uri for asset in dags["train_toy"].schedule] == ["modelyard://retrain/toy"]
    assert dags["train_still"].schedule is None


def test_stages_follow_each_other_in_their_order(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("toy", search=True)
    dag = bag().dags["train_toy"]
    assert tuple(dag.task_dict) == STAGES
    for before, after in pairwise(STAGES):
        assert dag.task_dict[before].downstream_task_ids == {after}


def test_a_spec_without_a_search_has_no_task_for_it(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("toy")
    dag = bag().dags["train_toy"]
    assert "tune" not in dag.task_dict
    assert dag.task_dict["build"].downstream_task_ids == {"cross_validate"}


def test_heavy_stages_wait_for_a_place_in_the_pool(bag: Callable[[], "DagBag"]) -> None:
    tasks = bag().dags["train_any"].task_dict
    pooled = {name for name, task in tasks.items() if task.pool == "training"}
    assert pooled == {"tune", "cross_validate", "train", "evaluate"}


def test_every_task_is_retried_and_survives_a_skip_before_it(bag: Callable[[], "DagBag"]) -> None:
    for task in bag().dags["train_any"].tasks:
        assert task.retries == 2
        assert task.trigger_rule == "none_failed"


def test_data_model_and_endpoint_are_made_known(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("toy")
    tasks = bag().dags["train_toy"].task_dict
    known = {name: [each.uri for each in task.outlets] for name, task in tasks.items()}
    assert {name: uris for name, uris in known.items() if uris} == {
        "pull": ["modelyard://data/data/toy"],
        "register": ["modelyard://models/toy"],
        "deploy": ["modelyard://endpoints/toy"],
    }


def test_a_broken_spec_is_a_dag_that_shows_its_error(
    specs: Path, write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("good")
    (specs / "bad.yaml").write_text("name: bad\nmodle: {}\n")
    dags = bag().dags
    assert "train_good" in dags
    assert set(dags["train_bad"].tags) == {"modelyard", "invalid-spec"}
    assert "modle" in dags["train_bad"].doc_md
    assert list(dags["train_bad"].task_dict) == ["broken_spec"]


def test_a_broken_spec_is_not_offered(
    specs: Path, write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    write_spec("good")
    (specs / "bad.yaml").write_text("")
    dags = bag().dags
    assert dags["train_any"].params.get_param("spec").schema["enum"] == ["good"]


def test_a_task_builds_its_own_dag_only(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_spec("one")
    write_spec("two")
    for dag_id in ("train_two", "train_any"):
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
        assert {name for name in bag().dags if name.startswith("train_")} == {dag_id}


def test_every_dag_survives_serialisation(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    write_spec("toy", search=True)
    for dag in bag().dags.values():
        data = DagSerialization.to_dict(dag)
        assert DagSerialization.from_dict(data).dag_id == dag.dag_id


def test_two_parses_make_the_same_dag(
    write_spec: Callable[..., Path], bag: Callable[[], "DagBag"]
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    write_spec("toy", search=True)
    first, second = (DagSerialization.to_dict(bag().dags["train_toy"]) for _ in range(2))
    assert first == second
