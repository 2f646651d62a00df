"""What would fail in mid-training is refused at `build`, with what would work."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts import SplitData
from modelyard.errors import TrainingError
from modelyard.settings import Settings
from modelyard.spec.models import ResourceSpec, Spec
from modelyard.training import downloads
from modelyard.training.build import build
from modelyard.training.config import overruled
from modelyard.training.engine import engine
from modelyard.workspace import Workspace
from tests.training.samples import save_split, workspace_in, write_digits

pytestmark = pytest.mark.heavy


@dataclass(frozen=True, slots=True)
class Digits:
    """Forty images of 8 x 8 pixels."""

    workspace: Workspace
    split: SplitData

    def config(self, feature: dict[str, Any]) -> dict[str, Any]:
        built = build(spec_of(feature), self.split, self.workspace)
        content: dict[str, Any] = json.loads(self.workspace.path(built.config).read_bytes())
        return content

    def refusal(self, feature: dict[str, Any]) -> str:
        with pytest.raises(TrainingError) as refused:
            self.config(feature)
        assert "\n" not in str(refused.value)
        return str(refused.value)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    workspace = workspace_in(tmp_path_factory.mktemp("refusals"))
    return Digits(workspace, save_split(workspace, write_digits(workspace, 40)))


def spec_of(feature: dict[str, Any]) -> Spec:
    return Spec.model_validate(
        {
            "name": "digits",
            "data": {"path": "data/digits"},
            "model": {
                "input_features": [feature],
                "output_features": [{"name": "label", "type": "category"}],
                "combiner": {"type": "concat"},
            },
        }
    )


def image(encoder: dict[str, Any], **preprocessing: Any) -> dict[str, Any]:
    return {"name": "image", "type": "image", "encoder": encoder, "preprocessing": preprocessing}


@pytest.mark.parametrize(
    "encoder",
    [
        {"type": "stacked_cnn"},
        {"type": "stacked_cnn", "num_conv_layers": 3},
        {"type": "stacked_cnn", "conv_layers": [{}, {"kernel_size": 5}, {}]},
        {"type": "mlp_mixer"},
        {"type": "unet"},
    ],
)
def test_images_too_small_are_refused_with_a_size_that_works(
    digits: Digits, encoder: dict[str, Any]
) -> None:
    said = digits.refusal(image(encoder, num_channels=1))
    assert f"{encoder['type']} cannot take images of 8 x 8 pixels" in said
    size = re.search(r"preprocessing: \{height: (\d+), width: (\d+)\}", said)
    assert size is not None
    height, width = int(size[1]), int(size[2])
    config = digits.config(image(encoder, num_channels=1, height=height, width=width))
    assert config["input_features"][0]["preprocessing"]["height"] == height


@pytest.mark.parametrize(
    ("encoder", "named", "works"),
    [
        ({"type": "stacked_cnn"}, "encoder: {padding: same}", {"padding": "same"}),
        ({"type": "mlp_mixer"}, "encoder: {patch_size: 8}", {"patch_size": 8}),
    ],
)
def test_an_option_that_is_named_works(
    digits: Digits, encoder: dict[str, Any], named: str, works: dict[str, Any]
) -> None:
    assert named in digits.refusal(image(encoder))
    assert digits.config(image({**encoder, **works}))


def test_the_default_image_encoder_is_refused_too(digits: Digits) -> None:
    assert "8 x 8 pixels" in digits.refusal({"name": "image", "type": "image"})


def test_a_size_that_is_asked_for_stands(digits: Digits) -> None:
    """Ludwig 0.17.10 alone resets both to null."""
    feature = image({"type": "stacked_cnn"}, num_channels=1, height=28, width=24)
    preprocessing = digits.config(feature)["input_features"][0]["preprocessing"]
    assert (preprocessing["height"], preprocessing["width"]) == (28, 24)


def test_images_become_as_large_as_was_asked_and_are_predicted_so(
    digits: Digits, tmp_path: Path
) -> None:
    from modelyard.training.fit import fit
    from modelyard.training.rows import read_rows

    encoder = {"type": "stacked_cnn", "conv_layers": [{"out_channels": 2}], "output_size": 4}
    spec = spec_of(image(encoder, num_channels=1, height=20, width=16))
    config = digits.config(spec.model["input_features"][0])  # type: ignore[index, arg-type]
    config["trainer"]["epochs"] = 1
    rows = read_rows(spec, digits.split, digits.workspace)
    fitted = fit(spec, config, rows, tmp_path, lambda *_: None)
    with engine(spec.resources, "predict") as door:
        model = door.load(fitted.model)
        shape = tuple(model.model.input_features.get("image").input_shape)
        answers, _folder = model.predict(dataset=rows.head(3), skip_save_predictions=True)
    assert shape == (1, 20, 16)
    assert len(answers) == 3


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, and a hub that nobody answers for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("feature", "needs"),
    [
        ({"encoder": {"type": "bert"}}, "bert-base-uncased"),
        ({"encoder": {"type": "bert", "use_pretrained": False}}, "bert-base-uncased"),
        (
            {"encoder": {"type": "auto_transformer", "pretrained_model_name_or_path": "a/b"}},
            "a/b",
        ),
        ({"preprocessing": {"tokenizer": "bert"}}, "bert-base-uncased"),
        ({"preprocessing": {"tokenizer": "gpt2bpe"}}, "gpt2"),
        ({"preprocessing": {"tokenizer": "english_tokenize"}}, "spaCy's en_core_web_sm"),
        ({"type": "image", "encoder": {"type": "dinov2"}}, "facebook/dinov2"),
        ({"type": "image", "encoder": {"type": "caformer"}}, "the package timm"),
    ],
)
def test_what_would_be_downloaded_is_refused_where_it_cannot_come(
    digits: Digits, feature: dict[str, Any], needs: str
) -> None:
    said = digits.refusal({"name": "image", "type": "text", **feature})
    assert needs in said
    assert "model.input_features.image" in said
    assert "(" in said


def test_offline_is_believed_and_a_hub_that_answers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = {"type": "bert", "pretrained_model_name_or_path": "nobody/has-this"}
    config: Any = {"input_features": [{"name": "x", "type": "text", "encoder": encoder}]}
    monkeypatch.setattr(downloads, "answers", lambda _url: True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    downloads.refuse_downloads(config)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrainingError, match="nobody/has-this"):
        downloads.refuse_downloads(config)


def test_a_model_in_a_folder_needs_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    encoder = {"type": "bert", "pretrained_model_name_or_path": str(tmp_path)}
    config: Any = {"input_features": [{"name": "x", "type": "text", "encoder": encoder}]}
    downloads.refuse_downloads(config)


def test_what_ludwig_overrules_is_refused(digits: Digits) -> None:
    feature = {
        "name": "image",
        "type": "text",
        "encoder": {"type": "bert"},
        "preprocessing": {"tokenizer": "space"},
    }
    assert "tokenizer: Ludwig makes 'hf_tokenizer' of 'space'" in digits.refusal(feature)


@pytest.mark.parametrize(
    ("wanted", "resolved", "found"),
    [
        ({"a": 1}, {"a": 1.0, "b": 2}, 0),
        ({"a": "Adam"}, {"a": "adam"}, 0),
        ({"a": "auto"}, {"a": 3}, 0),
        ({"a": None}, {"a": 3}, 0),
        ({"a": 28}, {"a": None}, 1),
        ({"a": [{"b": True}, {"b": 1}]}, {"a": [{"b": False}, {"b": 2}]}, 2),
        ({"a": [1, 2]}, {"a": [1]}, 0),
        ({"a": "x"}, {"a": {"type": "x"}}, 0),
    ],
)
def test_only_what_was_asked_for_and_changed_is_overruled(
    wanted: Any, resolved: Any, found: int
) -> None:
    assert len(list(overruled(wanted, resolved))) == found


@pytest.mark.parametrize("kind", ["jamba", "mamba2"])
def test_a_configuration_that_ludwig_cannot_read_again_is_refused(
    digits: Digits, kind: str
) -> None:
    said = digits.refusal({"name": "image", "type": "text", "encoder": {"type": kind}})
    assert "cannot read its own defaults" in said


def test_a_model_is_made_here_whatever_cluster_runs(tmp_path: Path) -> None:
    """Unsaid, Ludwig joins any Ray cluster that it finds."""
    with engine(ResourceSpec(), "look") as door:
        model = door.create({"input_features": [{"name": "a", "type": "number"}],
                             "output_features": [{"name": "b", "type": "number"}]})  # fmt: skip
    assert type(model.backend).__name__ == "LocalBackend"
    assert Settings(project=tmp_path).ray_address is None  # type: ignore[call-arg]
