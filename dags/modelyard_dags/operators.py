"""The tasks: each runs one stage, or tells why it cannot."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator, ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from pydantic import JsonValue

from modelyard.errors import (
    ComputeError,
    ModelyardError,
    ServingError,
    StoreError,
    TrackingError,
)
from modelyard_dags import assets, form, retraining

if TYPE_CHECKING:
    from modelyard.runs import Run
    from modelyard.workspace import Workspace

OPTIONAL = ("tune", "cross_validate")
PASSING = (ComputeError, ServingError, StoreError, TrackingError)

log = logging.getLogger(__name__)


class Stopped(SystemExit):
    """A task ends early and has told why; Airflow logs the traceback of any exception but this kind."""

    reason: str = ""
    """The refusal in its own words."""


class Refused(Stopped):
    """The same would happen again, so a retry is of no use."""


RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "retry_policy": ExceptionRetryPolicy(
        rules=[RetryRule(exception=Refused, action=RetryAction.FAIL, reason="refused")]
    ),
}


class StageOperator(BaseOperator):
    """Run one stage of making a model, and pass its artifact on.

    `spec` is the model's name, or None where the trigger form chooses it; `before` and `after`
    are the stages of the DAG on both sides of this one.
    """

    ui_color = "#e6f0ea"

    def __init__(
        self,
        *,
        stage: str,
        spec: str | None,
        before: Sequence[str],
        after: Sequence[str],
        **kwargs: object,
    ) -> None:
        super().__init__(task_id=stage, **kwargs)
        self.stage = stage
        self.spec = spec
        self.before = tuple(before)
        self.after = tuple(after)

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Run the stage; its artifact goes to XCom."""
        with refusals_told():
            return self._run(context)

    def _run(self, context: Context) -> dict[str, JsonValue]:
        from modelyard.compute import run_stage
        from modelyard.settings import get_settings
        from modelyard.stages import order
        from modelyard.workspace import Workspace

        workspace = Workspace(get_settings())
        run = self._run_of(context, workspace)
        stages = order(run.spec)
        if self.stage not in stages:
            message = f"this run does without {self.stage}"
            raise AirflowSkipException(message)
        earlier = _artifacts(context, [stage for stage in self.before if stage in stages])
        artifact = run_stage(self.stage, run, earlier, workspace)
        assets.announce(context, self.stage, run.spec, run.id, {**earlier, self.stage: artifact})
        retraining.follow(
            workspace.settings, run, self.stage, artifact, last=self.stage == stages[-1]
        )
        self._skip_unwanted(context, stages, artifact)
        return artifact

    def _run_of(self, context: Context, workspace: Workspace) -> Run:
        """Load the run; the first stage begins it from the spec and the trigger form."""
        from modelyard import runs
        from modelyard.spec.load import load_spec, resolve

        params = context["params"]
        name = self.spec or str(params[form.SPEC])
        run_id = runs.safe_run_id(f"{name}.{context['run_id']}")
        if self.before:
            return runs.load(run_id, workspace)
        spec = load_spec(resolve(name, workspace.settings.specs))
        scheduled_as = f"{self.dag_id}/{context['run_id']}"
        choices: dict[str, object] = {**form.choices(dict(params))}
        asked = retraining.begun(context, workspace.settings, run_id, self.after)
        if asked is not None:
            choices = retraining.told(asked, choices)
        return runs.begin(spec, run_id, workspace, scheduled_as=scheduled_as, **choices)

    def _skip_unwanted(
        self, context: Context, stages: Sequence[str], artifact: dict[str, JsonValue]
    ) -> None:
        """Skip the optional stages that follow and are not asked for, without starting a process for each."""
        if not self.after or self.after[0] not in OPTIONAL:
            return
        unwanted = [stage for stage in OPTIONAL if stage in self.after and stage not in stages]
        if unwanted:
            context["ti"].xcom_push("return_value", artifact)
            raise DownstreamTasksSkipped(tasks=unwanted)


class BrokenSpecOperator(BaseOperator):
    """Fail with what is wrong with a spec."""

    ui_color = "#f4dcdc"

    def __init__(self, *, error: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Context) -> None:  # noqa: ARG002 - the base class calls it so
        """Tell what is wrong and fail."""
        with refusals_told():
            raise ModelyardError(self.error)


@contextmanager
def refusals_told() -> Iterator[None]:
    """Tell a refusal in its own words and fail for good; what may pass is left to Airflow's retries."""
    try:
        yield
    except ModelyardError as error:
        log.error("%s", error)  # noqa: TRY400 - the text says what to do, a traceback would not
        stopped = (Stopped if isinstance(error, PASSING) else Refused)(error.exit_code)
        stopped.reason = str(error)
        raise stopped from None


def _artifacts(context: Context, stages: Sequence[str]) -> dict[str, JsonValue]:
    found = context["ti"].xcom_pull(task_ids=list(stages), map_indexes=-1) if stages else []
    return {
        stage: artifact
        for stage, artifact in zip(stages, found, strict=True)
        if artifact is not None
    }
