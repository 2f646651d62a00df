"""What Ludwig would download in mid-training, refused before where it cannot come."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from modelyard.errors import TrainingError
from modelyard.training.fetch import answers

HUB: Final = "https://huggingface.co"
_TIMM: Final = frozenset({"timm", "caformer", "convformer", "convnextv2", "poolformer"})
# By feature type, the encoders that Hugging Face's libraries make.
_HUGGING_FACE: Final = {
    "image": frozenset({"clip", "dinov2", "siglip"}),
    "audio": frozenset({"hubert", "wav2vec2", "whisper"}),
}
_NAME: Final = "pretrained_model_name_or_path"
# Tokenizers that come from Hugging Face, and the repository if none is named.
_TOKENIZERS: Final = {
    "hf_tokenizer": "None",
    "sentencepiece": "xlm-roberta-base",
    "clip": "openai/clip-vit-base-patch32",
    "gpt2bpe": "gpt2",
    "bert": "bert-base-uncased",
}
# First word of the tokenizers that spaCy makes, and Ludwig's code of the language.
_LANGUAGES: Final = {
    "english": "en",
    "italian": "it",
    "spanish": "es",
    "german": "de",
    "french": "fr",
    "portuguese": "pt",
    "dutch": "nl",
    "greek": "el",
    "norwegian": "nb",
    "lithuanian": "lt",
    "danish": "da",
    "polish": "pl",
    "romanian": "ro",
    "japanese": "ja",
    "chinese": "zh",
    "multi": "xx",
}


def refuse_downloads(config: dict[str, JsonValue]) -> None:
    """Refuse what needs a download that this machine cannot make, or a package that is not there.

    Raises:
        TrainingError: names the feature, what it would download, and what to do.
    """
    for feature, repository, why in _wanted(config):
        if _is_here(repository):
            continue
        offline = os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"}
        if offline or not answers(os.environ.get("HF_ENDPOINT", HUB)):
            message = (
                f"model.input_features.{feature}: {why} needs {repository} from {HUB}, "
                "which is neither in the cache nor to be reached"
            )
            hint = (
                f"put the model's folder here and give its path as {_NAME}, run once where there "
                "is internet with the same HF_HOME, or take an encoder and tokenizer that learn "
                "from the data alone (docs/models.md lists them)"
            )
            raise TrainingError(message, hint=hint)


def _wanted(config: dict[str, JsonValue]) -> Iterator[tuple[str, str, str]]:
    """List feature, repository and part of everything that comes from Hugging Face."""
    features = config.get("input_features")
    for feature in features if isinstance(features, list) else ():
        assert isinstance(feature, dict), "Ludwig wrote it"
        encoder: dict[str, Any] = feature.get("encoder") or {}  # type: ignore[assignment]
        name, kind = str(feature.get("name")), str(encoder.get("type"))
        if feature.get("type") == "image" and kind in _TIMM and find_spec("timm") is None:
            message = f"model.input_features.{name}.encoder: {kind} needs the package timm"
            raise TrainingError(message, hint="it is not part of Modelyard; take convnext or vit")
        repository = encoder.get(_NAME)
        if kind in _HUGGING_FACE.get(str(feature.get("type")), ()) and encoder.get(
            "use_pretrained"
        ):
            yield name, str(repository), f"the encoder {kind}"
        if feature.get("type") in {"text", "sequence"}:
            yield from _text(name, kind, repository, feature)


def _text(name: str, kind: str, repository: Any, feature: Any) -> Iterator[tuple[str, str, str]]:
    preprocessing = feature.get("preprocessing") or {}
    tokenizer = str(preprocessing.get("tokenizer"))
    if isinstance(repository, str):
        # Its tokenizer comes from there whether the weights do or not; offline, transformers makes
        # some of them without a single word, and the model learns from nothing.
        yield name, repository, f"the encoder {kind}"
    elif tokenizer in _TOKENIZERS:
        given = preprocessing.get(_NAME)
        yield name, str(given or _TOKENIZERS[tokenizer]), f"the tokenizer {tokenizer}"
    language = _LANGUAGES.get(tokenizer.partition("_")[0])
    if language is not None and "_" in tokenizer:
        _refuse_missing_language(name, tokenizer, language)


def _refuse_missing_language(name: str, tokenizer: str, language: str) -> None:
    """Ludwig would install spaCy's model in mid-training."""
    from ludwig.utils.nlp_utils import language_module_registry

    package = language_module_registry[language]
    if find_spec(package) is None:
        message = (
            f"model.input_features.{name}.preprocessing: the tokenizer {tokenizer} needs spaCy's "
            f"{package}, which is not installed"
        )
        hint = f"python -m spacy download {package} where there is internet; or space_punct"
        raise TrainingError(message, hint=hint)


def _is_here(repository: str) -> bool:
    """Tell whether a repository is a folder, or in Hugging Face's cache."""
    if Path(repository).is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, "config.json"), str)
