"""The nearest right word, and values as people write them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Final

# What people call it elsewhere, in the order of likelihood.
_ELSEWHERE: Final[dict[str, tuple[str, ...]]] = {
    "lr": ("learning_rate",),
    "batchsize": ("batch_size",),
    "filters": ("out_channels", "num_filters"),
    "num_filters": ("out_channels",),
    "out_channels": ("num_filters",),
    "filter_size": ("kernel_size",),
    "kernel_size": ("filter_size",),
    "strides": ("stride",),
    "units": ("output_size",),
    "hidden_size": ("state_size", "output_size"),
    "patience": ("early_stop",),
    "early_stopping": ("early_stop",),
    "num_epochs": ("epochs",),
    "random_seed": ("seed",),
    "cv": ("cross_validation",),
    "hyperopt": ("tune",),
    "min": ("minimum", "at_least"),
    "max": ("maximum", "at_most"),
    "auc": ("roc_auc",),
    "rmse": ("root_mean_squared_error",),
    "mse": ("mean_squared_error",),
    "mae": ("mean_absolute_error",),
}
LIKELY = 0.7
SHOWN = 12
LONGEST = 40


def nearest(word: object, options: Iterable[str]) -> str | None:
    """Return the option that was most likely meant, if any comes near."""
    options = list(options)
    known = _ELSEWHERE.get(_plain(str(word)), ())
    for other in known:
        if other in options:
            return other
    by_plain = {_plain(option): option for option in options}
    found = difflib.get_close_matches(_plain(str(word)), by_plain, n=1, cutoff=LIKELY)
    return by_plain[found[0]] if found else None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def did_you_mean(word: object, options: Iterable[str], *, of: str = "known") -> str | None:
    """Hint at the nearest option, or list them all where none is near."""
    names = sorted(set(options))
    near = nearest(word, names)
    if near is not None:
        return f"did you mean `{near}`?"
    return f"{of}: {listed(names)}" if names else None


def listed(names: Iterable[object]) -> str:
    """Join names with commas, and say how many more there are when there are many."""
    words = [str(name) for name in names]
    rest = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def shown(value: object) -> str:
    """Spell a value as the author wrote it, shortened."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}`"
