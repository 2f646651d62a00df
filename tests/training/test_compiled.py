"""A compiled model answers as Ludwig does, and where it would not, Ludwig serves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modelyard.artifacts import Evaluation
from modelyard.features import ModelSignature
from modelyard.training.compiled import (
    CompiledModel,
    NotCompiledError,
    load,
    loading,
    making,
    open_compiled,
)
from modelyard.training.compiled.loading import read_record
from modelyard.training.compiled.making import compile_model
from modelyard.training.compiled.plan import FILE, GRAPH, Compiled, Output
from modelyard.training.compiled.proving import Answers, Proof, TestRows, batches, prove
from modelyard.training.predictor import Predictor
from modelyard.training.signature import describe
from tests.training.samples import Chain

APART = """
import json, sys, time
from pathlib import Path
from modelyard.training.compiled import open_compiled
rows = json.loads(sys.argv[2])
answers = open_compiled(Path(sys.argv[1]), threads=1).answer(rows)
heavy = [name for name in ("ludwig", "torchvision", "pandas", "mlflow", "ray") if name in sys.modules]
print(json.dumps({"answers": answers, "heavy": heavy}))
"""


def folder_of(chain: Chain) -> Path:
    assert chain.evaluation.compiled is not None
    return chain.workspace.path(chain.evaluation.compiled)


def changed(source: Path, destination: Path, **changes: Any) -> Path:
    """Copy a compiled folder with some of its record changed."""
    shutil.copytree(source, destination)
    record = json.loads((destination / FILE).read_text()) | changes
    (destination / FILE).write_text(json.dumps(record))
    return destination


@dataclass(frozen=True, slots=True)
class ByLudwig:
    """A model as Ludwig loads it, and its predictions of the test rows."""

    model: Path
    loaded: Any
    test: pd.DataFrame
    predicted: pd.DataFrame

    @property
    def rows(self) -> list[dict[str, Any]]:
        table = self.test.drop(columns=["species", "split"])
        return [
            {str(name): value for name, value in row.items()} for row in table.to_dict("records")
        ]

    def compile(self, folder: Path) -> Compiled:
        return compile_model(self.model, self.loaded, self.test, self.predicted, folder).record

    def prove(self, model: Answers) -> Proof:
        return prove(model, describe(self.model), self.test, self.predicted)


@pytest.fixture(scope="module")
def ludwig(iris: Chain) -> ByLudwig:
    model = iris.workspace.path(iris.trained.model)
    loaded = Predictor(model)._model
    test = iris.rows[iris.rows["split"] == 2].reset_index(drop=True)
    predicted, _ = loaded.predict(dataset=test)
    return ByLudwig(model, loaded, test, predicted)


@pytest.mark.heavy
def test_the_evaluation_leaves_a_proved_predictor(iris: Chain) -> None:
    record = read_record(folder_of(iris))
    assert (record.engine, record.reason) == ("compiled", None)
    assert record.rows == (iris.rows["split"] == 2).sum()
    assert 0 <= record.difference <= record.tolerance == 1e-5
    assert "torch" in record.libraries
    assert record.weights == iris.trained.weights_hash


@pytest.mark.heavy
def test_another_process_answers_the_same_without_ludwig(iris: Chain, ludwig: ByLudwig) -> None:
    done = subprocess.run(
        [sys.executable, "-c", APART, str(folder_of(iris)), json.dumps(ludwig.rows)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["heavy"] == []
    expected = Predictor(ludwig.model).predict(ludwig.test)
    for answer, wanted in zip(said["answers"], expected.to_dict("records"), strict=True):
        assert answer["species"]["prediction"] == wanted["species"]
        assert answer["species"]["probability"] == pytest.approx(wanted["species_probability"])
        assert answer["species"]["probabilities"] == pytest.approx(
            wanted["species_probabilities"], abs=1e-5
        )


@pytest.mark.heavy
@pytest.mark.parametrize("count", [0, 1, 2, 17, 1000])
def test_any_number_of_rows_is_answered_each_as_alone(
    iris: Chain, ludwig: ByLudwig, count: int
) -> None:
    compiled, rows = open_compiled(folder_of(iris)), ludwig.rows
    given = [rows[number % len(rows)] for number in range(count)]
    answers = compiled.answer(given)
    assert len(answers) == count
    for row, answer in list(zip(given, answers, strict=True))[:20]:
        [alone] = compiled.answer([row])
        assert alone["species"]["prediction"] == answer["species"]["prediction"]
        assert alone["species"]["probability"] == pytest.approx(answer["species"]["probability"])


@pytest.mark.heavy
def test_weights_that_are_a_little_off_are_not_proved_and_ludwig_serves(
    ludwig: ByLudwig, tmp_path: Path
) -> None:
    import torch

    network = ludwig.loaded.model
    kept = {name: one.clone() for name, one in network.state_dict().items()}
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(1.001)
    try:
        record = ludwig.compile(tmp_path)
    finally:
        network.load_state_dict(kept)
    assert record.engine == "ludwig"
    assert record.reason is not None
    assert "and Ludwig" in record.reason
    assert not (tmp_path / GRAPH).exists()
    with pytest.raises(NotCompiledError, match="and Ludwig"):
        open_compiled(tmp_path)
    assert load(tmp_path) is None


@pytest.mark.heavy
def test_a_network_that_cannot_be_traced_costs_no_evaluation(
    ludwig: ByLudwig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def fail(*_arguments: object, **_options: object) -> None:
        message = "no trace of it"
        raise RuntimeError(message)

    monkeypatch.setattr(torch.jit, "trace", fail)
    record = ludwig.compile(tmp_path)
    assert record.reason == "compiling failed: RuntimeError: no trace of it"
    assert making.said(record).startswith("not compiled, Ludwig serves it: compiling failed")


class Wrong:
    """Changes one answer of a compiled model."""

    def __init__(self, compiled: CompiledModel, part: str, value: object) -> None:
        self._compiled = compiled
        self._change = {part: value}

    def answer(self, rows: Any) -> list[Output]:
        answers = self._compiled.answer(rows)
        answers[-1]["species"] |= self._change  # type: ignore[arg-type]
        return answers


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("prediction", "tulip"),
        ("probability", 0.123),
        ("probability", None),
        ("probabilities", {"setosa": 1.0}),
        ("more", 1.0),
    ],
)
def test_one_wrong_answer_breaks_the_proof(
    iris: Chain, ludwig: ByLudwig, part: str, value: object
) -> None:
    compiled = open_compiled(folder_of(iris))
    assert ludwig.prove(compiled).rows == len(ludwig.test)
    with pytest.raises(NotCompiledError, match="test row 0"):
        ludwig.prove(Wrong(compiled, part, value))


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"libraries": {"torch": "1.0"}}, "it was proved with torch 1.0, and here is"),
        ({"graph": "0" * 64}, "is not the one that was proved"),
        ({"format": 99}, "has format 99"),
        ({"engine": "ludwig", "reason": "of the moon"}, "of the moon"),
        ({"plan": None}, "gives no plan"),
        ({"unknown": 1}, "is broken, or of another Modelyard"),
    ],
)
def test_what_was_not_proved_here_is_not_used(
    iris: Chain, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    folder = changed(folder_of(iris), tmp_path / "compiled", **changes)
    with pytest.raises(NotCompiledError, match=says):
        open_compiled(folder)


@pytest.mark.heavy
def test_a_graph_that_is_none_is_not_used(iris: Chain, tmp_path: Path) -> None:
    folder = changed(folder_of(iris), tmp_path / "compiled")
    (folder / GRAPH).write_bytes(b"no archive")
    changed(folder, tmp_path / "again", graph=loading.digest(folder / GRAPH))
    with pytest.raises(NotCompiledError, match="torch cannot read"):
        open_compiled(tmp_path / "again")


def test_a_version_from_before_has_none(tmp_path: Path) -> None:
    with pytest.raises(NotCompiledError, match="made without a compiled predictor"):
        open_compiled(tmp_path)


def test_an_evaluation_from_before_can_still_be_read() -> None:
    old = {"key": "k", "metrics": {}, "predictions": "p", "passed": True, "gate": []}
    assert Evaluation.model_validate(old).compiled is None


@pytest.mark.parametrize("count", [0, 1, 3, 9, 100, 1000])
def test_every_test_row_is_compared_once_and_the_first_alone(count: int) -> None:
    cut = list(batches(count))
    assert [number for start, end in cut for number in range(start, end)] == list(range(count))
    if count:
        assert cut[0] == (0, 1)
    if count >= 400:
        assert {end - start for start, end in cut} >= {1, 2, 5, 64, 250}


def test_rows_are_compared_as_the_endpoint_sends_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"png")
    kinds = {"size": "number", "sex": "category", "photo": "image", "text": "text"}
    signature = ModelSignature.model_validate(
        {
            "inputs": [
                {"name": name, "column": name, "type": kind, "required": False}
                for name, kind in kinds.items()
            ],
            "outputs": [],
        }
    )
    table = pd.DataFrame(
        {
            "size": [3, None],
            "sex": [1, 2],
            "photo": [str(tmp_path / "a.png"), b"bytes"],
            "text": ["a", None],
        }
    )
    rows = TestRows(signature, table)
    assert list(rows) == [
        {"size": 3.0, "sex": "1", "photo": b"png", "text": "a"},
        {"size": None, "sex": "2", "photo": b"bytes", "text": None},
    ]


def test_a_record_outlives_its_file() -> None:
    record = Compiled(engine="ludwig", reason="why")
    assert Compiled.model_validate_json(record.model_dump_json()) == record
