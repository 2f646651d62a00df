import pytest

from modelyard import stages
from modelyard.artifacts import Evaluation, GateResult, PulledData, ValidationReport
from modelyard.errors import ChecksFailed, ComputeError, GateRefused, UsageError
from modelyard.runs import begin
from modelyard.spec.models import CrossValidationSpec, Spec
from modelyard.stages import STAGES, Context, order, perform
from modelyard.workspace import Workspace


def test_the_stages_stand_in_the_order_of_the_design() -> None:
    expected = "pull validate transform split build tune cross_validate train evaluate register"
    assert [*expected.split(), "deploy"] == list(STAGES)


def test_a_run_leaves_out_what_its_spec_does_not_ask_for(spec: Spec) -> None:
    assert "tune" not in order(spec)
    asked = spec.model_copy(update={"cross_validation": CrossValidationSpec()})
    assert set(order(asked)) - set(order(spec)) == {"cross_validate"}


def test_a_stage_without_the_ones_before_it_says_which_is_missing(
    spec: Spec, workspace: Workspace
) -> None:
    run = begin(spec, "toy.1", workspace)
    with pytest.raises(UsageError, match="stage pull must run first"):
        perform("transform", run, {}, workspace)


def test_a_gate_that_refused_lists_every_rule(spec: Spec, workspace: Workspace) -> None:
    evaluation = Evaluation(
        key="k",
        metrics={"label.accuracy": 0.5},
        predictions="p",
        passed=False,
        gate=(
            GateResult(rule="label.accuracy >= 0.9", value=0.5, threshold=0.9, passed=False),
            GateResult(rule="label.loss <= 1", value=0.4, threshold=1, passed=True),
        ),
    )
    run = begin(spec, "toy.1", workspace)
    context = Context(run, workspace, {"evaluate": evaluation.model_dump(mode="json")})
    with pytest.raises(GateRefused) as caught:
        stages.register(context)
    assert "label.accuracy >= 0.9: measured 0.5" in str(caught.value)
    assert "label.loss" not in str(caught.value)


def test_broken_checks_stop_the_run_and_name_the_report(spec: Spec, workspace: Workspace) -> None:
    table = workspace.settings.project / "data" / "toy.csv"
    table.parent.mkdir()
    table.write_text("x,label\n" + "\n".join(f"{n},{n % 2}" for n in range(40)) + "\n,1\n")
    checked = Spec.model_validate(
        spec.model_dump(mode="json")
        | {"data": {"path": "data/toy.csv", "checks": [{"column": "x", "not_null": True}]}}
    )
    run = begin(checked, "toy.1", workspace)
    pulled = perform("pull", run, {}, workspace)
    assert PulledData.model_validate(pulled).files == 1
    with pytest.raises(ChecksFailed) as caught:
        perform("validate", run, {"pull": pulled}, workspace)
    assert "x" in str(caught.value)
    assert "report: " in str(caught.value)
    assert ValidationReport.stage == "validate"


def test_what_nobody_foresaw_is_one_sentence_and_the_log_has_the_traceback(
    spec: Spec, workspace: Workspace
) -> None:
    run = begin(spec, "toy.1", workspace)
    with pytest.raises(ComputeError, match="validate failed unexpectedly: ZeroDivisionError"):
        perform("validate", run, _Explosive(), workspace)
    assert "Traceback" in workspace.log_file("toy.1").read_text()


def test_the_log_tells_when_a_stage_began_and_why_it_was_refused(
    spec: Spec, workspace: Workspace
) -> None:
    run = begin(spec, "toy.1", workspace)
    with pytest.raises(UsageError):
        perform("train", run, {}, workspace)
    text = workspace.log_file("toy.1").read_text()
    assert "train: begun" in text
    assert "must run first" in text
    assert "Traceback" not in text


class _Explosive(dict[str, object]):
    """Earlier artifacts that cannot even be looked at."""

    def get(self, *_: object) -> object:
        return 1 / 0
