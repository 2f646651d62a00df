"""Profiles: small mergeable summaries of tables, made by whylogs.

The only module that knows whylogs, which is no longer maintained: another sketching library
would replace this file and nothing else.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from modelyard.errors import MonitoringError

if TYPE_CHECKING:
    import pandas as pd

# Names that NumPy 2 dropped and whylogs 1.6.4 still uses, also long after its import.
DROPPED: Final = {
    "unicode_": "str_",
    "float_": "float64",
    "string_": "bytes_",
    "complex_": "complex128",
}


class Frequent(BaseModel):
    """A value that occurs often."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: str = Field(description="The value, as text.")
    count: int = Field(description="About how often.")


class ColumnSummary(BaseModel):
    """What a profile says of one column."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    count: int = Field(description="Rows.")
    missing: int = Field(description="Rows without a value.")
    distinct: float = Field(description="About how many different values.")
    mean: float | None = Field(description="Mean of the numbers; null where there are none.")
    std: float | None = Field(description="Their standard deviation.")
    minimum: float | None = Field(description="The smallest number.")
    median: float | None = Field(description="About the middle number.")
    maximum: float | None = Field(description="The largest number.")
    frequent: tuple[Frequent, ...] = Field(description="The most frequent values, first to last.")


class Profile:
    """A profile that grows batch by batch; one thread at a time."""

    def __init__(self) -> None:
        self._profile = _whylogs().DatasetProfile()

    def track(self, frame: pd.DataFrame) -> None:
        """Add a table's rows; they may have other columns than those before."""
        if not len(frame) or not len(frame.columns):
            return
        with warnings.catch_warnings(), _translated("profile a table"):
            # Infinities make its arithmetic warn; they are counted all the same.
            warnings.simplefilter("ignore", RuntimeWarning)
            self._profile.track(frame)

    def to_bytes(self) -> bytes:
        """Return the profile so far, as whylogs writes it."""
        with _translated("write a profile"):
            return bytes(self._profile.view().serialize())


def profile_frame(frame: pd.DataFrame) -> bytes:
    """Profile a table."""
    profile = Profile()
    profile.track(frame)
    return profile.to_bytes()


def merge(profiles: Iterable[bytes]) -> bytes:
    """Return one profile of all rows of several; raise MonitoringError if there are none."""
    views = [_read(content) for content in profiles]
    if not views:
        message = "there are no profiles to merge"
        raise MonitoringError(message)
    merged = views[0]
    with _translated("merge profiles"):
        for view in views[1:]:
            merged = merged.merge(view)
        return bytes(merged.serialize())


def merge_files(paths: Iterable[Path]) -> bytes:
    """Return one profile of several files."""
    return merge(path.read_bytes() for path in paths)


def write_profile(content: bytes, path: Path) -> None:
    """Write a profile so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def summarise(content: bytes) -> dict[str, ColumnSummary]:
    """Return what a profile says of each column."""
    with warnings.catch_warnings(), _translated("read a profile"):
        warnings.simplefilter("ignore", RuntimeWarning)
        columns = _read(content).get_columns()
        return {name: _summary(column.to_summary_dict()) for name, column in columns.items()}


def _summary(values: dict[str, Any]) -> ColumnSummary:
    numbers = int(values.get("distribution/n", 0)) > 0

    def number(key: str) -> float | None:
        found = values.get(f"distribution/{key}") if numbers else None
        return float(found) if found is not None and math.isfinite(found) else None

    return ColumnSummary(
        count=int(values.get("counts/n", 0)),
        missing=int(values.get("counts/null", 0)),
        distinct=float(values.get("cardinality/est", 0.0)),
        mean=number("mean"),
        std=number("stddev"),
        minimum=number("min"),
        median=number("median"),
        maximum=number("max"),
        frequent=tuple(
            Frequent(value=str(item.value), count=int(item.est))
            for item in (values.get("frequent_items/frequent_strings") or [])[:10]
        ),
    )


def _read(content: bytes) -> Any:
    with _translated("read a profile"):
        return _whylogs().DatasetProfileView.deserialize(content)


class _translated:  # noqa: N801 - reads as a clause of `with`
    """Turn whatever whylogs raises into a MonitoringError; it has no common root of its own."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, MonitoringError):
            message = f"whylogs could not {self._doing}: {type(error).__name__}: {error}"
            raise MonitoringError(message) from error


@cache
def _whylogs() -> Any:
    """Import whylogs, made to work with NumPy 2 and to call nobody."""
    os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
    import numpy as np

    for name, today in DROPPED.items():
        if name not in np.__dict__:
            setattr(np, name, getattr(np, today))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from whylogs import core
    logging.getLogger("whylogs").setLevel(logging.ERROR)
    return core
