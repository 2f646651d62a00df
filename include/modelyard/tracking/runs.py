"""A tracked run: opened once a training and continued by a retry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelyard.spec.models import Spec
from modelyard.tracking.run_log import TRAIN, RunLog, Story, closing
from modelyard.workspace import Workspace


@contextmanager
def open_run(  # noqa: PLR0913 - what a run is, by keyword
    spec: Spec,
    workspace: Workspace,
    *,
    run: str,
    tags: Mapping[str, str] | None = None,
    files: Mapping[Path, str] | None = None,
    stage: str = TRAIN,
) -> Iterator[RunLog]:
    """Track a stage; MLflow hears of it when the work begins, so a finished one costs nothing.

    `tags` and `files` (with the folder for each) are kept with the run.

    Raises:
        TrackingError: MLflow cannot be reached for a minute, or refuses.
    """
    log = RunLog(Story(spec, workspace.settings, run, stage), tags, files)
    with closing(log):
        yield log
