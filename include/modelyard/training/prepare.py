"""Rows as Ludwig's tensors, with statistics of the training rows alone; kept between trials."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard.spec.models import Spec, content_hash
from modelyard.training.known import training_rows_alone
from modelyard.training.rows import decode_packed_at_once

if TYPE_CHECKING:
    from pandas import DataFrame

SECTIONS = ("input_features", "output_features")
TREATMENT = ("name", "column", "proc_column", "type", "preprocessing")
PARTS = ("training_set", "validation_set", "test_set")


@dataclass(slots=True)
class _Kept:
    """The one preparation that this process keeps."""

    key: str = ""
    data: dict[str, Any] | None = None


_kept = _Kept()


def prepared(
    model: Any, spec: Spec, read: Callable[[], DataFrame], data_key: str | None = None
) -> dict[str, Any]:
    """Preprocess rows for `LudwigModel.train`; with a key of the data, once for equal treatment.

    Only the last preparation is kept, and only until rows without a key are prepared.
    """
    config = model.config_obj.to_dict()
    key = "" if data_key is None else _treatment(config, data_key)
    if not key or key != _kept.key or _kept.data is None:
        _kept.key, _kept.data = "", None  # before the next one takes as much memory
        rows = read().copy()
        decode_packed_at_once(model, rows)
        with training_rows_alone(rows):
            done = model.preprocess(
                dataset=rows, skip_save_processed_input=True, random_seed=spec.seed
            )
        data = {part: getattr(done, part) for part in PARTS}
        data["training_set_metadata"] = done.training_set_metadata
        if key and not _embeds(config):
            _kept.key, _kept.data = key, data
    else:
        data = _kept.data
    return {**data, "training_set_metadata": copy.deepcopy(data["training_set_metadata"])}


def _treatment(config: dict[str, Any], data_key: str) -> str:
    """Hash what decides how rows become tensors."""
    features = [
        {part: feature.get(part) for part in TREATMENT} | {"made_for": _made_for(feature)}
        for section in SECTIONS
        for feature in config[section]
    ]
    plain: Any = [data_key, features, config.get("preprocessing"), config.get("defaults")]
    return content_hash(_plain(plain))


def _made_for(feature: dict[str, Any]) -> list[Any]:
    """Which images a torchvision encoder takes: its variant says their size, not `preprocessing`."""
    encoder = feature.get("encoder") or {}
    return [encoder.get("type"), encoder.get("model_variant")] if "model_variant" in encoder else []


def _embeds(config: dict[str, Any]) -> bool:
    """Say if an encoder's output stands in for the data, which depends on more than its treatment."""
    return any(
        (feature.get("preprocessing") or {}).get("cache_encoder_embeddings")
        for feature in config["input_features"]
    )


def _plain(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value, default=str))
