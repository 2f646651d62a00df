"""What is asked for (the last N, all, a time span, a segment), read from the database as columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from modelyard.errors import MonitoringError, UsageError
from modelyard.monitoring.observe import as_word, word
from modelyard.monitoring.segments import OTHERS, segmentation
from modelyard.store.database import Store
from modelyard.store.predictions import Seen, Span
from modelyard.store.records import now

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

type Window = int | str
"""The last so many predictions, `all`, or a time span such as `24h`."""

ALL: Final = "all"
SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
OUTPUTS: Final = ("predicted", "probability")
EMBEDDING: Final = "embedding"


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows whose column has a value; written COLUMN=VALUE."""

    column: str
    value: str
    named: frozenset[str] | None = None
    """For the segment of all others: the values that have one of their own."""

    def among(self, reference: pd.DataFrame) -> Segment:
        """Return the segment as the reference divides; only that of all others needs to know.

        Raises:
            MonitoringError: the reference has no such column.
        """
        divided = segmentation(reference, self.column)
        if divided is None:
            message = f"there is no column {self.column} in the reference, so no segment of it"
            known = ", ".join(map(str, reference.columns[:12]))
            raise MonitoringError(message, hint=f"observed columns are {known}")
        return replace(self, named=divided.values if self.value == OTHERS else None)  # noqa: PD011 - no pandas

    def keep(self, frame: pd.DataFrame, column: str | None = None) -> pd.DataFrame:
        """Return the rows of a table that are in the segment; `column` if it is called otherwise."""
        kept = [self._is(value) for value in frame[column or self.column].tolist()]
        return frame.loc[kept].reset_index(drop=True)

    def has(self, row: Seen) -> bool:
        """Tell whether a prediction is in the segment."""
        return self._is(row.inputs.get(self.column))

    def _is(self, value: object) -> bool:
        found = as_word(value)
        spelt = None if found is None else word(found)
        return spelt == word(self.value) if self.named is None else spelt not in self.named


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """What was observed of a window's inputs and outputs, the oldest first, and when."""

    frame: pd.DataFrame
    outputs: pd.DataFrame | None
    moments: np.ndarray
    """Of each row, microseconds in UTC."""

    @property
    def first_at(self) -> datetime:
        """The oldest prediction."""
        return self.at(0)

    @property
    def last_at(self) -> datetime:
        """The newest prediction."""
        return self.at(len(self.moments) - 1)

    def at(self, row: int) -> datetime:
        """When a row was answered."""
        from datetime import UTC

        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(self.moments[row]))


def parse_segment(text: str | None) -> Segment | None:
    """Read COLUMN=VALUE.

    Raises:
        UsageError: it is written otherwise.
    """
    if not text:
        return None
    column, equals, value = text.partition("=")
    if not column or not equals:
        message = f"{text} is no segment"
        raise UsageError(message, hint="COLUMN=VALUE, such as site=north")
    return Segment(column, value)


def span_of(window: Window, moment: datetime | None = None) -> Span:
    """Return the stretch of predictions that a window asks for, as of now or of another moment.

    Raises:
        UsageError: it is no number, not `all`, and no time span such as 90m, 24h or 7d.
    """
    if isinstance(window, int) and window > 0:
        return Span(last=window)
    if window == ALL:
        return Span()
    found = SPAN.fullmatch(str(window))
    if found is None:
        message = f"{window} is no window"
        raise UsageError(message, hint="a number such as 1000, all, or a span: 90m, 24h, 7d")
    until = moment or now()
    try:
        since = until - timedelta(**{UNITS[found[2]]: int(found[1])})
    except OverflowError:  # longer than there have been years
        since = datetime.min.replace(tzinfo=UTC)
    return Span(since=since, until=until)


def read_window(  # noqa: PLR0913 - what, of whom, and which columns of it
    store: Store,
    model: str,
    version: int,
    span: Span,
    reference: pd.DataFrame,
    *,
    outputs: pd.DataFrame | None = None,
    segment: Segment | None = None,
) -> LiveWindow:
    """Read the reference's columns of a stretch of predictions; refuse if there are too few.

    Batches become compact columns one by one, so that a large window stays small in memory. With
    `outputs`, the reference of the outputs, its columns are read too.

    Raises:
        MonitoringError: too few predictions.
    """
    import numpy as np
    import pandas as pd

    from modelyard.monitoring.drift import require_rows

    parts: list[tuple[pd.DataFrame, pd.DataFrame | None, np.ndarray]] = []
    for batch in _batches(store, model, version, span, segment):
        answers = None if outputs is None else _answers(batch, outputs)
        parts.append((_inputs(batch, reference), answers, _moments(batch)))
    where = f" where {segment.column} is {segment.value}" if segment else ""
    require_rows(
        f"the window of {model} version {version}{where}",
        sum(len(part[2]) for part in parts),
        hint="send more requests to the endpoint, or ask for a larger window",
    )
    frames, answered, moments = zip(*reversed(parts), strict=True)
    return LiveWindow(
        pd.concat(frames, ignore_index=True),
        None if outputs is None else pd.concat(answered, ignore_index=True),
        np.concatenate(moments),
    )


def _batches(
    store: Store, model: str, version: int, span: Span, segment: Segment | None
) -> Iterator[list[Seen]]:
    """Yield the rows of a window, the newest batch first, each from old to new."""
    for batch in store.seen(model, version, span):
        kept = batch if segment is None else [row for row in batch if segment.has(row)]
        if kept:
            yield kept[::-1]


def _moments(batch: Sequence[Seen]) -> np.ndarray:
    import numpy as np

    return np.array([round(row.at.timestamp() * 1e6) for row in batch], dtype="int64")


def _inputs(batch: Sequence[Seen], reference: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            str(name): _column([row.inputs.get(str(name)) for row in batch], known)
            for name, known in reference.items()
        }
    )


def _answers(batch: Sequence[Seen], outputs: pd.DataFrame) -> pd.DataFrame:
    """Lay out what the model answered, in the columns that the reference of outputs has."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name, known in outputs.items():
        kind, _, key = str(name).partition(".")
        found: list[object]
        if kind == EMBEDDING:
            place = int(key)
            found = [
                None
                if (row.embedding is None or len(row.embedding) <= place)
                else row.embedding[place]
                for row in batch
            ]
        elif kind in OUTPUTS:
            answered = [row.outputs if kind == "predicted" else row.probability for row in batch]
            found = [answer.get(key) for answer in answered]
        else:
            continue
        columns[str(name)] = _column(found, known)
    return pd.DataFrame(columns, index=range(len(batch)))


def _column(values: list[object], known: pd.Series) -> pd.Series:
    """Make a column of the reference's kind: floats, or whatever there is."""
    import numpy as np
    import pandas as pd

    from modelyard.monitoring.columns import is_number

    if not is_number(known):
        return pd.Series(values, dtype="object")
    try:
        return pd.Series(np.asarray(values, dtype="float64"))
    except (TypeError, ValueError, OverflowError):
        found = pd.to_numeric(pd.Series(values, dtype="object"), errors="coerce")
        return found.astype("float64")
