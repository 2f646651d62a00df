"""A model is registered once, whoever asks and however often; the first becomes champion."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelyard.artifacts import RegisteredVersion
from modelyard.errors import TrackingError, UsageError
from modelyard.tracking import registry
from modelyard.tracking.client import connect
from modelyard.workspace import Workspace
from tests.tracking.samples import Made, make, spec


def register(workspace: Workspace, made: Made, run: str = "run-1") -> RegisteredVersion:
    return registry.register(spec(), workspace, made.split, made.trained, made.evaluation, run=run)


def count(workspace: Workspace) -> int:
    return len(registry.versions(workspace.settings, "flowers"))


def test_the_first_version_is_champion_and_the_next_challenger(workspace: Workspace) -> None:
    first = register(workspace, make(workspace, "one"))
    second = register(workspace, make(workspace, "two"))
    assert (first.version, first.alias) == (1, "champion")
    assert (second.version, second.alias) == (2, "challenger")


def test_a_version_is_registered_once(workspace: Workspace) -> None:
    made = make(workspace)
    assert register(workspace, made) == register(workspace, made, run="a-later-run")
    assert count(workspace) == 1


def test_why_a_version_was_made_is_kept_with_it(workspace: Workspace) -> None:
    made = make(workspace)
    for tags in ({"modelyard.alert": "a1", "modelyard.run": "not-me"}, {"modelyard.alert": "a2"}):
        registry.register(
            spec(), workspace, made.split, made.trained, made.evaluation, run="run-1", tags=tags
        )
    stored = connect(workspace.settings).get_model_version("flowers", "1")
    assert stored.tags["modelyard.alert"] == "a1"
    assert stored.tags["modelyard.run"] == "run-1"


def test_a_crash_before_the_alias_is_made_good(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(workspace)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_alias", _killed)
        with pytest.raises(KeyboardInterrupt):
            register(workspace, made)
    assert registry.champion(workspace.settings, "flowers") is None
    assert register(workspace, made).alias == "champion"
    assert count(workspace) == 1


def test_a_crash_between_alias_and_its_note_is_made_good(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, client = make(workspace), connect(workspace.settings)
    with monkeypatch.context() as patch:
        patch.setattr(client, "set_model_version_tag", _killed)
        with pytest.raises(KeyboardInterrupt):
            register(workspace, made)
    assert register(workspace, made).alias == "champion"
    assert count(workspace) == 1


def _killed(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt


def test_an_answer_lost_on_its_way_registers_nothing_twice(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, client = make(workspace), connect(workspace.settings)
    real, lost = client.create_model_version, []

    def loses_the_first_answer(*args: object, **kwargs: object) -> object:
        made_version = real(*args, **kwargs)
        if not lost:
            lost.append(True)
            raise ConnectionError
        return made_version

    monkeypatch.setattr(client, "create_model_version", loses_the_first_answer)
    assert register(workspace, made).version == 1
    assert count(workspace) == 1


def test_two_at_once_register_one_version(workspace: Workspace) -> None:
    made = make(workspace)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: register(workspace, made), range(2))
    assert one == other
    assert count(workspace) == 1


def test_two_models_at_once_make_one_champion(workspace: Workspace) -> None:
    both = [make(workspace, "one"), make(workspace, "two")]
    with ThreadPoolExecutor(2) as pool:
        aliases = {version.alias for version in pool.map(lambda m: register(workspace, m), both)}
    assert aliases == {"champion", "challenger"}


def test_a_later_promotion_is_not_undone_by_a_retry(workspace: Workspace) -> None:
    register(workspace, make(workspace, "one"))
    second = make(workspace, "two")
    register(workspace, second)
    registry.set_alias(workspace.settings, "flowers", "champion", 2)
    registry.set_alias(workspace.settings, "flowers", "challenger", None)
    assert register(workspace, second).alias == "champion"


def test_the_champion_is_known_with_its_metrics(workspace: Workspace) -> None:
    made = make(workspace, accuracy=0.75)
    register(workspace, made, run="the-run")
    best = registry.champion(workspace.settings, "flowers")
    assert best is not None
    assert (best.version, best.run, best.aliases) == (1, "the-run", ("champion",))
    assert best.metrics == {"label.accuracy": 0.75}
    assert best.spec_hash == spec().hash
    assert best.mlflow_run == made.trained.mlflow_run


def test_without_a_model_there_is_no_champion(workspace: Workspace) -> None:
    assert registry.champion(workspace.settings, "flowers") is None
    assert registry.versions(workspace.settings) == []


def test_a_versions_files_are_whole(workspace: Workspace) -> None:
    register(workspace, make(workspace))
    folder = registry.download(workspace.settings, "flowers", 1)
    assert (folder / "MLmodel").exists()
    assert (folder / "data" / "model" / "model_weights.safetensors").exists()
    assert (folder / "reference" / "profile.bin").read_bytes() == b"profile"
    assert (folder / "signature.json").exists()
    assert '"flowers"' in (folder / "spec.json").read_text()


def test_no_code_is_pickled(workspace: Workspace) -> None:
    register(workspace, make(workspace))
    folder = registry.download(workspace.settings, "flowers", 1)
    assert not [
        file
        for file in folder.rglob("*")
        if file.suffix in {".pkl", ".pt", ".bin"} and file.parent.name != "reference"
    ]
    assert "loader_module: modelyard.training.predictor" in (folder / "MLmodel").read_text()


def test_a_version_in_a_remote_store_is_fetched_once(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(workspace, make(workspace))
    here = registry.version(workspace.settings, "flowers", 1)
    remote = here.model_copy(update={"folder": f"mlflow-artifacts-of/{tmp_path.name}"})
    monkeypatch.setattr(registry, "version", lambda *_: remote)
    fetched = []

    def fetch(_settings: object, source: str, destination: Path) -> Path:
        fetched.append(source)
        return destination

    monkeypatch.setattr(registry, "_fetch", fetch)
    folder = registry.download(workspace.settings, "flowers", 1)
    assert fetched == [remote.folder]
    assert folder == workspace.home / "models" / "flowers" / "1"


def test_fetching_copies_the_files(workspace: Workspace, tmp_path: Path) -> None:
    register(workspace, make(workspace))
    source = registry.version(workspace.settings, "flowers", 1).folder
    folder = registry._fetch(workspace.settings, f"file://{source}", tmp_path / "copy")
    assert (folder / "MLmodel").exists()
    assert folder.is_relative_to(tmp_path / "copy")


@pytest.mark.parametrize("exists", [False, True])
def test_a_version_that_is_not_there_is_a_users_error(workspace: Workspace, exists: bool) -> None:
    if exists:
        register(workspace, make(workspace))
    with pytest.raises(UsageError, match="flowers has no version 7"):
        registry.version(workspace.settings, "flowers", 7)


def test_an_alias_needs_a_version_that_exists(workspace: Workspace) -> None:
    register(workspace, make(workspace))
    with pytest.raises(UsageError, match="no version 2"):
        registry.set_alias(workspace.settings, "flowers", "champion", 2)


def test_a_lost_run_is_said_before_anything_is_registered(workspace: Workspace) -> None:
    made = make(workspace)
    gone = made.trained.model_copy(update={"mlflow_run": "0" * 32})
    with pytest.raises(TrackingError, match="--fresh"):
        register(workspace, Made(made.split, gone, made.evaluation))
    assert count(workspace) == 0


def test_versions_are_listed_newest_first(workspace: Workspace) -> None:
    for key in ("one", "two", "three"):
        register(workspace, make(workspace, key))
    listed = registry.versions(workspace.settings, "flowers")
    assert [version.version for version in listed] == [3, 2, 1]
    assert [version.version for version in registry.versions(workspace.settings)] == [3, 2, 1]


def test_registering_is_quick(workspace: Workspace) -> None:
    register(workspace, make(workspace, "one"))
    made = make(workspace, "two")
    began = time.process_time()
    register(workspace, made)
    assert time.process_time() - began < 5
