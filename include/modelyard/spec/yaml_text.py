"""Read YAML as JSON values with line numbers, and write it.

The YAML events are read directly: PyYAML's own composer crashes on deep nesting, lets aliases
expand without bound, keeps the last of two equal keys, and reads ``1e-5`` as text and ``no`` as
false. Here plain values mean what YAML 1.2 says, and what YAML 1.1 reads otherwise is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final, Never

import yaml
from pydantic import JsonValue

from modelyard.spec.lines import FieldPath, Finding

_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST: Final = 40
_MOST_VALUES: Final = 100_000
LONGEST_INT: Final = 18

_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_SWITCH: Final = re.compile(r"(?i:yes|no|on|off)")
_ODD_NUMBER: Final = re.compile(
    r"[-+]?0[0-9]+|0o[0-7]+|0b[01_]+|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?"
)
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_TEXT_TAGS: Final = (None, "!", "tag:yaml.org,2002:str")
_TAGS: Final = (None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

_NOT_ALLOWED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_SYNTAX: Final = (
    ("found a tab character", "a tab character", "indent with spaces"),
    ("mapping values are not allowed", "a colon where none can be", "put text with `: ` in quotes"),
    ("could not find expected ':'", "a key without a colon", "keys are written `key: value`"),
    ("found unexpected end of stream", "a quote or bracket is never closed", None),
    ("found unknown escape character", "an unknown escape in double quotes", "use single quotes"),
    (
        "did not find expected",
        "the line does not fit the lines above it",
        "look at the indentation, brackets and dashes",
    ),
    ("control characters are not allowed", "a control character", "take it away"),
    (
        "block sequence entries are not allowed",
        "a list where none can be",
        "begin it on a new line",
    ),
)


class Unreadable(Exception):  # noqa: N818 - never shown; carries one finding
    """The text cannot be read at all."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def refuse(message: str, line: int | None = None, hint: str | None = None) -> Never:
    """Raise Unreadable."""
    raise Unreadable(Finding((), message, hint, line))


def read(text: str) -> tuple[JsonValue, dict[FieldPath, int], list[Finding]]:
    """Read one YAML document: its value, each field's line, and what is wrong with it."""
    reader = _Reader(yaml.parse(text, Loader=_PARSER))
    try:
        return reader.document(), reader.places, reader.findings
    except yaml.MarkedYAMLError as error:
        raise _placed(Finding((), *_syntax(error, text)), reader.places) from error
    except Unreadable as error:
        raise _placed(error.finding, reader.places) from error
    except yaml.YAMLError:
        place = _NOT_ALLOWED.search(text)
        line = text.count("\n", 0, place.start()) + 1 if place else None
        refuse("a character that YAML does not allow", line, "take it away")


def _placed(finding: Finding, places: dict[FieldPath, int]) -> Unreadable:
    """Name the outermost of the fields that were last begun on the line of a syntax error."""
    near = [path for path, line in places.items() if line == finding.line]
    path = near[-1] if near else ()
    named = [before for before in near if before and path[: len(before)] == before]
    path = min(named, key=len, default=())
    return Unreadable(Finding(path, finding.message, finding.hint, finding.line))


def _syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str | None, int | None]:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    problem = error.problem or str(error)
    if "cannot start any token" in problem and mark:
        lines = text.splitlines()
        rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
        if rest.startswith("\t"):
            return "a tab character", "indent with spaces", line
        return f"text cannot begin with `{rest[:1]}`", "put it in quotes", line
    if "end of stream" in problem and error.context_mark:
        line = error.context_mark.line + 1
    for start, message, hint in _SYNTAX:
        if problem.startswith(start):
            return message, hint, line
    return f"not YAML: {problem}", None, line


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class _Reader:
    """One pass over the events of a document."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[JsonValue, int]] = {}
        self._values = 0
        self.places: dict[FieldPath, int] = {}
        self.findings: list[Finding] = []

    def document(self) -> JsonValue:
        next(self._events)
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            refuse("the file is empty", 1)
        value = self._node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            line = _line(after)
            refuse("a second document begins", line, "one spec a file")
        return value

    def _node(self, event: yaml.Event, path: FieldPath) -> JsonValue:
        line = _line(event)
        self.places.setdefault(path, line)
        self._count(1, line)
        if len(path) > _DEEPEST:
            refuse(f"nested more than {_DEEPEST} levels deep", line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line)
        before = self._values
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(event, path)
        else:
            value = self._mapping(event, path)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = (value, self._values - before)
        return value

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > _MOST_VALUES:
            refuse(f"more than {_MOST_VALUES:,} values once aliases are expanded", line)

    def _alias(self, event: yaml.AliasEvent, line: int) -> JsonValue:
        if event.anchor not in self._anchors:
            message = f"the alias *{event.anchor} has no complete anchor &{event.anchor} before it"
            refuse(message, line)
        value, values = self._anchors[event.anchor]
        self._count(values, line)
        return value

    def _list(self, event: yaml.Event, path: FieldPath) -> list[JsonValue]:
        self._check_tag(event, _TAGS)
        items: list[JsonValue] = []
        while not isinstance(entry := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(entry, (*path, len(items))))
        return items

    def _mapping(self, event: yaml.Event, path: FieldPath) -> dict[str, JsonValue]:
        self._check_tag(event, _TAGS)
        items: dict[str, JsonValue] = {}
        while not isinstance(entry := next(self._events), yaml.MappingEndEvent):
            line = _line(entry)
            key = self._key(entry, path)
            there = (*path, key)
            if key in items:
                before = self.places[there]
                message = f"the key is written twice, first on line {before}"
                self.findings.append(Finding(there, message, "keep one of them", line))
            self.places[there] = line
            items[key] = self._node(next(self._events), there)
        return items

    def _key(self, event: yaml.Event, path: FieldPath) -> str:
        line = _line(event)
        if not isinstance(event, yaml.ScalarEvent):
            refuse("a key must be text", line, "is a quote or bracket missing?")
        if event.value == "<<" and event.implicit[0]:
            refuse("merge keys (<<) are not read", line, "write the keys out, or use *alias")
        value = self._scalar(event, (*path, event.value))
        if not isinstance(value, str):
            message = f"a key must be text, not {_kind(value)}"
            there = (*path, event.value)
            self.findings.append(Finding(there, message, f'write "{event.value}"', line))
        return event.value

    def _scalar(self, event: yaml.ScalarEvent, path: FieldPath) -> JsonValue:
        self._check_tag(event, _TEXT_TAGS)
        if not event.implicit[0]:
            return event.value
        try:
            return plain(event.value)
        except ValueError as error:
            message, hint = error.args
            self.findings.append(Finding(path, message, hint, _line(event)))
            return event.value

    @staticmethod
    def _check_tag(event: yaml.Event, allowed: tuple[str | None, ...]) -> None:
        tag = getattr(event, "tag", None)
        if tag not in allowed:
            line = _line(event)
            refuse(f"the tag {tag} is not read", line, "a spec holds plain values only")


def plain(text: str) -> JsonValue:
    """Read an unquoted value; ValueError(message, hint) for what readers do not agree on."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        if len(text) > LONGEST_INT:
            _disagree("a whole number with too many digits", "put it in quotes if it is text")
        return int(text)
    if _SWITCH.fullmatch(text):
        _disagree(
            f"`{text}` is text to some YAML readers and true or false to others",
            "write true or false, or put it in quotes if it is text",
        )
    if _ODD_NUMBER.fullmatch(text):
        _disagree(
            f"`{text}` is one number to some YAML readers, and another or text to others",
            "write a plain decimal number, or put it in quotes if it is text",
        )
    return _number(text)


def _number(text: str) -> JsonValue:
    if _HEX.fullmatch(text) and len(text) <= LONGEST_INT:
        return int(text, 16)
    if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        number = float(text.replace(".inf", "inf")) if _FLOAT.fullmatch(text) else math.nan
        if not math.isfinite(number):
            _disagree(
                f"`{text}` is not a finite number", "infinity and NaN have no place in a spec"
            )
        return number
    return text


def _disagree(message: str, hint: str) -> Never:
    raise ValueError(message, hint)


def _kind(value: JsonValue) -> str:
    return {bool: "true or false", int: "a number", float: "a number"}.get(type(value), "nothing")


class _Writer(yaml.SafeDumper):
    """Writes so that `read` gives the same values, and other YAML readers too."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - yaml's signature
        return True


def _text(writer: _Writer, text: str) -> yaml.ScalarNode:
    try:
        same = plain(text) == text
    except ValueError:
        same = False
    style = None if same else "'"
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def write(value: JsonValue) -> str:
    """Write a JSON value as YAML, innermost lists and mappings on one line."""
    return yaml.dump(
        value,
        Dumper=_Writer,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
