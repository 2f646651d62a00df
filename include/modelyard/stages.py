"""The stages, one function each, and the order in which a run goes through them.

A stage takes the run, the artifacts of the stages before it and the workspace, and returns its
artifact. All are idempotent: called again, they return at once what they made before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue

from modelyard.artifacts import (
    Artifact,
    BuiltModel,
    CrossValidation,
    Deployment,
    Evaluation,
    PulledData,
    RegisteredVersion,
    SplitData,
    TrainedModel,
    TransformedData,
    TunedModel,
    ValidationReport,
)
from modelyard.errors import (
    ChecksFailed,
    ComputeError,
    GateRefused,
    ModelyardError,
    Problem,
    UsageError,
)
from modelyard.runs import Run, run_log
from modelyard.spec.models import Spec
from modelyard.training.pool import Pool
from modelyard.workspace import Workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Context:
    """All that a stage may look at."""

    run: Run
    workspace: Workspace
    earlier: Mapping[str, JsonValue]
    pool: Pool | None = None
    """Where the trainings of a search or of folds run; none is this machine."""

    @property
    def spec(self) -> Spec:
        """The run's spec."""
        return self.run.spec

    def get[A: Artifact](self, kind: type[A]) -> A:
        """Return an earlier stage's artifact; raise UsageError if that stage has not run."""
        found = self.earlier.get(kind.stage)
        if found is None:
            message = f"stage {kind.stage} must run first"
            raise UsageError(message)
        return kind.model_validate(found)


def pull(context: Context) -> PulledData:
    """Bring the data of the spec's revision into its own folder."""
    from modelyard.data.pull import pull as pull_data

    return pull_data(context.spec, context.workspace)


def validate(context: Context) -> ValidationReport:
    """Check the data; raise ChecksFailed with every broken rule."""
    from modelyard.data.validate import validate as validate_data

    report = validate_data(context.spec, context.get(PulledData), context.workspace)
    if not report.passed:
        path = context.workspace.path(report.report)
        problems = tuple(Problem(failure.message) for failure in report.failures)
        broken = "1 check" if len(problems) == 1 else f"{len(problems)} checks"
        message = f"{context.spec.name}: the data broke {broken}; report: {path}"
        raise ChecksFailed(message, problems)
    return report


def transform(context: Context) -> TransformedData:
    """Change the table as the spec says."""
    from modelyard.data.transform import transform as transform_data

    return transform_data(context.spec, context.get(PulledData), context.workspace)


def split(context: Context) -> SplitData:
    """Divide the rows, and profile the training rows as the reference for drift."""
    from modelyard.data.split import split as split_data
    from modelyard.monitoring.reference import make_reference

    return split_data(
        context.spec,
        context.get(TransformedData),
        context.workspace,
        make_reference(context.spec),
    )


def build(context: Context) -> BuiltModel:
    """Write Ludwig's full configuration."""
    from modelyard.training.build import build as build_model

    return build_model(context.spec, context.get(SplitData), context.workspace)


def tune(context: Context) -> TunedModel:
    """Search for better hyperparameters; the search and each trial are runs in MLflow."""
    from modelyard.tracking.runs import open_run
    from modelyard.training.tune import tune as tune_model

    with open_run(
        context.spec, context.workspace, run=context.run.id, tags=_data_tags(context), stage="tune"
    ) as tracked:
        return tune_model(
            context.spec,
            context.get(SplitData),
            context.get(BuiltModel),
            context.workspace,
            tracked,
            _pool(context),
        )


def cross_validate(context: Context) -> CrossValidation:
    """Train on folds to see how stable the model is; each fold is a run in MLflow."""
    from modelyard.tracking.runs import open_run
    from modelyard.training.folds import cross_validate as train_folds

    with open_run(
        context.spec,
        context.workspace,
        run=context.run.id,
        tags=_data_tags(context),
        stage="cross_validate",
    ) as tracked:
        return train_folds(
            context.spec,
            context.get(SplitData),
            _configuration(context),
            context.workspace,
            tracked,
            _pool(context),
        )


def train(context: Context) -> TrainedModel:
    """Train the model, tracked in MLflow."""
    from modelyard.tracking.runs import open_run
    from modelyard.training.train import train as train_model

    report = context.get(ValidationReport)
    files = {context.workspace.path(report.report): "validation"}
    with open_run(
        context.spec,
        context.workspace,
        run=context.run.id,
        tags=_data_tags(context),
        files=files,
    ) as tracked:
        return train_model(
            context.spec,
            context.get(SplitData),
            _configuration(context),
            context.workspace,
            tracked,
        )


def evaluate(context: Context) -> Evaluation:
    """Measure the model on the test split and ask the gate."""
    from modelyard.tracking.evaluations import log_evaluation
    from modelyard.tracking.registry import champion
    from modelyard.training.evaluate import evaluate as evaluate_model

    trained = context.get(TrainedModel)
    best = champion(context.workspace.settings, context.spec.name)
    if best is not None and best.mlflow_run == trained.mlflow_run:
        best = None  # nothing is compared with itself
    evaluation = evaluate_model(
        context.spec,
        context.get(SplitData),
        trained,
        context.workspace,
        None if best is None else best.metrics,
    )
    log_evaluation(context.workspace, trained, evaluation)
    return evaluation


def register(context: Context) -> RegisteredVersion:
    """Make a model version of it; raise GateRefused with every rule that did not hold."""
    evaluation = context.get(Evaluation)
    if not evaluation.passed:
        problems = tuple(
            Problem(f"measured {result.value}", field=result.rule)
            for result in evaluation.gate
            if not result.passed
        )
        message = f"{context.spec.name}: the gate refused the model"
        raise GateRefused(message, problems)
    from modelyard.tracking.registry import register as register_version

    return register_version(
        context.spec,
        context.workspace,
        context.get(SplitData),
        context.get(TrainedModel),
        evaluation,
        run=context.run.id,
        tags=_because(context),
    )


def deploy(context: Context) -> Deployment:
    """Serve the version, or give it its first share of the traffic."""
    from modelyard.serve_control import deploy as deploy_version

    return deploy_version(
        context.spec, context.get(RegisteredVersion), context.workspace, context.run.id
    )


def _data_tags(context: Context) -> dict[str, str]:
    pulled = context.get(PulledData)
    return {
        "modelyard.data_revision": pulled.revision,
        "modelyard.dvc_hash": pulled.content_hash,
        **_because(context),
    }


def _because(context: Context) -> dict[str, str]:
    return {f"modelyard.{name}": value for name, value in context.run.because.items()}


def _pool(context: Context) -> Pool:
    """The caller's pool, or as many processes as the machine has CPUs for."""
    from modelyard.training.pool import ImportLudwig, LocalPool, room

    if context.pool is not None:
        return context.pool
    resources = context.spec.resources
    around = partial(run_log, context.run.id, context.workspace)
    return LocalPool(room(resources), around, ImportLudwig(resources))


def _configuration(context: Context) -> BuiltModel | TunedModel:
    """The configuration to train: the search's best, if there was a search."""
    if TunedModel.stage in context.earlier:
        return context.get(TunedModel)
    return context.get(BuiltModel)


_FUNCTIONS: Mapping[str, Callable[[Context], Artifact]] = {
    function.__name__: function
    for function in (
        pull,
        validate,
        transform,
        split,
        build,
        tune,
        cross_validate,
        train,
        evaluate,
        register,
        deploy,
    )
}

STAGES = tuple(_FUNCTIONS)


def order(spec: Spec) -> tuple[str, ...]:
    """The stages that a run of this spec goes through."""
    left_out = {
        name
        for name, section in (("tune", spec.tune), ("cross_validate", spec.cross_validation))
        if section is None
    }
    return tuple(stage for stage in STAGES if stage not in left_out)


def perform(
    stage: str,
    run: Run,
    earlier: Mapping[str, JsonValue],
    workspace: Workspace,
    pool: Pool | None = None,
) -> dict[str, JsonValue]:
    """Run one stage in this process, its trials and folds in the pool; return its artifact as JSON.

    Raises:
        ModelyardError: the stage refused or could not be done.
        ComputeError: something failed that nobody foresaw; the run's log has the traceback.
    """
    workspace = workspace.salted(run.salt)
    with run_log(run.id, workspace):
        log.info("%s: begun", stage)
        began = time.monotonic()
        try:
            artifact = _FUNCTIONS[stage](Context(run, workspace, earlier, pool))
        except ModelyardError as error:
            log.error("%s: %s", stage, error)  # noqa: TRY400 - a refusal needs no traceback
            raise
        except Exception as error:
            log.exception("%s: failed unexpectedly", stage)
            message = f"{stage} failed unexpectedly: {type(error).__name__}: {error}"
            raise ComputeError(message, hint=f"see {workspace.log_file(run.id)}") from error
        log.info("%s: done in %.1f s", stage, time.monotonic() - began)
    return artifact.model_dump(mode="json")
