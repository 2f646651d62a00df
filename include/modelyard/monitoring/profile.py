"""Profiles: small mergeable summaries of tables, made by whylogs.

The only module that knows whylogs, which is no longer maintained: another sketching library
would replace this file and nothing else. Only its public classes are used, but its way to take a
table is not: that looks at each value in Python, and here NumPy and pandas look at whole columns.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from modelyard.errors import MonitoringError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    type Numbers = np.ndarray[Any, np.dtype[np.float64]]

# The share of values below any one is off by 0.0018 at most in 99 of 100 profiles (KLL sketch,
# Karnin, Lang and Liberty 2016), for some 42 KB a column; up to about 2,000 values it is exact.
SKETCH_K: Final = 2048
# Up to 3,072 different values are counted exactly, three quarters of this power of two.
WORDS_LOG2: Final = 12
LONGEST_WORD: Final = 200
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


@dataclass(frozen=True, slots=True)
class ColumnSketch:
    """What tests need of one column: its distribution, exactly or nearly so."""

    count: int
    """Rows, with and without a value."""
    missing: int
    """Rows without a value."""
    values: int
    """Numbers in the sketch; 0 where the column has words."""
    cdf: Callable[[Numbers], Numbers] | None
    """The share of the numbers that are at most x, for each x in any order; None for words."""
    quantiles: Callable[[Numbers], Numbers] | None
    """The number below which each of these shares (0 to 1) lies; None for words."""
    error: float
    """How far `cdf` may be off, in 99 of 100 profiles; 0 where it is exact."""
    mean: float | None
    """Of the numbers, exactly; None for words."""
    std: float | None
    """Of the numbers, exactly (n - 1); None for words."""
    minimum: float | None
    """The smallest number, exactly."""
    maximum: float | None
    """The largest number, exactly."""
    frequencies: dict[str, int] | None
    """Each word and how often it occurs, all of them and exactly; None where the column has numbers
    or more words than are counted exactly (some 3,000)."""
    distinct: float
    """About how many different values."""


class Profile:
    """A profile that grows batch by batch; one thread at a time."""

    def __init__(self) -> None:
        _whylogs()  # a fault of the import shows here, before there is anything to lose
        self._seen: dict[str, set[object]] = {}
        self._begun = datetime.now(UTC)
        self._metrics: dict[str, dict[str, Any]] = {}

    def track(self, frame: pd.DataFrame) -> None:
        """Add a table's rows; they may have other columns than those before."""
        if not len(frame) or not len(frame.columns):
            return
        with warnings.catch_warnings(), _translated("profile a table"):
            # Infinities make its arithmetic warn; they are counted all the same.
            warnings.simplefilter("ignore", RuntimeWarning)
            for name, column in frame.items():
                self._track(str(name), column)

    def _track(self, name: str, column: pd.Series) -> None:
        # A column without values comes as floats, and may have words later.
        if column.dtype not in self._seen.setdefault(name, set()):
            self._seen[name].add(column.dtype)
            self._metrics[name] = {**_metrics(name, column), **self._metrics.get(name, {})}
        seen = _preprocessed(column)
        for metric in self._metrics[name].values():
            metric.columnar_update(seen)

    def to_bytes(self) -> bytes:
        """Return the profile so far, as whylogs writes it."""
        core = _whylogs()
        with _translated("write a profile"):
            columns = {
                name: core.ColumnProfileView(metrics) for name, metrics in self._metrics.items()
            }
            view = core.DatasetProfileView(
                columns=columns, dataset_timestamp=self._begun, creation_timestamp=self._begun
            )
            return bytes(view.serialize())


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


def sketches(content: bytes) -> dict[str, ColumnSketch]:
    """Return what tests need of each column of a profile; no type of whylogs leaves this room."""
    with _translated("read a profile"):
        columns = _read(content).get_columns()
        return {name: _sketch(column) for name, column in columns.items()}


def _sketch(column: Any) -> ColumnSketch:
    counts, spread = column.get_metric("counts"), column.get_metric("distribution")
    distinct = column.get_metric("cardinality")
    numbers = int(spread.kll.value.get_n()) if spread is not None else 0
    kll = spread.kll.value if numbers else None

    def number(value: float) -> float | None:
        return float(value) if numbers and math.isfinite(value) else None

    return ColumnSketch(
        count=int(counts.n.value),
        missing=int(counts.null.value),
        values=numbers,
        cdf=_cdf(kll) if kll is not None else None,
        quantiles=_quantiles(kll) if kll is not None else None,
        error=kll.normalized_rank_error(True)
        if kll is not None and kll.is_estimation_mode()
        else 0.0,
        mean=number(spread.avg) if spread is not None else None,
        std=number(spread.stddev) if spread is not None else None,
        minimum=number(spread.min) if spread is not None else None,
        maximum=number(spread.max) if spread is not None else None,
        frequencies=_frequencies(column.get_metric("frequent_items")) if kll is None else None,
        distinct=float(distinct.hll.value.get_estimate()) if distinct is not None else 0.0,
    )


def _cdf(kll: Any) -> Callable[[Numbers], Numbers]:
    """Read shares off a sketch, which takes different numbers only, in rising order."""

    def cdf(points: Numbers) -> Numbers:
        import numpy as np

        asked, where = np.unique(np.asarray(points, dtype="float64"), return_inverse=True)
        shares = np.asarray(kll.get_cdf(asked.tolist(), inclusive=True)[:-1], dtype="float64")
        found: Numbers = shares[where]
        return found

    return cdf


def _quantiles(kll: Any) -> Callable[[Numbers], Numbers]:
    def quantiles(shares: Numbers) -> Numbers:
        import numpy as np

        asked = np.asarray(shares, dtype="float64")
        return np.asarray(kll.get_quantiles(asked.tolist()), dtype="float64")

    return quantiles


def _frequencies(metric: Any) -> dict[str, int] | None:
    """All words and their counts; None where some were forgotten, which spoils the others too."""
    if metric is None:
        return {}
    items = metric.strings
    if any(item.lower != item.upper for item in items):
        return None
    counts = {str(item.value): int(item.est) for item in items}
    total = int(metric.frequent_strings.value.get_total_weight())
    return counts if sum(counts.values()) == total else None


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


def _metrics(name: str, column: pd.Series) -> dict[str, Any]:
    """What whylogs measures of a column of this type, all at nothing."""
    core = _whylogs()
    config = core.MetricConfig(
        large_kll_k=False,
        kll_k=SKETCH_K,
        fi_lg_max_k=WORDS_LOG2,
        max_frequent_item_size=LONGEST_WORD,
    )
    schema = core.ColumnSchema(dtype=column.dtype, cfg=config)
    metrics: dict[str, Any] = schema.get_metrics(name)
    return metrics


def _preprocessed(column: pd.Series) -> Any:
    """Divide a column as whylogs does; columns of floats and of text without a loop over values."""
    import numpy as np
    import pandas as pd

    core = _whylogs()
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "string":
        seen = core.preprocessing.PreprocessedColumn()
        seen.pandas.strings = column.dropna()
        seen.null_count = len(column) - len(seen.pandas.strings)
    elif isinstance(column.dtype, np.dtype) and column.dtype.kind == "f":
        seen = core.preprocessing.PreprocessedColumn()
        values = column.to_numpy(dtype="float64")
        seen.numpy.floats = values[~np.isnan(values)]
        seen.null_count = seen.nan_count = len(values) - len(seen.numpy.floats)
        seen.inf_count = int(np.isinf(values).sum())
    else:
        return core.preprocessing.PreprocessedColumn.apply(column)
    seen.len = len(column)
    return seen


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
        from whylogs.core import preprocessing  # noqa: F401 - an attribute of core from here on
    logging.getLogger("whylogs").setLevel(logging.ERROR)
    _read_faster()
    return core


def _read_faster() -> None:
    """Let whylogs make a class for each kind of component that it reads, and not for each component.

    To make a class takes most of the time of reading: 30 of 40 ms for 20 columns.
    """
    from whylogs.core.metrics.metric_components import MetricComponent

    slowly, classes = MetricComponent.from_protobuf.__func__, {}

    def from_protobuf(cls: Any, msg: Any, registries: Any = None) -> Any:
        kind = (msg.WhichOneof("value"), msg.type_id)
        if registries is not None or kind not in classes:
            made = slowly(cls, msg, registries)
            if registries is None:
                classes[kind] = type(made)
            return made
        made = classes[kind](None)
        made.set(made._deserializer(msg=msg))  # noqa: SLF001 - as whylogs itself does here
        return made

    MetricComponent.from_protobuf = classmethod(from_protobuf)
