"""What Prometheus and Grafana are given names what the endpoint exports, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import found
from tests.deploy.scene import Scene, watched_endpoint

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "modelyard.json"
RULES = DEPLOY / "prometheus" / "alerts.yml"
METRIC = re.compile(r"\bmodelyard_[a-z0-9_]+")
SUFFIX = re.compile(r"_(?:bucket|count|sum|created)$")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with watched_endpoint(tmp_path_factory.mktemp("scene")) as made:
        yield made


@pytest.fixture(scope="module")
def families(scene: Scene) -> dict[str, str]:
    """Each exported metric as it is queried, with its type."""
    typed = re.findall(r"^# TYPE (\S+) (\S+)$", scene.scrape(), re.MULTILINE)
    return {name: kind for name, kind in typed if not name.endswith("_created")}


def expressions() -> list[str]:
    """Every expression of the dashboard and of the rules."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return shown + [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_metric_that_is_asked_for_exists(families: dict[str, str]) -> None:
    asked = {SUFFIX.sub("", name) for text in expressions() for name in METRIC.findall(text)}
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    asked |= {name for one in variables for name in METRIC.findall(json.dumps(one["query"]))}
    assert len(asked) > 30
    assert asked - families.keys() == set()


def test_the_dashboard_shows_every_metric(families: dict[str, str]) -> None:
    shown = {SUFFIX.sub("", name) for text in expressions() for name in METRIC.findall(text)}
    assert families.keys() - shown == {"modelyard_database_read_timestamp_seconds"}


def test_the_documentation_lists_every_metric_and_no_other(families: dict[str, str]) -> None:
    told = set(METRIC.findall((ROOT / "docs" / "metrics.md").read_text()))
    assert told == set(families)


def test_every_metric_says_what_it_is(scene: Scene, families: dict[str, str]) -> None:
    helped = dict(re.findall(r"^# HELP (\S+) (.+)$", scene.scrape(), re.MULTILINE))
    assert [name for name in families if not helped.get(name, "").endswith(".")] == []


def test_every_family_has_a_figure_once_everything_happened(
    scene: Scene, families: dict[str, str]
) -> None:
    sampled = {
        SUFFIX.sub("", name) for name in re.findall(r"^(\w+)[{ ]", scene.scrape(), re.MULTILINE)
    }
    assert families.keys() - sampled == set()


def test_panels_have_ids_of_their_own_and_do_not_lie_on_each_other() -> None:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert set(rule["annotations"]) == {"summary", "action"}


def test_every_rule_is_proved() -> None:
    proofs = yaml.safe_load((RULES.parent / "alerts_test.yml").read_text())["tests"]
    fired = {
        proof["alertname"]
        for one in proofs
        for proof in one["alert_rule_test"]
        if proof["exp_alerts"]
    }
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = {rule["alert"] for group in groups for rule in group["rules"]}
    assert rules == fired


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=["config", "rules"],
)
def test_prometheus_own_tool_agrees(arguments: tuple[str, ...]) -> None:
    promtool = found("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: run scripts/install_prometheus.sh")
    done = subprocess.run(
        [promtool, *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
