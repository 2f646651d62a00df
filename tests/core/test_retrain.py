"""An alert starts one retraining, not too soon and not too often, and nothing is lost on the way."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard import retrain
from modelyard.errors import DataError
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.store.database import Store, open_store
from modelyard.store.monitoring_records import AlertRecord, RetrainingRecord
from modelyard.store.records import Label, PredictionRecord, RolloutRecord, now
from modelyard.watch import Watched
from tests.data.conftest import commit, git, track

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep.value will soon:DeprecationWarning"  # `dvc add`
)
SPEC = """\
version: 1
name: toy
data: {path: data/toy.csv, split: {stratify: label}}
model:
  input_features: [{name: x, type: number}]
  output_features: [{name: label, type: category}]
monitor:
  retrain_on: critical
  retrain: {RULES}
"""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at its newest revision."""
    home = tmp_path_factory.mktemp("migrated")
    open_store(Settings(MODELYARD_HOME=home).database_url).close()
    return home


@pytest.fixture
def yard(tmp_path: Path, migrated: Path) -> Settings:
    (tmp_path / "project" / "model_specs").mkdir(parents=True)
    shutil.copytree(migrated, tmp_path / "home")
    return Settings(project=tmp_path / "project", MODELYARD_HOME=tmp_path / "home")


@pytest.fixture
def store(yard: Settings) -> Iterator[Store]:
    with open_store(yard.database_url) as opened:
        yield opened


@pytest.fixture
def rules(yard: Settings) -> Callable[[str], None]:
    """Write the spec, with these rules of retraining."""

    def write(text: str = "{}") -> None:
        (yard.specs / "toy.yaml").write_text(SPEC.replace("{RULES}", text))

    write()
    return write


def alert(identity: str = "a1", **changes: object) -> AlertRecord:
    fields: dict[str, object] = {
        "id": identity,
        "model": "toy",
        "version": 1,
        "kind": "drift",
        "subject": "x",
        "level": "critical",
        "worst": "critical",
        "value": 0.3,
        "peak": 0.3,
        "windows": ("1000",),
        "reason": "x drifted",
        "onset": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return AlertRecord.model_validate({**fields, **changes})


def watched(one: AlertRecord | None) -> Watched:
    alerts = () if one is None else (one,)
    return Watched("toy", (), (), (), alerts, one, ())


def asked(
    yard: Settings, one: AlertRecord | None = None, run: str | None = None
) -> RetrainingRecord | None:
    return retrain.ask(yard, watched(one or alert()), run)


def put(store: Store, ago: timedelta, **changes: object) -> RetrainingRecord:
    """Keep a retraining of an earlier alert."""
    moment = now() - ago
    fields: dict[str, object] = {
        "model": "toy",
        "alert": f"earlier-{ago}",
        "asked": moment,
        "changed": moment,
        "status": "done",
    }
    record = RetrainingRecord.model_validate({**fields, **changes})
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    assert store.ask_retraining(record, cooled=now(), budget=(long_ago, 1000)) == "asked"
    return record


def refused(yard: Settings) -> str:
    found = retrain.last_refusal(yard, "toy")
    assert found is not None
    return found.reason


@pytest.mark.usefixtures("rules")
def test_an_alert_starts_a_retraining(yard: Settings, store: Store) -> None:
    record = asked(yard)
    assert record is not None
    assert (record.model, record.alert, record.status) == ("toy", "a1", "asked")
    assert record.reason == "x drifted"
    assert record.revision is None
    assert store.retrainings("toy") == [record]
    assert retrain.last_refusal(yard, "toy") is None


def test_without_an_alert_nothing_is_asked(yard: Settings, store: Store) -> None:
    assert retrain.ask(yard, watched(None)) is None
    assert store.retrainings("toy") == []


@pytest.mark.usefixtures("rules")
def test_an_alert_starts_one_retraining_and_not_one_an_hour(yard: Settings, store: Store) -> None:
    assert asked(yard, run="hour-1") is not None
    assert [asked(yard, run=f"hour-{n}") for n in range(2, 6)] == [None] * 4
    assert len(store.retrainings("toy")) == 1
    assert "had its retraining" in refused(yard)


@pytest.mark.usefixtures("rules")
def test_a_task_that_is_tried_again_gets_the_same_one(yard: Settings) -> None:
    first = asked(yard, run="hour-1")
    assert asked(yard, run="hour-1") == first
    assert first is not None


@pytest.mark.usefixtures("rules")
def test_one_that_is_begun_is_not_asked_again(yard: Settings) -> None:
    first = asked(yard, run="hour-1")
    assert first is not None
    retrain.begin(yard, first.id, "toy.r1")
    assert asked(yard, run="hour-1") is None


def test_one_that_nobody_began_is_asked_again(
    yard: Settings, store: Store, rules: Callable[[str], None]
) -> None:
    rules("{}")
    lost = put(store, 2 * HOUR, alert="a1", status="asked")
    again = asked(yard)
    assert again is not None
    assert again.id == lost.id


@pytest.mark.usefixtures("rules")
def test_many_at_once_start_one(
    yard: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain, "write_atomically", lambda *_: None)  # it is for one thread
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: asked(yard, alert(f"a{n}"), f"run-{n}"), range(8)))
    assert sum(one is not None for one in found) == 1
    assert len(store.retrainings("toy")) == 1


def test_it_cools_down_and_says_until_when(
    yard: Settings, store: Store, rules: Callable[[str], None]
) -> None:
    rules("{cooldown_hours: 3}")
    earlier = put(store, 2 * HOUR)
    assert asked(yard) is None
    assert f"cools down until {earlier.asked + 3 * HOUR:%Y-%m-%d %H:%M} UTC" in refused(yard)
    rules("{cooldown_hours: 1}")
    assert asked(yard) is not None


def test_the_budget_is_of_thirty_days(
    yard: Settings, store: Store, rules: Callable[[str], None]
) -> None:
    rules("{budget: 2}")
    for days in (40, 29, 2):
        put(store, timedelta(days=days))
    assert asked(yard) is None
    assert "budget of 30 days is spent" in refused(yard)
    rules("{budget: 3}")
    assert asked(yard) is not None


@given(
    ages=st.lists(st.integers(0, 60 * 24), max_size=12, unique=True),
    cooldown=st.integers(0, 72),
    budget=st.integers(1, 5),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_the_page_says_and_what_the_database_says_agree(
    ages: list[int], cooldown: int, budget: int
) -> None:
    """The words for a refusal are computed beside the transaction that refuses."""
    spec = Spec.model_validate(
        {
            "name": "toy",
            "data": {"path": "d.csv"},
            "model": {"input_features": [], "output_features": []},
            "monitor": {"retrain": {"cooldown_hours": cooldown, "budget": budget}},
        }
    )
    known = [
        RetrainingRecord(model="toy", alert=str(hours), asked=now() - hours * HOUR - HOUR / 2)
        for hours in sorted(ages)
    ]
    cooling = any(hours + 0.5 < cooldown for hours in ages)
    spent = sum(hours + 0.5 < 30 * 24 for hours in ages) >= budget
    assert (retrain._too_often(spec, known) is not None) == (cooling or spent)


@pytest.mark.parametrize("status", ["asked", "running"])
@pytest.mark.usefixtures("rules")
def test_one_under_way_stands_in_the_way_of_another(
    yard: Settings, store: Store, rules: Callable[[str], None], status: str
) -> None:
    rules("{cooldown_hours: 0}")
    put(store, HOUR / 2, status=status)
    assert asked(yard) is None
    assert f"another retraining is {status}" in refused(yard)


@pytest.mark.parametrize(
    ("status", "ago"),
    [
        pytest.param("asked", timedelta(hours=2), id="asked"),
        pytest.param("running", timedelta(days=8), id="running"),
    ],
)
def test_one_that_tells_nothing_for_long_does_not(
    yard: Settings, store: Store, rules: Callable[[str], None], status: str, ago: timedelta
) -> None:
    rules("{cooldown_hours: 0}")
    put(store, ago, status=status)
    assert asked(yard) is not None


def test_an_alert_that_is_newer_than_the_worst_ones_retraining_has_its_turn(
    yard: Settings, store: Store, rules: Callable[[str], None]
) -> None:
    """The new version did not pass the gate, the alert stays open, and days later there is another."""
    rules("{}")
    worst = alert("worst", level="immediate", opened=now() - timedelta(days=4))
    beside = alert("beside", opened=now() - timedelta(days=4))
    mild = alert("mild", level="warning", opened=now())
    newer = alert("newer", opened=now())
    put(store, timedelta(days=3), alert="worst", status="failed")
    had = Watched("toy", (), (), (), (worst, beside, mild), worst, ())
    assert retrain.wanting(yard, had) == worst
    assert retrain.ask(yard, had) is None
    record = retrain.ask(yard, Watched("toy", (), (), (), (worst, beside, mild, newer), worst, ()))
    assert record is not None
    assert record.alert == "newer"


@pytest.mark.usefixtures("rules")
def test_a_challenger_on_its_way_is_waited_for(yard: Settings, store: Store) -> None:
    store.save_rollout(
        RolloutRecord(model="toy", version=2, status="canary", phase="p", policy={}, by="test")
    )
    assert asked(yard) is None
    assert "version 2 is on its way to take over (canary)" in refused(yard)


def test_a_model_without_a_spec_is_not_retrained(yard: Settings, store: Store) -> None:
    assert asked(yard) is None
    assert "no valid spec toy" in refused(yard)
    assert store.retrainings("toy") == []


@pytest.mark.usefixtures("rules")
def test_the_reason_is_logged(yard: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="modelyard.retrain"):
        asked(yard)
        asked(yard)
    assert [record.message for record in caplog.records] == [
        "toy: alert a1 (critical) starts a retraining",
        "toy: alert a1 had its retraining, which is asked",
    ]


def test_a_refusal_is_told_as_long_as_its_alert_is_open(yard: Settings, store: Store) -> None:
    one = alert()
    store.change_alerts("toy", lambda _: ([one], []))
    assert asked(yard) is None
    assert "no valid spec" in refused(yard)
    store.change_alerts("toy", lambda _: ([one.model_copy(update={"ended": now()})], []))
    assert retrain.last_refusal(yard, "toy") is None


@pytest.mark.usefixtures("rules")
def test_a_run_takes_it_once(yard: Settings) -> None:
    record = asked(yard)
    assert record is not None
    taken = retrain.begin(yard, record.id, "toy.r1")
    assert taken is not None
    assert (taken.status, taken.run) == ("running", "toy.r1")
    assert retrain.begin(yard, record.id, "toy.r2") is None
    assert retrain.begin(yard, record.id, "toy.r1") is not None
    assert retrain.begin(yard, "unknown", "toy.r1") is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            {"version": 2, "done": True}, ("done", 2, "its rollout decides the rest"), id="new"
        ),
        pytest.param({"version": 1, "done": True}, ("done", 1, "came out again"), id="same"),
        pytest.param({"failed": "the gate refused it"}, ("failed", None, "the gate"), id="failed"),
    ],
)
@pytest.mark.usefixtures("rules")
def test_it_follows_its_run(
    yard: Settings, store: Store, told: dict[str, object], expected: tuple[str, int | None, str]
) -> None:
    record = asked(yard)
    assert record is not None
    retrain.begin(yard, record.id, "toy.r1")
    retrain.follow(yard, record.id, "toy.r2", failed="another run's")
    for name, value in told.items():
        retrain.follow(yard, record.id, "toy.r1", **{name: value})
    (found,) = store.retrainings("toy")
    assert (found.status, found.version) == expected[:2]
    assert expected[2] in found.reason


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data DVC tracks."""
    from dvc.repo import Repo

    project = tmp_path_factory.mktemp("repository")
    git(project, "init", "--quiet", "--initial-branch=main")
    Repo.init(str(project)).close()
    (project / "data").mkdir()
    lines = [f"{n},{'ab'[n % 2]}" for n in range(30)]
    (project / "data" / "toy.csv").write_text("\n".join(["x,label", *lines]) + "\n")
    track(project, "data/toy.csv", push=False)
    commit(project, "data")
    return project


@pytest.fixture
def tracked(yard: Settings, repository: Path, rules: Callable[[str], None]) -> Path:
    """A copy of it, with a spec that learns from labels."""
    shutil.copytree(repository, yard.project, symlinks=True, dirs_exist_ok=True)
    rules("{data: labelled, min_labels: 20, cooldown_hours: 1}")
    return yard.project


def predict(store: Store, numbers: Mapping[int, int]) -> None:
    """Log predictions, by number of label and version."""
    records = [
        PredictionRecord(
            id=f"{number:032x}",
            at=now(),
            model="toy",
            version=version,
            request="q",
            inputs={"x": number + 0.5},
            outputs={"label": "a"},
            probability={},
            latency_ms=1,
        )
        for number, version in numbers.items()
    ]
    store.log_predictions(records)
    labels = [Label(prediction=one.id, output="label", value="b") for one in records]
    store.save_labels("toy", labels)


def test_labels_of_all_versions_become_a_data_revision(
    yard: Settings, store: Store, tracked: Path
) -> None:
    predict(store, {number: 1 + number % 2 for number in range(25)})
    record = asked(yard, alert(version=2))
    assert record is not None
    assert record.rows == 25
    assert record.revision == git(tracked, "rev-parse", "modelyard/data/toy")
    assert record.evidence["branch"] == "modelyard/data/toy"
    assert str(record.evidence["content_hash"]) in git(
        tracked, "show", f"{record.revision}:data/toy.csv.dvc"
    )
    assert store.retrainings("toy") == [record]


def test_too_few_labels_wait_and_use_nothing_up(
    yard: Settings, store: Store, tracked: Path
) -> None:
    predict(store, dict.fromkeys(range(19), 1))
    assert asked(yard) is None
    assert "19 new labelled predictions, and a retraining waits for 20" in refused(yard)
    assert store.retrainings("toy") == []
    predict(store, {19: 1})
    assert asked(yard) is not None
    assert git(tracked, "rev-list", "--count", "modelyard/data/toy") == "2"


@pytest.mark.usefixtures("tracked")
def test_data_that_cannot_be_added_to_is_a_refusal(
    yard: Settings, store: Store, rules: Callable[[str], None]
) -> None:
    rules("{data: labelled}")
    spec = yard.specs / "toy.yaml"
    spec.write_text(spec.read_text().replace("data/toy.csv", "data/other.csv"))
    assert asked(yard) is None
    assert "data/other.csv is not tracked by DVC" in refused(yard)
    assert store.retrainings("toy") == []


def test_data_that_cannot_be_written_ends_the_retraining_with_the_reason(
    yard: Settings, store: Store, tracked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(store, dict.fromkeys(range(25), 1))

    def full(*_: object, **__: object) -> None:
        message = "no space left on device"
        raise DataError(message)

    with monkeypatch.context() as patch:
        patch.setattr("modelyard.data.labelled.push", full)
        assert asked(yard, run="hour-1") is None
    (lost,) = store.retrainings("toy")
    assert (lost.status, lost.revision) == ("failed", None)
    assert "no space left" in refused(yard)
    assert git(tracked, "branch", "--list", "modelyard/data/toy") == ""


def test_one_whose_event_was_lost_comes_before_newer_alerts(
    yard: Settings, rules: Callable[[str], None]
) -> None:
    rules("{cooldown_hours: 24}")
    first = asked(yard)
    assert first is not None
    older = alert(opened=first.asked - timedelta(hours=1))
    newer = alert("a2", subject="y", opened=first.asked + timedelta(hours=1))
    both = replace(watched(newer), alerts=(newer, older))
    wanted = retrain.wanting(yard, both)
    assert wanted is not None
    assert wanted.id == older.id


def test_a_crash_after_the_data_was_made_finds_it(
    yard: Settings, store: Store, tracked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(store, dict.fromkeys(range(25), 1))
    with monkeypatch.context() as patch:
        patch.setattr(retrain._Asking, "_with_revision", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            asked(yard, run="hour-1")
    tip = git(tracked, "rev-parse", "modelyard/data/toy")
    made = asked(yard, run="hour-1")
    assert made is not None
    assert (made.revision, made.rows) == (tip, 25)
    assert git(tracked, "rev-parse", "modelyard/data/toy") == tip
    assert len(store.retrainings("toy")) == 1


def test_the_command_lists_what_was_started_and_why_not_more(
    yard: Settings,
    rules: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from typer.testing import CliRunner

    from modelyard.cli import output
    from modelyard.cli.app import build_app
    from modelyard.settings import get_settings

    rules("{cooldown_hours: 3}")
    asked(yard)
    asked(yard)
    monkeypatch.setenv("MODELYARD_HOME", str(yard.home))
    get_settings.cache_clear()
    monkeypatch.setattr(output.out, "_width", 200)
    shown = CliRunner().invoke(build_app(), ["retrainings", "toy"])
    assert shown.exit_code == 0
    assert "x drifted" in shown.stdout
    assert "toy: alert a1 had its retraining, which is asked" in shown.stdout
    told = CliRunner().invoke(build_app(), ["retrainings", "--json"])
    (record,) = json.loads(told.stdout)["retrainings"]
    assert (record["alert"], record["status"]) == ("a1", "asked")
