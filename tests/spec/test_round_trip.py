"""A spec survives being written, in any format, order and place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.spec import yaml_text
from modelyard.spec.lines import Finding
from modelyard.spec.load import build, find_specs, load_spec
from modelyard.spec.models import Spec

PROJECT = Path(__file__).parents[2]
WORD = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8).filter(lambda w: w != "split")
FLOAT = st.floats(0.001, 0.999)
CHECK = st.one_of(
    st.fixed_dictionaries({"column": WORD, "not_null": st.just(True)}),
    st.fixed_dictionaries({"column": WORD, "min": FLOAT, "unique": st.booleans()}),
    st.fixed_dictionaries(
        {
            "column": WORD,
            "one_of": st.lists(
                st.one_of(WORD, st.integers(0, 9), FLOAT, st.booleans()), min_size=1
            ),
        }
    ),
    st.fixed_dictionaries({"min_rows": st.integers(1, 99)}),
)
TRANSFORM = st.one_of(
    st.fixed_dictionaries({"kind": st.just("drop_missing")}),
    st.fixed_dictionaries(
        {"kind": st.just("fill_missing"), "column": WORD, "value": st.one_of(WORD, FLOAT)}
    ),
    st.fixed_dictionaries({"kind": st.just("clip"), "column": WORD, "min": FLOAT}),
    st.fixed_dictionaries(
        {"kind": st.just("rename"), "columns": st.dictionaries(WORD, WORD, min_size=1)}
    ),
)
MODEL = st.fixed_dictionaries(
    {
        "input_features": st.lists(WORD, min_size=1, max_size=4, unique=True).map(
            lambda names: [{"name": f"in_{name}", "type": "number"} for name in names]
        ),
        "output_features": st.just([{"name": "out", "type": "category"}]),
    },
    optional={
        "trainer": st.fixed_dictionaries({"epochs": st.integers(1, 99), "learning_rate": FLOAT})
    },
)
SPEC = st.fixed_dictionaries(
    {
        "name": st.just("any"),
        "data": st.fixed_dictionaries(
            {"path": WORD},
            optional={
                "revision": st.one_of(st.none(), WORD),
                "checks": st.lists(CHECK, max_size=3),
                "transform": st.lists(TRANSFORM, max_size=3),
            },
        ),
        "model": MODEL,
    },
    optional={
        "description": st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"])
        ),
        "seed": st.integers(0, 2**31 - 1),
        "gate": st.just([{"metric": "out.accuracy", "at_least": 0.5}]),
        "tune": st.fixed_dictionaries(
            {
                "parameters": st.just(
                    {"trainer.learning_rate": {"space": "loguniform", "lower": 1e-5, "upper": 0.1}}
                ),
                "trials": st.integers(1, 50),
            }
        ),
        "resources": st.fixed_dictionaries({"cpus": FLOAT}),
    },
)


def built(raw: dict[str, Any]) -> Spec:
    findings: list[Finding] = []
    spec = build(raw, findings)
    assert findings == []
    assert spec is not None
    return spec


def reordered(value: Any, order: Any) -> Any:
    if isinstance(value, dict):
        keys = order.draw(st.permutations(list(value)))
        return {key: reordered(value[key], order) for key in keys}
    return [reordered(part, order) for part in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(SPEC)
def test_a_spec_written_out_in_full_is_the_same_spec(raw: dict[str, Any]) -> None:
    spec = built(raw)
    assert built(spec.model_dump(mode="json")) == spec
    assert Spec.model_validate_json(spec.model_dump_json()) == spec
    assert Spec.model_validate(spec.model_dump()).hash == spec.hash


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SPEC)
def test_yaml_and_json_files_give_the_same_spec(tmp_path: Path, raw: dict[str, Any]) -> None:
    spec = built(raw)
    yaml = tmp_path / "any.yaml"
    yaml.write_text(yaml_text.write(spec.model_dump(mode="json")), encoding="utf-8")
    (tmp_path / "any.json").write_text(json.dumps(raw), encoding="utf-8")
    assert load_spec(yaml) == spec
    assert load_spec(tmp_path / "any.json") == spec


@settings(deadline=None)
@given(SPEC, st.data())
def test_the_hash_does_not_depend_on_the_order_of_keys(raw: dict[str, Any], data: Any) -> None:
    assert built(reordered(raw, data)).hash == built(raw).hash


@settings(deadline=None)
@given(SPEC, st.integers(0, 2**31 - 1))
def test_the_hash_depends_on_every_value(raw: dict[str, Any], seed: int) -> None:
    other = {**raw, "seed": seed}
    assert (built(other).hash == built(raw).hash) == (seed == raw.get("seed", 42))


@pytest.mark.parametrize("path", find_specs(PROJECT / "model_specs"), ids=lambda path: path.stem)
def test_each_spec_that_ships_is_right_and_points_to_its_schema(path: Path) -> None:
    assert load_spec(path).description
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
