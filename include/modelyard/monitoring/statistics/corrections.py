"""Corrections for testing many columns of one window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


def correct(
    p_values: Sequence[float], method: Literal["benjamini-hochberg", "bonferroni"]
) -> list[float]:
    """Correct p-values of one window for how many they are; compare them with alpha as usual.

    Without drift anywhere both keep the chance that any of them is at most alpha at alpha:
    Bonferroni whatever the columns have to do with each other (Dunn 1961), the step-up of
    Benjamini and Hochberg (1995) if they are independent or depend positively on each other
    (Benjamini and Yekutieli 2001). Where some columns did drift, Bonferroni keeps that promise
    for the others; Benjamini-Hochberg keeps the expected share of false alarms among all alarms.
    """
    if not p_values:
        return []
    given = np.asarray(p_values, dtype="float64")
    if method == "bonferroni":
        return [float(p) for p in np.minimum(given * len(given), 1.0)]
    order = np.argsort(given)[::-1]
    ranks = np.arange(len(given), 0, -1)
    stepped = np.minimum.accumulate(given[order] * len(given) / ranks)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(p) for p in adjusted]
