"""How a version is watched can be changed without training it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.monitoring.watching import monitor_of
from modelyard.spec.models import MonitorSpec, Spec

SPEC = """
version: 1
name: clinic
data: {{path: data/clinic}}
model:
  input_features: [{{name: size, type: number}}]
  output_features: [{{name: label, type: category}}]
monitor: {{alpha: {alpha}}}
"""


@pytest.fixture
def files(tmp_path: Path, spec: Spec) -> Path:
    """A version's files, made when alpha was 0.2."""
    folder = tmp_path / "files"
    folder.mkdir()
    old = spec.model_copy(update={"monitor": MonitorSpec(alpha=0.2)})
    (folder / "spec.json").write_text(old.model_dump_json())
    return folder


def test_the_spec_of_today_says_how(tmp_path: Path, files: Path) -> None:
    (tmp_path / "clinic.yaml").write_text(SPEC.format(alpha=0.01))
    assert monitor_of("clinic", tmp_path, files).alpha == 0.01


@pytest.mark.parametrize("spec_today", [None, "name: [broken"])
def test_without_one_that_holds_the_versions_own_does(
    tmp_path: Path, files: Path, spec_today: str | None
) -> None:
    if spec_today is not None:
        (tmp_path / "clinic.yaml").write_text(spec_today)
    assert monitor_of("clinic", tmp_path, files).alpha == 0.2


@pytest.mark.parametrize("content", [None, "", '{"name": 3}'])
def test_without_either_the_defaults_hold(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_text(content)
    assert monitor_of("clinic", tmp_path / "specs", tmp_path) == MonitorSpec()
    assert monitor_of("clinic", tmp_path / "specs", None) == MonitorSpec()
