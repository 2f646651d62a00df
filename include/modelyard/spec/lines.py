"""Where things stand in a spec file: findings, field paths and line numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelyard.errors import Problem

type FieldPath = tuple[str | int, ...]
type Places = Mapping[FieldPath, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a value, before its file and line are known."""

    path: FieldPath
    message: str
    hint: str | None = None
    line: int | None = None


def dotted(path: FieldPath) -> str:
    """Spell a path for people: ``data.checks[0].column``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def line_of(path: FieldPath, places: Places) -> int | None:
    """Return the line of a field or, where it is missing, of the nearest thing around it."""
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def problems(
    findings: Iterable[Finding], places: Places, file: str | None = None
) -> tuple[Problem, ...]:
    """Give findings their file and lines, in the file's order, the first of each field only."""
    first: dict[FieldPath, Finding] = {}
    for finding in findings:
        first.setdefault(finding.path, finding)
    found = [
        Problem(
            message=finding.message,
            file=file,
            line=finding.line or line_of(finding.path, places),
            field=dotted(finding.path) or None,
            hint=finding.hint,
        )
        for finding in first.values()
    ]
    return tuple(sorted(found, key=lambda problem: problem.line or 0))
