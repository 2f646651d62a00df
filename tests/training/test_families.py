"""A U-Net, an LSTM over channels and an LSTM over words, from build to an answer."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from modelyard.artifacts import Evaluation
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.build import build
from modelyard.training.compiled import open_compiled
from modelyard.training.evaluate import evaluate
from modelyard.training.log import Untracked
from modelyard.training.predictor import Predictor
from modelyard.training.train import train
from modelyard.workspace import Workspace
from tests.training.samples import save_split, workspace_in
from tests.training.test_masks import png, square

pytestmark = pytest.mark.heavy

SIZES = {"num_stages": 2, "base_channels": 8}
MASKS = {"num_channels": 1, "infer_image_sample_size": 100, "mode": "eager"}


@dataclass(frozen=True, slots=True)
class Made:
    """A trained model, what was measured of it, and the way to ask it."""

    workspace: Workspace
    evaluation: Evaluation
    predictor: Predictor
    rows: pd.DataFrame

    @property
    def folder(self) -> Path:
        return self.workspace.path(self.evaluation.predictions).parent


def spec_of(name: str, model: dict[str, Any]) -> Spec:
    return Spec.model_validate({"name": name, "data": {"path": "data/x"}, "model": model})


def make(folder: Path, spec: Spec, rows: pd.DataFrame) -> Made:
    workspace = workspace_in(folder)
    split = save_split(workspace, rows)
    trained = train(spec, split, build(spec, split, workspace), workspace, Untracked())
    evaluation = evaluate(spec, split, trained, workspace, None)
    return Made(workspace, evaluation, Predictor(workspace.path(trained.model)), rows)


def cells_spec(preprocessing: dict[str, Any] | None = None) -> Spec:
    inputs = {"name": "image", "type": "image", "encoder": {"type": "small_unet", **SIZES}}
    mask = {"name": "mask", "type": "image", "decoder": {"type": "small_unet", **SIZES}}
    return spec_of(
        "cells",
        {
            "input_features": [inputs | {"preprocessing": MASKS}],
            "output_features": [
                mask | {"preprocessing": MASKS | {"num_classes": 2} | (preprocessing or {})}
            ],
            "combiner": {"type": "concat", "num_fc_layers": 0},
            "trainer": {"epochs": 25, "batch_size": 4, "learning_rate": 0.005, "early_stop": -1},
        },
    )


def cells() -> pd.DataFrame:
    """Bright squares on dark, anywhere; the first page is empty."""
    noise = np.random.default_rng(0)
    sizes = (0, *range(4, 11), *range(4, 12))
    masks = [np.roll(square(16, size), noise.integers(0, 16, 2), (0, 1)) for size in sizes]
    pictures = [
        np.clip(mask / 2 + noise.integers(0, 40, mask.shape), 0, 255).astype(np.uint8)
        for mask in masks
    ]
    return pd.DataFrame(
        {
            "image": [png(one) for one in pictures],
            "mask": [png(mask) for mask in masks],
            "split": [0] * 8 + [1] * 4 + [2] * 4,
        }
    )


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("cells"), cells_spec(), cells())


def test_masks_are_measured_beside_otsus_threshold(unet: Made) -> None:
    metrics = unet.evaluation.metrics
    names = ("dice", "iou", "dice_pooled", "pixel_accuracy", "otsu_dice", "otsu_training_iou")
    assert all(0 <= metrics[f"mask.{name}"] <= 1 for name in names)
    assert metrics["mask.otsu_dice"] == 1
    assert metrics["mask.dice"] > 0.8


def test_predictions_hold_a_figure_a_row_and_no_pixels(unet: Made) -> None:
    table = pd.read_parquet(unet.workspace.path(unet.evaluation.predictions))
    assert table.columns.tolist() == ["row", "mask.dice", "mask.iou"]
    assert table["row"].tolist() == [12, 13, 14, 15]
    assert table["mask.dice"].mean() == pytest.approx(unet.evaluation.metrics["mask.dice"])


def test_examples_are_drawn_beside_the_other_plots(unet: Made) -> None:
    with Image.open(unet.folder / "plots" / "mask_masks.png") as image:
        image.load()


def test_a_mask_is_answered_in_the_size_of_its_image(unet: Made) -> None:
    large = Image.open(io.BytesIO(unet.rows["image"][7])).resize((40, 24))
    stream = io.BytesIO()
    large.save(stream, "PNG")
    answers = unet.predictor.predict(
        pd.DataFrame({"image": [stream.getvalue(), unet.rows["image"][7]]})
    )
    pictures = [Image.open(io.BytesIO(base64.b64decode(text))) for text in answers["mask"]]
    assert [picture.size for picture in pictures] == [(40, 24), (16, 16)]
    for picture, share in zip(pictures, answers["mask_share"], strict=True):
        values = np.asarray(picture)
        assert set(np.unique(values)) <= {0, 255}
        assert share == pytest.approx((values == 255).mean())


def test_the_signature_says_which_grey_values_a_mask_has(unet: Made) -> None:
    [mask] = unet.predictor.signature.outputs
    assert (mask.type, mask.categories, mask.height) == ("image", ("0", "255"), 16)


def test_masks_of_which_ludwig_would_miss_a_class_are_refused_by_build(tmp_path: Path) -> None:
    workspace = workspace_in(tmp_path)
    split = save_split(workspace, cells())
    spec = cells_spec({"height": 16, "width": 16})
    with pytest.raises(TrainingError, match="lack the value 255"):
        build(spec, split, workspace)


def series() -> pd.DataFrame:
    """Two channels of unequal lengths; the class is whether they rise together."""
    noise = np.random.default_rng(1)
    rows = []
    for number in range(40):
        length = int(noise.integers(4, 12))
        rise = np.linspace(0.1, 1, length)
        other = rise if number % 2 else rise[::-1]
        words = [" ".join(f"{value:.4f}" for value in one) for one in (rise, other)]
        rows.append((*words, "same" if number % 2 else "other"))
    table = pd.DataFrame(rows, columns=["a", "b", "kind"])
    return table.assign(split=[0] * 24 + [1] * 8 + [2] * 8)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Made:
    names = ("a", "b")
    passthrough = {"type": "passthrough"}
    model = {
        "input_features": [
            {"name": name, "type": "timeseries", "encoder": passthrough} for name in names
        ],
        "output_features": [{"name": "kind", "type": "category"}],
        "combiner": {"type": "series_rnn", "state_size": 8, "bidirectional": True, "norm": "batch"},
        "trainer": {"epochs": 8, "batch_size": 8, "learning_rate": 0.02},
    }
    return make(tmp_path_factory.mktemp("series"), spec_of("series", model), series())


def test_channels_are_read_together(channels: Made) -> None:
    assert channels.evaluation.metrics["kind.accuracy"] >= 0.875


def test_a_series_is_answered_the_same_alone_and_beside_a_longer_one(channels: Made) -> None:
    rows = channels.rows.sort_values("a", key=lambda column: column.str.len())[["a", "b"]]
    beside = channels.predictor.predict(rows)
    alone = channels.predictor.predict(rows.head(1))
    first, second = beside["kind_probabilities"].iloc[0], alone["kind_probabilities"].iloc[0]
    assert first == pytest.approx(second, abs=1e-6)


def test_the_signature_says_how_many_steps_are_read(channels: Made) -> None:
    longest = channels.rows["a"].str.split().str.len().max()
    assert [feature.steps for feature in channels.predictor.signature.inputs] == [longest] * 2


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Made:
    noise = np.random.default_rng(2)
    texts = [
        " ".join(noise.choice(["a", "the", "some"], 3)) + (" tree" if number % 2 else " stone")
        for number in range(40)
    ]
    rows = pd.DataFrame({"text": texts, "kind": ["plant", "mineral"] * 20})
    rows["kind"] = rows["kind"].to_numpy()[::-1]
    rows = rows.assign(split=[0] * 24 + [1] * 8 + [2] * 8)
    encoder = {"type": "packed_rnn", "state_size": 8, "embedding_size": 8, "bidirectional": True}
    model = {
        "input_features": [
            {
                "name": "text",
                "type": "text",
                "encoder": encoder,
                "preprocessing": {"tokenizer": "space_punct"},
            }
        ],
        "output_features": [{"name": "kind", "type": "category"}],
        "combiner": {"type": "concat"},
        "trainer": {"epochs": 6, "batch_size": 8, "learning_rate": 0.05},
    }
    return make(tmp_path_factory.mktemp("words"), spec_of("words", model), rows)


def test_words_are_learned_to_the_texts_end(words: Made) -> None:
    assert words.evaluation.metrics["kind.accuracy"] == 1


@pytest.mark.parametrize("name", ["unet", "channels", "words"])
def test_every_family_has_a_compiled_predictor_that_answers_as_ludwig_does(
    request: pytest.FixtureRequest, name: str
) -> None:
    made: Made = request.getfixturevalue(name)
    compiled = open_compiled(made.folder / "compiled")
    [output] = made.predictor.signature.outputs
    columns = [feature.column for feature in made.predictor.signature.inputs]
    given = made.rows[columns].head(9)
    expected = made.predictor.predict(given)
    for batch in (given.head(1), given):
        answers = compiled.answer(batch.to_dict("records"))  # type: ignore[arg-type]
        found = [answer[output.name]["prediction"] for answer in answers]
        assert found == expected[output.name].tolist()[: len(batch)]


@pytest.mark.parametrize("name", ["unet", "channels", "words"])
def test_every_family_places_its_rows_and_keeps_those_of_the_test_rows(
    request: pytest.FixtureRequest, name: str
) -> None:
    made: Made = request.getfixturevalue(name)
    plan = open_compiled(made.folder / "compiled").record.plan  # type: ignore[union-attr]
    kept = pd.read_parquet(made.folder / "outputs.parquet")
    [output] = made.predictor.signature.outputs
    assert plan is not None
    assert 1 <= plan.embedding <= 16
    assert kept.filter(like="embedding.").shape == ((made.rows["split"] == 2).sum(), plan.embedding)
    assert {f"predicted.{output.name}", f"truth.{output.name}"} <= set(kept)


def test_a_mask_is_kept_as_the_share_that_the_endpoint_answers(unet: Made) -> None:
    kept = pd.read_parquet(unet.folder / "outputs.parquet")
    test = unet.rows[unet.rows["split"] == 2]
    answered = unet.predictor.predict(test[["image"]])
    assert kept["predicted.mask"].tolist() == pytest.approx(answered["mask_share"].tolist())
    shares = [(np.asarray(Image.open(io.BytesIO(mask))) > 0).mean() for mask in test["mask"]]
    assert kept["truth.mask"].tolist() == pytest.approx(shares)


@pytest.mark.parametrize("text", ["", "a stranger's words, unseen", "the tree " * 500])
def test_any_text_is_answered_the_same_by_the_compiled_predictor(words: Made, text: str) -> None:
    compiled = open_compiled(words.folder / "compiled")
    [answer] = compiled.answer([{"text": text}])
    expected = words.predictor.predict(pd.DataFrame({"text": [text]})).iloc[0]
    assert answer["kind"]["probabilities"] == pytest.approx(
        expected["kind_probabilities"], abs=1e-5
    )


def test_a_mask_of_another_size_is_the_same_by_the_compiled_predictor(unet: Made) -> None:
    large = Image.open(io.BytesIO(unet.rows["image"][7])).resize((40, 24))
    stream = io.BytesIO()
    large.save(stream, "PNG")
    rows = [{"image": stream.getvalue()}, {"image": unet.rows["image"][8]}]
    answers = open_compiled(unet.folder / "compiled").answer(rows)
    expected = unet.predictor.predict(pd.DataFrame(rows))
    assert [answer["mask"]["prediction"] for answer in answers] == expected["mask"].tolist()
    assert [answer["mask"]["share"] for answer in answers] == expected["mask_share"].tolist()


@pytest.mark.parametrize("text", ["tree", "", "a stranger's words, unseen", "the tree " * 500])
def test_any_text_is_answered(words: Made, text: str) -> None:
    answer = words.predictor.predict(pd.DataFrame({"text": [text]}))
    assert answer["kind"].iloc[0] in {"plant", "mineral"}
    assert json.dumps(answer["kind_probabilities"].iloc[0])
