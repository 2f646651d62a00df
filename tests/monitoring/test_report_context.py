"""What surrounds a comparison is read from the database and the window, and shown as text."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelyard.errors import MonitoringError
from modelyard.monitoring.check import DriftReport, drift
from modelyard.monitoring.reports import renew_report
from modelyard.monitoring.reports.examples import MOST
from modelyard.monitoring.reports.gather import POINTS, renew_reports, report_context
from modelyard.monitoring.reports.thumbnails import SIDE, thumbnail
from modelyard.monitoring.reports.unlike import known_columns
from modelyard.spec.models import MonitorSpec
from modelyard.store.database import Store
from modelyard.store.monitoring_records import AlertRecord, MetricVerdict, PerformanceCheck
from modelyard.store.records import PredictionRecord
from tests.monitoring.test_report import HOSTILE, Tags

type Draw = Callable[..., pd.DataFrame]
type Make = Callable[..., list[PredictionRecord]]


@pytest.fixture
def report(store: Store, reference: Path, tmp_path: Path) -> Callable[..., DriftReport]:
    """Compare what is in the database."""

    def make(name: str = "drift", **options: Any) -> DriftReport:
        return drift(
            "clinic",
            1,
            reference_folder=reference,
            store=store,
            monitor=MonitorSpec(),
            window=options.pop("window", 1000),
            destination=tmp_path / "reports" / f"{name}.html",
            home=tmp_path,
            **options,
        )

    return make


type Report = Callable[..., DriftReport]


def page(report: DriftReport) -> Tags:
    return Tags(report.html.read_text())


def figures(report: DriftReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report.json_file.read_text())
    return found


def look(at: datetime, value: float = 0.8, **changes: Any) -> PerformanceCheck:
    values: dict[str, Any] = {
        "output": "label",
        "metric": "accuracy",
        "watched": True,
        "rows": 50,
        "value": value,
        "low": value - 0.05,
        "high": value + 0.05,
        "baseline": 0.9,
        "degradation": (0.9 - value) / 0.9,
        **changes,
    }
    return PerformanceCheck(
        at=at,
        model="clinic",
        version=1,
        window="1000",
        rows=200,
        labelled=0 if values.get("estimated") else 50,
        first_at=at,
        last_at=at,
        alpha=0.05,
        metrics=(MetricVerdict(**values),),
    )


def alert(**changes: Any) -> AlertRecord:
    values: dict[str, Any] = {
        "model": "clinic",
        "version": 1,
        "kind": "drift",
        "subject": "size",
        "level": "warning",
        "worst": "warning",
        "value": 0.2,
        "peak": 0.2,
        "windows": ("1000",),
        "reason": "size differs",
        "onset": datetime.fromisoformat("2026-11-01T12:00:00+00:00"),
    }
    return AlertRecord(**{**values, **changes})


def open_alerts(store: Store, alerts: Sequence[AlertRecord]) -> None:
    store.change_alerts("clinic", lambda _: (alerts, ()))


def test_open_alerts_of_this_version_are_shown_the_worst_first(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(200, shift=1.0)))
    open_alerts(
        store,
        [
            alert(subject="level", reason="mild " + HOSTILE),
            alert(level="immediate", worst="immediate", reason="grave"),
            alert(version=2, subject="site", reason="of another version"),
        ],
    )
    found = report()
    assert [one["reason"] for one in figures(found)["alerts"]] == ["grave", "mild " + HOSTILE]
    text = page(found).text
    assert "2 open alerts, the worst immediate." in text
    assert text.index("grave") < text.index("mild " + HOSTILE)
    assert "of another version" not in text
    assert "script" not in {tag for tag, _ in page(found).tags}


def test_performance_is_the_newest_look_with_labels_before_estimates(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(200)))
    start = datetime.fromisoformat("2026-11-01T12:00:00+00:00")
    store.save_performance(look(start, 0.5))
    store.save_performance(look(start + timedelta(hours=1), 0.85, estimated=True))
    store.save_performance(look(start + timedelta(hours=2), 0.72, level="critical"))
    found = report()
    metrics = figures(found)["metrics"]
    assert [(one["now"]["value"], one["now"]["estimated"]) for one in metrics] == [
        (0.72, False),
        (0.85, True),
    ]
    text = page(found).text
    assert "By labels: label.accuracy 0.72 (0.67 to 0.77), 20 % worse than at the" in text
    assert "Estimated without labels: label.accuracy 0.85" in text
    assert "50 of 200 predictions had labels" in text
    assert "0.5" not in {part.strip() for part in text.split("\n")}


def test_a_metric_that_is_no_longer_measured_is_not_shown(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(200)))
    start = datetime.fromisoformat("2026-11-01T12:00:00+00:00")
    store.save_performance(look(start, 0.5))
    store.save_performance(look(start + timedelta(days=3), 0.85, estimated=True))
    found = report()
    assert [one["now"]["value"] for one in figures(found)["metrics"]] == [0.85]
    assert "There were no labels" in page(found).text


def test_since_when_goes_back_over_the_checks_that_saw_it(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(200)))
    report("calm")
    later = datetime.fromisoformat("2026-11-01T18:00:00+00:00")
    store.log_predictions(predictions(table(900, shift=2.0), start=later))
    report("first")
    found = report("second")
    finding = figures(found)["findings"][0]
    assert (finding["column"], finding["checks"]) == ("size", 2)
    assert finding["since_words"].endswith("in the last 2 checks")
    since = datetime.fromisoformat(finding["since"])
    assert abs(since - later) < timedelta(minutes=5)
    history = figures(found)["history"]
    assert len(history["at"]) == 3
    [size] = [row for row in history["rows"] if row["column"] == "size"]
    assert size["drifted"] == [False, True, True]
    cells = [
        found["class"] for tag, found in page(found).tags if tag == "span" and "class" in found
    ]
    assert cells.count("cell hit") == 2 * len(history["rows"]) + 1  # and the legend's


def test_examples_are_rows_far_from_the_reference(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    rows = table(300, shift=1.0)
    rows.loc[7, ["size", "site"]] = [9.5, "moon"]
    store.log_predictions(predictions(rows))
    found = figures(report())
    assert len(found["examples"]) == MOST
    first = found["examples"][0]
    [cell] = [one for one in first["cells"] if one["column"] == "size"]
    assert (first["prediction"][-6:], cell["value"]) == ("000007", 9.5)
    assert cell["unlike"] > 0.99
    assert "in 9 of 10" in cell["usual"]
    shown = page(report("again")).text
    assert first["prediction"] in shown
    assert "9.5" in shown


def test_without_drift_there_are_no_examples(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(300)))
    found = report()
    assert figures(found)["examples"] == []
    assert "Examples" not in page(found).text


def test_kept_inputs_are_shown_as_text_and_small_pictures(
    store: Store, report: Report, table: Draw, predictions: Make, tmp_path: Path
) -> None:
    folder = tmp_path / "inputs" / "clinic"
    folder.mkdir(parents=True)
    Image.new("RGB", (900, 600), (200, 10, 10)).save(folder / "abc.png")
    raw = {"photo": "inputs/clinic/abc.png", "story": HOSTILE * 20, "size": 1.0}
    records = [one.model_copy(update={"raw": raw}) for one in predictions(table(200, shift=3.0))]
    store.log_predictions(records)
    found = report()
    parsed = page(found)
    images = [one for tag, one in parsed.tags if tag == "img"]
    assert len(images) == MOST
    url = str(images[0]["src"])
    assert url.startswith("data:image/png;base64,")
    assert max(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size) == SIDE
    assert HOSTILE in parsed.text
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert "img-src data:; " in found.html.read_text()
    assert "size" not in figures(found)["examples"][0]["texts"]


@pytest.mark.parametrize(
    "path", ["../secret.png", "inputs/../../secret.png", "inputs/clinic/none.png", "/etc/passwd"]
)
def test_a_picture_outside_of_the_kept_inputs_is_not_read(tmp_path: Path, path: str) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "secret.png")
    home = tmp_path / "home"
    (home / "inputs").mkdir(parents=True)
    assert thumbnail(home, path) is None


def test_a_link_out_of_the_kept_inputs_is_not_followed(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "home" / "inputs").mkdir(parents=True)
    (tmp_path / "home" / "inputs" / "link.png").symlink_to(tmp_path / "secret.png")
    assert thumbnail(tmp_path / "home", "inputs/link.png") is None


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\xff" * 90])
def test_bytes_that_are_no_picture_leave_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "x.png").write_bytes(content)
    assert thumbnail(tmp_path, "inputs/x.png") is None


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        (np.arange(64, dtype="uint8").reshape(8, 8), (128, 128)),
        (np.arange(4096, dtype="uint16").reshape(64, 64) * 9, (128, 128)),
        (np.zeros((300, 100), dtype="float32"), (43, 128)),
        (np.random.default_rng(1).integers(0, 255, (400, 400, 3)).astype("uint8"), (128, 128)),
    ],
    ids=["tiny", "sixteen bits", "floats", "noise"],
)
def test_pictures_of_any_kind_become_small_ones(
    tmp_path: Path, pixels: np.ndarray, size: tuple[int, int]
) -> None:
    (tmp_path / "inputs").mkdir()
    Image.fromarray(pixels).save(tmp_path / "inputs" / "x.tiff")
    url = thumbnail(tmp_path, "inputs/x.tiff")
    assert url is not None
    assert len(url) < 60_000
    kind, _, content = url.partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert (image.size, f"data:image/{image.format}".lower()) == (size, kind)


def test_embeddings_are_sampled_into_one_picture(
    store: Store, report: Report, table: Draw, predictions: Make, random: np.random.Generator
) -> None:
    records = [
        one.model_copy(update={"embedding": tuple(map(float, random.normal(3, 1, 3)))})
        for one in predictions(table(600))
    ]
    store.log_predictions(records)
    known = pd.DataFrame(random.normal(size=(900, 3)), columns=[f"embedding.{i}" for i in range(3)])
    known.loc[0] = np.nan
    check = report().check
    found = report_context(store, check, reference=table(10), outputs=known).cloud
    assert found is not None
    assert (len(found.reference), len(found.live)) == (POINTS, POINTS)
    assert 0 < sum(found.outside) < 100
    assert np.mean([x for x, _ in found.live]) == pytest.approx(3, abs=0.3)
    assert report_context(store, check, reference=table(10), outputs=known).cloud == found


def test_only_the_segments_rows_are_examples(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(600, shift=1.0)))
    found = report(segment="site=north")
    ids = {one["prediction"] for one in figures(found)["examples"]}
    records = [store.prediction(one) for one in ids]
    assert {one.inputs["site"] for one in records if one} == {"north"}
    assert "with site=north" in page(found).text


def test_where_only_embeddings_drifted_the_farthest_rows_are_examples(
    store: Store, report: Report, table: Draw, predictions: Make, random: np.random.Generator
) -> None:
    places = random.normal(0, 1, (200, 2))
    places[17] = [40.0, -40.0]
    records = [
        one.model_copy(update={"embedding": tuple(map(float, place))})
        for one, place in zip(predictions(table(200)), places, strict=True)
    ]
    store.log_predictions(records)
    check = report().check
    embedding = check.verdicts[0].model_copy(
        update={"column": "embedding", "kind": "embedding", "drifted": True}
    )
    drifted = check.model_copy(update={"verdicts": (embedding,)})
    known = pd.DataFrame(random.normal(size=(300, 2)), columns=["embedding.0", "embedding.1"])
    found = report_context(store, drifted, reference=table(10), outputs=known).examples
    assert found[0].prediction.endswith("000017")
    assert found[0].cells[0].column == "embedding"
    assert [one.cells[0].unlike for one in found] == sorted(
        (one.cells[0].unlike for one in found), reverse=True
    )


@pytest.mark.parametrize(
    ("value", "share"),
    [("common", 1.0), ("rare", 0.1), ("unseen", 1 / 101), (None, 1 / 101)],
)
def test_a_word_is_as_unlike_as_it_is_rare(value: str | None, share: float) -> None:
    reference = pd.DataFrame({"x": ["common"] * 90 + ["rare"] * 10})
    assert known_columns(["x"], [reference])["x"].tail(value) == pytest.approx(share)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_farther_out_is_never_less_unlike(value: float, step: float) -> None:
    reference = pd.DataFrame({"x": np.linspace(-100, 100, 401)})
    tail = known_columns(["x"], [reference])["x"].tail
    outward = value + step if value >= 0 else value - step
    assert 0 < tail(outward) <= tail(value) <= 1


def test_a_report_is_written_again_with_the_alerts_that_followed(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(200, shift=1.0)))
    found = report()
    before, said = page(found).text, figures(found)
    assert "open alert" not in before
    measured = look(found.check.at, 0.7, level="critical")
    renew_report(found.html, performance=[measured], alerts=[alert(reason="it followed")])
    after, now_said = page(found).text, figures(found)
    assert "1 open alert, the worst warning." in after
    assert "it followed" in after
    assert "label.accuracy 0.7 " in after
    changed = {name for name in said if said[name] != now_said[name]}
    assert changed == {"summary", "metrics", "labelled", "alerts"}
    renew_report(found.html, performance=[], alerts=[])
    assert page(found).text == before


def test_a_report_of_another_make_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"model": "clinic"}')
    for name in ("old", "none"):
        with pytest.raises(MonitoringError, match="cannot be written again"):
            renew_report(tmp_path / f"{name}.html", performance=[], alerts=[])


def test_the_report_that_an_alert_names_shows_it(
    store: Store, report: Report, table: Draw, predictions: Make
) -> None:
    store.log_predictions(predictions(table(200, shift=1.0)))
    found = report()
    store.save_performance(look(found.check.at, 0.7))
    elsewhere = alert(segment="site=north", reason="of a segment")
    renew_reports(store, [(found.html, found.check)], [alert(reason="of all rows"), elsewhere])
    assert [one["reason"] for one in figures(found)["alerts"]] == ["of all rows"]
    assert [one["now"]["value"] for one in figures(found)["metrics"]] == [0.7]
