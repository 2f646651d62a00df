"""MLflow's formats, sent by MLflow's own client."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from modelyard.rollout.routes import route_table
from modelyard.store.records import Variant
from modelyard.tracking.client import quiet
from serving.http.problems import Refusal
from serving.protocols.invocations_rows import rows_of_csv, rows_of_document
from tests.serving.fakes import DIGITS, FLOWERS, Endpoint, picture
from tests.serving.live import Live, SignedBackend


def client(live: Live, model: str | None = None) -> Any:
    """MLflow's client; a model is named by its path, for MLflow knows no names."""
    with quiet():
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient
    made = ScoringServerClient(*live.address.split(":"))
    if model is not None:
        made.url_prefix += f"/models/{model}"
    return made


def test_mlflow_pings_and_asks_the_version(live: Live) -> None:
    mlflow = client(live)
    mlflow.wait_server_ready(timeout=5)
    assert mlflow.get_version().count(".") == 2


def test_a_data_frame_is_answered_with_a_record_a_row(live: Live) -> None:
    frame = pd.DataFrame({"length": [1.5, 2.0], "colour": ["red", None], "wild": [True, False]})
    answer = client(live, "flowers").invoke(frame).get_predictions()
    assert list(answer.columns) == [
        "id",
        "version",
        "kind",
        "kind_probability",
        "kind_probabilities",
    ]
    assert answer["kind"].tolist() == ["a", "a"]
    assert live.backend.asked[-1][1] == [
        {"length": 1.5, "width": None, "colour": "red", "wild": "True"},
        {"length": 2.0, "width": None, "colour": None, "wild": "False"},
    ]


def test_params_choose_what_is_answered(live: Live) -> None:
    frame = pd.DataFrame({"length": [1.5]})
    answer = client(live, "flowers").invoke(frame, {"probabilities": False})
    assert list(answer.get_predictions().columns) == ["id", "version", "kind", "kind_probability"]


def test_an_array_is_a_row_a_line(live: Live) -> None:
    rows = np.array([[1.5, 0.5, "red", True], [2.5, None, "blue", False]], object)
    answer = client(live, "flowers").invoke(rows).get_predictions()
    assert len(answer) == 2
    assert [row["width"] for row in live.backend.asked[-1][1]] == [0.5, None]


def test_an_image_is_answered_as_base64(live: Live) -> None:
    frame = pd.DataFrame({"image": [base64.b64encode(picture()).decode()]})
    assert client(live, "digits").invoke(frame).get_predictions()["label"].tolist() == ["1"]


def test_a_wrong_value_is_named_in_what_mlflow_raises(live: Live) -> None:
    with pytest.raises(Exception, match="row 1, field length: must be a number"):
        client(live, "flowers").invoke(pd.DataFrame({"length": ["long"]}))


def test_csv_is_a_table_with_a_head(live: Live) -> None:
    body = pd.DataFrame({"length": [1.5, 2.5], "colour": ["red", None]}).to_csv(index=False)
    answer = httpx.post(
        f"{live.url}/models/flowers/invocations",
        content=body,
        headers={"content-type": "text/csv; charset=utf-8"},
    )
    assert len(answer.json()["predictions"]) == 2
    assert live.backend.asked[-1][1][1]["colour"] is None


def test_without_a_name_the_only_model_answers(endpoint: Endpoint) -> None:
    body = {"dataframe_records": [{"length": 1.5}]}
    assert endpoint.client.post("/invocations", json=body).status_code == 200
    both = [
        Variant(model=name, version=1, weight=1, role="champion") for name in ("flowers", "digits")
    ]
    endpoint.service.route_by(route_table(both))
    refusal = endpoint.client.post("/invocations", json=body)
    assert refusal.status_code == 400
    assert "digits, flowers" in refusal.json()["detail"]


def test_ping_is_503_until_every_model_answers(endpoint: Endpoint) -> None:
    assert endpoint.client.get("/ping").status_code == 200
    endpoint.backend.down.add("modelyard-flowers-v3")
    assert endpoint.client.get("/ping").status_code == 503


def rows(document: Any) -> list[Any]:
    return rows_of_document(document, FLOWERS)[0].rows


@pytest.mark.parametrize(
    "document",
    [
        {
            "dataframe_split": {
                "index": [0],
                "columns": ["length", "colour"],
                "data": [[1.5, "red"]],
            }
        },
        {"dataframe_records": [{"length": 1.5, "colour": "red"}]},
        {"instances": [{"length": 1.5, "colour": "red"}]},
        {"inputs": {"length": [1.5], "colour": ["red"]}},
        {"inputs": {"length": 1.5, "colour": "red"}},
    ],
)
def test_every_format_says_the_same_row(document: Any) -> None:
    assert rows(document) == [{"length": 1.5, "colour": "red"}]


def test_rows_may_be_lists_in_the_order_of_the_inputs() -> None:
    document = {"instances": [[1.5, 2.5, "red", True]]}
    assert rows(document) == [{"length": 1.5, "width": 2.5, "colour": "red", "wild": True}]


def test_a_model_of_one_input_takes_plain_values() -> None:
    assert rows_of_document({"inputs": ["abc"]}, DIGITS)[0].rows == [{"image": "abc"}]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"rows": []},
        {"instances": [], "inputs": []},
        {"instances": []},
        {"instances": 1},
        {"instances": [[1.5]]},
        {"instances": [1.5]},
        {"inputs": {}},
        {"inputs": {"length": [1], "width": [1, 2]}},
        {"instances": [{"length": 1}], "params": 1},
        {"dataframe_records": {"length": 1}},
        {"dataframe_split": []},
        {"dataframe_split": {"columns": ["a"]}},
        {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": [1], "data": [[1]]}},
    ],
)
def test_other_documents_are_refused(document: Any) -> None:
    with pytest.raises(Refusal) as caught:
        rows(document)
    assert caught.value.document.status == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"length", 422),
        (b"length,length\n1,2", 422),
        (b"length,width\n1", 422),
        (b'length\n"open', 400),
        (b"\xff\xfe", 400),
        (b"length\n" + b"1\n" * 1001, 413),
        (b"," * 300_000, 413),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        rows_of_csv(body)
    assert caught.value.document.status == status


def test_an_empty_cell_is_a_missing_value() -> None:
    assert rows_of_csv(b'length,colour\r\n1,\r\n2,"a,b"\r\n') == [
        {"length": "1", "colour": None},
        {"length": "2", "colour": "a,b"},
    ]


def test_a_mask_keeps_its_name_and_its_share(live: Live) -> None:
    frame = pd.DataFrame({"image": [base64.b64encode(picture()).decode()]})
    answer = client(live, "cells").invoke(frame, {"mask": "rle"}).get_predictions()
    assert answer["mask_share"].tolist() == [0.25]
    assert sum(answer["mask"][0]["lengths"]) == 12
    assert isinstance(live.backend, SignedBackend)
