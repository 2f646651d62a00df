"""The compiled predictor says where the network places a row, and the version keeps its test rows'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.monitoring.reference import read_outputs
from modelyard.tracking import registry
from modelyard.training.compiled import embedding, open_compiled
from modelyard.training.compiled.loading import read_record
from modelyard.training.compiled.making import compile_model
from modelyard.training.compiled.plan import FILE
from modelyard.training.predictor import Predictor as LudwigPredictor
from serving.model.backend import Predicted
from serving.model.predictor import load
from tests.training.samples import Chain

pytestmark = pytest.mark.heavy


def compiled_folder(chain: Chain) -> Path:
    assert chain.evaluation.compiled is not None
    return chain.workspace.path(chain.evaluation.compiled)


def outputs(chain: Chain) -> pd.DataFrame:
    assert chain.evaluation.outputs is not None
    return pd.read_parquet(chain.workspace.path(chain.evaluation.outputs))


def rows_of_the_test_split(chain: Chain) -> list[dict[str, object]]:
    folder = chain.workspace.path(chain.split.folder)
    test = chain.rows[chain.rows["split"] == 2]
    return [{"image": (folder / path).read_bytes()} for path in test["image"]]


def places(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    return frame.filter(regex=r"^embedding\.").to_numpy()


def test_what_was_answered_to_the_test_rows_is_kept_as_live_answers_are(iris: Chain) -> None:
    kept, known = outputs(iris), pd.read_parquet(iris.workspace.path(iris.evaluation.predictions))
    assert kept.columns.tolist() == ["predicted.species", "probability.species", "truth.species"]
    for name, column in [("prediction", "predicted"), ("probability", "probability"), ("truth", "truth")]:  # fmt: skip
        assert kept[f"{column}.species"].tolist() == known[f"species.{name}"].tolist()


def test_a_version_brings_it_with_its_reference(digits: Chain) -> None:
    folder = registry.download(digits.workspace.settings, "digits", digits.version.version)
    found = read_outputs(folder / "reference")
    assert found is not None
    pd.testing.assert_frame_equal(found, outputs(digits))


def test_images_are_placed_in_few_dimensions_and_numbers_are_not(
    digits: Chain, iris: Chain
) -> None:
    plan = read_record(compiled_folder(digits)).plan
    assert plan is not None
    kept = places(outputs(digits))
    assert kept.shape == (24, plan.embedding)
    assert 1 < plan.embedding <= 16
    assert np.isfinite(kept).all()
    assert kept.std(axis=0).min() > 0
    without = read_record(compiled_folder(iris)).plan
    assert without is not None
    assert without.embedding == 0


def test_a_row_is_placed_the_same_alone_beside_others_and_at_the_evaluation(digits: Chain) -> None:
    compiled, rows = open_compiled(compiled_folder(digits)), rows_of_the_test_split(digits)
    answers, together = compiled.answer_and_place(rows)
    assert together is not None
    assert together == pytest.approx(places(outputs(digits)), abs=1e-4)
    for number in range(3):
        [answer], alone = compiled.answer_and_place(rows[number : number + 1])
        assert alone is not None
        assert alone[0] == pytest.approx(together[number], abs=1e-4)
        assert answer["label"]["prediction"] == answers[number]["label"]["prediction"]
    assert compiled.answer_and_place([]) == ([], None)


def test_like_rows_are_placed_near_each_other(digits: Chain) -> None:
    compiled, rows = open_compiled(compiled_folder(digits)), rows_of_the_test_split(digits)
    _, found = compiled.answer_and_place([rows[0], rows[0], rows[1]])
    assert found is not None
    assert np.abs(found[0] - found[1]).max() < 1e-4 < np.abs(found[0] - found[2]).max()


def test_an_answer_says_nothing_of_it(digits: Chain) -> None:
    served = load(digits.workspace.settings, "digits", digits.version.version)
    rows = rows_of_the_test_split(digits)
    [first, second] = served.answer([rows[:2], rows[2:3]])
    assert isinstance(first, Predicted)
    assert isinstance(second, Predicted)
    assert set(first.outputs[0]) == {"label"}
    assert set(first.outputs[0]["label"]) == {"prediction", "probability", "probabilities"}
    sent = np.frombuffer((first.embedding or b"") + (second.embedding or b""), np.float32)
    kept = places(outputs(digits))
    assert sent.reshape(3, -1) == pytest.approx(kept[:3], abs=1e-4)


def test_versions_of_the_format_before_are_read_and_place_nothing(
    iris: Chain, tmp_path: Path
) -> None:
    folder = tmp_path / "compiled"
    shutil.copytree(compiled_folder(iris), folder)
    record = json.loads((folder / FILE).read_text()) | {"format": 1}
    del record["plan"]["embedding"]
    (folder / FILE).write_text(json.dumps(record))
    row = dict.fromkeys(("sepal_length", "sepal_width", "petal_length", "petal_width"), 1.0)
    answers, found = open_compiled(folder).answer_and_place([row])
    assert found is None
    assert answers == open_compiled(compiled_folder(iris)).answer([row])


@pytest.fixture(scope="module")
def ludwig(digits: Chain) -> tuple[Any, pd.DataFrame, pd.DataFrame]:
    """The network as Ludwig loads it, the test rows with its predictions, and training rows."""
    loaded = LudwigPredictor(digits.workspace.path(digits.trained.model))._model
    folder = digits.workspace.path(digits.split.folder)
    rows = digits.rows.assign(image=[str(folder / path) for path in digits.rows["image"]])
    return loaded, rows[rows["split"] == 2].reset_index(drop=True), rows[rows["split"] == 0]


def test_a_network_that_gives_no_embedding_is_compiled_without(
    digits: Chain, ludwig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        message = "no combiner"
        raise RuntimeError(message)

    monkeypatch.setattr(embedding, "_hidden", fail)
    loaded, test, training = ludwig
    predicted, _ = loaded.predict(dataset=test)
    model = digits.workspace.path(digits.trained.model)
    made = compile_model(model, loaded, test, predicted, tmp_path, training)
    assert made.record.engine == "compiled"
    assert made.record.plan is not None
    assert (made.record.plan.embedding, made.places) == (0, None)


def test_the_projection_is_the_principal_components_of_training_rows() -> None:
    import torch
    from sklearn.decomposition import PCA

    random = np.random.default_rng(0)
    hidden = (random.normal(size=(200, 5)) @ random.normal(size=(5, 40)) + 3).astype(np.float32)
    projection = embedding._fitted(hidden)
    assert projection is not None
    assert projection.size == 16
    other = hidden[:7] + 1
    expected = PCA(16, random_state=0).fit(hidden.astype(np.float64)).transform(other)
    found = projection(torch.from_numpy(other)).numpy()
    assert found[:, :5] == pytest.approx(expected[:, :5], abs=1e-3)


@pytest.mark.parametrize("hidden", [np.ones((9, 4)), np.full((9, 4), np.nan), np.zeros((9, 0))])
def test_what_does_not_vary_or_is_not_finite_has_no_projection(hidden: Any) -> None:
    assert embedding._fitted(hidden.astype(np.float32)) is None


@pytest.mark.parametrize(
    ("shape", "width"), [((2, 8), 8), ((2, 5, 8), 8), ((2, 3, 4, 4), 3), ((2, 70_000), 2048)]
)
def test_sequences_and_maps_are_pooled_to_a_width_that_can_be_kept(
    shape: tuple[int, ...], width: int
) -> None:
    import torch

    from modelyard.training.compiled.graph import pooled

    assert pooled(torch.ones(shape)).shape == (2, width)
