from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from pydantic import SecretStr

from modelyard.artifacts import SplitData
from modelyard.errors import ServingError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.stack.samples import Sample, altered, read_samples, send
from modelyard.workspace import Workspace
from tests.stack.conftest import Answers, Server

PREDICT = ("POST", "/models/digits/predict")


def at(url: str) -> Settings:
    return Settings(endpoint=url)


@pytest.fixture
def spec() -> Spec:
    inputs = [{"name": "image", "type": "image"}, {"name": "age", "type": "number"}]
    outputs = [{"name": "label", "type": "category"}]
    return Spec.model_validate(
        {
            "version": 1,
            "name": "digits",
            "data": {"path": "data/digits", "table": "labels.csv"},
            "model": {"input_features": inputs, "output_features": outputs},
        }
    )


@pytest.fixture
def workspace(settings: Settings) -> Workspace:
    return Workspace(settings)


@pytest.fixture
def split(workspace: Workspace) -> SplitData:
    folder = workspace.path("pulled")
    folder.mkdir(parents=True)
    rows = []
    for number in range(30):
        name = f"{number}.png"
        Image.new("L", (4, 4), number * 8).save(folder / name)
        part = 2 if number >= 10 else number % 2
        rows.append({"image": name, "age": float(number), "label": number % 10, "split": part})
    pd.DataFrame(rows).to_parquet(workspace.path("table.parquet"))
    values = {"key": "k", "table": "table.parquet", "folder": "pulled", "rows": (5, 5, 20)}
    others = {name: "x" for name in SplitData.model_fields if name not in values}
    return SplitData.model_construct(**values, **others)


def pixels(encoded: object) -> set[int]:
    with Image.open(io.BytesIO(base64.b64decode(str(encoded)))) as image:
        return set(image.convert("L").tobytes())


def test_only_rows_of_the_test_split_are_sent(
    spec: Spec, split: SplitData, workspace: Workspace
) -> None:
    samples = read_samples(spec, split, workspace, 100)
    assert len(samples) == 20
    assert all(int(Path(sample.name).stem) >= 10 for sample in samples)


def test_an_image_is_sent_as_it_is_on_disk(
    spec: Spec, split: SplitData, workspace: Workspace
) -> None:
    sample = read_samples(spec, split, workspace, 3)[0]
    file = workspace.path("pulled") / sample.name
    assert base64.b64decode(str(sample.row["image"])) == file.read_bytes()


def test_the_truth_is_not_sent(spec: Spec, split: SplitData, workspace: Workspace) -> None:
    sample = read_samples(spec, split, workspace, 1)[0]
    assert set(sample.row) == {"image", "age"}
    assert set(sample.truth) == {"label"}


def test_the_same_rows_are_drawn_each_time(
    spec: Spec, split: SplitData, workspace: Workspace
) -> None:
    first, second = (read_samples(spec, split, workspace, 8) for _ in range(2))
    assert first == second


def test_altered_images_are_negatives_and_numbers_larger(
    spec: Spec, split: SplitData, workspace: Workspace
) -> None:
    samples = read_samples(spec, split, workspace, 5)
    for before, after in zip(samples, altered(spec, samples), strict=True):
        assert pixels(after.row["image"]) == {255 - p for p in pixels(before.row["image"])}
        assert after.row["age"] == before.row["age"] * 1.5  # type: ignore[operator]
        assert after.truth == before.truth


def test_a_series_goes_as_a_list_and_a_packed_image_as_it_is(
    workspace: Workspace, split: SplitData
) -> None:
    inputs = [{"name": "wave", "type": "timeseries"}, {"name": "image", "type": "image"}]
    outputs = [{"name": "price", "type": "number"}]
    spec = Spec.model_validate(
        {
            "version": 1,
            "name": "waves",
            "data": {"path": "data/waves", "table": "waves.parquet"},
            "model": {"input_features": inputs, "output_features": outputs},
        }
    )
    rows = [{"wave": [1.0, 2.5], "image": b"PNG", "price": 1.23456, "split": 2}]
    pd.DataFrame(rows).to_parquet(workspace.path("table.parquet"))
    (sample,) = read_samples(spec, split, workspace, 5)
    assert sample.row == {"wave": [1.0, 2.5], "image": base64.b64encode(b"PNG").decode()}
    assert sample.truth == {"price": "1.235"}
    assert sample.has_labels is False
    (changed,) = altered(
        spec.model_copy(
            update={"model": {"input_features": inputs[:1], "output_features": outputs}}
        ),
        [sample],
    )
    assert changed.row["wave"] == [1.5, 3.75]


def test_numbers_and_masks_are_neither_right_nor_wrong(
    serve: Callable[[Answers], Server],
) -> None:
    server = serve(
        {PREDICT: (200, {"predictions": [{"id": "a", "version": 1, "price": {"prediction": 2.0}}]})}
    )
    sample = Sample("1", {}, {"price": "2"}, has_labels=False)
    (answer,) = send(at(server.url), "digits", [sample])
    assert answer.right is None
    assert answer.predictions == {"price": "2"}


def predict(server: Server) -> tuple[int, object]:
    rows = server.asked[-1][2]
    assert isinstance(rows, dict)
    answers = [
        {"id": f"id{n}", "version": 3, "label": {"prediction": "7", "probability": 0.5}}
        for n, _ in enumerate(rows["rows"])
    ]
    return 200, {"model": "digits", "predictions": answers}


def test_samples_go_in_small_batches_and_each_gets_its_answer(
    serve: Callable[[Answers], Server],
) -> None:
    server = serve({})
    server.answers[PREDICT] = lambda: predict(server)
    samples = [Sample(f"{n}", {"age": n}, {"label": str(n)}) for n in range(10)]
    answers = list(send(at(server.url), "digits", samples))
    assert [len(body["rows"]) for _, _, body in server.asked] == [8, 2]  # type: ignore[index, call-overload]
    assert [answer.sample for answer in answers] == samples
    assert [answer.sample.name for answer in answers if answer.right] == ["7"]
    assert answers[0].version == 3
    assert answers[0].probabilities == {"label": 0.5}


def test_a_refusal_of_the_endpoint_is_told(serve: Callable[[Answers], Server]) -> None:
    server = serve({PREDICT: (422, {"detail": "row 1: age is missing"})})
    with pytest.raises(ServingError, match=r"answered 422: .*age is missing"):
        list(send(at(server.url), "digits", [Sample("1", {}, {})]))


def test_an_endpoint_that_is_down_is_told() -> None:
    with pytest.raises(ServingError, match="does not answer as it should"):
        list(send(at("http://127.0.0.1:1"), "digits", [Sample("1", {}, {})]))


def test_an_endpoint_that_asks_for_a_key_is_shown_it(
    serve: Callable[[Answers], Server],
) -> None:
    server = serve({})
    server.answers[PREDICT] = lambda: predict(server)
    settings = Settings(endpoint=server.url, api_key=SecretStr("mdy_a_b"))
    list(send(settings, "digits", [Sample("1", {}, {"label": "1"})]))
    assert server.shown == ["Bearer mdy_a_b"]
    assert "mdy_a_b" not in repr(settings)
