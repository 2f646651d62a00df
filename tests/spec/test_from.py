"""`model: {from: ...}`: what is merged, where its errors are shown, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import SpecError
from modelyard.runs import Run
from modelyard.spec import reference, yaml_text
from modelyard.spec.lines import dotted
from modelyard.spec.load import load_spec
from modelyard.spec.merge import Part, merge
from modelyard.spec.models import Spec
from modelyard.spec.overrides import apply

type Raw = dict[str, Any]

BASE: Raw = {
    "input_features": [
        {"name": "width", "type": "number"},
        {
            "name": "picture",
            "type": "image",
            "encoder": {"type": "stacked_cnn", "num_conv_layers": 2, "padding": "same"},
        },
    ],
    "output_features": [{"name": "label", "type": "category"}],
    "trainer": {"epochs": 5, "learning_rate": 0.001},
}


def merged(base: Raw, over: Raw) -> Any:
    return merge(Part(base, {}), Part(over, {})).value


def write(folder: Path, name: str, model: Raw, **rest: Any) -> Path:
    """Write a spec with the model, or a configuration alone if the name ends in .json."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json" and not rest.pop("as_spec", False):
        path.write_text(json.dumps(model, indent=1), encoding="utf-8")
        return path
    value = {"name": path.stem, "data": {"path": "data/x"}, "model": model, **rest}
    path.write_text(yaml_text.write(value), encoding="utf-8")
    return path


def problems(path: Path) -> list[tuple[str, int | None, str | None, str]]:
    with pytest.raises(SpecError) as refused:
        load_spec(path)
    return [
        (Path(str(p.file)).name, p.line, p.field, f"{p.message} ({p.hint})")
        for p in refused.value.problems
    ]


@pytest.mark.parametrize(
    ("over", "path", "expected"),
    [
        ({"trainer": {"epochs": 9}}, ("trainer",), {"epochs": 9, "learning_rate": 0.001}),
        ({"trainer": {"epochs": None}}, ("trainer",), {"learning_rate": 0.001}),
        ({"combiner": {"type": "concat"}}, ("combiner",), {"type": "concat"}),
        (
            {"input_features": [{"name": "picture", "encoder": {"padding": None}}]},
            ("input_features", 1, "encoder"),
            {"type": "stacked_cnn", "num_conv_layers": 2},
        ),
        (
            {"input_features": [{"name": "picture", "encoder": {"type": "resnet"}}]},
            ("input_features", 1, "encoder"),
            {"type": "resnet"},
        ),
        (
            {"input_features": [{"name": "note", "type": "text"}]},
            ("input_features", 2),
            {"name": "note", "type": "text"},
        ),
        (
            {"input_features": [{"name": "width", "type": None}]},
            ("input_features", 0, "name"),
            "picture",
        ),
        (
            {"input_features": [{"name": "picture", "type": "binary"}]},
            ("input_features", 1),
            {"name": "picture", "type": "binary"},
        ),
        (
            {
                "input_features": [
                    {"name": "picture", "encoder": {"fc_layers": [{"output_size": 3}]}}
                ]
            },
            ("input_features", 1, "encoder", "fc_layers"),
            [{"output_size": 3}],
        ),
        ({"output_features": None}, ("output_features",), None),
    ],
)
def test_what_is_written_lies_over_what_is_referred_to(
    over: Raw, path: tuple[str | int, ...], expected: Any
) -> None:
    from modelyard.spec import paths

    assert paths.get(merged(BASE, over), path) == expected


NAMES = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(
    st.one_of(st.integers(0, 9), st.booleans(), NAMES),
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(NAMES, part, max_size=3)),
    max_leaves=12,
)
MODEL = st.dictionaries(NAMES, JSON, max_size=3)


@settings(deadline=None)
@given(MODEL, MODEL)
def test_merging_keeps_to_json_merge_patch(base: Raw, over: Raw) -> None:
    """RFC 7396, section 2, where there are no features and no types."""

    def patched(target: Any, patch: Any) -> Any:
        if not isinstance(patch, dict):
            return patch
        result = dict(target) if isinstance(target, dict) else {}
        for key, value in patch.items():
            result[key] = patched(result.get(key), value)
        return result

    assert merged(base, over) == patched(base, over)


@settings(deadline=None)
@given(MODEL)
def test_nothing_laid_over_a_model_and_a_model_over_itself_change_nothing(model: Raw) -> None:
    assert merged(model, {}) == model
    assert merged(model, model) == model


def test_a_spec_with_from_is_the_spec_with_the_merged_model(tmp_path: Path) -> None:
    write(tmp_path, "shared/base.json", BASE)
    write(tmp_path, "base.json", BASE)
    one = load_spec(write(tmp_path, "one.yaml", {"from": "base.json", "trainer": {"epochs": 9}}))
    whole = {**BASE, "trainer": {"epochs": 9, "learning_rate": 0.001}}
    plain = load_spec(write(tmp_path / "plain", "one.yaml", whole))
    assert one == plain
    assert one.hash == plain.hash
    assert "from" not in one.model


def test_the_path_is_relative_to_the_spec_and_not_to_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "shared/base.json", BASE)
    path = write(tmp_path, "specs/one.yaml", {"from": "../shared/base.json"})
    monkeypatch.chdir(tmp_path.parent)
    assert load_spec(path).model == BASE


def test_a_whole_spec_gives_its_model_and_may_itself_refer(tmp_path: Path) -> None:
    write(tmp_path, "base.json", BASE)
    write(tmp_path, "two.yaml", {"from": "base.json", "trainer": {"epochs": 7}})
    one = write(tmp_path, "one.yaml", {"from": "two.yaml", "trainer": {"learning_rate": 0.1}})
    assert load_spec(one).model["trainer"] == {"epochs": 7, "learning_rate": 0.1}


def test_the_hash_changes_with_the_other_file(tmp_path: Path) -> None:
    write(tmp_path, "base.json", BASE)
    one = write(tmp_path, "one.yaml", {"from": "base.json"})
    before = load_spec(one).hash
    write(tmp_path, "base.json", {**BASE, "trainer": {"epochs": 6}})
    assert load_spec(one).hash != before


def test_a_run_holds_the_merged_model_and_needs_no_other_file(tmp_path: Path) -> None:
    base = write(tmp_path, "base.json", BASE)
    spec = load_spec(write(tmp_path, "one.yaml", {"from": "base.json"}))
    text = Run(id="r", spec=spec).model_dump_json()
    base.unlink()
    assert Run.model_validate_json(text).spec == spec
    changed = apply(Run.model_validate_json(text).spec, {"model.trainer.epochs": 1})
    assert changed.model["trainer"] == {"epochs": 1, "learning_rate": 0.001}


def test_errors_name_the_file_and_line_where_the_field_stands(tmp_path: Path) -> None:
    wrong = json.loads(json.dumps(BASE))
    wrong["input_features"][1]["encoder"]["num_conv_layer"] = 3
    write(tmp_path, "base.json", wrong)
    model = {
        "from": "base.json",
        "trainer": {"epoch": 3},
        "input_features": [{"name": "note", "type": "texxt"}],
    }
    path = write(tmp_path, "one.yaml", model)
    found = problems(path)
    lines = (tmp_path / "base.json").read_text().splitlines()
    spec_lines = path.read_text().splitlines()
    assert [(file, field) for file, _line, field, _said in found] == [
        ("one.yaml", "model.trainer.epoch"),
        ("one.yaml", "model.input_features[2].type"),
        ("base.json", "model.input_features[1].encoder.num_conv_layer"),
    ]
    assert "epoch: 3" in spec_lines[(found[0][1] or 0) - 1]
    assert "texxt" in spec_lines[(found[1][1] or 0) - 1]
    assert "num_conv_layer" in lines[(found[2][1] or 0) - 1]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("bsae.json", "there is no file bsae.json beside one.yaml (did you mean `base.json`?)"),
        (3, "must be the name of a file, not `3`"),
        (None, "must be the name of a file, not nothing"),
        ("base.txt", "`base.txt` is no file of YAML or JSON"),
        ("list.json", "reads"),
        ("broken.json", "not JSON"),
        ("notes.yaml", "is neither a Ludwig configuration nor a spec"),
    ],
)
def test_what_cannot_be_referred_to_is_refused_at_from(
    tmp_path: Path, named: Any, said: str
) -> None:
    write(tmp_path, "base.json", BASE)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text('{\n "a": 1,\n "b"\n}')
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    path = write(tmp_path, "one.yaml", {"from": named}, dataa=3)
    found = {field: (line, text) for _file, line, field, text in problems(path)}
    assert set(found) == {"dataa", "model.from"}
    line, text = found["model.from"]
    assert said in text
    assert line


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_is_refused_and_its_files_are_named(tmp_path: Path, length: int) -> None:
    for number in range(length):
        write(tmp_path, f"s{number}.yaml", {"from": f"s{(number + 1) % length}.yaml"})
    [(_file, _line, field, said)] = problems(tmp_path / "s0.yaml")
    assert field == "model.from"
    assert "goes round in a circle: s0.yaml -> " in said
    assert said.count("s0.yaml") == 2


def test_a_resolved_configuration_is_taken_without_what_modelyard_says_elsewhere() -> None:
    resolved = {
        **BASE,
        "input_features": [
            {
                **BASE["input_features"][1],
                "proc_column": "picture_x7",
                "encoder": {
                    "type": "resnet",
                    "saved_weights_in_checkpoint": True,
                    "model_cache_dir": "/home/someone/.modelyard/weights/abc",
                },
            }
        ],
        "preprocessing": {"split": {"type": "fixed"}, "sample_ratio": 1.0},
        "backend": None,
        "hyperopt": None,
        "ludwig_version": "0.17.10",
    }
    kept = reference.reusable(resolved)
    assert kept["input_features"] == [
        {"name": "picture", "type": "image", "encoder": {"type": "resnet"}}
    ]
    assert kept["preprocessing"] == {"sample_ratio": 1.0}
    assert not {"backend", "hyperopt", "ludwig_version"} & set(kept)


def test_a_cache_of_the_author_s_own_stays() -> None:
    encoder = {"type": "resnet", "model_cache_dir": "/mnt/torch"}
    model = {**BASE, "input_features": [{"name": "p", "type": "image", "encoder": encoder}]}
    assert reference.reusable(model)["input_features"] == model["input_features"]


def test_places_of_features_follow_them_to_their_new_index(tmp_path: Path) -> None:
    write(tmp_path, "base.json", BASE)
    model = {"from": "base.json", "input_features": [{"name": "width", "type": None}]}
    value = {"name": "one", "data": {"path": "x"}, "model": model}
    resolved = reference.resolve(value, {}, tmp_path / "one.yaml")
    spec = Spec.model_validate(resolved.value)
    assert [feature.name for feature in spec.inputs] == ["picture"]
    where = {dotted(path): place for path, place in resolved.origins.items()}
    file, line = where["model.input_features[0].encoder.padding"]
    assert "padding" in file.read_text().splitlines()[line - 1]
