"""Where a version comes from, as MLflow tells it."""

from __future__ import annotations

import pytest

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.tracking import registry
from modelyard.tracking.lineage import ANSWER, main, origin_of, pages_of, read_answer
from modelyard.workspace import Workspace
from tests.tracking.samples import make, spec


def test_a_version_says_spec_data_code_and_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(workspace)
    registry.register(
        spec(), workspace, made.split, made.trained, made.evaluation, run="flowers.one"
    )
    found = origin_of(workspace.settings, "flowers", 1)
    assert found is not None
    assert (found.version, found.run) == (1, "flowers.one")
    assert found.mlflow_run == made.trained.mlflow_run
    assert (found.spec_hash, found.data_hash) == (spec().hash, "d" * 64)
    assert (found.weights_hash, len(found.environment_hash)) == ("w" * 64, 64)
    assert origin_of(workspace.settings, "flowers", 2) is None
    # The other process says the same.
    monkeypatch.setattr("modelyard.tracking.lineage.get_settings", lambda: workspace.settings)
    assert main(["flowers", "1"]) == 0
    assert read_answer(capsys.readouterr().out, 0) == found


def test_without_mlflow_there_is_no_origin(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("empty")
    settings = Settings(project=folder, MODELYARD_HOME=folder / "home")
    assert origin_of(settings, "flowers", 1) is None


@pytest.mark.parametrize(("text", "code"), [("", 0), ("", 1), ("null\n", 1)])
def test_an_answer_that_failed_names_no_host(text: str, code: int) -> None:
    with pytest.raises(TrackingError, match=r"^MLflow does not answer$"):
        read_answer(text, code)


def test_an_answer_may_be_that_there_is_none() -> None:
    assert read_answer(ANSWER.dump_json(None).decode(), 0) is None


def test_a_file_has_no_web_pages(workspace: Workspace) -> None:
    found = ANSWER.validate_python(
        {
            "version": 1,
            "registered": "2026-11-21T12:00:00Z",
            "git_dirty": False,
            **dict.fromkeys(
                (
                    "run",
                    "mlflow_run",
                    "experiment",
                    "spec_hash",
                    "data_revision",
                    "content_hash",
                    "data_hash",
                    "weights_hash",
                    "git_commit",
                    "environment_hash",
                ),
                "x",
            ),
        }
    )
    assert found is not None
    assert pages_of(workspace.settings, "flowers", found) == {}
