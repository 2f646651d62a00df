"""Write Ludwig's own schema of `model:` as the small grammar that `modelyard spec check` walks.

Run by ``make lock``, because it imports Ludwig: ``python scripts/cache_ludwig_schema.py [FILE]``.
Equal parts of the schema are kept once, so 2.4 MB become about a tenth, and checking a spec
needs neither Ludwig nor torch.
"""

from __future__ import annotations

import collections.abc
import inspect
import json
import re
import sys
import types
import typing
from pathlib import Path
from unittest import mock

type Json = dict[str, Json] | list[Json] | str | int | float | bool | None
type Node = dict[str, Json]

DESTINATION = Path(__file__).parents[1] / "include/modelyard/spec/ludwig_schema.json"
# `split`, `hyperopt` and `backend` have their own sections in a spec, and are refused in `model:`.
OURS = {"": ("hyperopt", "backend"), ".preprocessing": ("split",)}
# Written by Ludwig itself into a resolved configuration; harmless when a user pastes one.
RESOLVED_FEATURE_KEYS = ("proc_column", "active")
# Where a number may be text too, the text is one of these; Ludwig finds out in mid-training.
AUTO = ["auto"]
WORDS = {
    "learning_rate": AUTO,
    "batch_size": AUTO,
    "eval_batch_size": AUTO,
    "effective_batch_size": AUTO,
    "gradient_accumulation_steps": AUTO,
    "padding": ["valid", "same"],
}
# Ludwig's annotations of these say `int`.
LAYER_TYPES = {"dropout": ["null", "number"], "pool_function": ["null", "string"]}
RESOLVED_PREPROCESSING_KEY = "cache_encoder_embeddings"
LIMITS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
JSON_TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    tuple: "array",
    types.NoneType: "null",
}
SPELT = {getattr(kind, "__name__", ""): name for kind, name in JSON_TYPES.items()} | {
    "None": "null"
}


def json_types(annotation: object, *, loose: bool = False) -> list[str] | None:
    """Name the JSON types of an annotation; None where any type will do.

    ``int | tuple[int]`` is meant as a number or a list of them, but for pydantic it is a list of
    one, which torch refuses: it counts as a list only where nothing but Ludwig's code reads it.
    """
    if isinstance(annotation, str):
        parts = [SPELT.get(word.strip()) for word in annotation.split("|")]
        return None if None in parts else sorted({name for name in parts if name})
    if annotation is typing.Any or annotation is collections.abc.Callable:
        return None
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        parts = [json_types(part, loose=loose) for part in typing.get_args(annotation)]
        known = [part for part in parts if part is not None]
        all_known = len(known) == len(parts)
        return sorted({name for part in known for name in part}) if all_known else None
    if (
        not loose
        and typing.get_origin(annotation) is tuple
        and len(typing.get_args(annotation)) == 1
    ):
        return []
    plain = typing.get_origin(annotation) or annotation
    name = JSON_TYPES.get(plain) if isinstance(plain, type) else None
    return None if name is None else [name]


def of_type(value: object, kinds: list[str]) -> bool:
    """Tell whether a JSON value is of one of the types."""
    whole = isinstance(value, float) and value.is_integer()
    name = JSON_TYPES.get(type(value), "object")
    also = {"integer": "number", "number": "integer" if whole else name}.get(name)
    return name in kinds or also in kinds


def _is_initializer(schema: dict[str, typing.Any]) -> bool:
    return set(schema.get("properties", ())) == {"type"} and "allOf" not in schema


class Grammar:
    """Nodes of the grammar, each different one kept once."""

    def __init__(self, layers: dict[str, Node]) -> None:
        self.nodes: list[Node] = []
        self._numbers: dict[str, int] = {}
        self._layers = layers
        self.anything = self._keep({})

    def _keep(self, node: Node) -> int:
        text = json.dumps(node, sort_keys=True)
        if text not in self._numbers:
            self._numbers[text] = len(self.nodes)
            self.nodes.append(node)
        return self._numbers[text]

    def add(self, schema: dict[str, typing.Any], path: str = "") -> int:
        """Add a JSON Schema and return its node's number."""
        alternatives = schema.get("oneOf") or schema.get("anyOf")
        if alternatives and any(map(_is_initializer, alternatives)):
            # An initializer: the schema allows null, the class that reads it does not.
            alternatives = [part for part in alternatives if part.get("type") != "null"]
        if alternatives:
            return self._keep({"any": [self.add(part, path) for part in alternatives]})
        layer = self._layer(path)
        if layer is not None:
            return layer
        node = self._value(schema)
        if "properties" in schema or "allOf" in schema:
            node |= self._mapping(schema, path)
        if "items" in schema:
            node |= {"t": ["array"], "items": self.add(schema["items"], f"{path}[]")}
        if schema.get("minItems"):
            node["min"] = schema["minItems"]
        words = WORDS.get(path.rsplit(".", 1)[-1])
        if words and {"string", "integer", "number"} & set(node.get("t", ())) > {"string"}:
            node["words"] = words
        return self._keep(node)

    @staticmethod
    def _value(schema: dict[str, typing.Any]) -> Node:
        kinds = schema.get("type")
        node: Node = {} if kinds is None else {"t": [kinds] if isinstance(kinds, str) else kinds}
        default = schema.get("default")
        if kinds is not None and default is not None and not of_type(default, node["t"]):
            node["also"] = [default]
        # Four Ludwig fields list an option twice.
        if "enum" in schema:
            node["enum"] = list(dict.fromkeys(schema["enum"]))
        node |= {short: schema[long] for long, short in LIMITS.items() if long in schema}
        return node | ({"pattern": schema["pattern"]} if "pattern" in schema else {})

    def _mapping(self, schema: dict[str, typing.Any], path: str) -> Node:
        properties = dict(schema.get("properties", {}))
        for key in OURS.get(path, ()):
            properties.pop(key, None)
        node: Node = {
            "t": schema.get("type", "object"),
            "keys": {key: self.add(part, f"{path}.{key}") for key, part in properties.items()},
        }
        node["t"] = [node["t"]] if isinstance(node["t"], str) else node["t"]
        if path in (".input_features[]", ".output_features[]"):
            node["keys"] |= dict.fromkeys(RESOLVED_FEATURE_KEYS, self.anything)
        if path.startswith(".input_features[]<") and path.endswith(">.preprocessing"):
            node["keys"].setdefault(RESOLVED_PREPROCESSING_KEY, self.anything)
        if schema.get("required"):
            node["required"] = schema["required"]
        if _is_initializer(schema):
            node["open"] = True  # an initializer: what it takes besides is torch's
        cases = {
            kind: self._case(part["then"], f"{path}<{kind}>")
            for part in schema.get("allOf", ())
            for kind in [part["if"]["properties"]["type"]["const"]]
        }
        if cases:
            node |= {"cases": cases, "default": properties["type"].get("default")}
        return node

    def _case(self, then: dict[str, typing.Any], path: str) -> Node:
        return {
            key: self.add(part, f"{path}.{key}") for key, part in then.get("properties", {}).items()
        }

    def _layer(self, path: str) -> int | None:
        """Return the node of a list of layers, whose keys Ludwig's schema leaves open."""
        key = path.rsplit(".", 1)[-1]
        if key == "fc_layers":
            return self._layers_of("fc")
        if key == "conv_layers":
            return self._layers_of("conv2d" if "image" in path else "conv1d")
        if key == "stacked_layers":
            return self._layers_of("conv1d", nested=True)
        return None

    def _layers_of(self, kind: str, *, nested: bool = False) -> int:
        item = self._keep(
            {
                "t": ["object"],
                "keys": {key: self._keep(node) for key, node in self._layers[kind].items()},
                "title": f"{kind} layer",
            }
        )
        if nested:
            item = self._keep({"t": ["array"], "items": item})
        return self._keep({"t": ["array", "null"], "items": item})


def layer_keys(stack: type) -> Node:
    """Read from the code of a stack of layers which keys a layer may have, and their types."""
    keys = sorted(set(re.findall(r'layer\["(\w+)"\]', inspect.getsource(stack))))
    hints = typing.get_type_hints(stack.__init__)
    nodes: Node = {}
    for key in keys:
        kinds = json_types(hints.get(f"default_{key}", typing.Any), loose=True)
        nodes[key] = {} if kinds is None else {"t": sorted({*kinds, "null"})}
        if key in LAYER_TYPES:
            nodes[key] = {"t": LAYER_TYPES[key]}
        if key in WORDS and "string" in nodes[key].get("t", ()):
            nodes[key]["words"] = WORDS[key]
    return nodes


def metrics() -> Node:
    """List the metrics of each output type, and which direction is better."""
    from ludwig.modules import metric_registry

    return {
        kind: {
            name: metric_registry.get_metric_objective(name)
            for name in metric_registry.get_metric_names_for_type(kind)
        }
        for kind in sorted(metric_registry.get_metric_feature_type_registry())
    }


def export() -> Node:
    """Make the whole cached document."""
    from ludwig.globals import LUDWIG_VERSION
    from ludwig.modules.convolutional_modules import Conv1DStack, Conv2DStack
    from ludwig.modules.fully_connected_modules import FCStack
    from ludwig.schema.export_schema import export_schema

    from modelyard.training.extensions import register

    register()
    # Ludwig leaves out the type of unions, of lists, and of fields whose default is of another
    # type; its own pydantic fields do check them.
    with (
        mock.patch("ludwig.schema.utils._annotation_to_json_type", json_types),
        mock.patch("ludwig.schema.utils._default_matches_json_type", return_value=True),
    ):
        schema = export_schema("ecd")
    grammar = Grammar(
        {
            "conv1d": layer_keys(Conv1DStack),
            "conv2d": layer_keys(Conv2DStack),
            "fc": layer_keys(FCStack),
        }
    )
    root = grammar.add(schema)
    trainer = schema["properties"]["trainer"]["properties"]
    return {
        "ludwig": LUDWIG_VERSION,
        "root": root,
        "nodes": grammar.nodes,
        "metrics": metrics(),
        "trainer": {key: part.get("description", "") for key, part in trainer.items()},
    }


def main() -> None:
    """Write the cache."""
    destination = Path(sys.argv[1]) if len(sys.argv) > 1 else DESTINATION
    document = export()
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    destination.write_text(text + "\n", encoding="utf-8")
    print(f"{destination}: Ludwig {document['ludwig']}, {len(text) / 1024:.0f} KB")


if __name__ == "__main__":
    main()
