"""Write a first spec, and the table that a folder of images needs."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelyard.errors import UsageError
from modelyard.spec.columns import IMAGES
from modelyard.spec.infer import infer_spec

_LABELS: Final = "labels.csv"


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, and what the author should know."""

    written: tuple[Path, ...]
    notes: tuple[str, ...]


def write_new(
    name: str, table: Path, target: str | None, destination: Path, project: Path | None = None
) -> Made:
    """Infer a spec and write it; nothing that exists is overwritten.

    Raises:
        UsageError: the destination exists, its name does not fit, or there is nothing to infer.
    """
    if destination.exists():
        message = f"{destination} exists"
        raise UsageError(message, hint="take another name, or give --output")
    if destination.stem != name or destination.suffix not in (".yaml", ".yml"):
        message = f"a spec called {name} is kept in {name}.yaml, not {destination.name}"
        raise UsageError(message)
    if table.is_dir():
        return _from_folder(name, table, target or "label", destination, project)
    if target is None:
        message = "a table needs --target COLUMN, the column to predict"
        raise UsageError(message)
    _write(destination, infer_spec(name, table, target, project))
    return Made((destination,), _next(name, table))


def _write(path: Path, text: str) -> None:
    """Write a file that must not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as stream:
        stream.write(text)


def _next(name: str, data: Path) -> tuple[str, ...]:
    places = (data.absolute(), data.absolute().parent)
    tracked = any(place.with_name(f"{place.name}.dvc").is_file() for place in places)
    track = () if tracked else (f"track the data: dvc add {data}",)
    return (*track, f"then: modelyard spec check; modelyard run {name}")


def _from_folder(
    name: str, folder: Path, target: str, destination: Path, project: Path | None
) -> Made:
    labels = folder / _LABELS
    written = [destination]
    if not labels.exists():
        _write(labels, _labels(folder, target))
        written.insert(0, labels)
    try:
        text = infer_spec(name, labels, target, project)
    except Exception:
        if labels in written:
            labels.unlink()
        raise
    _write(destination, text)
    return Made(tuple(written), _next(name, folder))


def _labels(folder: Path, target: str) -> str:
    """List the images of each subfolder with the subfolder's name as their class."""
    rows = [
        (file.relative_to(folder).as_posix(), child.name)
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
        for file in sorted(child.rglob("*"))
        if file.suffix.lower() in IMAGES
    ]
    if not rows:
        message = f"{folder} has no subfolder with images"
        raise UsageError(message, hint="one subfolder a class, or a table labels.csv")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("image", target), *rows])
    return text.getvalue()
