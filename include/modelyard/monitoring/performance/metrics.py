"""Each metric: its value, its 95 % interval, and how often chance alone makes it as bad.

    Metric
    +-- Accuracy        a share: Wilson's interval (1927), Fisher's exact test (1935)
    +-- OfClasses       of counts of (truth, prediction): bootstrap, permutation
    +-- OfRows          a mean over rows: bootstrap, permutation
    +-- OfSums          of sums over rows: bootstrap, permutation

Tests are one-sided, towards worse, and take both samples as drawn: a test split of some hundred
rows is no truth that a window could be held against. Definitions are scikit-learn's, with one
choice: averages over classes are over those that truths of the sample have.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, override

import numpy as np
import numpy.typing as npt

from modelyard.monitoring.performance.resampling import (
    chance_of_counts,
    chance_of_sums,
    interval_of_counts,
    interval_of_sums,
)
from modelyard.monitoring.performance.samples import Floats, Sample

type Interval = tuple[float, float]
type Figure = Literal["precision", "recall", "f1"]

BINS: Final = 15


@dataclass(frozen=True)
class Metric(ABC):
    """One metric of one kind of output."""

    name: str
    lower_is_better: bool = field(default=False, kw_only=True)
    bounds: Interval = field(default=(0.0, 1.0), kw_only=True)

    def usable(self, sample: Sample) -> Sample:
        """Take the rows that it can be computed of."""
        return sample

    @abstractmethod
    def value(self, sample: Sample) -> float:
        """Compute it; NaN where it is not defined."""

    @abstractmethod
    def interval(self, sample: Sample) -> Interval:
        """Return the ends of its 95 % interval."""

    @abstractmethod
    def chance(self, base: Sample, live: Sample) -> float:
        """Return the one-sided p-value of `live` being as much worse than `base`."""


class Accuracy(Metric):
    """The share of right labels."""

    @override
    def value(self, sample: Sample) -> float:
        return float(sample.right.mean())

    @override
    def interval(self, sample: Sample) -> Interval:
        from scipy.stats import binomtest

        found = binomtest(int(sample.right.sum()), len(sample)).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    @override
    def chance(self, base: Sample, live: Sample) -> float:
        from scipy.stats import hypergeom

        right = int(base.right.sum() + live.right.sum())
        return float(hypergeom.cdf(int(live.right.sum()), len(base) + len(live), right, len(live)))


@dataclass(frozen=True)
class OfClasses(Metric):
    """Precision, recall or F1, of one class or averaged over those that truths have."""

    figure: Figure = "f1"
    of: str | None = None

    @override
    def value(self, sample: Sample) -> float:
        table = _Table.of(sample)
        return float(self._figure(table)(table.counts[0][None])[0])

    @override
    def interval(self, sample: Sample) -> Interval:
        table = _Table.of(sample)
        return interval_of_counts(table.counts[0], self._figure(table))

    @override
    def chance(self, base: Sample, live: Sample) -> float:
        table = _Table.of(base, live)
        return chance_of_counts(table.counts[0], table.counts[1], self._figure(table), low=True)

    def _figure(self, table: _Table) -> Callable[[npt.NDArray[Any]], Floats]:
        def figure(counts: npt.NDArray[Any]) -> Floats:
            true, predicted, hits = table.sums(counts)
            wholes = {"precision": predicted, "recall": true, "f1": (true + predicted) / 2}
            each = _share(hits, wholes[self.figure])
            if self.of is not None:
                return each[..., table.labels.index(self.of)]
            there = true > 0
            return np.asarray((each * there).sum(axis=-1) / there.sum(axis=-1))

        return figure

    @override
    def usable(self, sample: Sample) -> Sample:
        known = self.of is None or self.of in sample.truth or self.of in sample.predicted
        return sample if known else sample.rows(np.zeros(len(sample), dtype=bool))


@dataclass(frozen=True)
class _Table:
    """How often each pair of truth and prediction is there, in one sample or several."""

    labels: list[str]
    truth: npt.NDArray[np.intp]
    predicted: npt.NDArray[np.intp]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, *samples: Sample) -> _Table:
        sides = [np.concatenate([one.truth, one.predicted]) for one in samples]
        labels, codes = np.unique(np.concatenate(sides).astype(str), return_inverse=True)
        cells, start = [], 0
        for one in samples:
            pair = codes[start : start + 2 * len(one)].reshape(2, -1)
            cells.append(pair[0] * len(labels) + pair[1])
            start += 2 * len(one)
        known, places = np.unique(np.concatenate(cells), return_inverse=True)
        edges = np.cumsum([len(cell) for cell in cells])[:-1]
        counts = [np.bincount(part, minlength=len(known)) for part in np.split(places, edges)]
        return cls(
            [str(label) for label in labels],
            known // len(labels),
            known % len(labels),
            np.array(counts, dtype=np.int64),
        )

    def sums(self, counts: npt.NDArray[Any]) -> tuple[Floats, Floats, Floats]:
        """Sum [draws, pairs] up to rows of each true class, of each predicted one, and of both."""
        from scipy.sparse import csr_array

        pairs, classes = len(self.truth), len(self.labels)
        ones, places = np.ones(pairs), np.arange(pairs)
        both = self.truth == self.predicted
        matrices = (
            csr_array((ones, (places, self.truth)), shape=(pairs, classes)),
            csr_array((ones, (places, self.predicted)), shape=(pairs, classes)),
            csr_array((ones[both], (places[both], self.truth[both])), shape=(pairs, classes)),
        )
        true, predicted, hits = (np.asarray(counts @ matrix) for matrix in matrices)
        return true, predicted, hits


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)


@dataclass(frozen=True)
class OfRows(Metric):
    """A mean over rows, or its root."""

    each: Callable[[Sample], Floats] = field(default=lambda sample: sample.error)
    root: bool = False
    needs_probability: bool = False

    @override
    def usable(self, sample: Sample) -> Sample:
        return sample.sure if self.needs_probability else sample

    @override
    def value(self, sample: Sample) -> float:
        return float(self._of(self.each(sample).mean()))

    @override
    def interval(self, sample: Sample) -> Interval:
        rows = len(sample)
        return interval_of_sums(
            self.each(sample)[:, None], lambda sums: np.asarray(self._of(sums[..., 0] / rows))
        )

    @override
    def chance(self, base: Sample, live: Sample) -> float:
        before, now = (
            np.column_stack([self.each(sample), np.ones(len(sample))]) for sample in (base, live)
        )
        low = not self.lower_is_better
        return chance_of_sums(
            before, now, lambda sums: np.asarray(self._of(sums[..., 0] / sums[..., 1])), low=low
        )

    def _of(self, mean: Any) -> Any:
        return np.sqrt(mean) if self.root else mean


@dataclass(frozen=True)
class OfSums(Metric):
    """A figure of sums over rows.

    `features` gives [rows, sums] for each of several samples, in one measure for all of them;
    `figure` takes [draws, sums], the last of which is the number of rows.
    """

    features: Callable[..., list[Floats]] = field(default=lambda *_: [])
    figure: Callable[[Floats], Floats] = field(default=lambda sums: sums[..., 0])
    needs_probability: bool = False

    @override
    def usable(self, sample: Sample) -> Sample:
        return sample.sure if self.needs_probability else sample

    @override
    def value(self, sample: Sample) -> float:
        [features] = self.features(sample)
        return float(self.figure(features.sum(axis=0)[None])[0])

    @override
    def interval(self, sample: Sample) -> Interval:
        [features] = self.features(sample)
        return interval_of_sums(features, self.figure)

    @override
    def chance(self, base: Sample, live: Sample) -> float:
        before, now = self.features(base, live)
        return chance_of_sums(before, now, self.figure, low=not self.lower_is_better)
