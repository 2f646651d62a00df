"""Files, names and folders of specs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import SpecError, UsageError
from modelyard.spec.load import find_specs, load_all, load_files, load_spec, resolve

type Raw = dict[str, Any]
type Write = Callable[[Raw], Path]


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as refused:
        load_spec(path)
    return str(refused.value)


def test_yaml_and_json_of_the_same_spec_are_equal(raw: Raw, written: Write) -> None:
    yaml = written(raw)
    json_file = yaml.with_suffix(".json")
    json_file.write_text(json.dumps(raw), encoding="utf-8")
    assert load_spec(yaml) == load_spec(json_file)
    assert load_spec(yaml).hash == load_spec(json_file).hash


def test_defaults_are_filled_in(raw: Raw, written: Write) -> None:
    spec = load_spec(written(raw))
    assert spec.version == 1
    assert spec.data.split.fractions == (0.7, 0.1, 0.2)
    assert spec.monitor.windows == (1000, 10_000, "all")
    assert [feature.name for feature in spec.inputs] == ["width", "picture"]
    assert spec.outputs[0].column == "label"


def test_all_problems_of_a_file_come_at_once(raw: Raw, written: Write) -> None:
    raw["data"]["tabel"] = raw["data"].pop("table")
    raw["model"]["trainer"]["epoch"] = 3
    raw["gate"][0]["metric"] = "lable.accuracy"
    with pytest.raises(SpecError) as refused:
        load_spec(written(raw))
    assert {problem.field for problem in refused.value.problems} == {
        "data.tabel",
        "model.trainer.epoch",
        "gate[0].metric",
    }


def test_problems_stand_in_the_order_of_the_file(raw: Raw, written: Write) -> None:
    raw["data"]["revison"] = 1
    raw["seed"] = -1
    with pytest.raises(SpecError) as refused:
        load_spec(written(raw))
    lines = [problem.line or 0 for problem in refused.value.problems]
    assert lines == sorted(lines)


def test_the_file_is_spelt_as_it_was_given(
    raw: Raw, written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw["sed"] = 1
    path = written(raw)
    monkeypatch.chdir(path.parent)
    assert refusal(Path(path.name)).startswith("flowers.yaml:")


def test_numbers_such_as_1e_5_are_numbers(raw: Raw, written: Write) -> None:
    path = written(raw)
    path.write_text(path.read_text().replace("0.001", "1e-5"))
    trainer = load_spec(path).model["trainer"]
    assert isinstance(trainer, dict)
    assert trainer["learning_rate"] == 1e-5


def test_a_small_alias_is_read(tmp_path: Path) -> None:
    path = tmp_path / "aliases.yaml"
    path.write_text(
        "name: aliases\ndata: {path: d}\nmodel:\n  input_features:\n"
        "    - {name: a, type: number, preprocessing: &p {normalization: zscore}}\n"
        "    - {name: b, type: number, preprocessing: *p}\n"
        "  output_features: [{name: y, type: number}]\n"
    )
    features = load_spec(path).model["input_features"]
    assert isinstance(features, list)
    assert features[0] == {**features[1], "name": "a"} if isinstance(features[1], dict) else False


def test_a_byte_order_mark_is_no_mistake(raw: Raw, written: Write) -> None:
    path = written(raw)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_spec(path).name == "flowers"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    assert "not a file" in refusal(tmp_path / "folder.yaml")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text("name = 'spec'")
    assert "a spec ends in .yaml, .yml, .json" in refusal(tmp_path / "spec.toml")


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"# " + b"x" * 1_000_000)
    assert "larger than 1 MB" in refusal(path)


def test_deep_nesting_in_one_line_is_refused_and_does_not_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("- " * 400_000)
    assert "nested more than 40 levels deep" in refusal(path)


def test_a_folder_s_specs_are_listed_without_the_schema(raw: Raw, written: Write) -> None:
    path = written(raw)
    for other in ("schema.json", ".hidden.yaml", "notes.txt"):
        (path.parent / other).write_text("{}")
    assert find_specs(path.parent) == [path]


def test_a_folder_that_is_not_there_has_no_specs(tmp_path: Path) -> None:
    assert find_specs(tmp_path / "none") == []


def test_a_wrong_spec_does_not_hide_the_others(raw: Raw, written: Write) -> None:
    right = written(raw)
    (right.parent / "broken.yaml").write_text("name: [")
    broken, fine = load_all(right.parent)
    assert broken.error is not None
    assert broken.spec is None
    assert fine.spec is not None
    assert fine.spec.name == "flowers"


def test_two_specs_of_one_name_are_refused(raw: Raw, written: Write) -> None:
    path = written(raw)
    other = path.with_suffix(".json")
    other.write_text(json.dumps(raw))
    first, second = load_files([path, other])
    assert first.spec is not None
    assert "there is flowers.yaml with the same name" in str(second.error)


def test_a_spec_is_found_by_name_and_by_path(raw: Raw, written: Write) -> None:
    path = written(raw)
    assert resolve("flowers", path.parent) == path
    assert resolve(str(path), Path("elsewhere")) == path


def test_an_unknown_name_is_answered_with_the_nearest(raw: Raw, written: Write) -> None:
    path = written(raw)
    with pytest.raises(UsageError, match="did you mean `flowers`"):
        resolve("flower", path.parent)


def test_an_unknown_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no spec file"):
        resolve("model_specs/none.yaml", tmp_path)
