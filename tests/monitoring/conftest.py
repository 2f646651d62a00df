"""Tables, specs and logged predictions that the tests of monitoring share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modelyard.monitoring.reference import make_reference
from modelyard.spec.models import Spec
from modelyard.store.database import Store, open_store
from modelyard.store.records import PredictionRecord

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
FEATURES = (("size", "number"), ("level", "number"), ("site", "category"))


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers in each run."""
    return np.random.default_rng(7)


@pytest.fixture
def spec() -> Spec:
    """A spec with two numbers and a category."""
    return Spec.model_validate(
        {
            "name": "clinic",
            "data": {"path": "data/clinic"},
            "model": {
                "input_features": [{"name": name, "type": kind} for name, kind in FEATURES],
                "output_features": [{"name": "label", "type": "category"}],
            },
        }
    )


@pytest.fixture
def table(random: np.random.Generator) -> Callable[..., pd.DataFrame]:
    """Draw rows; `shift` moves `size` by so many standard deviations."""

    def draw(rows: int, shift: float = 0.0) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "size": random.normal(shift, 1, rows),
                "level": random.integers(0, 4, rows),
                "site": random.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2]),
            }
        )

    return draw


@pytest.fixture
def reference(tmp_path: Path, spec: Spec, table: Callable[..., pd.DataFrame]) -> Path:
    """The folder of a reference of 2,000 rows."""
    folder = tmp_path / "reference"
    make_reference(spec)(table(2_000), tmp_path, folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    with open_store(f"sqlite:///{tmp_path}/modelyard.db") as opened:
        yield opened


@pytest.fixture
def predictions() -> Callable[..., list[PredictionRecord]]:
    """Make a logged prediction of each row, one a second."""

    def make(
        rows: pd.DataFrame, *, version: int = 1, start: datetime = START
    ) -> list[PredictionRecord]:
        return [
            PredictionRecord(
                id=f"v{version}-{start:%H%M%S}-{number:06d}",
                at=start + timedelta(seconds=number),
                model="clinic",
                version=version,
                request=f"r{number}",
                inputs={**row, "photo.sha256": f"{number:064x}"},
                outputs={"label": "yes"},
                probability={"label": 0.9},
                latency_ms=2.0,
            )
            for number, row in enumerate(rows.to_dict("records"))
        ]

    return make
