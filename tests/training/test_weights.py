"""The weights' hash depends on the weights alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from modelyard.errors import TrainingError
from modelyard.training.weights import weights_hash

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, dtype=np.int64)


def saved(folder: Path, **tensors: np.ndarray) -> Path:  # type: ignore[type-arg]
    folder.mkdir()
    save_file(tensors, folder / "model_weights.safetensors")
    return folder


def test_it_is_the_hash_of_names_types_shapes_and_bytes(tmp_path: Path) -> None:
    expected = hashlib.sha256()
    for name, kind, tensor in (("a", "F32", A), ("b", "I64", B)):
        expected.update(json.dumps([name, kind, list(tensor.shape)]).encode() + tensor.tobytes())
    assert weights_hash(saved(tmp_path / "m", b=B, a=A)) == expected.hexdigest()


def test_the_order_in_the_file_does_not_matter(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "1", a=A, b=A + 1), saved(tmp_path / "2", b=A + 1, a=A)
    assert weights_hash(one) == weights_hash(other)


@pytest.mark.parametrize("tensors", [{"a": A + 1}, {"c": A}, {"a": A.T.copy()}, {"a": A, "b": B}])
def test_any_change_changes_it(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:  # type: ignore[type-arg]
    one, other = saved(tmp_path / "1", a=A), saved(tmp_path / "2", **tensors)
    assert weights_hash(one) != weights_hash(other)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no weights"):
        weights_hash(tmp_path)
