"""The same sample in two splits: the model would be tested on what it has learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.artifacts import CheckFailure
from modelyard.data.assign import NAMES
from modelyard.data.images import image_hash
from modelyard.data.tables import canonical, row_keys
from modelyard.data.words import plural
from modelyard.spec.models import Spec

if TYPE_CHECKING:
    import pandas as pd

RULE = "no sample stands in two splits"
SHOWN = 20
EXAMPLES = 3


def allowed(spec: Spec) -> bool:
    """Whether the spec says that equal samples may stand in two splits."""
    return any(check.leakage == "allow" for check in spec.data.checks)


def find_leakage(
    table: pd.DataFrame,
    columns: Sequence[str],
    images: Sequence[str],
    folder: Path,
    splits: Sequence[int],
) -> CheckFailure | None:
    """Compare samples by their input values, and images by their bytes, across splits."""
    keys = row_keys(
        _image_hashes(table[column], folder) if column in images else canonical(table[column])
        for column in columns
    )
    rows: dict[str, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        rows[key].append(position)
    leaks = [found for found in rows.values() if len({splits[row] for row in found}) > 1]
    if not leaks:
        return None
    count = sum(map(len, leaks))
    first = sorted(position + 1 for found in leaks for position in found)[:SHOWN]
    return CheckFailure(
        check=RULE,
        column=None,
        message=_message(leaks, splits, count),
        rows=tuple(first),
        count=count,
    )


def _message(leaks: Sequence[Sequence[int]], splits: Sequence[int], count: int) -> str:
    spelt = [
        " = ".join(f"row {row + 1} ({NAMES[splits[row]]})" for row in _one_a_split(found, splits))
        for found in leaks[:EXAMPLES]
    ]
    more = f" and {len(leaks) - EXAMPLES:,} more" if len(leaks) > EXAMPLES else ""
    return (
        f"{plural(len(leaks), 'sample')} in more than one split, {plural(count, 'row')} in all: "
        f"{', '.join(spelt)}{more}; add the transform drop_duplicates, or the check leakage: allow "
        "if equal inputs are different samples"
    )


def _one_a_split(rows: Sequence[int], splits: Sequence[int]) -> list[int]:
    return list({splits[row]: row for row in reversed(rows)}.values())[::-1]


def _image_hashes(values: pd.Series[Any], folder: Path) -> list[str]:
    """Hash each image; one that cannot be read stands for itself, as another check reports it."""
    return [
        image_hash(value if isinstance(value, bytes) else spelt, folder)
        for value, spelt in zip(values.tolist(), canonical(values), strict=True)
    ]
