"""Date drift: each drifted column of a window gets the moment from which on it was unlike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from modelyard.monitoring.columns import as_numbers, is_number, words
from modelyard.monitoring.drift import embedding_names
from modelyard.monitoring.onset import (
    Codes,
    codes_of_numbers,
    codes_of_rows,
    codes_of_words,
    onset,
)
from modelyard.monitoring.window import LiveWindow
from modelyard.store.monitoring_records import DriftCheck, Kind, Verdict

# More rows date it no better, and take memory times the number of values.
MOST_ROWS = 20_000

type Frames = tuple[pd.DataFrame, pd.DataFrame]
type Coded = tuple[Codes, Codes, np.ndarray]
"""Codes of the reference and of the window, and the window's row of each."""


def dated(
    verdicts: Iterable[Verdict],
    reference: pd.DataFrame,
    live: LiveWindow,
    outputs: pd.DataFrame | None = None,
) -> list[Verdict]:
    """Give each drifted verdict its `since`, from the order of the window's rows.

    Where all of the window drifted that is its first prediction: the drift is older, or as old.
    """
    frames = [(reference, live.frame)]
    if outputs is not None and live.outputs is not None:
        frames.append((outputs, live.outputs))
    return [
        verdict.model_copy(update={"since": _since(verdict, frames, live)})
        if verdict.drifted
        else verdict
        for verdict in verdicts
    ]


def _since(verdict: Verdict, frames: Sequence[Frames], live: LiveWindow) -> datetime:
    coded = next((one for pair in frames if (one := _coded(verdict, *pair)) is not None), None)
    if coded is None or not len(coded[1]):
        return live.first_at
    reference, codes, rows = coded
    step = -(-len(codes) // MOST_ROWS)
    return live.at(int(rows[onset(reference, codes[::step]) * step]))


def _coded(verdict: Verdict, reference: pd.DataFrame, live: pd.DataFrame) -> Coded | None:
    if verdict.kind == "embedding":
        return _embedding(reference, live)
    if verdict.column not in reference:
        return None
    known = reference[verdict.column]
    seen = live.get(verdict.column, pd.Series([None] * len(live), dtype="object"))
    if is_number(known):
        first, second = as_numbers(known), as_numbers(seen)
        here = np.isfinite(first), np.isfinite(second)
    else:
        here = known.notna().to_numpy(), seen.notna().to_numpy()
    if verdict.kind == "missing":
        codes = here[0].astype("int64"), here[1].astype("int64")
        return (*codes, np.arange(len(live)))
    if not here[0].any() or not here[1].any():
        return None
    rows = np.flatnonzero(here[1])
    if is_number(known):
        return (*codes_of_numbers(first[here[0]], second[here[1]]), rows)
    return (*codes_of_words(words(known), words(seen)), rows)


def _embedding(reference: pd.DataFrame, live: pd.DataFrame) -> Coded | None:
    names = embedding_names(reference)
    if not names or any(name not in live for name in names):
        return None
    first, second = (side[names].to_numpy(dtype="float64") for side in (reference, live))
    known, here = (np.isfinite(side).all(axis=1) for side in (first, second))
    return (*codes_of_rows(first[known], second[here]), np.flatnonzero(here))


def continued(check: DriftCheck, before: DriftCheck | None) -> DriftCheck:
    """Keep the older `since` of what had drifted in the last check of the same window already.

    A window that drifted as a whole cannot tell when that began; the checks before it could.
    """
    if before is None:
        return check
    earlier = {
        (verdict.column, verdict.kind): verdict.since
        for verdict in before.verdicts
        if verdict.drifted and verdict.since is not None
    }
    return check.model_copy(
        update={"verdicts": tuple(_older(verdict, earlier) for verdict in check.verdicts)}
    )


def _older(verdict: Verdict, earlier: Mapping[tuple[str, Kind], datetime]) -> Verdict:
    since = earlier.get((verdict.column, verdict.kind)) if verdict.drifted else None
    if since is None or (verdict.since is not None and verdict.since <= since):
        return verdict
    return verdict.model_copy(update={"since": since})
