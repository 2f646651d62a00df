"""`model: {from: other.json, ...overrides}`: a model that another file says, and what differs.

`from` is a file of YAML or JSON, relative to the spec's own folder: a Ludwig configuration such as
the `model.json` that `build` writes, or a whole spec, whose `model:` is taken. What is read becomes
part of the spec when it is loaded, so a spec's hash, runs and stages know the merged model alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from modelyard.spec import document, paths
from modelyard.spec.hints import did_you_mean, shown
from modelyard.spec.lines import FieldPath, Finding, Places
from modelyard.spec.merge import FEATURES, Origins, Part, merge, without
from modelyard.spec.yaml_text import Unreadable

KEY: Final = "from"
_HERE: Final[FieldPath] = ("model", KEY)
_MOST_FILES: Final = 10
# What a resolved configuration holds and a spec says elsewhere, or Ludwig works out again.
_TOP: Final = ("backend", "hyperopt", "ludwig_version")
_OF_FEATURES: Final = ("proc_column",)
# Ludwig writes it into series that it does not read it from.
_WRITTEN_AND_NOT_READ: Final = "cache_encoder_embeddings"
_OF_ENCODERS: Final = ("saved_weights_in_checkpoint", "model_cache_dir")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec's content without `from`, where its fields stand, and what is wrong with the files."""

    value: dict[str, JsonValue]
    origins: Origins
    findings: tuple[Finding, ...] = ()


class _Refused(Exception):  # noqa: N818 - never shown; carries one finding
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def resolve(value: Mapping[str, JsonValue], places: Places, path: Path) -> Resolved:
    """Put what `model.from` names into `model:`; a spec without it comes back as it is."""
    plain = dict(value)
    model = plain.get("model")
    if not isinstance(model, dict) or KEY not in model:
        return Resolved(plain, {})
    own = Part(
        model,
        {place[1:]: (path, line) for place, line in places.items() if place[:1] == ("model",)},
    )
    try:
        merged = _merged(own, (path.absolute(),))
    except _Refused as refused:
        return Resolved({**plain, "model": {}}, {}, (refused.finding,))
    origins = {("model", *place): origin for place, origin in merged.origins.items()}
    return Resolved({**plain, "model": merged.value}, origins)


def reusable(model: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Take out of a resolved configuration what holds for one machine or one data set only."""
    part = without(Part(dict(model), {}), list(_machine_s(dict(model))))
    assert isinstance(part.value, dict), "taking keys away leaves a mapping"
    return part.value


def _merged(own: Part, chain: tuple[Path, ...]) -> Part:
    """Lay a `model:` over the file that it names, and that over the file which it names itself."""
    assert isinstance(own.value, dict), "asked before"
    if KEY not in own.value:
        return own
    file, line = own.origins.get((KEY,), (chain[-1], 1))
    target = _target(own.value[KEY], file, line)
    if target in chain:
        names = " -> ".join(step.name for step in (*chain, target))
        raise _Refused(Finding(_HERE, f"goes round in a circle: {names}", None, line, str(file)))
    if len(chain) > _MOST_FILES:
        raise _Refused(Finding(_HERE, f"more than {_MOST_FILES} files", None, line, str(file)))
    shown_as = Path(os.path.normpath(file.parent / str(own.value[KEY])))
    base = _merged(_read(target, file, line, shown_as), (*chain, target))
    return merge(base, without(own, [(KEY,)]))


def _target(named: JsonValue, file: Path, line: int) -> Path:
    problem, hint = None, "such as from: other.json"
    if not isinstance(named, str) or not named:
        problem = f"must be the name of a file, not {shown(named)}"
    elif Path(named).suffix not in document.SUFFIXES:
        problem = f"`{named}` is no file of YAML or JSON"
    if problem:
        raise _Refused(Finding(_HERE, problem, hint, line, str(file)))
    target = (file.absolute().parent / str(named)).resolve()
    if not target.is_file():
        near = [
            other.name for other in target.parent.glob("*") if other.suffix in document.SUFFIXES
        ]
        message = f"there is no file {named} beside {file.name}"
        hint = did_you_mean(target.name, near, of="files there") or "it is relative to the spec"
        raise _Refused(Finding(_HERE, message, hint, line, str(file)))
    return target


def _read(target: Path, file: Path, line: int, shown_as: Path) -> Part:
    try:
        read = document.read(target)
    except Unreadable as error:
        found = error.finding
        raise _Refused(
            Finding(
                _HERE, f"reads {shown_as}: {found.message}", found.hint, found.line, str(shown_as)
            )
        ) from error
    if read.findings:
        first = read.findings[0]
        raise _Refused(
            Finding(
                _HERE, f"reads {shown_as}: {first.message}", first.hint, first.line, str(shown_as)
            )
        )
    return _model_of(read, shown_as, file, line)


def _model_of(read: document.Document, target: Path, file: Path, line: int) -> Part:
    inner = read.value.get("model")
    within: FieldPath = ("model",) if isinstance(inner, dict) else ()
    model = inner if isinstance(inner, dict) else read.value
    if not any(key in model for key in (*FEATURES, KEY)):
        message = f"{target} is neither a Ludwig configuration nor a spec"
        hint = "it needs input_features and output_features, or a section model:"
        raise _Refused(Finding(_HERE, message, hint, line, str(file)))
    origins = {
        place[len(within) :]: (target, number)
        for place, number in read.places.items()
        if place[: len(within)] == within
    }
    return without(Part(model, origins), list(_machine_s(model)))


def _machine_s(model: dict[str, JsonValue]) -> Iterator[FieldPath]:
    """List what a resolved configuration says that no other project can use."""
    yield from ((key,) for key in _TOP if key in model)
    yield ("preprocessing", "split")
    for section, index, _name in paths.features(model):
        yield from ((section, index, key) for key in _OF_FEATURES)
        embeds = (section, index, "preprocessing", _WRITTEN_AND_NOT_READ)
        if paths.get(model, embeds) is False:
            yield embeds
        encoder = paths.get(model, (section, index, "encoder"))
        if isinstance(encoder, dict) and encoder.get(_OF_ENCODERS[0]) is True:
            yield (section, index, "encoder", _OF_ENCODERS[0])
        cache = encoder.get(_OF_ENCODERS[1]) if isinstance(encoder, dict) else None
        if isinstance(cache, str) and Path(cache).parent.name == "weights":
            yield (section, index, "encoder", _OF_ENCODERS[1])
