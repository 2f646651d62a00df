"""`modelyard spec export`: what it writes, in which format, and that it reads back the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from modelyard.cli.spec import app
from modelyard.errors import UsageError
from modelyard.settings import get_settings
from modelyard.spec import export, yaml_text
from modelyard.spec.load import load_spec
from modelyard.spec.models import Spec

type Raw = dict[str, Any]
type Write = Callable[[Raw], Path]

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]))
VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**16), 10**16), st.floats(-1e9, 1e9), TEXT
)
OPTIONS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=5), VALUE, max_size=5)


def spec_of(raw: Raw) -> Spec:
    return Spec.model_validate_json(json.dumps(raw), strict=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(options=OPTIONS, description=TEXT)
def test_a_spec_is_the_same_in_yaml_and_json(raw: Raw, options: Raw, description: str) -> None:
    raw["description"] = description
    raw["model"]["combiner"] = {"type": "concat", "whatever": options}
    spec = spec_of(raw)
    from_yaml, places, findings = yaml_text.read(export.text(export.whole(spec), "yaml"))
    from_json = json.loads(export.text(export.whole(spec), "json"))
    assert findings == []
    assert places
    assert isinstance(from_yaml, dict)
    assert spec_of(from_yaml).hash == spec_of(from_json).hash == spec.hash


@pytest.mark.parametrize(
    ("output", "asked", "otherwise", "chosen"),
    [
        (None, None, "json", "json"),
        (None, "yaml", "json", "yaml"),
        ("a.yml", None, "json", "yaml"),
        ("a.json", None, "yaml", "json"),
        ("a.json", "json", "yaml", "json"),
    ],
)
def test_the_format_is_as_asked_or_as_the_file_is_called(
    output: str | None, asked: str | None, otherwise: export.Format, chosen: str
) -> None:
    assert export.format_of(Path(output) if output else None, asked, otherwise) == chosen


@pytest.mark.parametrize(
    ("output", "asked", "said"),
    [
        (None, "toml", "there is no format `toml`"),
        ("a.txt", None, "ends in none of"),
        ("a.json", "yaml", "would be read as json"),
    ],
)
def test_a_format_that_would_not_read_back_is_refused(
    output: str | None, asked: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        export.format_of(Path(output) if output else None, asked, "json")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: Raw, written: Write) -> Path:
    (tmp_path / "model_specs").mkdir()
    written(raw).rename(tmp_path / "model_specs" / "flowers.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    return tmp_path


@pytest.fixture(autouse=True)
def _settings_as_before() -> Any:
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_whole_spec_is_written_and_is_the_same_spec(project: Path, form: str) -> None:
    there = project / "other" / f"flowers.{form}"
    said = CliRunner().invoke(app, ["export", "flowers", "--whole", "-o", str(there)])
    assert said.exit_code == 0, said.exception
    assert load_spec(there) == load_spec(project / "model_specs" / "flowers.yaml")


def test_a_file_is_not_overwritten_unless_one_insists(project: Path) -> None:
    there = project / "flowers.json"
    there.write_text("mine")
    said = CliRunner().invoke(app, ["export", "flowers", "--whole", "-o", str(there)])
    assert isinstance(said.exception, UsageError)
    assert there.read_text() == "mine"
    again = CliRunner().invoke(app, ["export", "flowers", "--whole", "-o", str(there), "--force"])
    assert again.exit_code == 0
    assert load_spec(there).name == "flowers"


def test_what_build_made_is_written_without_asking_ludwig(project: Path) -> None:
    from importlib.metadata import version

    from modelyard.spec.models import content_hash

    spec = load_spec(project / "model_specs" / "flowers.yaml")
    folder = project / "home" / "stages" / "build" / "abc"
    folder.mkdir(parents=True)
    model = {"input_features": [], "output_features": [], "backend": None, "trainer": {"epochs": 5}}
    (folder / "model.json").write_text(json.dumps(model))
    asked = {"model": content_hash(spec.model), "ludwig": version("ludwig")}
    (folder / "asked.json").write_text(json.dumps(asked))
    said = CliRunner().invoke(app, ["export", "flowers"])
    assert said.exit_code == 0, said.exception
    assert json.loads(said.stdout) == {k: v for k, v in model.items() if k != "backend"}
    yaml = CliRunner().invoke(app, ["export", "flowers", "--format", "yaml"])
    assert yaml_text.read(yaml.stdout)[0] == json.loads(said.stdout)


def test_its_help_has_an_example() -> None:
    assert "Example:" in CliRunner().invoke(app, ["export", "--help"]).stdout
