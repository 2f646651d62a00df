"""How much two distributions over the same categories or bins differ, whatever the test says.

Each takes counts of the reference and of the window with the categories last, so that many
windows can be measured at once. Measures with a logarithm of a ratio count half a row more in
each category (the Krichevsky-Trofimov estimate, 1981), which keeps what occurs on one side only
finite.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from modelyard.monitoring.statistics.samples import Counts

type Shares = np.ndarray


def total_variation(reference: Counts, live: Counts) -> np.ndarray:
    """Return the largest difference that any set of categories has in its share, 0 to 1.

    Half the sum of the differences of shares: Gibbs and Su 2002, "On choosing and bounding
    probability metrics".
    """
    return np.asarray(np.abs(shares(reference) - shares(live)).sum(axis=-1) / 2)


def psi(reference: Counts, live: Counts) -> np.ndarray:
    """Return the population stability index, 0 to infinity.

    Sum of (q - p) ln(q / p): Jeffreys' divergence (1946), used in credit scoring since Lewis 1994.
    Its common limits of 0.1 and 0.25 take no account of how many rows there are (Yurdakul and
    Naranjo 2020).
    """
    p, q = _smoothed(reference), _smoothed(live)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def kullback_leibler(reference: Counts, live: Counts) -> np.ndarray:
    """Return the divergence of the window from the reference in nats, 0 to infinity.

    Sum of q ln(q / p) with q the window: Kullback and Leibler 1951.
    """
    p, q = _smoothed(reference), _smoothed(live)
    return np.asarray((q * np.log(q / p)).sum(axis=-1))


def cross_entropy(reference: Counts, live: Counts) -> np.ndarray:
    """Return how surprising the window is to who knows the reference, in nats.

    Minus the sum of q ln p, which is the window's own entropy plus its divergence from the
    reference: Cover and Thomas 2006, chapter 2.
    """
    return np.asarray(-(_smoothed(live) * np.log(_smoothed(reference))).sum(axis=-1))


def jensen_shannon(reference: Counts, live: Counts) -> np.ndarray:
    """Return the Jensen-Shannon divergence in bits, 0 to 1: Lin 1991."""
    p, q = shares(reference), shares(live)
    middle = (p + q) / 2
    both = special.rel_entr(p, middle).sum(axis=-1) + special.rel_entr(q, middle).sum(axis=-1)
    return np.asarray(np.clip(both / (2 * math.log(2)), 0.0, 1.0))


def hellinger(reference: Counts, live: Counts) -> np.ndarray:
    """Return the Hellinger distance, 0 to 1: root of half the sum of (root q - root p) squared.

    Gibbs and Su 2002.
    """
    roots = np.sqrt(shares(reference)) - np.sqrt(shares(live))
    return np.asarray(np.sqrt(np.minimum(np.square(roots).sum(axis=-1) / 2, 1.0)))


def shares(counts: np.ndarray) -> Shares:
    """Return each category's share; categories are last."""
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _smoothed(counts: Counts) -> Shares:
    return shares(counts + 0.5)
