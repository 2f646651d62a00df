"""From a spec to a served, watched prediction, as a user goes it, on every real component."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from modelyard.runs import safe_run_id
from modelyard.stack.airflow_api import RunState
from modelyard.store.database import open_store
from modelyard.tracking import registry
from tests.e2e.conftest import Yard
from tests.e2e.screenshots import logged_in, picture

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
DAG = "train_digits-cnn"


@pytest.fixture(scope="module")
def demo(yard: Yard) -> str:
    """What `modelyard demo` printed; it finds the stack running and leaves it so."""
    done = yard.modelyard("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_trains_through_airflow_and_deploys(demo: str) -> None:
    for stage in ("pull", "train", "evaluate", "register", "deploy"):
        assert re.search(rf"{stage}: success", demo), stage


def test_the_demo_predicts_real_images_nearly_all_right(demo: str) -> None:
    right, sent = map(int, re.findall(r"(\d+) of (\d+) right", demo)[0])
    assert sent >= 60
    assert right / sent >= 0.9


def test_the_demo_finds_no_drift_in_test_data_and_drift_in_changed_data(demo: str) -> None:
    verdicts = re.findall(r"^drift: (.*)", demo, re.MULTILINE)
    assert verdicts[0].startswith("No drift")
    assert verdicts[1].startswith("Drift in")


def test_the_reports_open_without_a_network(demo: str, yard: Yard) -> None:
    reports = sorted((yard.settings.home / "reports" / "digits-cnn").glob("*.html"))
    assert len(reports) >= 2
    for report in reports:
        assert str(report) in demo
        assert not re.search(r"(src|href)=[\"']?(https?:)?//", report.read_text())


def test_one_run_id_stands_in_airflow_mlflow_the_log_and_the_database(
    demo: str, yard: Yard
) -> None:
    (airflow_run,) = re.findall(rf"run (\S+) of DAG {DAG}", demo)
    run = safe_run_id(f"digits-cnn.{airflow_run}")
    champion = registry.champion(yard.client, "digits-cnn")
    assert champion is not None
    assert champion.run == run
    assert (yard.settings.home / "runs" / run / "run.log").is_file()
    with open_store(yard.settings.database_url) as store:
        assert {row.run for row in store.predictions("digits-cnn", last=20)} == {run}
        assert run in {entry.run for entry in store.ledger("digits-cnn", 10)}


@pytest.mark.usefixtures("demo")
def test_the_endpoint_says_what_it_serves_and_refuses_what_it_cannot_read(yard: Yard) -> None:
    with httpx.Client(base_url=yard.client.endpoint, timeout=30) as client:
        assert client.get("/health").json()["status"] == "ok"
        info = client.get("/model-info").json()
        assert "digits-cnn" in json.dumps(info)
        refused = client.post("/predict", json={"rows": [{"imagee": "x"}]})
        assert refused.status_code == 422
        (first, *_) = refused.json()["errors"]
        assert first["row"] == 1
        assert "image" in json.dumps(refused.json())


@pytest.mark.usefixtures("demo")
def test_pressing_trigger_again_trains_nothing_and_registers_nothing_twice(yard: Yard) -> None:
    before = [version.version for version in registry.versions(yard.client, "digits-cnn")]
    run = yard.api.trigger(DAG, {})
    *_, last = yard.api.follow(DAG, run, 300)
    assert last.state is RunState.SUCCESS
    (split,) = [task for task in last.tasks if task.task_id == "split"]
    assert any("split" in line for line in yard.api.task_log(DAG, run, split))
    after = [version.version for version in registry.versions(yard.client, "digits-cnn")]
    assert after == before


@pytest.mark.usefixtures("demo")
def test_the_pages_look_as_in_the_readme(yard: Yard, tmp_path: Path) -> None:
    """Take the README's picture anew; it is kept when MODELYARD_SCREENSHOTS names a folder."""
    import os

    folder = Path(os.environ.get("MODELYARD_SCREENSHOTS", tmp_path))
    with logged_in(yard.airflow) as page:
        url = yard.airflow.url
        saved = [
            picture(page, f"{url}/dags", "digits-cnn", folder / "airflow-dags.png"),
            picture(page, f"{url}/dags/{DAG}", DAG, folder / "airflow-digits-cnn.png"),
        ]
    assert all(file.stat().st_size > 20_000 for file in saved)


@pytest.mark.usefixtures("demo")
def test_modelyards_pages_work_inside_of_airflows_frame(yard: Yard) -> None:
    """The frame's sandbox lets forms through, and links to Airflow lead the window around it."""
    with logged_in(yard.airflow) as page:
        page.goto(f"{yard.airflow.url}/plugin/modelyard")
        frame = page.frame_locator("iframe")
        frame.get_by_role("link", name="Models and traffic").click()
        frame.get_by_label("Version", exact=True).fill("1")
        frame.get_by_role("button", name="Promote").click()
        frame.get_by_text("Nothing to change").wait_for()
        frame.get_by_role("link", name="Specs").click()
        frame.get_by_role("link", name="Trigger the training of digits-cnn").click()
        page.wait_for_url(f"**/dags/{DAG}*")
        page.get_by_text(DAG).first.wait_for()


@pytest.mark.usefixtures("demo")
def test_status_shows_every_service_healthy_and_only_on_this_machine(yard: Yard) -> None:
    status = json.loads(yard.modelyard("status", "--json").stdout)
    assert status["healthy"], status
    names = {service["service"] for service in status["services"]}
    assert {"mlflow", "ray", "airflow-api-server", "airflow-scheduler", "serving"} <= names


@pytest.mark.nightly  # test_mlflow_loads_the_registered_version_in_a_fresh_process does it in each run
@pytest.mark.usefixtures("demo")
def test_the_served_model_loads_and_predicts_with_plain_mlflow(yard: Yard) -> None:
    import subprocess
    import sys

    code = (
        "import sys, glob, pandas, mlflow\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/digits-cnn@champion')\n"
        "image = sorted(glob.glob(sys.argv[2] + '/stages/pull/*/data/images/*.png'))[0]\n"
        "print('predicted', model.predict(pandas.DataFrame({'image': [image]}))['label'][0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, yard.client.tracking_uri, str(yard.settings.home)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "predicted 0" in done.stdout, done.stderr
