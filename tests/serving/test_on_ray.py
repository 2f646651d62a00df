"""Real versions of a real model on a real Ray cluster, over real HTTP."""

from __future__ import annotations

import base64
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard import serve_control
from modelyard.errors import ServingError
from modelyard.rollout.moves import Author
from modelyard.settings import Settings
from modelyard.store.database import open_store
from modelyard.store.records import LedgerEntry, PredictionRecord, Variant
from modelyard.workspace import Workspace
from tests.serving.cluster import (
    cluster,
    processes,
    register,
    train,
    wait_for_dashboard,
)

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ludwig's and MLflow's own
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # the same
    pytest.mark.filterwarnings("ignore::UserWarning"),  # the same
]
ME = Author("a test")


@dataclass
class Served:
    """What is served, and a client of it."""

    settings: Settings
    client: httpx.Client
    images: list[bytes]
    answered: list[str] = field(default_factory=list)

    def post(self, images: list[bytes], key: str | None = None) -> dict[str, Any]:
        rows = [{"image": base64.b64encode(image).decode()} for image in images]
        headers = {} if key is None else {"X-Sticky-Key": key}
        response = self.client.post("/predict", json={"rows": rows}, headers=headers)
        response.raise_for_status()
        document: dict[str, Any] = response.json()
        self.answered.extend(item["id"] for item in document["predictions"])
        return document

    def records(self) -> list[PredictionRecord]:
        with open_store(self.settings.database_url) as store:
            return store.predictions("digits", last=None)

    def lost(self) -> set[str]:
        """Ids that were answered and are not in the database."""
        return set(self.answered) - {record.id for record in self.records()}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """Train once, register it as two versions, and serve both, the first with all the traffic."""
    with cluster() as settings:
        workspace = Workspace(settings)
        made = train(workspace)
        for number in (1, 2):
            register(workspace, made, number)
        decide(settings)
        wait_for_dashboard(settings)
        serve_control.sync(settings)
        images = [(workspace.path(made[0].folder) / f"{n}.png").read_bytes() for n in range(20)]
        with httpx.Client(base_url=settings.endpoint, trust_env=False, timeout=60) as client:
            yield Served(settings, client, images)


def decide(settings: Settings) -> None:
    """Write into the database what should be served, so that both versions start side by side."""
    variants = [
        Variant(model="digits", version=1, weight=1, role="champion"),
        Variant(model="digits", version=2, weight=0, role="challenger"),
    ]
    entry = LedgerEntry(
        model="digits", action="deploy", before={}, after={"1": 1, "2": 0}, reason="test", by="test"
    )
    with open_store(settings.database_url) as store:
        store.move("digits", variants, entry)


APPS = ("modelyard", "modelyard-digits-v1")


def settled(settings: Settings) -> dict[str, list[int]]:
    """The processes once those that answer run: Serve calls them updating while they take a table."""
    found: dict[str, list[int]] = {}

    def all_run() -> bool:
        found.clear()
        found.update(processes(settings))
        return all(found.get(app) for app in APPS)

    eventually(all_run)
    return found


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.1)


def test_answers_are_those_of_the_model_itself(served: Served) -> None:
    import pandas as pd

    from modelyard.tracking import registry
    from modelyard.training.predictor import Predictor

    folder = registry.download(served.settings, "digits", 1)
    [model_folder] = [path for path in (folder / "data").iterdir() if path.is_dir()]
    expected = Predictor(Path(model_folder)).predict(pd.DataFrame({"image": served.images}))
    answers = served.post(served.images)["predictions"]
    assert [item["label"]["prediction"] for item in answers] == [
        str(value) for value in expected["label"]
    ]
    assert [item["label"]["probability"] for item in answers] == pytest.approx(
        list(expected["label_probability"]), abs=1e-5
    )
    assert all(abs(sum(item["label"]["probabilities"].values()) - 1) < 1e-4 for item in answers)


def test_an_uploaded_image_gets_the_same_answer(served: Served) -> None:
    response = served.client.post(
        "/models/digits/predict", files=[("image", ("x.png", served.images[3]))]
    )
    [uploaded] = response.json()["predictions"]
    [sent] = served.post([served.images[3]])["predictions"]
    assert uploaded["label"]["prediction"] == sent["label"]["prediction"]


def test_wrong_rows_are_refused_by_row_and_field(served: Served) -> None:
    rows = [{"image": base64.b64encode(served.images[0]).decode()}, {"image": "aGVsbG8="}]
    response = served.client.post("/predict", json={"rows": rows})
    assert response.status_code == 422
    [problem] = response.json()["errors"]
    assert (problem["row"], problem["field"]) == (2, "image")


def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    response = served.client.post("/predict", content=b"x" * (11 * 1024 * 1024))
    assert response.status_code == 413


def test_pages_are_served(served: Served) -> None:
    assert "digits" in served.client.get("/").text
    assert "/models/{name}/predict" in served.client.get("/docs").text
    [model] = served.client.get("/model-info").json()["models"]
    assert model["variants"][0]["run"] == "run-1"
    assert 0 <= model["variants"][0]["metrics"]["label.accuracy"] <= 1
    assert model["variants"][0]["signature"]["inputs"][0]["column"] == "image"


def test_predictions_are_in_the_database_with_measures_of_the_image(served: Served) -> None:
    served.post(served.images)
    eventually(lambda: not served.lost())
    newest = served.records()[0]
    assert newest.run == "run-1"
    assert newest.inputs["image.width"] == 8
    assert set(newest.outputs) == {"label"}


def test_both_versions_answer_and_a_key_stays_with_its_version(served: Served) -> None:
    serve_control.split(served.settings, "digits", {1: 1, 2: 1}, ME)
    seen: dict[str, set[int]] = {}
    for number in range(40):
        key = f"user-{number % 20}"
        answer = served.post([served.images[0]], key)
        seen.setdefault(key, set()).add(answer["predictions"][0]["version"])
    assert all(len(versions) == 1 for versions in seen.values())
    assert {version for versions in seen.values() for version in versions} == {1, 2}


def test_no_request_fails_while_weights_move_and_nothing_restarts(served: Served) -> None:
    before = settled(served.settings)
    counted: Counter[int] = Counter()
    done = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=served.settings.endpoint, trust_env=False, timeout=60) as client:
            while not done.is_set():
                files = {"image": ("x.png", served.images[0])}
                counted[client.post("/predict", files=files).status_code] += 1

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(1, 6):
        serve_control.split(served.settings, "digits", {1: 1 - step / 10, 2: step / 10}, ME)
    done.set()
    for thread in threads:
        thread.join()
    assert set(counted) == {200}
    assert counted[200] > 10
    assert settled(served.settings) == before


def test_roll_back_to_a_warm_version_takes_a_moment(served: Served) -> None:
    serve_control.promote(served.settings, "digits", 2, ME)
    assert served.post([served.images[0]])["predictions"][0]["version"] == 2
    begun = time.monotonic()
    serve_control.rollback(served.settings, "digits", ME)
    assert time.monotonic() - begun < 5
    assert served.post([served.images[0]])["predictions"][0]["version"] == 1


def test_a_version_that_cannot_start_changes_nothing_for_callers(served: Served) -> None:
    before = settled(served.settings)
    with (
        serve_control.rollout(served.settings) as control,
        pytest.raises(ServingError, match=r"v99 did not start: digits has no version 99"),
    ):
        control.promote("digits", 99, ME)
    assert served.post([served.images[0]])["predictions"][0]["version"] == 1

    def as_before() -> bool:
        """What an earlier test took away may still go."""
        after = settled(served.settings)
        same = all(after[app] == before[app] for app in APPS)
        return same and "modelyard-digits-v99" not in after

    eventually(as_before)


def test_an_endpoint_that_is_killed_comes_back_and_has_logged_what_it_answered(
    served: Served,
) -> None:
    [before] = settled(served.settings)["modelyard"]
    served.post(served.images)
    eventually(lambda: not served.lost())
    os.kill(before, signal.SIGKILL)
    eventually(lambda: processes(served.settings)["modelyard"] not in ([before], []), 60)
    assert served.post([served.images[0]])["predictions"][0]["version"] == 1


def test_a_graceful_stop_loses_no_prediction(served: Served) -> None:
    served.post(served.images)
    serve_control.shut_down(served.settings)
    assert not served.lost()
    with pytest.raises(httpx.HTTPError):
        served.client.get("/health")
