"""Weights that an image encoder starts from: found, checked and put where Ludwig looks for them.

Ludwig's torchvision encoders read torchvision's own file from torch's cache, or download it in
mid-training. `provide` settles that before: it finds the file that the spec's `weights:` names, or
torchvision's own in the cache or on the net, checks it against the encoder, and keeps it in
`HOME/weights/SHA256/` laid out as torch's cache. The resolved configuration then says
`model_cache_dir: HOME/weights/SHA256`, a key of Ludwig's own, so that trials, folds and training
read that file and nothing else, and their keys and hashes know its content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.spec.models import Spec, WeightsSpec, content_hash
from modelyard.training.fetch import fetch, is_url
from modelyard.workspace import Workspace

FOLDER: Final = "weights"
CHECKPOINTS: Final = "hub/checkpoints"
_CHUNK: Final = 1 << 20
_WHAT_ELSE: Final = (
    "name a file or URL in weights:, train from scratch with use_pretrained: false, "
    "or run build once where there is internet: the file is kept"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A torchvision encoder of the configuration that starts from weights."""

    feature: str
    encoder: dict[str, JsonValue]
    variant: Any

    @property
    def url(self) -> str:
        """Where torchvision has its own weights."""
        return str(self.variant.model_weights.DEFAULT.url)

    @property
    def file_name(self) -> str:
        """What torch's cache calls them."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def field(self) -> str:
        """The encoder, as messages name it."""
        return f"model.input_features.{self.feature}.encoder"


def provide(spec: Spec, config: dict[str, JsonValue], workspace: Workspace) -> None:
    """Put every file that the configuration starts from into the home folder, and say so in it.

    Call this inside `engine(...)`.

    Raises:
        TrainingError: a file cannot be found or fetched, is unsafe, or does not fit the encoder.
    """
    for wanted in _wanted(config):
        file = _found(wanted, spec.weights.get(wanted.feature), workspace)
        digest = sha256(file)
        _refuse_another(wanted, spec.weights.get(wanted.feature), file, digest)
        folder = workspace.home / FOLDER / digest
        kept = folder / CHECKPOINTS / wanted.file_name
        if not kept.is_file():
            from modelyard.training.checkpoint_file import prepare

            prepare(file, wanted.variant.create_model_function, kept, wanted.field)
        wanted.encoder["model_cache_dir"] = str(folder)


def config_hash(config: Mapping[str, JsonValue]) -> str:
    """SHA-256 of a resolved configuration, the same whatever the home folder is called.

    A configuration that was written out, exported and read again has the same hash.
    """
    import copy

    plain = copy.deepcopy(dict(config))
    for encoder in _encoders(plain):
        cache = encoder.get("model_cache_dir")
        if isinstance(cache, str) and Path(cache).parent.name == FOLDER:
            encoder["model_cache_dir"] = Path(cache).name
    return content_hash(_one_zero(plain))


def _one_zero(value: JsonValue) -> JsonValue:
    """Spell whole numbers one way: Ludwig's defaults are 0 at first and 0.0 when read again."""
    if isinstance(value, dict):
        return {key: _one_zero(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_one_zero(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def sources(spec: Spec, workspace: Workspace) -> JsonValue:
    """What the files of `weights:` hold, or where they come from: part of the key of `build`."""
    found: dict[str, JsonValue] = {}
    for feature, weights in spec.weights.items():
        path = workspace.settings.project / weights.source
        local = not is_url(weights.source) and path.is_file()
        found[feature] = [weights.source, weights.sha256, sha256(path) if local else None]
    return found


def sha256(file: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def _wanted(config: dict[str, JsonValue]) -> Iterator[Wanted]:
    import ludwig.encoders.image.torchvision  # noqa: F401 - fills the registry
    from ludwig.utils.image_utils import torchvision_model_registry

    features = config.get("input_features")
    for feature in features if isinstance(features, list) else ():
        assert isinstance(feature, dict), "Ludwig wrote it"
        encoder = feature.get("encoder")
        if feature.get("type") != "image" or not isinstance(encoder, dict):
            continue
        variants = torchvision_model_registry.get(encoder.get("type"), {})
        variant = variants.get(encoder.get("model_variant"))
        if variant is not None and encoder.get("use_pretrained"):
            yield Wanted(str(feature["name"]), encoder, variant)


def _encoders(config: dict[str, JsonValue]) -> Iterator[dict[str, JsonValue]]:
    features = config.get("input_features")
    for feature in features if isinstance(features, list) else ():
        encoder = feature.get("encoder") if isinstance(feature, dict) else None
        if isinstance(encoder, dict):
            yield encoder


def _found(wanted: Wanted, named: WeightsSpec | None, workspace: Workspace) -> Path:
    """Find the file: as named, else in torch's cache, else on the net."""
    downloads = workspace.home / FOLDER / "downloads"
    if named is None:
        cached = _torch_cache(wanted)
        if cached is not None:
            return cached
        return fetch(wanted.url, downloads, wanted.field, hint=_WHAT_ELSE)
    field = f"weights.{wanted.feature}"
    if is_url(named.source):
        hint = "give a file's path instead, or run build once where the address answers: the file is kept"
        return fetch(named.source, downloads, field, hint=hint)
    file = workspace.settings.project / named.source
    if not file.is_file():
        message = f"{field}: there is no file {file}"
        raise TrainingError(message, hint="the path is relative to the project")
    return file


def _torch_cache(wanted: Wanted) -> Path | None:
    import torch

    own = wanted.encoder.get("model_cache_dir")
    homes = [Path(own) / "hub"] if isinstance(own, str) else []
    files = [
        home / "checkpoints" / wanted.file_name for home in (*homes, Path(torch.hub.get_dir()))
    ]
    return next((file for file in files if file.is_file()), None)


def _refuse_another(wanted: Wanted, named: WeightsSpec | None, file: Path, digest: str) -> None:
    """Hold a file against what the spec says of it, or torchvision's name, which ends in its hash."""
    if named is not None and named.sha256 is not None and named.sha256 != digest:
        message = f"weights.{wanted.feature}: {file} has the sha256 {digest}, not {named.sha256}"
        raise TrainingError(message, hint="take the right file, or correct sha256")
    stem, _, begin = wanted.file_name.rpartition(".")[0].rpartition("-")
    if named is None and stem and not digest.startswith(begin):
        message = f"{wanted.field}: {file} is damaged: its sha256 does not begin with {begin}"
        raise TrainingError(message, hint=f"delete {os.fspath(file)}")
