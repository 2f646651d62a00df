"""Image encoders start from the weights that the spec names, or are refused before training."""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelyard.artifacts import BuiltModel, SplitData
from modelyard.errors import TrainingError
from modelyard.spec.models import Spec
from modelyard.training.build import build
from modelyard.training.pretrained import config_hash
from modelyard.workspace import Workspace
from tests.training.samples import save_split, workspace_in, write_digits

pytestmark = pytest.mark.heavy

RESNET: dict[str, Any] = {"type": "resnet", "model_variant": 18}
ROWS = 14


@dataclass(frozen=True, slots=True)
class Project:
    """A few digits, and a folder for weights."""

    workspace: Workspace
    split: SplitData

    @property
    def weights(self) -> Path:
        return self.workspace.settings.project / "weights"

    def build(self, encoder: dict[str, Any], source: str | None = None, **more: Any) -> BuiltModel:
        return build(self.spec(encoder, source, **more), self.split, self.workspace)

    def config(self, built: BuiltModel) -> dict[str, Any]:
        config: dict[str, Any] = json.loads(self.workspace.path(built.config).read_bytes())
        return config

    @staticmethod
    def spec(encoder: dict[str, Any], source: str | None = None, **more: Any) -> Spec:
        named = {} if source is None else {"weights": {"image": {"source": source, **more}}}
        return Spec.model_validate(
            {
                "name": "digits",
                "data": {"path": "data/digits"},
                "model": {
                    "input_features": [{"name": "image", "type": "image", "encoder": encoder}],
                    "output_features": [{"name": "label", "type": "category"}],
                    "combiner": {"type": "concat"},
                    "trainer": {"epochs": 1, "batch_size": 4, "eval_batch_size": 8},
                },
                **named,
            }
        )

    def fit(self, built: BuiltModel, spec: Spec, folder: Path) -> tuple[dict[str, Any], float]:
        """Train; return the encoder's weights and the validation loss."""
        from safetensors.torch import load_file

        from modelyard.training.fit import fit
        from modelyard.training.rows import read_rows

        rows = read_rows(spec, self.split, self.workspace)
        folder.mkdir()
        fitted = fit(spec, self.config(built), rows, folder, lambda *_: None)
        tensors = load_file(next(fitted.model.glob("*.safetensors")))
        inside = "encoder_obj.model."
        encoder = {k.partition(inside)[2]: v for k, v in tensors.items() if inside in k}
        return encoder, fitted.history[0]["validation/label.loss"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    workspace = workspace_in(tmp_path_factory.mktemp("pretrained"))
    rows = write_digits(workspace, 20).head(ROWS)
    rows["split"] = [0] * 10 + [1] * 2 + [2] * 2
    found = Project(workspace, save_split(workspace, rows))
    found.weights.mkdir()
    return found


@pytest.fixture(scope="module")
def state(project: Project) -> dict[str, Any]:
    """A resnet18 for ten classes, saved as training scripts do."""
    import torch
    import torchvision

    torch.manual_seed(7)
    tensors: dict[str, Any] = torchvision.models.resnet18(weights=None, num_classes=10).state_dict()
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": t for name, t in tensors.items()}}
    torch.save(wrapped, project.weights / "resnet.pth")
    return tensors


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of one start."""

    encoder: dict[str, Any]
    loss: float


@pytest.fixture(scope="module")
def frozen(
    project: Project, state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    del state
    encoder = {**RESNET, "trainable": False}
    built = project.build(encoder, "weights/resnet.pth")
    folder = tmp_path_factory.mktemp("frozen") / "fit"
    return Trained(*project.fit(built, project.spec(encoder), folder))


def learnable(state: dict[str, Any]) -> list[str]:
    """The parameters below the head; the rest are statistics that follow the data."""
    kept = ("running_mean", "running_var", "num_batches_tracked")
    return [name for name in state if not name.endswith(kept) and not name.startswith("fc.")]


def test_a_frozen_encoder_keeps_the_file_s_weights(state: dict[str, Any], frozen: Trained) -> None:
    import torch

    assert learnable(state)
    assert all(torch.equal(frozen.encoder[name], state[name]) for name in learnable(state))


def test_a_fine_tuned_encoder_begins_there_and_moves(
    project: Project, state: dict[str, Any], frozen: Trained, tmp_path: Path
) -> None:
    import torch

    built = project.build(RESNET, "weights/resnet.pth")
    encoder, loss = project.fit(built, project.spec(RESNET), tmp_path / "fit")
    moved = [name for name in learnable(state) if not torch.equal(encoder[name], state[name])]
    assert len(moved) > 50
    distance = sum(float((encoder[n] - state[n]).abs().mean()) for n in moved) / len(moved)
    assert distance < 0.01
    assert loss != frozen.loss


def test_the_same_encoder_from_scratch_gives_another_loss(
    project: Project, frozen: Trained, state: dict[str, Any], tmp_path: Path
) -> None:
    import torch

    encoder = {**RESNET, "trainable": False, "use_pretrained": False}
    found, loss = project.fit(project.build(encoder), project.spec(encoder), tmp_path / "fit")
    assert not any(torch.equal(found[n], state[n]) for n in learnable(state) if "conv" in n)
    assert loss != frozen.loss


def test_other_weights_are_another_build_and_another_configuration(
    project: Project, state: dict[str, Any], tmp_path: Path
) -> None:
    import torch

    del tmp_path
    file = project.weights / "changing.pth"
    torch.save(state, file)
    one = project.build(RESNET, "weights/changing.pth")
    torch.save({**state, "conv1.weight": state["conv1.weight"] + 1}, file)
    two = project.build(RESNET, "weights/changing.pth")
    assert one.key != two.key
    assert one.config_hash != two.config_hash


def test_the_configuration_s_hash_does_not_depend_on_the_home_folder() -> None:
    config = {"input_features": [{"encoder": {"model_cache_dir": "/one/home/weights/abc"}}]}
    other = {"input_features": [{"encoder": {"model_cache_dir": "/two/weights/abc"}}]}
    assert config_hash(config) == config_hash(other)  # type: ignore[arg-type]
    assert config_hash({"a": [0, {"b": 2.0}]}) == config_hash({"a": [0.0, {"b": 2}]})
    assert config_hash({"a": False}) != config_hash({"a": 0})
    own = {"input_features": [{"encoder": {"model_cache_dir": "/two/mine"}}]}
    assert config_hash(own) != config_hash(other)  # type: ignore[arg-type]
    assert config["input_features"][0]["encoder"]["model_cache_dir"] == "/one/home/weights/abc"


def test_the_environment_is_as_before(project: Project, frozen: Trained) -> None:
    del project, frozen
    assert os.environ.get("TORCH_HOME") is None


def test_a_model_that_modelyard_trained_gives_its_encoder(
    project: Project, state: dict[str, Any]
) -> None:
    from safetensors.torch import save_file

    prefix = "input_features.module_dict.scan__ludwig.encoder_obj.model."
    own = {f"{prefix}{n}": t for n, t in state.items() if not n.startswith("fc.")}
    save_file(own, project.weights / "own.safetensors")
    built = project.build(RESNET, "weights/own.safetensors")
    folder = project.config(built)["input_features"][0]["encoder"]["model_cache_dir"]
    import torch

    [kept] = Path(folder).rglob("*.pth")
    tensors = torch.load(kept, weights_only=True)
    assert torch.equal(tensors["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    assert tensors["fc.weight"].shape == (1000, 512)


def test_a_model_that_cannot_be_sketched_is_made_to_be_compared(project: Project) -> None:
    import torch
    import torchvision

    tensors = torchvision.models.regnet_x_400mf(weights=None, num_classes=3).state_dict()
    torch.save(tensors, project.weights / "regnet.pth")
    encoder = {"type": "regnet", "model_variant": "x_400mf"}
    assert project.build(encoder, "weights/regnet.pth").config_hash


class _Runs:
    """Would run code if a file of it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize(
    ("make", "encoder", "more", "said"),
    [
        (None, RESNET, {}, "there is no file"),
        ("state", {**RESNET, "model_variant": 34}, {}, "lacks layer1.2.conv1.weight"),
        ("state", {"type": "squeezenet"}, {}, "another type or model_variant?"),
        ("state", RESNET, {"sha256": "0" * 64}, "not 0000"),
        ("junk", RESNET, {}, "is no file of weights"),
        ("code", RESNET, {}, "could run code"),
        ("list", RESNET, {}, "holds a list"),
        ("numbers", RESNET, {}, "holds no tensors"),
        ("short", RESNET, {}, "conv1.weight is (64, 3, 3, 3) and should be (64, 3, 7, 7)"),
        ("more", RESNET, {}, "has besides extra.weight"),
    ],
)
def test_a_file_that_will_not_do_is_refused_before_training(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    project: Project,
    state: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make: str | None,
    encoder: dict[str, Any],
    more: dict[str, Any],
    said: str,
) -> None:
    import torch

    monkeypatch.chdir(tmp_path)
    file = project.weights / f"{make}.pth"
    content = {
        "state": state,
        "code": {"a": _Runs()},
        "list": [1, 2],
        "numbers": {"a": 3},
        "short": {**state, "conv1.weight": state["conv1.weight"][..., :3, :3]},
        "more": {**state, "extra.weight": state["fc.bias"]},
    }
    if make == "junk":
        file.write_bytes(b"junk")
    elif make:
        torch.save(content[make], file)
    with pytest.raises(TrainingError) as refused:
        project.build(encoder, f"weights/{make}.pth", **more)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def address(project: Project, state: dict[str, Any]) -> Iterator[str]:
    """The folder of weights, over HTTP."""
    del state
    handler = functools.partial(_Quiet, directory=str(project.weights))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    requests = 0

    def log_message(self, *_: Any) -> None:
        type(self).requests += 1


def test_weights_come_from_an_address_once(project: Project, address: str) -> None:
    before = _Quiet.requests
    one = project.build(RESNET, f"{address}/resnet.pth")
    two = project.build({**RESNET, "trainable": False}, f"{address}/resnet.pth")
    local = project.build(RESNET, "weights/resnet.pth")
    assert _Quiet.requests == before + 1
    assert one.config_hash == local.config_hash
    assert one.key != two.key


def test_an_address_that_does_not_answer_is_refused_before_training(
    project: Project, address: str
) -> None:
    for url in (f"{address}/none.pth", "http://127.0.0.1:9/resnet.pth"):
        with pytest.raises(TrainingError) as refused:
            project.build(RESNET, url)
        assert "weights.image: the weights at" in str(refused.value)
        assert "give a file's path instead" in str(refused.value)


def test_torchvision_s_own_weights_are_fetched_or_refused_with_what_to_do(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_net(url: str, partial: Path) -> None:
        del partial
        message = f"[Errno -2] Name or service not known: {url}"
        raise OSError(message)

    monkeypatch.setattr("modelyard.training.fetch._download", no_net)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(TrainingError) as refused:
        project.build(RESNET)
    assert "https://download.pytorch.org/models/resnet18-f37072fd.pth" in str(refused.value)
    for way in ("weights:", "use_pretrained: false", "run build once where there is internet"):
        assert way in str(refused.value)


def test_torch_s_cache_is_looked_at_first_and_not_trusted(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: dict[str, Any]
) -> None:
    import torch

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    torch.save(state, cached)
    with pytest.raises(TrainingError, match="is damaged: its sha256 does not begin with f37072fd"):
        project.build(RESNET)
    monkeypatch.setattr("modelyard.training.pretrained.sha256", lambda _: "f37072fd" + "0" * 56)
    built = project.build(RESNET)
    folder = project.config(built)["input_features"][0]["encoder"]["model_cache_dir"]
    assert Path(folder).name.startswith("f37072fd")
