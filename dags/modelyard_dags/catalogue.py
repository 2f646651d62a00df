"""The specs as Airflow sees them: each valid or with its error, none able to hide another."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.spec.load import find_specs, load_spec
from modelyard.spec.models import Spec

ANY = "train_any"


@dataclass(frozen=True, slots=True)
class Entry:
    """One spec name: its file, and either the spec or what is wrong with it."""

    name: str
    path: Path
    spec: Spec | None = None
    error: str | None = None

    @property
    def dag_id(self) -> str:
        """The DAG that trains it; a broken spec keeps the id and with it the history."""
        return dag_id(self.name)


def dag_id(name: str) -> str:
    """Spell the DAG id of a spec's name, or of a file's stem, which may hold any character."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:200]
    # A broken "a b.yaml" must not take the DAG of the good "a-b.yaml", nor "any.yaml" that of all.
    plain = safe == name and f"train_{safe}" != ANY
    return f"train_{safe}" if plain else f"train_{safe}-{zlib.crc32(name.encode()):08x}"


def read_specs(folder: Path, *, only: str | None = None) -> list[Entry]:
    """Read every spec of a folder; `only` names the one DAG that the caller needs."""
    by_id: dict[str, list[Path]] = {}
    for path in find_specs(folder):
        by_id.setdefault(dag_id(path.stem), []).append(path)
    wanted = by_id if only is None else by_id.keys() & {only}
    return [_entry(by_id[key]) for key in sorted(wanted)]


def labels(entries: Iterable[Entry]) -> dict[str, str]:
    """Name every valid spec, and say what a drop-down shows for it."""
    return {
        entry.name: f"{entry.name}: {entry.spec.description}".rstrip(": ")
        for entry in entries
        if entry.spec is not None
    }


def _entry(paths: Iterable[Path]) -> Entry:
    first, *others = paths
    if others:
        names = ", ".join(path.name for path in (first, *others))
        return Entry(first.stem, first, error=f"these files claim the same model: {names}")
    try:
        return Entry(first.stem, first, spec=load_spec(first))
    except ModelyardError as error:
        return Entry(first.stem, first, error=str(error).replace(f"{first.parent}/", ""))
    except Exception as error:  # noqa: BLE001 - one bad file must not make every DAG vanish
        return Entry(first.stem, first, error=f"{first.name}: {type(error).__name__}: {error}")
