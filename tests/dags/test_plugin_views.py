"""What the pages make of rows: shades, charts, sentences, last runs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from modelyard.rollout.decide import RolloutState, look
from modelyard.rollout.evidence import Evidence
from modelyard.rollout.sequential import Count
from modelyard.spec.monitor import DriftLevelsSpec, LevelsSpec
from modelyard.spec.serve import RolloutSpec
from modelyard.store.records import LedgerEntry
from tests.dags.pages import drift_check, performance_check

if TYPE_CHECKING:
    from starlette.testclient import TestClient

pytestmark = [
    pytest.mark.usefixtures("migrated"),
    # Airflow's, FastAPI's and Starlette's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.mark.parametrize(
    ("effect", "shade"),
    [(0, 0), (0.049, 0), (0.05, 1), (0.099, 1), (0.1, 2), (0.25, 3), (0.5, 4), (9, 4)],
    ids=str,
)
def test_the_shade_says_which_level_an_effect_reaches(effect: float, shade: int) -> None:
    from modelyard_ui.heat import shade_of

    assert shade_of(effect, 0.1, DriftLevelsSpec()) == shade


def test_the_strip_runs_from_old_to_new_and_from_most_to_least_drifted() -> None:
    from modelyard_ui.heat import strip

    calm, wild = drift_check(0, column="calm"), drift_check(0, column="wild", effect=0.3)
    older = calm.model_copy(update={"verdicts": (*calm.verdicts, *wild.verdicts)})
    newer = drift_check(1, column="calm")
    found = strip([newer, older], DriftLevelsSpec())
    assert [check.at for check in found.checks] == [older.at, newer.at]
    assert [name for name, _ in found.rows] == ["wild", "calm"]
    cells = found.rows[0][1]
    assert cells[0] is not None
    assert (cells[0].shade, cells[0].drifted) == (3, True)
    assert cells[1] is None


def test_a_wide_strip_says_how_many_columns_it_leaves_out() -> None:
    from modelyard_ui.heat import MOST_COLUMNS, strip

    check = drift_check(0)
    verdicts = tuple(
        check.verdicts[0].model_copy(update={"column": f"c{number}"}) for number in range(100)
    )
    found = strip([check.model_copy(update={"verdicts": verdicts})], DriftLevelsSpec())
    assert len(found.rows) == MOST_COLUMNS
    assert found.left_out == 100 - MOST_COLUMNS


def test_missing_values_have_a_row_of_their_own() -> None:
    from modelyard_ui.heat import strip

    check = drift_check(0)
    missing = check.verdicts[0].model_copy(update={"kind": "missing"})
    both = check.model_copy(update={"verdicts": (*check.verdicts, missing)})
    names = [name for name, _ in strip([both], DriftLevelsSpec()).rows]
    assert sorted(names) == ["size", "size (missing)"]


def test_a_column_that_was_not_tested_has_no_shade() -> None:
    from modelyard_ui.heat import strip

    check = drift_check(0)
    none = check.verdicts[0].model_copy(update={"test": "none", "note": "constant"})
    ((_, (cell,)),) = strip(
        [check.model_copy(update={"verdicts": (none,)})], DriftLevelsSpec()
    ).rows
    assert cell is not None
    assert cell.shade is None
    assert cell.title.endswith("not tested (constant)")


@pytest.mark.parametrize(
    ("metric", "value", "below"), [("accuracy", 0.8, True), ("loss", 1.1, False)], ids=str
)
def test_levels_lie_on_the_side_that_is_worse(metric: str, value: float, below: bool) -> None:
    from modelyard_ui.charts import charts

    looks = [performance_check(hour, value=value, metric=metric) for hour in (1, 0)]
    (chart,) = charts(looks, LevelsSpec())
    places = {line.name: line.y for line in chart.lines}
    ordered = [places[name] for name in ("evaluation", "warning", "critical", "immediate")]
    assert ordered == sorted(ordered, reverse=not below)


def test_points_stay_inside_of_the_chart_and_names_of_lines_apart() -> None:
    from modelyard_ui.charts import HEIGHT, NEAR, WIDTH, charts

    looks = [performance_check(hour, value=0.9 - hour / 50) for hour in range(9, -1, -1)]
    (chart,) = charts(looks, LevelsSpec())
    assert all(0 <= point.x <= WIDTH and 0 <= point.y <= HEIGHT for point in chart.points)
    assert [point.x for point in chart.points] == sorted(point.x for point in chart.points)
    names = sorted(line.name_y for line in chart.lines)
    assert all(after - before >= NEAR for before, after in pairwise(names))


def test_one_look_with_equal_values_is_drawn() -> None:
    from modelyard_ui.charts import charts

    look_at = performance_check(0, value=0.0)
    flat = look_at.metrics[0].model_copy(
        update={"low": None, "high": None, "baseline": None, "degradation": None}
    )
    (chart,) = charts([look_at.model_copy(update={"metrics": (flat,)})], LevelsSpec())
    assert len(chart.points) == 1
    assert chart.lines == ()
    assert chart.summary == "Now 0; 1 look."


def test_bounds_are_told_in_words() -> None:
    from modelyard_ui.models import _measured

    rules = RolloutSpec.model_validate({"shadow": 0, "canary": [0.1], "min_requests": 50})
    counted = {"errors": Count(2000, 0)}
    evidence = Evidence(champion=counted, challenger=counted)
    state = RolloutState(2, "canary", 0, rules, datetime.now(UTC))
    outlook = look(state, evidence)
    errors, _, wrong = (_measured(one, outlook) for one in outlook.judgements)
    assert errors.sentence.startswith("failed calls: 0 of 2,000 (0 %), the champion's 0 of 2,000")
    assert errors.sentence.endswith("2 are allowed: it is shown to be no worse than the margin.")
    assert (wrong.challenger, wrong.bounds) == ("none counted", "-")


def test_evidence_of_the_ledger_is_told_and_what_is_odd_is_left_out() -> None:
    from modelyard_ui.models import _evidence

    measures = {
        "errors": {
            "champion": {"trials": 10, "hits": 1},
            "challenger": {"trials": 0, "hits": 0},
            "low": -0.5,
            "high": None,
        },
        "new": 3,
    }
    entry = LedgerEntry(
        model="m",
        action="a",
        before={},
        after={},
        reason="",
        by="b",
        evidence={"measures": measures},
    )
    assert [*_evidence(entry)] == [
        "failed calls: none counted, the champion's 1 of 10; from -50.00 to ? points"
    ]
    assert not [*_evidence(entry.model_copy(update={"evidence": {"measures": 7}}))]


@pytest.mark.parametrize("name", ["toy", "a b", "any", "x" * 300, "ä/ö"])
def test_a_specs_dag_is_spelled_as_the_dags_are(name: str) -> None:
    from modelyard_dags.catalogue import dag_id as theirs
    from modelyard_ui.airflow_runs import dag_id

    assert dag_id(name) == theirs(name)


@pytest.fixture
def runs(server: "TestClient") -> Iterator[None]:
    """Two runs of train_toy, and a newer one of train_any for the spec other."""
    del server
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    start = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [("train_toy", "failed", {}), ("train_toy", "success", {})]
    rows += [("train_any", "running", {"spec": "other"})]
    with create_session() as session:
        for number, (dag, state, conf) in enumerate(rows):
            run = DagRun(
                dag_id=dag,
                run_id=f"manual__{number}",
                run_type=DagRunType.MANUAL,
                start_date=start + timedelta(hours=number),
                state=state,
                conf=conf,
                triggering_user_name="ada",
            )
            session.add(run)
    yield
    with create_session() as session:
        session.execute(delete(DagRun))


@pytest.mark.usefixtures("runs")
def test_the_last_training_is_told_with_state_and_who_started_it(
    viewer: "TestClient", write_spec: object
) -> None:
    write_spec("toy")  # type: ignore[operator]
    write_spec("other")  # type: ignore[operator]
    page = viewer.get("/modelyard/").text
    assert "/dags/train_toy/runs/manual__1" in page
    assert 'class="state success"' in page
    assert 'class="state running"' in page
    assert "by ada, in train_any" in page
    assert "2026-11-01 01:00" in page
    assert "failed" not in page.partition("<main>")[2]


@pytest.mark.usefixtures("runs")
def test_runs_are_hidden_from_who_may_not_see_them(
    viewer: "TestClient", write_spec: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_spec("toy")  # type: ignore[operator]
    viewer.get("/modelyard/")
    monkeypatch.setattr("modelyard_ui.airflow_runs._may_read", lambda *_: False)
    page = viewer.get("/modelyard/").text
    assert "manual__1" not in page
    assert "no training in Airflow" in page
