from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.settings import Settings, get_settings
from modelyard.spec.models import Spec
from modelyard.workspace import Workspace


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the developer's own MODELYARD_ variables or a cached answer."""
    import os

    for name in [name for name in os.environ if name.startswith("MODELYARD_")]:
        monkeypatch.delenv(name)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model_specs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def workspace(project: Path) -> Workspace:
    return Workspace(Settings(project=project))


@pytest.fixture
def spec() -> Spec:
    return Spec.model_validate(
        {
            "name": "toy",
            "data": {"path": "data/toy.csv", "split": {"stratify": "label"}},
            "model": {
                "input_features": [{"name": "x", "type": "number"}],
                "output_features": [{"name": "label", "type": "binary"}],
                "combiner": {"type": "concat"},
                "trainer": {"epochs": 2},
            },
        }
    )
