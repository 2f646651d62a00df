"""Logged predictions with labels, as rows of the table that a model learned from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelyard.data.added import BASE, MARKER
from modelyard.data.labelled_columns import (
    FOLDER,
    Cell,
    fillers_of,
    holds_bytes,
    raw_columns,
    refuse_gaps,
)
from modelyard.data.leakage import allowed
from modelyard.data.tables import canonical, spell
from modelyard.spec.models import FeatureSpec, Spec
from modelyard.store.predictions import Labelled

if TYPE_CHECKING:
    import pandas as pd

WORDS = frozenset({"category", "binary", "h3"})
AS_OBSERVED = WORDS | {"number"}
"""Types whose observation is the whole value."""
MISSING = "\x00"

type Observe = Callable[[str, object], object]
"""What is observed of a value of one of Ludwig's types, as the prediction log spells it."""


@dataclass(frozen=True, slots=True)
class Former:
    """The table as it is before, and the MD5 of each file beside it."""

    table: pd.DataFrame
    files: Mapping[str, str]


@dataclass(slots=True)
class Added:
    """The rows to add, in the raw table's columns, the files for them, and what was left out."""

    rows: list[dict[str, Cell]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


class Rows:
    """Turns predictions into rows; `home` is what paths of kept images start at."""

    def __init__(self, spec: Spec, former: Former, home: Path, observe: Observe) -> None:
        self._spec = spec
        self._former = former
        self._home = home
        self._observe = observe
        self._columns = raw_columns(spec, former.table)
        self._words = {
            feature.column: self._own_words(feature)
            for feature in (*spec.inputs, *spec.outputs)
            if feature.type in WORDS
        }
        self._packed = {
            feature.column
            for feature in spec.inputs
            if feature.type == "image" and holds_bytes(former.table[self._raw(feature)])
        }
        self._fillers = fillers_of(spec, former.table, set(self._columns.values()))
        refuse_gaps(spec, former.table, {*self._columns.values(), *self._fillers, MARKER})

    def collect(self, found: Iterable[Sequence[Labelled]], most: int) -> Added:
        """Make rows of what is new, newest first, `most` at most.

        A prediction is added once, and where the spec does not allow equal samples in two splits
        neither are inputs that are in the table already.
        """
        added = Added()
        known = self._ids()
        inputs = set() if allowed(self._spec) else self._input_keys()
        for one in (one for batch in found for one in batch):
            if len(added.rows) >= most:
                break
            reason = self._add(one, known, inputs, added)
            if reason is not None:
                added.left_out[reason] += 1
        added.rows.reverse()  # the oldest first, as a log goes on
        return added

    def _add(self, one: Labelled, known: set[str], inputs: set[str], added: Added) -> str | None:
        if one.id in known:
            return "added before"
        if any(feature.name not in one.truth for feature in self._spec.outputs):
            return "without a label for each output"
        files: dict[str, Path] = {}
        row = self._row(one, files)
        if row is None:
            return "whose inputs were not kept (monitor.keep_inputs)"
        key = self._key(row, files)
        if key in inputs:
            return "with inputs that are in the table already"
        if not allowed(self._spec):
            inputs.add(key)
        known.add(one.id)
        added.rows.append(row)
        added.files |= files
        return None

    def _row(self, one: Labelled, files: dict[str, Path]) -> dict[str, Cell] | None:
        row: dict[str, Cell] = {}
        given: Mapping[str, JsonValue] = one.raw if one.raw is not None else one.inputs
        for feature in self._spec.inputs:
            if one.raw is None and feature.type not in AS_OBSERVED:
                return None
            if feature.column not in given:
                return None
            value: Any = given[feature.column]
            if feature.type == "image":
                value = None if value is None else self._image(feature, str(value), files)
                if value is None:
                    return None
            row[self._raw(feature)] = self._spelt(feature, value)
        for feature in self._spec.outputs:
            row[self._raw(feature)] = self._spelt(feature, one.truth[feature.name])
        fillers = {name: filler(one.id, one.at) for name, filler in self._fillers.items()}
        return {**row, **fillers, MARKER: one.id}

    def _image(self, feature: FeatureSpec, kept: str, files: dict[str, Path]) -> Cell:
        """Read or name a kept image; None if it is not there."""
        path = (self._home / kept).resolve()
        if not path.is_relative_to(self._home.resolve()) or not path.is_file():
            return None
        if feature.column in self._packed:
            return path.read_bytes()
        name = f"{FOLDER}/{path.name}"
        files[name] = path
        return name

    def _spelt(self, feature: FeatureSpec, value: Any) -> Cell:
        """Spell a value as the table does: `yes` where it says so and the log says `true`."""
        if value is None or feature.type not in WORDS:
            return value  # type: ignore[no-any-return]
        word = self._observe(feature.type, value)
        return self._words[feature.column].get(str(word), value)  # type: ignore[no-any-return]

    def _own_words(self, feature: FeatureSpec) -> dict[str, Any]:
        values = self._former.table[self._raw(feature)].dropna().unique().tolist()
        return {str(self._observe(feature.type, value)): value for value in values}

    def _raw(self, feature: FeatureSpec) -> str:
        return self._columns[feature.column]

    def _ids(self) -> set[str]:
        table = self._former.table
        return {*canonical(table[MARKER])} - {BASE} if MARKER in table.columns else set()

    def _input_keys(self) -> set[str]:
        """Spell the inputs of all rows that are there."""
        columns = []
        for feature in self._spec.inputs:
            spelt = canonical(self._former.table[self._raw(feature)])
            if feature.type == "image":
                spelt = [self._former.files.get(name, name) for name in spelt]
            columns.append(spelt)
        return {"\x1f".join(row) for row in zip(*columns, strict=True)}

    def _key(self, row: Mapping[str, Cell], files: Mapping[str, Path]) -> str:
        parts = []
        for feature in self._spec.inputs:
            cell = row[self._raw(feature)]
            if feature.type == "image" and isinstance(cell, str) and cell in files:
                content = files[cell].read_bytes()
                parts.append(hashlib.md5(content, usedforsecurity=False).hexdigest())
            else:
                parts.append(MISSING if cell is None else spell(cell))
        return "\x1f".join(parts)
