import logging

import pytest

from modelyard.errors import SpecError, UsageError
from modelyard.runs import begin, load, new_run_id, run_log, safe_run_id
from modelyard.spec.models import Spec
from modelyard.stages import order
from modelyard.workspace import Workspace


def test_a_run_is_the_same_when_it_is_read_again(spec: Spec, workspace: Workspace) -> None:
    run = begin(spec, "toy.1", workspace)
    assert load("toy.1", workspace) == run


def test_a_run_keeps_its_spec_when_the_file_changes(spec: Spec, workspace: Workspace) -> None:
    begin(spec, "toy.1", workspace)
    changed = spec.model_copy(update={"seed": 7})
    assert begin(changed, "toy.1", workspace).spec.seed == 42


def test_a_run_that_never_began_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match=r"there is no run toy\.9"):
        load("toy.9", workspace)


def test_overrides_and_revision_are_frozen_into_the_run(spec: Spec, workspace: Workspace) -> None:
    run = begin(
        spec, "toy.1", workspace, revision="v2", overrides={"model.trainer.epochs": 5, "seed": 3}
    )
    assert run.spec.data.revision == "v2"
    assert run.spec.seed == 3
    assert run.spec.model["trainer"] == {"epochs": 5}


def test_a_wrong_override_begins_no_run(spec: Spec, workspace: Workspace) -> None:
    with pytest.raises(SpecError, match="epoch"):
        begin(spec, "toy.1", workspace, overrides={"model.trainer.epoch": 5})
    assert not workspace.run_folder("toy.1").exists()


def test_tuning_without_a_tune_section_is_refused(spec: Spec, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="no section tune"):
        begin(spec, "toy.1", workspace, tune=True)


def test_cross_validation_can_be_asked_for_without_a_section(
    spec: Spec, workspace: Workspace
) -> None:
    run = begin(spec, "toy.1", workspace, cross_validate=True)
    assert "cross_validate" in order(run.spec)
    assert "cross_validate" not in order(begin(spec, "toy.2", workspace).spec)


def test_a_fresh_run_is_salted_with_its_own_id(spec: Spec, workspace: Workspace) -> None:
    assert begin(spec, "toy.1", workspace, fresh=True).salt == "toy.1"
    assert begin(spec, "toy.2", workspace).salt == ""


def test_an_airflow_run_id_becomes_a_folder_name() -> None:
    airflow = "toy.manual__2026-11-21T05:30:00.123456+00:00_Ab3"
    assert safe_run_id(airflow) == "toy.manual__2026-11-21T05-30-00.123456-00-00_Ab3"
    assert safe_run_id("../../etc/passwd") == "etc-passwd"


def test_two_new_runs_have_two_names(spec: Spec) -> None:
    assert new_run_id(spec).startswith("toy.")
    assert len({new_run_id(spec) for _ in range(20)}) == 20


def test_all_that_modelyard_logs_goes_to_the_one_log_file(workspace: Workspace) -> None:
    with run_log("toy.1", workspace):
        logging.getLogger("modelyard.data").info("read 3 rows")
        logging.getLogger("elsewhere").warning("not ours")
    logging.getLogger("modelyard.data").info("after the run")
    text = workspace.log_file("toy.1").read_text()
    assert "INFO    modelyard.data: read 3 rows" in text
    assert "not ours" not in text
    assert "after the run" not in text


def test_a_second_stage_appends_to_the_log(workspace: Workspace) -> None:
    for line in ("one", "two"):
        with run_log("toy.1", workspace):
            logging.getLogger("modelyard").info(line)
    assert [line[-3:] for line in workspace.log_file("toy.1").read_text().splitlines()] == [
        "one",
        "two",
    ]
