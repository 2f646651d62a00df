"""Figures of a report in words: how sure, how much, since when, and what the error rate promises."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import NormalDist
from typing import Final

from modelyard.store.monitoring_records import DriftCheck, Verdict

MOST_NAMES: Final = 12
LONGEST_NAME: Final = 60
SMALLEST: Final = 0.0001
MINUTE, HOUR, DAY = 60, 3_600, 86_400
# Cohen (1988): small 0.2, medium 0.5, large 0.8; Sawilowsky (2009) adds 1.2 and 2.
SIZES: Final = (
    (0.2, "very small"),
    (0.5, "small"),
    (0.8, "medium"),
    (1.2, "large"),
    (2.0, "very large"),
)
LARGEST: Final = "huge"
# The Jensen-Shannon divergence in bits of two normal columns so many standard deviations apart;
# it has no closed form, these are by numerical integration.
JENSEN_SHANNON: Final = (
    (0.0, 0.0),
    (0.00718, 0.2),
    (0.04373, 0.5),
    (0.10702, 0.8),
    (0.22108, 1.2),
    (0.48594, 2.0),
)

INVISIBLE: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
NORMAL: Final = NormalDist()


def headline(check: DriftCheck) -> str:
    """Say in one line what the comparison found."""
    columns = len({verdict.column for verdict in check.verdicts})
    count = len(drifted_columns(check.verdicts))
    total = counted(columns, "column")
    return f"Drift in {count} of {total}" if count else f"No drift in {total}"


def drifted_columns(verdicts: Iterable[Verdict]) -> list[str]:
    """Name the columns that drifted, each once."""
    return list(dict.fromkeys(verdict.column for verdict in verdicts if verdict.drifted))


def sure(p_value: float | None) -> str:
    """Write a p-value for people."""
    if p_value is None:
        return "-"
    return f"{p_value:.2g}" if p_value >= SMALLEST else f"< {SMALLEST:g}"


def promise(check: DriftCheck) -> str:
    """Say in a sentence what alpha holds, and what it does not."""
    rate = percent(check.alpha)
    if check.correction == "bonferroni":
        return (
            f"p is corrected by Bonferroni: whatever else drifted, at most {rate} of windows name "
            "any column that did not."
        )
    return (
        f"p is corrected by Benjamini and Hochberg: of windows without drift at most {rate} raise "
        f"any alarm, and of the columns that are named at most {rate} on average did not drift."
    )


def size(effect_name: str, effect: float) -> str | None:
    """Say how large a difference is; None for a measure without a scale.

    The scale is that of Cohen (1988) and Sawilowsky (2009) for the shift between two normal
    columns in standard deviations: each measure is read as the shift that would give as much.
    """
    shift = as_shift(effect_name, effect)
    if shift is None:
        return None
    return next((word for limit, word in SIZES if shift < limit), LARGEST)


def as_shift(effect_name: str, effect: float) -> float | None:
    """Return how many standard deviations two normal columns must be apart to differ as much."""
    formula = SHIFTS.get(effect_name.lower())
    return None if formula is None or not math.isfinite(effect) else formula(abs(effect))


def meaning(effect_name: str, effect: float) -> str | None:
    """Say what an effect means for the rows; None where there is nothing plain to say."""
    sentence = MEANINGS.get(effect_name.lower())
    return None if sentence is None else sentence(abs(effect))


def counted(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(columns: Sequence[str]) -> str:
    """Name the first dozen and count the rest."""
    shown = ", ".join(short(column, LONGEST_NAME) for column in columns[:MOST_NAMES])
    more = len(columns) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def percent(value: float) -> str:
    """Write a share with as many digits as say something."""
    text = f"{100 * value:.1f}"
    return f"{text.removesuffix('.0')} %"


def window_of(check: DriftCheck) -> str:
    """Say which predictions were compared."""
    rows = counted(check.rows, "prediction")
    if check.window == "all":
        words = f"all {rows}"
    elif check.window.isdigit():
        words = f"last {rows}"
    else:
        words = f"{rows} of the last {check.window}"
    return f"{words} with {check.segment}" if check.segment else words


def figure(value: float) -> str:
    """Write a number with four significant digits, as people do and not as programs."""
    size = abs(value)
    if size and not 1e-4 <= size < 1e9:  # noqa: PLR2004 - beyond, an exponent is easier to read
        return f"{value:.3g}"
    digits = 3 - math.floor(math.log10(size)) if size else 0
    text = f"{round(value, digits):,.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def short(text: str, length: int) -> str:
    """Cut a text that is too long, and show that it was."""
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def visible(text: str) -> str:
    """Replace characters that are not seen and change how others are shown or read.

    Controls, and the marks that turn the direction of what follows, would let a logged value
    rewrite the figures beside it.
    """
    return INVISIBLE.sub("\ufffd", text)


def moment(at: datetime) -> str:
    """Write a moment to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def lasting(span: timedelta) -> str:
    """Write a stretch of time with its largest unit."""
    seconds = max(span.total_seconds(), 0)
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= 2 * unit:
            return counted(int(seconds // unit), name)
    return counted(int(seconds), "second")


def _bounded(effect: float) -> float:
    return min(effect, 1 - 1e-9)


def _from_jensen_shannon(bits: float) -> float:
    """Interpolate between known points; its square root grows almost as the shift does."""
    root = math.sqrt(bits)
    for (low, first), (high, second) in pairwise(JENSEN_SHANNON):
        if bits < high:
            return first + (second - first) * (root - math.sqrt(low)) / (
                math.sqrt(high) - math.sqrt(low)
            )
    return JENSEN_SHANNON[-1][1]


# The shift d of two normal columns with equal spread, solved for: KS distance and total variation
# 2 Phi(d/2) - 1, Hellinger sqrt(1 - exp(-d^2/8)), PSI (the symmetric KL) d^2, KL d^2/2, and
# 2 AUC - 1 = 2 Phi(d / sqrt 2) - 1.
SHIFTS: Final[dict[str, Callable[[float], float]]] = {
    "ks distance": lambda effect: 2 * NORMAL.inv_cdf((1 + _bounded(effect)) / 2),
    "total variation": lambda effect: 2 * NORMAL.inv_cdf((1 + _bounded(effect)) / 2),
    "wasserstein distance": lambda effect: effect,
    "standardised difference of means": lambda effect: effect,
    "population stability index": math.sqrt,
    "jensen-shannon divergence": _from_jensen_shannon,
    "kullback-leibler divergence": lambda effect: math.sqrt(2 * effect),
    "hellinger distance": lambda effect: math.sqrt(-8 * math.log(1 - _bounded(effect) ** 2)),
    "2 auc - 1": lambda effect: math.sqrt(2) * NORMAL.inv_cdf((1 + _bounded(effect)) / 2),
}
MEANINGS: Final[dict[str, Callable[[float], str]]] = {
    "ks distance": lambda effect: (
        f"the share of rows below some value differs by {100 * effect:.0f} percentage points"
    ),
    "total variation": lambda effect: (
        f"{100 * effect:.0f} of 100 rows would need another value for both sides to agree"
    ),
    "wasserstein distance": lambda effect: (
        f"values lie {effect:.2g} standard deviations from where they lay, on average"
    ),
    "standardised difference of means": lambda effect: (
        f"the mean moved by {effect:.2g} standard deviations of the reference"
    ),
    "2 auc - 1": lambda effect: (
        "of a row from each side a classifier tells which is which in "
        f"{50 * (1 + effect):.0f} of 100 cases; guessing in 50"
    ),
}
