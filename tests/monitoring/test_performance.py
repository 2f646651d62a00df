"""A window's answers are measured by their labels, and estimated where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelyard.errors import MonitoringError, UsageError
from modelyard.features import ModelFeature, ModelSignature
from modelyard.monitoring.performance import measure
from modelyard.monitoring.performance.reading import belonging, of_segment
from modelyard.monitoring.reference import read_outputs
from modelyard.spec.monitor import MonitorSpec, WindowSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import MetricVerdict, PerformanceCheck
from modelyard.store.records import Label, PredictionRecord, now
from tests.monitoring.conftest import START

type Measure = Callable[..., tuple[PerformanceCheck, ...]]


def signature(*outputs: tuple[str, str]) -> ModelSignature:
    return ModelSignature(
        inputs=(),
        outputs=tuple(
            ModelFeature(
                name=name,
                column=name,
                type=kind,
                required=True,
                categories=("no", "yes") if kind != "number" else None,
            )
            for name, kind in outputs
        ),
    )


def answers(rows: int, wrong: float, seed: int = 0) -> pd.DataFrame:
    """Labels, of which about so many are wrong, where the model is unsure; and numbers."""
    random = np.random.default_rng(seed)
    chances = np.clip(1 - random.exponential(wrong, rows), 0.5, 1)
    truth = random.choice(["no", "yes"], rows)
    right = random.random(rows) < chances
    other = np.where(truth == "yes", "no", "yes")
    price = random.normal(10, 3, rows)
    return pd.DataFrame(
        {
            "predicted.label": np.where(right, truth, other),
            "probability.label": chances,
            "truth.label": truth,
            "predicted.price": price + random.normal(0, 1 + 5 * wrong, rows),
            "truth.price": price,
            "input.site": random.choice(["north", "south"], rows),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version's package: its signature, and a reference of 800 test rows."""
    (tmp_path / "reference").mkdir()
    answers(800, 0.1).to_parquet(tmp_path / "reference" / "outputs.parquet")
    said = signature(("label", "binary"), ("price", "number"))
    (tmp_path / "signature.json").write_text(said.model_dump_json())
    return tmp_path / "reference"


@pytest.fixture
def look(store: Store, folder: Path) -> Measure:
    def look(window: WindowSpec = "all", segment: str | None = None, **monitor: Any) -> Any:
        return measure(
            "clinic",
            1,
            reference_folder=folder,
            store=store,
            monitor=MonitorSpec.model_validate(monitor),
            window=window,
            run="run-1",
            segment=segment,
        )

    return look


def log(
    store: Store, rows: pd.DataFrame, *, labelled: int, start: datetime = START, tag: str = "p"
) -> None:
    """Log answers one a second, the first `labelled` of them with their truths."""
    table = rows.to_dict("records")
    store.log_predictions([record(tag, n, row, start) for n, row in enumerate(table)])
    said = [
        Label(prediction=f"{tag}{n:05d}", output=output, value=row[f"truth.{output}"])
        for n, row in enumerate(table[:labelled])
        for output in ("label", "price")
    ]
    if said:
        store.save_labels("clinic", said)


def record(tag: str, number: int, row: dict[Any, Any], start: datetime) -> PredictionRecord:
    return PredictionRecord(
        id=f"{tag}{number:05d}",
        at=start + timedelta(seconds=number),
        model="clinic",
        version=1,
        request="r",
        inputs={"site": row["input.site"]},
        outputs={"label": row["predicted.label"], "price": row["predicted.price"]},
        probability={"label": row["probability.label"]},
        latency_ms=1.0,
    )


def named(check: PerformanceCheck) -> dict[str, MetricVerdict]:
    return {f"{one.output}.{one.metric}": one for one in check.metrics}


def levels(checks: Sequence[PerformanceCheck]) -> dict[str, str | None]:
    return {name: one.level for check in checks for name, one in named(check).items() if one.watched}  # fmt: skip


def test_worse_answers_are_found_by_their_labels(store: Store, look: Measure) -> None:
    log(store, answers(500, 0.3, seed=1), labelled=500)
    [check] = look(1000)
    assert (check.window, check.rows, check.labelled, check.run) == ("1000", 500, 500, "run-1")
    assert check.first_at == START
    assert check.last_at == START + timedelta(seconds=499)
    assert levels([check]) == {"price.rmse": "immediate", "label.accuracy": "critical"}
    accuracy = named(check)["label.accuracy"]
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.low < accuracy.value < accuracy.high
    assert accuracy.baseline_rows == 800
    assert accuracy.p_adjusted is not None
    assert accuracy.p_adjusted < 0.001
    assert {"label.f1", "label.f1.yes", "label.brier", "price.mae"} <= named(check).keys()
    assert [one.watched for one in check.metrics] == sorted(
        (one.watched for one in check.metrics), reverse=True
    )


def test_answers_as_good_as_at_the_evaluation_raise_nothing(store: Store, look: Measure) -> None:
    log(store, answers(500, 0.1, seed=1), labelled=500)
    [check] = look()
    assert set(levels([check]).values()) == {None}


def test_what_is_found_can_be_kept_and_read_again(store: Store, look: Measure) -> None:
    log(store, answers(100, 0.3, seed=1), labelled=40)
    checks = look()
    for check in checks:
        store.save_performance(check)
    assert len(checks) == 2
    assert {one.id for one in store.performance("clinic")} == {one.id for one in checks}


def test_without_labels_accuracy_is_estimated(store: Store, look: Measure) -> None:
    rows = answers(800, 0.3, seed=1)
    log(store, rows, labelled=0)
    [check] = look()
    [found] = check.metrics
    truth = float((rows["predicted.label"] == rows["truth.label"]).mean())
    assert (found.metric, found.estimated, found.watched) == ("accuracy", True, True)
    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.low is not None
    assert found.low <= found.value
    assert found.level in {"critical", "immediate"}
    assert "calibrated on 800 test rows" in str(found.note)
    assert check.labelled == 0


def test_an_estimate_without_change_raises_nothing(store: Store, look: Measure) -> None:
    log(store, answers(500, 0.1, seed=2), labelled=0)
    assert levels(look()) == {"label.accuracy": None}


def test_few_labels_give_both_and_most_give_no_estimate(store: Store, look: Measure) -> None:
    log(store, answers(200, 0.1, seed=1), labelled=50)
    by_labels, estimated = look()
    assert (by_labels.labelled, by_labels.rows) == (50, 50)
    assert (estimated.labelled, estimated.rows) == (50, 200)
    assert not any(one.estimated for one in by_labels.metrics)
    assert all(one.estimated for one in estimated.metrics)
    log(store, answers(200, 0.1, seed=3), labelled=200, tag="q")
    assert len(look()) == 1


def test_a_spec_may_want_no_estimate(store: Store, look: Measure) -> None:
    log(store, answers(100, 0.1), labelled=0)
    assert look(estimate=False) == ()


def test_too_few_rows_are_nothing_to_say(store: Store, look: Measure) -> None:
    assert look() == ()
    log(store, answers(29, 0.1), labelled=29)
    assert look() == ()


def test_the_last_labels_are_counted_and_not_the_last_predictions(
    store: Store, look: Measure
) -> None:
    log(store, answers(400, 0.1, seed=1), labelled=100)
    by_labels, estimated = look(200)
    assert by_labels.last_at == START + timedelta(seconds=99)
    assert by_labels.labelled <= 200
    assert estimated.last_at == START + timedelta(seconds=399)


def test_a_stretch_of_time_is_a_window(store: Store, look: Measure) -> None:
    log(store, answers(100, 0.1, seed=1), labelled=100)
    log(store, answers(60, 0.5, seed=2), labelled=60, start=now() - timedelta(hours=1), tag="q")
    [check] = look("2h")
    assert (check.window, check.labelled) == ("2h", 60)
    assert look("1m") == ()


def test_a_segment_is_compared_with_its_own_test_rows(
    store: Store, look: Measure, folder: Path
) -> None:
    rows = answers(400, 0.1, seed=1)
    bad = rows["input.site"] == "south"
    rows.loc[bad, "predicted.label"] = "no"
    log(store, rows, labelled=400)
    [south], [north] = look(segment="site=south"), look(segment="site=north")
    assert (south.segment, south.labelled) == ("site=south", int(bad.sum()))
    found = named(south)["label.accuracy"]
    reference = read_outputs(folder)
    assert reference is not None
    assert found.baseline_rows == (reference["input.site"] == "south").sum()
    assert found.level == "immediate"
    assert named(north)["label.accuracy"].level is None
    with pytest.raises(UsageError, match="COLUMN=VALUE"):
        look(segment="south")


def test_whole_numbers_name_the_same_segment_however_they_are_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"input.ward": [3.0, 3.0, 4.0]})
    belongs = belonging(tmp_path, "ward=3")
    assert belongs is not None
    assert belongs({"ward": "3"})
    found = of_segment(frame, "ward=3", belongs)
    assert found is not None
    assert len(found) == 2
    assert belonging(tmp_path, None) is None
    assert of_segment(frame, None, None) is frame


def test_rare_values_are_a_segment_together(tmp_path: Path) -> None:
    values = [f"v{number:02d}" for number in range(25) for _ in range(30 - number)]
    pd.DataFrame({"site": values}).to_parquet(tmp_path / "sample.parquet")
    belongs = belonging(tmp_path, "site=(others)")
    assert belongs is not None
    assert [belongs({"site": one}) for one in ("v00", "v24", "unseen")] == [False, True, True]


def test_a_segments_column_is_read_as_live_inputs_are_observed(folder: Path) -> None:
    rows = answers(20, 0.1).assign(**{"input.site": ["yes", "no"] * 10})
    rows.to_parquet(folder / "outputs.parquet")
    known = ModelFeature(name="site", column="site", type="binary", required=True)
    said = signature(("label", "binary")).model_copy(update={"inputs": (known,)})
    (folder.parent / "signature.json").write_text(said.model_dump_json())
    found = read_outputs(folder)
    assert found is not None
    assert found["input.site"].tolist() == ["true", "false"] * 10


def test_a_segment_of_which_no_test_rows_are_known_has_no_baseline(
    store: Store, look: Measure, folder: Path
) -> None:
    answers(800, 0.1).drop(columns="input.site").to_parquet(folder / "outputs.parquet")
    log(store, answers(200, 0.4, seed=1), labelled=200)
    [check] = look(segment="site=south")
    assert named(check)["label.accuracy"].baseline is None
    assert levels([check])["label.accuracy"] is None


def test_the_spec_says_which_metrics_are_watched(store: Store, look: Measure) -> None:
    log(store, answers(300, 0.3, seed=1), labelled=300)
    [check] = look(metrics=["label.f1", "label.recall.yes"], correction="bonferroni")
    assert levels([check]).keys() == {"label.f1", "label.recall.yes"}
    for one in check.metrics[:2]:
        assert one.p_adjusted == pytest.approx(min(1, 2 * (one.p_value or 0)))
    with pytest.raises(MonitoringError, match="did you mean `label`"):
        look(metrics=["labels.f1"])


def test_an_estimate_of_what_is_not_watched_raises_nothing(store: Store, look: Measure) -> None:
    log(store, answers(300, 0.4, seed=1), labelled=0)
    [check] = look(metrics=["price.mae"])
    assert levels([check]) == {}
    assert check.metrics[0].degradation is not None


def test_a_version_without_kept_answers_is_measured_without_a_baseline(
    store: Store, look: Measure, folder: Path
) -> None:
    (folder / "outputs.parquet").unlink()
    log(store, answers(100, 0.1, seed=1), labelled=100)
    [check] = look()
    found = named(check)["label.accuracy"]
    assert found.baseline is None
    assert found.level is None
    assert "train again" in str(found.note)


def test_without_a_signature_the_reference_says_what_is_a_label(
    store: Store, look: Measure, folder: Path
) -> None:
    (folder.parent / "signature.json").unlink()
    log(store, answers(100, 0.1, seed=1), labelled=100)
    [check] = look()
    assert {"label.accuracy", "price.rmse"} <= named(check).keys()


def test_a_broken_reference_is_said_with_its_file(look: Measure, folder: Path) -> None:
    (folder / "outputs.parquet").write_bytes(b"not parquet")
    with pytest.raises(MonitoringError, match=r"outputs\.parquet"):
        look()
