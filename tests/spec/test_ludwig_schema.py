"""The check of `model:` against Ludwig's cached schema, and the cache against Ludwig itself."""

from __future__ import annotations

import copy
import importlib.util
import json
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modelyard.spec import ludwig_schema
from modelyard.spec.lines import dotted

type Raw = dict[str, Any]

SCRIPT = Path(__file__).parents[2] / "scripts" / "cache_ludwig_schema.py"


def said(model: Any) -> dict[str, str]:
    return {
        dotted(finding.path): f"{finding.message} ({finding.hint})"
        for finding in ludwig_schema.check(model)
    }


def test_a_right_model_has_no_findings(raw: Raw) -> None:
    assert ludwig_schema.check(raw["model"]) == []


def test_the_cache_says_of_which_ludwig_it_is() -> None:
    from importlib.metadata import version

    assert ludwig_schema.cached()["ludwig"] == version("ludwig")


def test_a_missing_type_is_answered_with_the_types(raw: Raw) -> None:
    raw["model"]["combiner"] = {"dropout": 0.1}
    assert "types: comparator, concat" in said(raw["model"])["combiner.type"]


def test_a_feature_without_encoder_type_has_the_keys_of_its_default(raw: Raw) -> None:
    raw["model"]["input_features"][1]["encoder"] = {"output_size": 8, "cell_type": "lstm"}
    assert list(said(raw["model"])) == ["input_features[1].encoder.cell_type"]


def test_a_key_of_another_type_names_the_types_that_have_it(raw: Raw) -> None:
    raw["model"]["trainer"]["optimizer"] = {"type": "sgd", "betas": [0.9, 0.99]}
    assert "adam" in said(raw["model"])["trainer.optimizer.betas"]


def test_a_key_of_the_trainer_elsewhere_is_sent_there(raw: Raw) -> None:
    raw["model"]["combiner"]["early_stop"] = 3
    assert "it belongs in model.trainer" in said(raw["model"])["combiner.early_stop"]


def test_null_chooses_among_alternatives(raw: Raw) -> None:
    raw["model"]["trainer"]["gradient_clipping"] = None
    assert said(raw["model"]) == {}
    raw["model"]["trainer"]["gradient_clipping"] = {"clipnorn": 1}
    assert "clipnorm" in said(raw["model"])["trainer.gradient_clipping.clipnorn"]
    raw["model"]["trainer"]["gradient_clipping"] = 3
    assert "must be" in said(raw["model"])["trainer.gradient_clipping"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", True),
        ("epochs", 2.5),
        ("epochs", 0),
        ("learning_rate", "fast"),
        ("batch_size", "64"),
        ("should_shuffle", 1),
        ("should_shuffle", "yes"),
        ("regularization_lambda", 2),
        ("loss_balancing", "famoo"),
        ("optimizer", "adam"),
        ("learning_rate_scheduler", {"decay": "cosin"}),
    ],
)
def test_a_value_that_ludwig_would_trip_over_is_refused(raw: Raw, key: str, value: Any) -> None:
    raw["model"]["trainer"][key] = value
    assert len(said(raw["model"])) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 3.0),
        ("learning_rate", "auto"),
        ("learning_rate", 1),
        ("batch_size", "auto"),
        ("eval_batch_size", None),
        ("optimizer", {"type": "adamw", "weight_decay": 0.01}),
        ("learning_rate_scheduler", {"decay": "cosine", "warmup_fraction": 0.1}),
    ],
)
def test_a_value_that_ludwig_takes_is_taken(raw: Raw, key: str, value: Any) -> None:
    raw["model"]["trainer"][key] = value
    assert said(raw["model"]) == {}


@pytest.mark.parametrize("model", [None, 3, [], {}, {"input_features": 3}, {"input_features": [3]}])
def test_anything_can_be_checked(model: Any) -> None:
    assert ludwig_schema.check(model)


def test_checking_imports_neither_ludwig_nor_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from modelyard.spec.load import load_spec;"
        "load_spec(Path(sys.argv[1]));"
        "print([name for name in ('ludwig','torch','mlflow','ray','pandas','whylogs') if name in sys.modules])"
    )
    spec = SCRIPT.parents[1] / "model_specs" / "digits-cnn.yaml"
    answer = subprocess.run(
        [sys.executable, "-c", code, str(spec)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def ludwig_configs() -> Any:
    """Ludwig's own classes, which cost ten seconds to import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("ludwig.schema.model_config")


def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("cache_ludwig_schema", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # Ludwig's imports warn in many ways
@pytest.mark.usefixtures("ludwig_configs")
def test_the_cache_equals_what_the_installed_ludwig_exports() -> None:
    exported = json.loads(json.dumps(script().export()))
    assert exported == ludwig_schema.cached(), "run: python scripts/cache_ludwig_schema.py"


NUMBER: Raw = {"name": "x", "type": "number"}
CATEGORY: Raw = {"name": "y", "type": "category"}


def combinations() -> Iterator[tuple[str, Raw]]:
    inputs = [
        ("image", "stacked_cnn"),
        ("image", "resnet"),
        ("image", "unet"),
        ("number", "dense"),
        ("category", "dense"),
        ("binary", "passthrough"),
        ("text", "parallel_cnn"),
        ("text", "bert"),
        ("sequence", "rnn"),
        ("sequence", "transformer"),
        ("timeseries", "rnn"),
        ("timeseries", "patchtst"),
        ("audio", "cnnrnn"),
        ("vector", "dense"),
        ("set", "embed"),
        ("date", "wave"),
    ]
    for kind, encoder in inputs:
        feature = {"name": "a", "type": kind, "encoder": {"type": encoder}}
        yield f"{kind} {encoder}", {"input_features": [feature], "output_features": [CATEGORY]}
    for kind in ("binary", "number", "category", "set", "vector", "text", "sequence", "timeseries"):
        output = {"name": "o", "type": kind}
        yield f"to {kind}", {"input_features": [NUMBER], "output_features": [output]}
    for combiner in ("concat", "tabnet", "transformer", "project_aggregate", "tabtransformer"):
        config = {
            "input_features": [NUMBER, {**NUMBER, "name": "z"}],
            "output_features": [CATEGORY],
        }
        yield combiner, {**config, "combiner": {"type": combiner}}
    for optimizer in ("sgd", "adamw", "lion", "rmsprop"):
        config = {"input_features": [NUMBER], "output_features": [CATEGORY]}
        yield optimizer, {**config, "trainer": {"optimizer": {"type": optimizer}}}


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # Ludwig warns of its own defaults
@pytest.mark.parametrize("config", [pytest.param(c, id=name) for name, c in combinations()])
def test_what_ludwig_writes_out_in_full_is_not_refused(ludwig_configs: Any, config: Raw) -> None:
    assert said(config) == {}
    full = ludwig_configs.ModelConfig.from_dict(copy.deepcopy(config)).to_dict()
    plain = json.loads(json.dumps(full, default=list))
    # The three that a spec has sections of its own for.
    plain.pop("hyperopt")
    plain.pop("backend")
    plain["preprocessing"].pop("split")
    assert said(plain) == {}


VALUES: list[Any] = [3, 0.3, -1, 0, "auto", "relu", None, True, [1, 2], {"a": 1}]


def agreement_cases(ludwig_schema_node: Any) -> Iterator[tuple[str, Any, str, Any]]:
    from ludwig.schema.combiners.utils import get_combiner_registry
    from ludwig.schema.encoders.utils import get_encoder_cls
    from ludwig.schema.trainer import ECDTrainerConfig

    inputs = ludwig_schema_node("input_features")["cases"]
    chosen = (
        ("image", "stacked_cnn"),
        ("sequence", "rnn"),
        ("timeseries", "parallel_cnn"),
        ("text", "bert"),
    )
    for kind, encoder in chosen:
        yield (
            encoder,
            ludwig_schema.cached()["nodes"][inputs[kind]["encoder"]],
            kind,
            get_encoder_cls("ecd", kind, encoder),
        )
    combiners = get_combiner_registry()
    for name in ("concat", "tabnet"):
        schema = combiners[name]
        yield (
            name,
            ludwig_schema_node("combiner"),
            "combiner",
            getattr(schema, "get_schema_cls", lambda schema=schema: schema)(),
        )
    yield "", ludwig_schema_node("trainer"), "trainer", ECDTrainerConfig


def node_of(section: str) -> Any:
    nodes = ludwig_schema.cached()["nodes"]
    node = nodes[nodes[ludwig_schema.cached()["root"]]["keys"][section]]
    return nodes[node["items"]] if "items" in node else node


def taken_by_ludwig(schema: Any, config: Raw) -> bool:
    """Tell whether Ludwig's own class takes a mapping whole, deleting nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            schema.model_validate(copy.deepcopy(config))
        except Exception:  # noqa: BLE001 - Ludwig raises whatever its validators do
            return False
    return not any("will be ignored" in str(warning.message) for warning in caught)


def stricter_on_purpose(value: Any) -> bool:
    """Yes for numbers, true for numbers and text for `auto` are coerced by Ludwig."""
    return isinstance(value, bool) or value in (0, "auto", "relu", None)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # Ludwig's imports warn in many ways
@pytest.mark.usefixtures("ludwig_configs")
def test_for_single_keys_the_check_agrees_with_ludwigs_own_classes() -> None:
    drawn = random.Random(1)  # noqa: S311 - which keys are tried, not a secret
    disagreements = []
    for kind, node, section, schema in agreement_cases(node_of):
        keys = sorted({**node["keys"], **node.get("cases", {}).get(kind, {})})
        keys = [key for key in keys if key != "type"]
        for key in drawn.sample(keys, min(12, len(keys))):
            for value in VALUES:
                config = {**({"type": kind} if kind else {}), key: value}
                ours = not list(ludwig_schema._check(node, config, ()))
                theirs = taken_by_ludwig(schema, config)
                if ours != theirs and not (theirs and stricter_on_purpose(value)):
                    disagreements.append((section, kind, key, value, ours, theirs))
    assert disagreements == []
