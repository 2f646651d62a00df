"""A registered version brings its compiled predictor, and the endpoint takes it, or says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from modelyard.tracking import registry
from modelyard.tracking.package import write_package
from modelyard.training.compiled.plan import FILE
from serving.model.backend import Predicted
from serving.model.examples import example_row
from serving.model.predictor import COMPILED, Failure, Predictor, load
from tests.training.samples import Chain

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def served(iris: Chain) -> Predictor:
    return load(iris.workspace.settings, "iris", iris.version.version)


@pytest.fixture
def elsewhere(iris: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the version's files, which the endpoint takes for its own."""
    folder = registry.download(iris.workspace.settings, "iris", iris.version.version)
    copy = tmp_path / "version"
    shutil.copytree(folder, copy)
    monkeypatch.setattr(registry, "download", lambda *_: copy)
    return copy


def rows(predictor: Predictor, count: int) -> list[dict[str, object]]:
    return [example_row(predictor.description.signature) for _ in range(count)]


def labels(answer: Predicted | Failure) -> list[object]:
    assert isinstance(answer, Predicted)
    return [output["species"]["prediction"] for output in answer.outputs]


def test_the_endpoint_takes_the_compiled_predictor(served: Predictor) -> None:
    assert served.description.engine == "compiled"
    assert served.description.engine_note is None
    [answer] = served.answer([rows(served, 2)])
    assert labels(answer)[0] in {"setosa", "versicolor", "virginica"}


def test_a_request_without_a_value_is_to_blame_and_spoils_no_other(served: Predictor) -> None:
    bad = [row | {"petal_width": "broad"} for row in rows(served, 1)]
    first, second = served.answer([bad, rows(served, 1)])
    assert isinstance(first, Failure)
    assert len(labels(second)) == 1


@pytest.mark.parametrize("missing", [True, False])
def test_a_version_without_a_compiled_predictor_is_served_by_ludwig_which_says_so(
    iris: Chain, served: Predictor, elsewhere: Path, missing: bool
) -> None:
    if missing:
        shutil.rmtree(elsewhere / COMPILED)
    else:
        record = json.loads((elsewhere / COMPILED / FILE).read_text())
        record["libraries"]["torch"] = "1.0"
        (elsewhere / COMPILED / FILE).write_text(json.dumps(record))
    ludwig = load(iris.workspace.settings, "iris", iris.version.version)
    assert ludwig.description.engine == "ludwig"
    assert ludwig.description.engine_note is not None
    assert (
        "made without" if missing else "proved with torch 1.0"
    ) in ludwig.description.engine_note
    [ours], [theirs] = served.answer([rows(served, 3)]), ludwig.answer([rows(served, 3)])
    assert labels(ours) == labels(theirs)


@pytest.mark.parametrize(("weights", "brought"), [(None, True), ("of another model", False)])
def test_a_version_never_brings_the_predictor_of_other_weights(
    iris: Chain, tmp_path: Path, weights: str | None, brought: bool
) -> None:
    trained = iris.trained.model_copy(update={"weights_hash": weights} if weights else {})
    folder = write_package(
        iris.spec, iris.workspace, iris.split, trained, iris.evaluation, "card", tmp_path / "made"
    )
    assert (folder / COMPILED / FILE).exists() == brought
