"""Tests of embeddings: many numbers of a row at once, compared as one thing."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from modelyard.monitoring.statistics.samples import DISCREPANCY, TOLD_APART, Rows, Tested

MMD: Final = "permutation test of the maximum mean discrepancy"
CLASSIFIER: Final = "classifier two-sample test"
# More rows a side make the verdict hardly surer, and each permutation dearer.
MOST: Final = 2_000
FREQUENCIES: Final = 64
FOR_MEDIAN: Final = 500
# As in `chance`; each permutation costs more here.
ROUNDS: Final = ((200, 40), (1_000, 50), (5_000, 0))
AT_ONCE: Final = 500


def mmd(reference: Rows, live: Rows) -> Tested:
    """Compare rows by the maximum mean discrepancy under a Gaussian kernel; time linear in rows.

    Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, "A kernel two-sample test", with the
    kernel's width at the median distance of the pooled rows (their section 8) and their unbiased
    estimate, whose root is the effect: 0 to the root of 2. The kernel is that of 64 random
    frequencies (Rahimi and Recht 2007; for this test Zhao and Meng 2015), which are drawn without
    a look at the rows, so that the permutation test stays exact.
    """
    random = np.random.default_rng([len(reference), len(live)])
    first, second = (_some(side, random) for side in (reference, live))
    pooled = _standardised(np.concatenate([first, second]))
    features = _features(pooled, random)
    sums, total = features[len(first) :].sum(axis=0), features.sum(axis=0)
    found = float(_discrepancy(sums, total, len(first), len(second)))
    p_value = _permuted(features, len(second), found, random)
    effect = math.sqrt(max(0.0, _unbiased(sums, total, len(first), len(second))))
    return Tested(MMD, found, p_value, effect, DISCREPANCY)


def _some(rows: Rows, random: np.random.Generator) -> Rows:
    if len(rows) <= MOST:
        return rows
    return np.asarray(rows[np.sort(random.choice(len(rows), MOST, replace=False))])


def _standardised(rows: Rows) -> Rows:
    """Give each dimension the same weight; a constant one has none."""
    rows = rows - rows.mean(axis=0)
    deviations = rows.std(axis=0)
    return np.asarray(rows / np.where(deviations > 0, deviations, 1.0))


def _features(rows: Rows, random: np.random.Generator) -> np.ndarray:
    """Map rows to cosines and sines whose products are about the kernel of the rows."""
    some = rows[random.permutation(len(rows))[:FOR_MEDIAN]]
    squares = np.square(some).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * some @ some.T
    width = math.sqrt(max(float(np.median(distances[np.triu_indices(len(some), 1)])), 1e-12))
    turns = rows @ (random.normal(size=(rows.shape[1], FREQUENCIES)) / width)
    both = np.concatenate([np.cos(turns), np.sin(turns)], axis=1) / math.sqrt(FREQUENCIES)
    return np.asarray(both.astype("float32"))


def _discrepancy(sums: np.ndarray, total: np.ndarray, known: int, seen: int) -> np.ndarray:
    difference = sums / seen - (total - sums) / known
    return np.asarray(np.square(difference).sum(axis=-1))


def _unbiased(sums: np.ndarray, total: np.ndarray, known: int, seen: int) -> float:
    """Take out what a row has in common with itself, which is 1."""
    others = (total - sums).astype("float64")
    mine = sums.astype("float64")
    within = (mine @ mine - seen) / (seen * (seen - 1))
    within += (others @ others - known) / (known * (known - 1))
    return float(within - 2 * (mine @ others) / (known * seen))


def _permuted(features: np.ndarray, seen: int, found: float, random: np.random.Generator) -> float:
    """Return how often as many rows, drawn from both samples, are as far from the rest."""
    total, rows = features.sum(axis=0), len(features)
    as_far = done = 0
    for size, enough in ROUNDS:
        as_far = done = 0
        while done < size:
            drawn = np.zeros((min(AT_ONCE, size - done), rows), dtype="float32")
            places = random.random(drawn.shape, dtype="float32").argpartition(seen - 1, axis=1)
            np.put_along_axis(drawn, places[:, :seen], 1.0, axis=1)
            far = _discrepancy(drawn @ features, total, rows - seen, seen)
            as_far += int((far >= found * (1 - 1e-6)).sum())
            done += len(drawn)
        if as_far >= enough:
            break
    return (1 + as_far) / (1 + done)


def classifier(reference: Rows, live: Rows) -> Tested:
    """Train a linear classifier to tell the window from the reference, and see if it can.

    Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests": a logistic regression
    learns from one half of the rows; of the other half it must place the window's rows above the
    reference's. That is the area under the ROC curve (Hanley and McNeil 1982), whose p-value is
    that of Mann and Whitney's test (1947), one-sided. The effect is 2 AUC - 1: 0 is chance or
    worse, 1 is told apart without fail.
    """
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng([len(reference), len(live)])
    halves = [_halves(_some(side, random), random) for side in (reference, live)]
    learn = np.concatenate([half[0] for half in halves])
    centre, width = learn.mean(axis=0), learn.std(axis=0)
    width = np.where(width > 0, width, 1.0)
    truth = np.repeat([0, 1], [len(half[0]) for half in halves])
    model = LogisticRegression(class_weight="balanced").fit((learn - centre) / width, truth)
    known, seen = (model.decision_function((half[1] - centre) / width) for half in halves)
    area, p_value = _above(known, seen)
    return Tested(CLASSIFIER, area, p_value, max(0.0, 2 * area - 1), TOLD_APART)


def _halves(rows: Rows, random: np.random.Generator) -> tuple[Rows, Rows]:
    order, middle = random.permutation(len(rows)), len(rows) // 2
    return np.asarray(rows[order[:middle]]), np.asarray(rows[order[middle:]])


def _above(known: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Return how often the window's score is above the reference's, and chance's share of it."""
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(seen, known, alternative="greater", method="asymptotic")
    return float(found.statistic) / (len(known) * len(seen)), float(found.pvalue)


def embedding_test(name: str, reference: Rows, live: Rows) -> Tested:
    """Compare embeddings by the test that `monitor.tests.embedding` names."""
    return (classifier if name == "classifier" else mmd)(reference, live)
