"""What a model knows of its data before it learns: statistics of the training rows alone.

Ludwig takes means, deviations, vocabularies, lengths and values to fill gaps with from the whole
table, so that rows which the model must not know take part in its preprocessing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelyard.training.rows import SPLIT, TRAIN

if TYPE_CHECKING:
    from pandas import DataFrame

PLACES = {"build_metadata": 3, "build_preprocessing_parameters": 0}


@contextmanager
def training_rows_alone(rows: DataFrame) -> Iterator[None]:
    """Let Ludwig see only the training rows where it computes statistics of columns.

    Its two functions for that are wrapped for as long as the context lasts; what it makes of the
    other rows afterwards is what it would make of rows to predict.
    """
    from ludwig.data import preprocessing

    training = rows.index[rows[SPLIT] == TRAIN]
    originals = {name: getattr(preprocessing, name) for name in PLACES}
    for name, place in PLACES.items():
        setattr(preprocessing, name, _restricted(originals[name], place, training))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(preprocessing, name, original)


def _restricted(original: Callable[..., Any], place: int, training: Any) -> Callable[..., Any]:
    """Give the function's argument at `place`, columns by name, without the other rows."""

    def wrapped(*given: Any, **named: Any) -> Any:
        columns: Mapping[str, Any] = given[place]
        seen = {name: column[column.index.isin(training)] for name, column in columns.items()}
        return original(*given[:place], seen, *given[place + 1 :], **named)

    return wrapped
