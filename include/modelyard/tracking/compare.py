"""Two versions side by side: what they reached, what they were made from, and if chance explains it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.errors import TrackingError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.tracking.kept import PREDICTIONS, SPEC, kept, read_json, run_of
from modelyard.tracking.paired import Paired, mcnemar, sign_flips
from modelyard.tracking.params import flatten
from modelyard.tracking.run_log import FINAL

if TYPE_CHECKING:
    from mlflow.entities import Run
    from pandas import DataFrame

type Both = tuple[str | None, str | None]
DATA = {
    "data_hash": "rows and split",
    "dvc_hash": "data (DVC)",
    "data_revision": "data revision",
}
CODE = {
    "mlflow.source.git.commit": "commit",
    "modelyard.git_changes_hash": "uncommitted changes",
    "modelyard.environment_hash": "packages",
}
NO_PREDICTIONS = "no predictions are kept of {name}: it was evaluated by an older Modelyard"


class Comparison(BaseModel):
    """The second model against the first; where both are equal, nothing is listed but metrics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str = Field(description="What the second is compared with.")
    second: str = Field(description="What is compared.")
    metrics: dict[str, tuple[float | None, float | None]] = Field(description="On each test split.")
    parameters: dict[str, Both] = Field(description="Those that differ, defaults included.")
    spec: dict[str, Both] = Field(description="Keys of the spec outside `model` that differ.")
    data: dict[str, Both] = Field(description="Hashes and revisions of the data that differ.")
    code: dict[str, Both] = Field(description="Code and packages that differ.")
    tests: dict[str, Paired] = Field(description="The paired test of each output.")
    note: str | None = Field(description="Why there is no paired test.")


def compare_runs(settings: Settings, first: tuple[str, str], second: tuple[str, str]) -> Comparison:
    """Compare two runs, each given as what to call it and its MLflow id.

    Raises:
        TrackingError: MLflow cannot be reached, or has lost a run.
    """
    one, other = run_of(settings, first[1]), run_of(settings, second[1])
    tests, note = _paired(settings, (first[0], one), (second[0], other))
    return Comparison(
        first=first[0],
        second=second[0],
        metrics=_both(_measured(one), _measured(other)),
        parameters=differing(one.data.params, other.data.params),
        spec=differing(_spec(settings, one), _spec(settings, other)),
        data=differing(_tags(one, DATA), _tags(other, DATA)),
        code=differing(_tags(one, CODE), _tags(other, CODE)),
        tests=tests,
        note=note,
    )


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, Both]:
    """What two sets of named values do not agree in."""
    return {name: pair for name, pair in _both(first, second).items() if pair[0] != pair[1]}


def _both[T](
    first: Mapping[str, T], second: Mapping[str, T]
) -> dict[str, tuple[T | None, T | None]]:
    names = sorted({*first, *second})
    return {name: (first.get(name), second.get(name)) for name in names}


def _measured(run: Run) -> dict[str, float]:
    return {
        name.removeprefix(FINAL): value
        for name, value in run.data.metrics.items()
        if name.startswith(FINAL)
    }


def _tags(run: Run, names: Mapping[str, str]) -> dict[str, str]:
    tags = run.data.tags
    found = {label: tags.get(name, tags.get(f"modelyard.{name}")) for name, label in names.items()}
    return {label: value for label, value in found.items() if value}


def _spec(settings: Settings, run: Run) -> dict[str, str]:
    """Every key outside `model`, defaults too: what a spec left unsaid is no difference."""
    spec = read_json(settings, run, SPEC)
    with contextlib.suppress(ValidationError):  # another Modelyard's spec is compared as written
        spec = Spec.model_validate(spec).model_dump(mode="json")
    return flatten({key: value for key, value in spec.items() if key not in {"model", "name"}})


def _paired(
    settings: Settings, first: tuple[str, Run], second: tuple[str, Run]
) -> tuple[dict[str, Paired], str | None]:
    """Test the outputs that both have, or say why that is not possible."""
    one, other = (_measured_on(run) for _, run in (first, second))
    if one != other or not one[0]:
        return {}, "no paired test is possible: they were measured on other data or another split"
    tables = []
    for name, run in (first, second):
        with kept(settings, run, PREDICTIONS) as file:
            if file is None:
                return {}, NO_PREDICTIONS.format(name=name)
            tables.append(_read(str(file)))
    if tables[0].index.tolist() != tables[1].index.tolist():
        return {}, "no paired test is possible: they were measured on other test rows"
    tests = paired_tests(*tables)
    return tests, None if tests else "no output of both can be tested in pairs"


def _measured_on(run: Run) -> tuple[str, str]:
    """Rows with their split, and the files that they may name, such as images."""
    tags = run.data.tags
    return tags.get("modelyard.data_hash", ""), tags.get("modelyard.dvc_hash", "")


def _read(file: str) -> DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(file).set_index("row").sort_index()
    except (OSError, ValueError, KeyError) as error:
        message = f"{file} cannot be read: {error}"
        raise TrackingError(message) from error


def paired_tests(first: DataFrame, second: DataFrame) -> dict[str, Paired]:
    """Test each output of two tables of predictions of the same rows: labels, numbers, masks."""
    tests = {}
    for column in first.columns.intersection(second.columns):
        output, _, kind = column.rpartition(".")
        if kind == "dice":
            tests[output] = sign_flips(first[column].tolist(), second[column].tolist(), "Dice")
        elif kind == "truth" and first[column].equals(second[column]):
            tests[output] = _test_answers(output, first, second)
    return tests


def _test_answers(output: str, first: DataFrame, second: DataFrame) -> Paired:
    from pandas.api.types import is_float_dtype

    truth, answer = f"{output}.truth", f"{output}.prediction"
    tables = (first, second)
    if is_float_dtype(first[truth]):
        one, other = ((table[answer] - table[truth]).abs().tolist() for table in tables)
        return sign_flips(one, other)
    right = ((table[answer] == table[truth]).tolist() for table in tables)
    return mcnemar(*right)
