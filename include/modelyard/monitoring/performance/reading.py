"""Read a window of a version's predictions out of the store, as samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.observe import as_word
from modelyard.monitoring.performance.samples import Gathered, Kinds, Window
from modelyard.monitoring.segments import read_segmentation
from modelyard.monitoring.window import parse_segment
from modelyard.store.database import Store
from modelyard.store.predictions import Labelled, Seen, Span

if TYPE_CHECKING:
    import pandas as pd

# With so many rows a share is known to 0.2 %; more would only cost time and memory.
MOST_ROWS: Final = 200_000

type Belongs = Callable[[Mapping[str, object]], bool]
"""Whether a row of these observed inputs is in a segment."""


def read_labelled(  # noqa: PLR0913, PLR0917 - whose predictions, and which
    store: Store, model: str, version: int, span: Span, kinds: Kinds, belongs: Belongs | None = None
) -> Window | None:
    """Read the newest labelled predictions of a stretch, at most 200,000; None if there are none."""
    gathered = Gathered(kinds)
    for batch in store.labelled(model, version, span):
        gathered.labelled(_of_segment(batch, belongs))
        if gathered.rows >= MOST_ROWS:
            break
    return gathered.window()


def read_seen(  # noqa: PLR0913, PLR0917 - whose predictions, and which
    store: Store, model: str, version: int, span: Span, kinds: Kinds, belongs: Belongs | None = None
) -> Window | None:
    """Read the newest predictions of a stretch, at most 200,000, whose truths are not known."""
    gathered = Gathered(kinds)
    for batch in store.seen(model, version, span):
        gathered.seen(_of_segment(batch, belongs))
        if gathered.rows >= MOST_ROWS:
            break
    return gathered.window()


def belonging(reference_folder: Path, segment: str | None) -> Belongs | None:
    """Return what tells the rows of a segment, COLUMN=VALUE; None for all rows.

    Raises:
        UsageError: it is written otherwise.
    """
    part = parse_segment(segment)
    if part is None:
        return None
    known = read_segmentation(reference_folder, part.column)
    if known is not None:
        return lambda inputs: known.of(inputs) == segment
    return lambda inputs: as_word(inputs.get(part.column)) == part.value


def of_segment(
    outputs: pd.DataFrame, segment: str | None, belongs: Belongs | None
) -> pd.DataFrame | None:
    """Take a segment's test rows; None where the version did not keep which rows were in it."""
    part = parse_segment(segment)
    if part is None or belongs is None:
        return outputs
    if f"input.{part.column}" not in outputs:
        return None
    values = outputs[f"input.{part.column}"].tolist()
    return outputs[[belongs({part.column: value}) for value in values]]


def _of_segment[T: (Labelled, Seen)](batch: Iterable[T], belongs: Belongs | None) -> Iterator[T]:
    return iter(batch) if belongs is None else (one for one in batch if belongs(one.inputs))
