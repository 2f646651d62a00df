"""The registry for programs and the command line: best, stages, comparisons, champions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from modelyard import ModelRegistry
from modelyard.cli.models import app
from modelyard.errors import TrackingError, UsageError
from modelyard.model_registry import stage_named, stage_of
from modelyard.settings import get_settings
from modelyard.store.database import open_store
from modelyard.tracking import registry
from modelyard.tracking.client import connect
from modelyard.tracking.runs import open_run
from modelyard.workspace import Workspace
from tests.tracking.samples import Made, answers, make, spec


def register(workspace: Workspace, made: Made) -> None:
    registry.register(spec(), workspace, made.split, made.trained, made.evaluation, run="run-1")


@pytest.fixture
def models(workspace: Workspace) -> ModelRegistry:
    """Two registered versions; the second is right on eight rows more."""
    register(workspace, make(workspace, "one", 0.8, answers(range(8))))
    register(workspace, make(workspace, "two", 1.0, answers()))
    return ModelRegistry(workspace.settings)


@pytest.fixture
def command(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MODELYARD_HOME", str(workspace.home))
    monkeypatch.setenv("MODELYARD_ENERGY_COUNTRY", "off")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False)


def aliases(models: ModelRegistry) -> dict[int, tuple[str, ...]]:
    return {one.version: one.aliases for one in registry.versions(models.settings, "flowers")}


def test_production_is_the_way_of_all_promotions(models: ModelRegistry) -> None:
    moved = models.transition_model_stage("flowers:2", "Production", "better on eight rows")
    assert stage_of(moved) == "Production"
    assert aliases(models) == {1: (), 2: ("champion",)}
    with open_store(models.settings.database_url) as store:
        assert [(v.version, v.role, v.weight) for v in store.variants("flowers")] == [
            (2, "champion", 1.0)
        ]
        assert store.ledger("flowers")[0].action == "promote"
    reign, before = models.history("flowers")
    assert (reign.version, reign.reason, reign.until) == (2, "better on eight rows", None)
    assert (before.version, before.by, before.until) == (1, "register", reign.since)


def test_a_champion_that_was_never_served_is_in_the_history(models: ModelRegistry) -> None:
    (reign,) = models.history("flowers")
    assert (reign.version, reign.run, reign.until) == (1, "run-1", None)
    assert models.history("other") == []


def test_staging_is_the_challenger_and_leaves_the_champion(models: ModelRegistry) -> None:
    models.transition_model_stage("flowers:2", "archived")
    assert aliases(models) == {1: ("champion",), 2: ()}
    moved = models.transition_model_stage("flowers:2", "STAGING")
    assert stage_of(moved) == "Staging"
    assert aliases(models) == {1: ("champion",), 2: ("challenger",)}


def test_archived_takes_a_deployed_version_away(models: ModelRegistry) -> None:
    models.transition_model_stage("flowers:1", "production")
    models.transition_model_stage("flowers:2", "staging")
    moved = models.transition_model_stage("flowers:2", "archived")
    assert stage_of(moved) == "Archived"
    with open_store(models.settings.database_url) as store:
        assert [item.version for item in store.variants("flowers")] == [1]
        assert store.ledger("flowers")[0].action == "withdraw"


@pytest.mark.parametrize("stage", ["Staging", "Archived"])
def test_the_champion_needs_a_successor_first(models: ModelRegistry, stage: str) -> None:
    with pytest.raises(UsageError, match=r"flowers 1 is in Production.*models promote"):
        models.transition_model_stage("flowers:champion", stage)


def test_an_unknown_stage_lists_the_words(models: ModelRegistry) -> None:
    with pytest.raises(UsageError, match="'Live'; there are Staging, Production, Archived"):
        models.transition_model_stage("flowers:1", "Live")
    assert stage_named("production") == "Production"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flowers", "NAME:NUMBER"),
        ("flowers:9", "no version 9"),
        ("flowers:best", "flowers has no best"),
        ("roses:champion", "roses has no champion"),
    ],
)
def test_a_version_that_is_not_there_is_refused(
    models: ModelRegistry, text: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        models.transition_model_stage(text, "Staging")


def test_two_versions_are_compared(models: ModelRegistry) -> None:
    found = models.compare(["flowers:1", registry.find(models.settings, "flowers:2")])
    assert (found.first, found.second) == ("flowers 1", "flowers 2")
    assert found.tests["label"].significant
    with pytest.raises(UsageError, match="not 1"):
        models.compare(["flowers:1"])


def test_the_best_training_is_registered_once(workspace: Workspace) -> None:
    for key, accuracy in (("one", 0.7), ("two", 0.9), ("three", 0.8)):
        make(workspace, key, accuracy)
    models = ModelRegistry(workspace.settings)
    best = models.register_best_model("flowers", "label.accuracy")
    assert best.metrics == {"label.accuracy": 0.9}
    assert best.aliases == ("champion",)
    assert models.register_best_model("flowers", "label.accuracy") == best
    assert len(registry.versions(workspace.settings)) == 1


def test_what_the_gate_refused_or_a_trial_reached_is_not_the_best(workspace: Workspace) -> None:
    make(workspace, "good", 0.6)
    make(workspace, "refused", 0.4)
    with open_run(spec(), workspace, run="r", stage="tune") as log:
        log.begin("search", {})
        with log.child("trial-0", "t") as trial:
            trial.metrics({"evaluation/label.accuracy": 0.99})
    best = ModelRegistry(workspace.settings).register_best_model("flowers", "label.accuracy")
    assert best.metrics["label.accuracy"] == 0.6


def test_refusals_say_what_there_is(workspace: Workspace) -> None:
    models = ModelRegistry(workspace.settings)
    with pytest.raises(TrackingError, match="train one: modelyard run flowers"):
        models.register_best_model("flowers", "label.accuracy")
    made = make(workspace, "one", 0.4)
    with pytest.raises(TrackingError, match="the gate refused all 1"):
        models.register_best_model("flowers", "label.accuracy")
    with pytest.raises(TrackingError, match=r"did you mean label.accuracy"):
        models.register_best_model("flowers", "label.acuracy")
    client, run_id = connect(workspace.settings), made.trained.mlflow_run
    client.set_tag(run_id, "modelyard.gate", "passed")
    shutil.rmtree(workspace.home / "stages")
    with pytest.raises(TrackingError, match=r"are gone.*--fresh"):
        models.register_best_model("flowers", "label.accuracy")


@pytest.mark.usefixtures("models", "command")
def test_the_command_compares_in_every_spelling() -> None:
    answers = {
        run("compare", *words, "--json").stdout
        for words in (
            ["flowers", "1", "2"],
            ["flowers", "champion", "challenger"],
            ["flowers", "2"],
            ["flowers"],
            ["flowers:1", "flowers:2"],
            ["flowers:2"],
        )
    }
    (answer,) = answers
    assert json.loads(answer)["metrics"] == {"label.accuracy": [0.8, 1.0]}
    shown = run("compare", "flowers").stdout
    assert "flowers 2 is better, more than chance explains" in shown
    assert "Parameters that differ: none" in shown


@pytest.mark.usefixtures("models", "command")
@pytest.mark.parametrize("words", [["flowers", "1", "2", "3"], ["flowers:1", "2", "3"]])
def test_too_many_words_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="such as: modelyard models compare"):
        run("compare", *words)


@pytest.mark.usefixtures("models", "command")
def test_the_command_moves_stages_and_tells_champions() -> None:
    assert run("stage", "flowers", "2", "production").stdout == "flowers 2 is in Production\n"
    assert json.loads(run("history", "flowers", "--champions", "--json").stdout)[0]["version"] == 2
    assert "now" in run("history", "flowers", "--champions").stdout
    assert "was ever champion" in run("history", "other", "--champions").stdout


@pytest.mark.usefixtures("models", "command")
def test_the_command_registers_the_best() -> None:
    assert "flowers 2" in run("best", "flowers", "label.accuracy").stdout
