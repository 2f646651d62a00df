"""Read JSON with line numbers."""

from __future__ import annotations

import json
import math
import re
from typing import Final

from pydantic import JsonValue

from modelyard.spec.lines import FieldPath, Finding
from modelyard.spec.yaml_text import LONGEST_INT, refuse

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_REASONS: Final = {
    "Invalid control character at": "a line break or control character inside quotes",
    "Extra data": "something follows after the end",
}
_INT: Final = re.compile(r"-?[0-9]+")


def read(text: str) -> tuple[JsonValue, dict[FieldPath, int], list[Finding]]:
    """Read a JSON document: its value, each field's line, and what is wrong with it."""
    if not text.strip():
        refuse("the file is empty", 1)
    try:
        value: JsonValue = json.loads(text, parse_constant=str, parse_int=_whole)
    except json.JSONDecodeError as error:
        reason = _REASONS.get(error.msg, f"{error.msg[:1].lower()}{error.msg[1:]}")
        message = f"not JSON: {reason}"
        refuse(message, error.lineno)
    except RecursionError:
        refuse("nested too deep")
    locator = _Locator()
    locator.run(text)
    return value, locator.places, locator.findings


def _whole(digits: str) -> int:
    return int(digits) if len(digits) <= LONGEST_INT else 0


class _Locator:
    """Find each field's line, and what JSON readers let pass, in a text that is valid JSON."""

    def __init__(self) -> None:
        self.places: dict[FieldPath, int] = {}
        self.findings: list[Finding] = []
        self._path: list[str | int] = []
        self._seen: list[set[str] | None] = []
        self._key_next = False

    def run(self, text: str) -> None:
        line, position = 1, 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", position, match.start())
            position = match.start()
            self._token(match[0], line)

    def _token(self, text: str, line: int) -> None:
        if text in "}]":
            self._seen.pop()
            self._path.pop()
        elif text == ",":
            self._next()
        elif text == ":":
            self._key_next = False
        elif self._key_next:
            self._key(json.loads(text), line)
        else:
            self._value(text, line)

    def _next(self) -> None:
        self._key_next = self._seen[-1] is not None
        last = self._path[-1]
        if isinstance(last, int):
            self._path[-1] = last + 1

    def _key(self, key: str, line: int) -> None:
        self._path[-1] = key
        seen, path = self._seen[-1], tuple(self._path)
        if seen is not None and key in seen:
            message = f"the key is written twice, first on line {self.places[path]}"
            self.findings.append(Finding(path, message, "keep one of them", line))
        elif seen is not None:
            seen.add(key)
        self.places[path] = line

    def _value(self, text: str, line: int) -> None:
        self.places.setdefault(tuple(self._path), line)
        if text in "{[":
            self._seen.append(set() if text == "{" else None)
            self._path.append("" if text == "{" else 0)
            self._key_next = text == "{"
        elif not text.startswith('"'):
            self._number(text, line)

    def _number(self, token: str, line: int) -> None:
        message = None
        if _INT.fullmatch(token):
            if len(token) > LONGEST_INT:
                message = "a whole number with too many digits"
        elif token not in ("true", "false", "null") and not math.isfinite(float(token)):
            message = f"`{token}` is not a finite number"
        if message:
            self.findings.append(Finding(tuple(self._path), message, None, line))
