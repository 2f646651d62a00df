"""A real Prometheus reads the endpoint; every panel and every rule then has something to say."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.programs import found
from tests.deploy.scene import KEY, Scene, watched_endpoint
from tests.deploy.test_files import DASHBOARD, DEPLOY

PATIENCE_S = 60
VARIABLES = {"$model": ".*", "$window": ".*", "$__rate_interval": "30s"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with watched_endpoint(tmp_path_factory.mktemp("scene")) as made:
        yield made


@pytest.fixture(scope="module")
def prometheus(scene: Scene) -> Iterator[str]:
    """Prometheus with the configuration that ships, reading this endpoint every second."""
    program = found("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed: run scripts/install_prometheus.sh")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    log = scene.folder / "prometheus.log"
    with log.open("wb") as stream:
        command = [program, f"--config.file={configured(scene)}"]
        command += [f"--storage.tsdb.path={scene.folder / 'tsdb'}"]
        command += [f"--web.listen-address={address}"]
        server = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        _wait(f"http://{address}", server, scene, log)
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(30)


def configured(scene: Scene) -> Path:
    """Write the shipped configuration with this endpoint's address and key."""
    folder = scene.folder / "prometheus"
    shutil.copytree(DEPLOY / "prometheus", folder)
    file = folder / "prometheus.yml"
    settings = yaml.safe_load(file.read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [job] = settings["scrape_configs"]
    (folder / "key").write_text(KEY.text)
    job["authorization"] = {"credentials_file": "key"}
    job["static_configs"] = [{"targets": [scene.address]}]
    file.write_text(yaml.safe_dump(settings))
    return file


def _wait(url: str, server: subprocess.Popen[bytes], scene: Scene, log: Path) -> None:
    """Wait for enough readings that a rate can be told, while requests go on."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and server.poll() is None:
        scene.predict()
        try:
            found = ask(url, 'count_over_time(up{job="modelyard"}[1m])')
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if found and float(found[0]["value"][1]) >= 3:
            return
        time.sleep(0.2)
    pytest.fail(log.read_text(), pytrace=False)


def ask(url: str, expression: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}).json()
    assert answer.get("status") == "success", (expression, answer)
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def test_every_panel_has_data(prometheus: str) -> None:
    empty = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found = ask(prometheus, expression)
            if not found or any(one["value"][1] == "NaN" for one in found if len(found) == 1):
                empty.append((panel["title"], expression))
    assert empty == []


def test_the_variables_of_the_dashboard_have_values(prometheus: str) -> None:
    for name in ("model", "window"):
        answer = httpx.get(f"{prometheus}/api/v1/label/{name}/values").json()
        assert answer["data"]


def test_every_rule_can_be_evaluated_and_those_that_should_fire_do(prometheus: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        groups = httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        if all(rule["health"] == "ok" for rule in rules.values()) or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert {name for name, rule in rules.items() if rule["health"] != "ok"} == set()
    # Waits a quarter of an hour for somebody to acknowledge it.
    assert rules["ModelyardAlertCritical"]["state"] == "pending"
    assert rules["ModelyardEndpointDown"]["state"] == "inactive"
