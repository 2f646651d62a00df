"""When a drift began: the row of a window from which on it is unlike the reference."""

from __future__ import annotations

from typing import Final

import numpy as np

from modelyard.monitoring.columns import grouped
from modelyard.monitoring.statistics import Numbers
from modelyard.monitoring.statistics.numbers import in_order

BINS: Final = 10

type Codes = np.ndarray[tuple[int], np.dtype[np.int64]]


def onset(reference: Codes, live: Codes) -> int:
    """Return the first of the window's rows after the change; 0 if all of it is.

    Both are categories or bins as whole numbers from 0, the window's in the order of time. Of all
    places the one is taken where the likelihood is largest that the reference and the rows before
    it are one distribution, and the rows from there on another: the maximum likelihood estimate
    of one change (Hinkley 1970), here of multinomial distributions.

    Its error does not shrink with the window but with the size of the change: a median of so many
    rows as it takes to notice it, see docs/drift.md. A drift that grows is dated in its middle,
    and of several changes the one that explains most is found.
    """
    kinds = int(max(reference.max(initial=0), live.max(initial=0))) + 1
    known = np.bincount(reference, minlength=kinds)
    steps = np.zeros((len(live) + 1, kinds), dtype="int64")
    steps[np.arange(1, len(live) + 1), live] = 1
    seen = np.cumsum(steps, axis=0)
    before, after = known + seen[:-1], seen[-1] - seen[:-1]
    return int(np.argmax(_likelihood(before) + _likelihood(after)))


def _likelihood(counts: np.ndarray) -> Numbers:
    """Return the largest log-likelihood of each row of counts."""
    totals = counts.sum(axis=1)
    safe = np.maximum(counts, 1)
    found: Numbers = (counts * np.log(safe)).sum(axis=1) - totals * np.log(np.maximum(totals, 1))
    return found


def codes_of_numbers(reference: Numbers, live: Numbers) -> tuple[Codes, Codes]:
    """Put numbers into bins that hold about equally much of the reference, and of the window.

    The borders are those of both, so that a narrow change inside of one side's bin shows.
    """
    wanted = np.linspace(0, 1, BINS // 2 + 1)[1:-1]
    edges = np.unique([_quantiles(side, wanted) for side in (reference, live)])
    first, second = (np.searchsorted(edges, side, side="left") for side in (reference, live))
    return first, second


def _quantiles(values: Numbers, wanted: Numbers) -> Numbers:
    places = np.minimum((wanted * len(values)).astype("int64"), len(values) - 1)
    return np.asarray(in_order(values)[places])


def codes_of_words(reference: np.ndarray, live: np.ndarray) -> tuple[Codes, Codes]:
    """Number categories; rare ones share a number."""
    from modelyard.monitoring.columns import counted

    groups = grouped(counted(reference), counted(live))
    first, second = (
        np.array([groups[value] for value in side], dtype="int64") for side in (reference, live)
    )
    return first, second


def codes_of_rows(reference: np.ndarray, live: np.ndarray) -> tuple[Codes, Codes]:
    """Put embeddings into bins along the line on which both sides differ most.

    That is Fisher's linear discriminant (1936), with a little added to each variance.
    """
    both = np.concatenate([reference, live])
    spread = np.atleast_2d(np.cov(both, rowvar=False))
    spread += np.eye(len(spread)) * (np.trace(spread) / len(spread) * 1e-6 + 1e-12)
    line = np.linalg.solve(spread, live.mean(axis=0) - reference.mean(axis=0))
    return codes_of_numbers(reference @ line, live @ line)
