"""Probes, figures, alerts and labels over HTTP."""

from __future__ import annotations

import httpx
import pytest

from tests.serving.fakes import Endpoint
from tests.serving.live import Live

ROW = {"length": 1.5}


def test_metrics_are_prometheus_text_or_json_as_asked(endpoint: Endpoint) -> None:
    endpoint.client.post("/predict", json={"rows": [ROW]})
    text = endpoint.client.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    assert 'modelyard_rows_total{model="flowers",version="3"} 1.0' in text.text
    figures = endpoint.client.get("/metrics", headers={"accept": "application/json"}).json()
    assert figures["models"][0]["variants"][0]["version"] == 3
    assert figures["in_flight"] == 0


def test_ready_is_503_with_reasons_until_every_champion_answers(endpoint: Endpoint) -> None:
    assert endpoint.client.get("/ready").json()["reasons"] == []
    endpoint.backend.down.add("modelyard-flowers-v3")
    unready = endpoint.client.get("/ready")
    assert unready.status_code == 503
    assert "flowers" in unready.json()["reasons"][0]
    endpoint.clear()
    assert "no model" in endpoint.client.get("/ready").json()["reasons"][0]


def test_labels_are_kept_and_wrong_ones_named_by_the_row_that_was_sent(live: Live) -> None:
    answer = httpx.post(f"{live.url}/models/flowers/predict", json={"rows": [ROW]}).json()
    identity = answer["predictions"][0]["id"]
    url = f"{live.url}/models/flowers/feedback"
    right = {"id": identity, "outputs": {"kind": "a"}}
    saved = httpx.post(url, json={"labels": [right]})
    assert saved.json() == {"model": "flowers", "saved": 1, "replaced": 0, "unknown": []}
    twice = {"id": identity, "outputs": {"kind": "a", "size": 1}}
    refusal = httpx.post(url, json={"labels": [twice, {"id": identity, "value": "zzz"}]})
    assert refusal.status_code == 422
    assert [item["row"] for item in refusal.json()["errors"]] == [1, 2]


@pytest.mark.parametrize("body", [{}, {"labels": {}}, {"labels": [], "a": 1}, [], {"labels": [1]}])
def test_what_is_no_list_of_labels_is_refused(endpoint: Endpoint, body: object) -> None:
    refusal = endpoint.client.post("/feedback", json=body)
    assert refusal.status_code == 422
    assert refusal.json()["errors"]


def test_labels_come_as_json_only_and_not_too_many(endpoint: Endpoint) -> None:
    assert endpoint.client.post("/feedback", data={"labels": "1"}).status_code == 415
    many = {"labels": [{"id": "a", "outputs": {str(at): 1 for at in range(600)}}] * 2}
    assert endpoint.client.post("/feedback", json=many).status_code == 413
    assert endpoint.client.post("/feedback", json={"labels": [{}] * 1001}).status_code == 413
