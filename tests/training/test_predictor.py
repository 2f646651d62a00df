"""The model answers rows as MLflow and the endpoint give them, in this process and a fresh one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelyard.errors import DataError
from modelyard.training.predictor import Predictor, image_bytes, plain
from tests.training.samples import Chain

FRESH = """
import json, sys
import mlflow, pandas as pd
from pathlib import Path
from tests.training.samples import iris_rows, iris_spec, save_split, workspace_in
from modelyard.training.build import build
from modelyard.training.log import Untracked
from modelyard.training.train import train

rows = iris_rows()
answers = mlflow.pyfunc.load_model("models:/iris/1").predict(rows.head(5))
workspace = workspace_in(Path(sys.argv[1]))
split = save_split(workspace, rows)
trained = train(iris_spec(), split, build(iris_spec(), split, workspace), workspace, Untracked())
print(json.dumps({"answers": answers.to_dict("records"), "weights": trained.weights_hash}))
"""


@pytest.fixture(scope="module")
def elsewhere(iris: Chain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What another process says: another hash seed, another folder, MLflow's own loader."""
    folder = tmp_path_factory.mktemp("fresh")
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": iris.workspace.settings.tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONHASHSEED": "12345",
    }
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.heavy
def test_mlflow_loads_the_registered_version_in_a_fresh_process(
    iris: Chain, elsewhere: dict[str, Any]
) -> None:
    here = Predictor(iris.workspace.path(iris.trained.model)).predict(iris.rows.head(5))
    assert [row["species"] for row in elsewhere["answers"]] == here["species"].tolist()
    assert elsewhere["answers"][0]["species_probability"] == pytest.approx(
        here["species_probability"][0]
    )


@pytest.mark.heavy
def test_a_fresh_process_trains_the_same_weights(iris: Chain, elsewhere: dict[str, Any]) -> None:
    assert elsewhere["weights"] == iris.trained.weights_hash


@pytest.mark.heavy
def test_answers_are_plain_python(iris: Chain) -> None:
    answers = Predictor(iris.workspace.path(iris.trained.model)).predict(iris.rows.head(2))
    assert list(answers) == ["species", "species_probability", "species_probabilities"]
    row = answers.iloc[0].to_dict()
    assert json.loads(json.dumps(row)) == row
    assert sum(row["species_probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert max(row["species_probabilities"], key=row["species_probabilities"].get) == row["species"]


@pytest.mark.heavy
def test_a_missing_column_is_named(iris: Chain) -> None:
    predictor = Predictor(iris.workspace.path(iris.trained.model))
    with pytest.raises(DataError, match="the rows have no petal_length"):
        predictor.predict(iris.rows.drop(columns="petal_length"))


def images(chain: Chain) -> list[bytes]:
    folder = chain.workspace.path(chain.split.folder)
    return [(folder / path).read_bytes() for path in chain.rows["image"]]


@pytest.mark.heavy
def test_an_image_may_be_a_path_bytes_or_base64(digits: Chain) -> None:
    file = digits.workspace.path(digits.split.folder) / digits.rows["image"][0]
    data = file.read_bytes()
    text = base64.b64encode(data).decode()
    given = [str(file), data, text, f"data:image/png;base64,{text}"]
    predictor = Predictor(digits.workspace.path(digits.trained.model))
    answers = predictor.predict(pd.DataFrame({"image": given}))
    assert len(set(answers["label_probability"])) == 1
    assert all(type(label) is str for label in answers["label"])


@pytest.mark.heavy
def test_an_answer_depends_on_its_own_image_alone(digits: Chain) -> None:
    """Ludwig's lazy mode answers the second call with the first one's images."""
    predictor, given = Predictor(digits.workspace.path(digits.trained.model)), images(digits)[:6]
    together = predictor.predict(pd.DataFrame({"image": given}))["label_probability"]
    for number, data in enumerate(given):
        alone = predictor.predict(pd.DataFrame({"image": [data]}))["label_probability"][0]
        assert alone == pytest.approx(together[number], abs=1e-5)


@pytest.mark.heavy
def test_answers_are_those_of_the_evaluation(digits: Chain) -> None:
    table = pd.read_parquet(digits.workspace.path(digits.evaluation.predictions))
    given = [images(digits)[row] for row in table["row"]]
    predictor = Predictor(digits.workspace.path(digits.trained.model))
    answers = predictor.predict(pd.DataFrame({"image": given}))
    assert answers["label"].tolist() == table["label.prediction"].tolist()
    assert answers["label_probability"].tolist() == pytest.approx(
        table["label.probability"].tolist(), abs=1e-5
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.5, "a float is no image"),
        (None, "a NoneType is no image"),
        ("no such file.png", "neither a file that exists nor base64"),
        (b"no image", "not an image, or a broken one"),
        ("AAAA", "not an image, or a broken one"),
    ],
)
def test_what_is_no_image_is_refused_with_row_and_column(value: object, said: str) -> None:
    with pytest.raises(DataError, match=f"row 4, photo: {said}"):
        image_bytes(value, 4, "photo")


def test_numpys_values_become_pythons() -> None:
    import numpy as np

    value = plain([np.float32(0.5), (np.int64(2), "a"), np.arange(2)])
    assert value == [0.5, [2, "a"], [0, 1]]
    assert json.dumps(value) == '[0.5, [2, "a"], [0, 1]]'
