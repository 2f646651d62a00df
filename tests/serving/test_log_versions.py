"""The log learns of a version what its spec and its reference say, and hears of changes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from modelyard.monitoring.reference import make_reference
from modelyard.settings import Settings
from modelyard.spec.models import MonitorSpec, Spec
from serving.prediction_log import versions as module
from serving.prediction_log.versions import FRESH_SECONDS, Versions

MODEL = {
    "input_features": [{"name": "note", "type": "text"}, {"name": "site", "type": "category"}],
    "output_features": [{"name": "label", "type": "category"}],
}


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "model_specs").mkdir()
    monkeypatch.setenv("MODELYARD_HOME", str(tmp_path / "home"))
    return Settings(project=tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a version that is segmented by its site."""
    folder = tmp_path / "files"
    rows = pd.DataFrame({"note": ["all is well", "is well"], "site": ["north", "south"]})
    make_reference(spec_of())(rows, tmp_path, folder / "reference")
    (folder / "spec.json").write_text(spec_of(segment_by="site").model_dump_json())
    return folder


def spec_of(**monitor: object) -> Spec:
    document = {"name": "wards", "data": {"path": "d"}, "model": MODEL, "monitor": monitor}
    return Spec.model_validate(document)


def write_spec(settings: Settings, **monitor: object) -> None:
    spec = spec_of(**monitor)
    (settings.specs / "wards.json").write_text(spec.model_dump_json(exclude_unset=True))


def test_the_versions_own_spec_and_reference_are_read(
    settings: Settings, files: Path, clock: Clock
) -> None:
    watched = Versions(settings, clock).of("wards", 1, str(files))
    assert watched.segmentation is not None
    assert watched.segmentation.of({"site": "south"}) == "site=south"
    words = watched.vocabularies.of("note")
    assert words is not None
    assert words.words == {"all", "is", "well"}


def test_a_spec_that_changes_holds_soon_without_a_restart(
    settings: Settings, files: Path, clock: Clock
) -> None:
    versions = Versions(settings, clock)
    assert not versions.of("wards", 1, str(files)).monitor.keep_inputs
    write_spec(settings, keep_inputs=True)
    assert not versions.of("wards", 1, str(files)).monitor.keep_inputs
    clock.now += FRESH_SECONDS
    watched = versions.of("wards", 1, str(files))
    assert watched.monitor.keep_inputs
    assert watched.segmentation is None


def test_the_reference_is_read_once(
    settings: Settings, files: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = Versions(settings, clock)
    first = versions.of("wards", 1, str(files))
    monkeypatch.setattr(module, "_vocabularies", lambda _: pytest.fail("read twice"))
    clock.now += 10 * FRESH_SECONDS
    again = versions.of("wards", 1, str(files))
    assert again.vocabularies is first.vocabularies
    assert versions.known("wards", 1) is again
    assert versions.known("wards", 2) is None


def test_a_replica_that_does_not_say_where_its_files_are_is_watched_by_the_spec(
    settings: Settings, clock: Clock
) -> None:
    write_spec(settings, keep_inputs=True, segment_by="site")
    watched = Versions(settings, clock).of("wards", 1, None)
    assert watched.monitor.keep_inputs
    assert watched.segmentation is None


def test_files_of_another_machine_are_fetched_and_asked_for_again_if_they_cannot_be(
    settings: Settings, files: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard.errors import TrackingError
    from modelyard.tracking import registry

    answers: list[Path | None] = [None, files]

    def download(_settings: Settings, name: str, number: int) -> Path:
        assert (name, number) == ("wards", 1)
        found = answers.pop(0)
        if found is None:
            message = "the registry is away"
            raise TrackingError(message)
        return found

    monkeypatch.setattr(registry, "download", download)
    versions = Versions(settings, clock)
    assert versions.of("wards", 1, "/elsewhere").monitor == MonitorSpec()
    assert versions.of("wards", 1, "/elsewhere").segmentation is None
    clock.now += FRESH_SECONDS
    assert versions.of("wards", 1, "/elsewhere").segmentation is not None
    assert answers == []


def test_a_broken_vocabulary_leaves_the_rest(
    settings: Settings, files: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (files / "reference" / "vocabulary.json").write_text("{")
    watched = Versions(settings, clock).of("wards", 1, str(files))
    assert watched.vocabularies.of("note") is None
    assert watched.segmentation is not None
    assert "without their vocabulary" in caplog.text


def test_a_column_that_is_not_observed_is_said(
    settings: Settings, files: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (files / "spec.json").write_text(spec_of(segment_by="note").model_dump_json())
    assert Versions(settings, clock).of("wards", 1, str(files)).segmentation is None
    assert "the reference has no column note" in caplog.text
