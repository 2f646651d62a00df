"""Where things stand in a spec file: findings, field paths and line numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import Problem

type FieldPath = tuple[str | int, ...]
type Places = Mapping[FieldPath, int]
type Elsewhere = Mapping[FieldPath, tuple[Path, int]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a value; its file and line are mostly found later."""

    path: FieldPath
    message: str
    hint: str | None = None
    line: int | None = None
    file: str | None = None


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
    findings: Iterable[Finding],
    places: Places,
    file: str | None = None,
    elsewhere: Elsewhere | None = None,
) -> tuple[Problem, ...]:
    """Give findings their file and lines, in the file's order, the first of each field only.

    `elsewhere` says where the fields are that come from other files, or that stand in another
    place of the merged value than in the file.
    """
    first: dict[FieldPath, Finding] = {}
    for finding in findings:
        first.setdefault(finding.path, finding)
    found = [_placed(finding, places, file, elsewhere or {}) for finding in first.values()]
    return tuple(sorted(found, key=lambda problem: (problem.file != file, problem.line or 0)))


def _placed(finding: Finding, places: Places, file: str | None, elsewhere: Elsewhere) -> Problem:
    where, line = finding.file or file, finding.line
    if line is None and elsewhere and finding.path[:1] == ("model",):
        for length in range(len(finding.path), 0, -1):
            if finding.path[:length] in elsewhere:
                source, line = elsewhere[finding.path[:length]]
                where = str(source)
                break
    return Problem(
        message=finding.message,
        file=where,
        line=line or line_of(finding.path, places),
        field=dotted(finding.path) or None,
        hint=finding.hint,
    )
