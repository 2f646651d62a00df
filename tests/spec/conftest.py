"""Specs that are right, to be changed in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.spec import yaml_text

type Raw = dict[str, Any]


def raw_spec(name: str = "flowers") -> Raw:
    return {
        "name": name,
        "data": {
            "path": "data/flowers",
            "table": "table.csv",
            "checks": [{"column": "label", "not_null": True}],
            "split": {"stratify": "label"},
        },
        "model": {
            "input_features": [
                {"name": "width", "type": "number"},
                {"name": "picture", "type": "image", "encoder": {"type": "stacked_cnn"}},
            ],
            "output_features": [{"name": "label", "type": "category"}],
            "combiner": {"type": "concat"},
            "trainer": {"epochs": 5, "learning_rate": 0.001},
        },
        "gate": [{"metric": "label.accuracy", "at_least": 0.9}],
    }


@pytest.fixture
def raw() -> Raw:
    return raw_spec()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Raw], Path]:
    """Write a raw spec to the file of its name."""

    def write(value: Raw) -> Path:
        path = tmp_path / f"{value.get('name', 'nameless')}.yaml"
        path.write_text(yaml_text.write(value), encoding="utf-8")
        return path

    return write
