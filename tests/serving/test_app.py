"""The HTTP interface: what it answers, and how it refuses."""

from __future__ import annotations

import base64
import json
import re

import pytest

from modelyard.store.records import Variant
from serving.http.limits import MOST_BYTES
from serving.requests.bodies import MOST_ROWS
from tests.serving.fakes import Endpoint, picture

ROW = {"length": 1.5}


def champion(model: str, version: int = 1) -> Variant:
    return Variant(model=model, version=version, weight=1, role="champion")


def test_a_row_is_answered_with_id_version_and_every_output(endpoint: Endpoint) -> None:
    answer = endpoint.client.post("/predict", json={"rows": [ROW]}).json()
    assert answer["model"] == "flowers"
    [prediction] = answer["predictions"]
    assert re.fullmatch(r"[0-9a-f]{32}", prediction["id"])
    assert prediction["version"] == 3
    assert prediction["kind"] == {
        "prediction": "a",
        "probability": 0.75,
        "probabilities": {"a": 0.75, "b": 0.25},
    }


def test_a_batch_is_answered_in_order_with_an_id_each(endpoint: Endpoint) -> None:
    rows = [{"length": float(number)} for number in range(100)]
    answer = endpoint.client.post("/models/flowers/predict", json={"rows": rows}).json()
    assert len({item["id"] for item in answer["predictions"]}) == 100
    [(app, sent)] = endpoint.backend.asked
    assert app == "modelyard-flowers-v3"
    assert [row["length"] for row in sent] == list(range(100))


def test_an_uploaded_image_is_one_row(endpoint: Endpoint) -> None:
    endpoint.route(champion("digits"))
    response = endpoint.client.post("/predict", files={"image": ("3.png", picture())})
    assert response.status_code == 200
    [(_, [row])] = endpoint.backend.asked
    assert row["image"] == picture()


def test_several_uploaded_images_are_as_many_rows(endpoint: Endpoint) -> None:
    endpoint.route(champion("digits"))
    files = [("image", (f"{shade}.png", picture(shade=shade))) for shade in (10, 20, 30)]
    answer = endpoint.client.post("/predict", files=files).json()
    assert len(answer["predictions"]) == 3


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_an_image_in_base64_is_decoded(endpoint: Endpoint, head: str) -> None:
    endpoint.route(champion("digits"))
    text = head + base64.b64encode(picture()).decode()
    response = endpoint.client.post("/predict", json={"rows": [{"image": text}]})
    assert response.status_code == 200
    assert endpoint.backend.asked[0][1][0]["image"] == picture()


def test_a_form_may_carry_plain_columns(endpoint: Endpoint) -> None:
    response = endpoint.client.post("/predict", data={"length": "1.5", "colour": "red"})
    assert response.status_code == 200
    assert endpoint.backend.asked[0][1][0] == {
        "length": 1.5,
        "width": None,
        "colour": "red",
        "wild": None,
    }


def test_fields_of_a_form_that_differ_in_count_are_refused(endpoint: Endpoint) -> None:
    body = {"length": ["1", "2"], "colour": "red"}
    problem = endpoint.client.post("/predict", data=body).json()
    assert problem["errors"][0]["field"] == "colour"
    assert "give each field once a row" in problem["detail"]


def test_a_wrong_row_is_refused_as_a_problem_document_naming_row_and_field(
    endpoint: Endpoint,
) -> None:
    response = endpoint.client.post("/predict", json={"rows": [ROW, {"length": "abc"}]})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "/docs#invalid",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "row 2, field length: must be a number, and is text 'abc'",
        "instance": "/predict",
        "request": response.headers["x-request-id"],
        "errors": [{"row": 2, "field": "length", "message": "must be a number, and is text 'abc'"}],
    }
    assert endpoint.backend.asked == []


def test_every_wrong_field_is_named_at_once(endpoint: Endpoint) -> None:
    rows = [{"lenght": 1.0}, {"length": True}]
    problem = endpoint.client.post("/predict", json={"rows": rows}).json()
    assert [(item["row"], item["field"]) for item in problem["errors"]] == [
        (1, "lenght"),
        (1, "length"),
        (2, "length"),
    ]
    assert "2 more below" in problem["detail"]


def test_the_list_of_problems_is_bounded(endpoint: Endpoint) -> None:
    problem = endpoint.client.post("/predict", json={"rows": [{}] * 500}).json()
    assert len(problem["errors"]) == 100
    assert "499 more" in problem["detail"]


def test_nan_as_python_writes_it_is_refused_by_row_and_field(endpoint: Endpoint) -> None:
    response = endpoint.client.post(
        "/predict",
        content='{"rows": [{"length": NaN}]}',
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "length"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("[" * 100_000, 400),
        ('{"rows": [NaN', 400),
        ("\x80\x81", 400),
        ("[]", 422),
        ("null", 422),
        ('{"rows": {}}', 422),
        ('{"rows": []}', 422),
        ('{"rows": [1]}', 422),
        ('{"rows": [null]}', 422),
        ('{"rows": [{"length": 1e999}]}', 422),
        ('{"rows": [{"length": %s}]}' % ("9" * 5000), 422),
        ('{"rows": [{"length": {"a": 1}}]}', 422),
        ('{"rows": [{"length": 1}], "extra": 1}', 422),
    ],
)
def test_broken_bodies_are_refused(endpoint: Endpoint, body: str, status: int) -> None:
    response = endpoint.client.post("/predict", content=body.encode("latin-1"))
    assert response.status_code in {status, 400}, response.text
    assert response.status_code == status or "not JSON" in response.json()["detail"]
    assert response.headers["content-type"] == "application/problem+json"


def test_too_many_rows_are_refused(endpoint: Endpoint) -> None:
    response = endpoint.client.post("/predict", json={"rows": [ROW] * (MOST_ROWS + 1)})
    assert response.status_code == 413
    assert str(MOST_ROWS) in response.json()["detail"]


def test_a_body_that_says_it_is_too_large_is_refused_unread(endpoint: Endpoint) -> None:
    response = endpoint.client.post(
        "/predict", content=b"{}", headers={"content-length": str(MOST_BYTES + 1)}
    )
    assert response.status_code == 413


def test_a_body_that_turns_out_too_large_is_refused(endpoint: Endpoint) -> None:
    pieces = (b"x" * 1_000_000 for _ in range(12))
    response = endpoint.client.post("/predict", content=pieces)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


def test_another_content_type_is_refused(endpoint: Endpoint) -> None:
    response = endpoint.client.post(
        "/predict", content=b"a,b", headers={"content-type": "text/csv"}
    )
    assert response.status_code == 415


def test_a_broken_form_is_refused(endpoint: Endpoint) -> None:
    response = endpoint.client.post(
        "/predict", content=b"nothing", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


def test_an_unknown_model_is_refused_with_the_names_that_exist(endpoint: Endpoint) -> None:
    response = endpoint.client.post("/models/trees/predict", json={"rows": [ROW]})
    assert response.status_code == 404
    assert "flowers" in response.json()["detail"]


def test_without_a_model_the_endpoint_says_how_to_get_one(endpoint: Endpoint) -> None:
    endpoint.clear()
    response = endpoint.client.post("/predict", json={"rows": [ROW]})
    assert response.status_code == 503
    assert "modelyard run" in response.json()["detail"]


def test_with_several_models_one_must_be_named(endpoint: Endpoint) -> None:
    endpoint.route(champion("flowers"), champion("digits"))
    response = endpoint.client.post("/predict", json={"rows": [ROW]})
    assert response.status_code == 400
    assert "digits, flowers" in response.json()["detail"]
    named = endpoint.client.post("/models/flowers/predict", json={"rows": [ROW]})
    assert named.status_code == 200


def test_a_model_that_still_starts_asks_to_come_again(endpoint: Endpoint) -> None:
    endpoint.route(Variant(model="flowers", version=1, weight=0, role="challenger"))
    response = endpoint.client.post("/predict", json={"rows": [ROW]})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"


def test_the_same_sticky_key_gets_the_same_version(endpoint: Endpoint) -> None:
    endpoint.route(
        Variant(model="flowers", version=3, weight=0.5, role="champion"),
        Variant(model="flowers", version=4, weight=0.5, role="challenger"),
    )
    answered: dict[str, set[int]] = {}
    for number in range(60):
        key = f"user-{number % 20}"
        answer = endpoint.client.post(
            "/predict", json={"rows": [ROW]}, headers={"X-Sticky-Key": key}
        ).json()
        answered.setdefault(key, set()).add(answer["predictions"][0]["version"])
    assert all(len(versions) == 1 for versions in answered.values())
    assert {version for versions in answered.values() for version in versions} == {3, 4}


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", "/predict")])
def test_unknown_paths_and_methods_are_problem_documents_too(
    endpoint: Endpoint, method: str, path: str
) -> None:
    response = endpoint.client.request(method, path)
    assert response.status_code in {404, 405}
    assert response.headers["content-type"] == "application/problem+json"


def test_a_fault_of_the_endpoint_shows_no_traceback(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(endpoint.backend, "predict", fail)
    response = endpoint.client.post("/predict", json={"rows": [ROW]})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "ZeroDivision" not in response.text


def test_health_says_what_is_served_and_how_the_log_does(endpoint: Endpoint) -> None:
    health = endpoint.client.get("/health").json()
    assert health["status"] == "ok"
    assert health["models"] == ["flowers"]
    empty = {"queued": 0, "written": 0, "dropped": 0, "failing": None, "waiting_s": 0.0}
    assert health["prediction_log"] == empty
    endpoint.clear()
    assert endpoint.client.get("/health").json()["status"] == "empty"


def test_health_names_another_revision_once_the_routes_change(endpoint: Endpoint) -> None:
    before = endpoint.client.get("/health").json()["revision"]
    endpoint.route(champion("flowers", 4))
    assert endpoint.client.get("/health").json()["revision"] != before


def test_model_info_describes_every_variant(endpoint: Endpoint) -> None:
    endpoint.route(
        Variant(model="flowers", version=3, weight=3, role="champion"),
        Variant(model="flowers", version=4, weight=1, role="challenger"),
    )
    [model] = endpoint.client.get("/model-info").json()["models"]
    [first, second] = model["variants"]
    assert (first["share"], second["share"]) == (0.75, 0.25)
    assert first["run"] == "run-1"
    assert first["metrics"] == {"kind.accuracy": 0.9}
    assert first["signature"]["inputs"][0]["column"] == "length"
    assert endpoint.client.get("/models/flowers").json() == {"models": [model]}


def test_model_info_says_of_a_variant_that_does_not_answer_that_it_starts(
    endpoint: Endpoint,
) -> None:
    endpoint.backend.down.add("modelyard-flowers-v3")
    [model] = endpoint.client.get("/model-info").json()["models"]
    assert model["variants"][0]["state"] == "starting"
    assert endpoint.client.get("/").status_code == 200


def test_the_docs_page_names_every_path_of_the_openapi_document(endpoint: Endpoint) -> None:
    page = endpoint.client.get("/docs").text
    document = endpoint.client.get("/openapi.json").json()
    needed = {"/predict", "/models/{name}/feedback", "/v2/models/{name}/infer", "/invocations"}
    assert needed < set(document["paths"])
    assert all(path in page for path in document["paths"])


def test_the_openapi_document_says_that_refusals_are_problem_documents(
    endpoint: Endpoint,
) -> None:
    document = endpoint.client.get("/openapi.json").json()
    for path, method in (("/predict", "post"), ("/health", "get")):
        refusal = document["paths"][path][method]["responses"]["4XX"]
        assert list(refusal["content"]) == ["application/problem+json"]
    assert "ProblemDocument" in document["components"]["schemas"]


def test_curl_may_send_json_and_say_that_it_is_a_form(endpoint: Endpoint) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = b' {"rows": [{"length": 1.5}]}'
    assert endpoint.client.post("/predict", content=body, headers=headers).status_code == 200


def test_hostile_names_are_cut_and_answered_soon(endpoint: Endpoint) -> None:
    row = {f"{number}{'x' * 300}": 1 for number in range(10_000)}
    response = endpoint.client.post("/predict", json={"rows": [row]})
    assert response.status_code == 422
    assert len(response.content) < 50_000


def test_every_answered_row_is_logged_under_its_id(endpoint: Endpoint) -> None:
    answer = endpoint.client.post("/predict", json={"rows": [ROW, {"length": 2}]}).json()
    endpoint.log.close()
    records = endpoint.sink.records
    assert [record.id for record in records] == [item["id"] for item in answer["predictions"]]
    assert len({record.request for record in records}) == 1
    assert records[0].outputs == {"kind": "a"}
    assert records[0].probability == {"kind": 0.75}
    assert records[0].run == "run-1"
    assert records[0].latency_ms == 1.5


def test_a_refused_request_is_not_logged(endpoint: Endpoint) -> None:
    endpoint.client.post("/predict", json={"rows": [{"length": "abc"}]})
    endpoint.log.close()
    assert endpoint.sink.records == []


def test_the_openapi_document_is_plain_json(endpoint: Endpoint) -> None:
    assert json.loads(endpoint.client.get("/openapi.json").text)["info"]["title"] == "Modelyard"
