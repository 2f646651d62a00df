"""Reports do not fill the disk, and those that somebody needs stay."""

from __future__ import annotations

from pathlib import Path

from modelyard.monitoring.reports.old import prune_reports
from modelyard.store.monitoring_records import AlertRecord
from modelyard.store.records import now

SUFFIXES = (".html", ".json", ".profile.bin")


def put(home: Path, *names: str) -> Path:
    folder = home / "reports" / "m"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for suffix in SUFFIXES:
            (folder / f"{name}{suffix}").write_text("x")
    return folder


def names(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.iterdir()}


def referring(report: str) -> AlertRecord:
    return AlertRecord(
        model="m",
        version=1,
        kind="drift",
        subject="age",
        level="warning",
        worst="warning",
        value=0.2,
        peak=0.2,
        windows=("1000",),
        reason="age drifted",
        onset=now(),
        report=report,
    )


def test_the_newest_reports_stay_with_all_their_files(tmp_path: Path) -> None:
    folder = put(tmp_path, *(f"drift-2026110{day}Z" for day in range(1, 6)))
    assert len(prune_reports(tmp_path, "m", (), keep=2)) == 3
    assert names(folder) == {"drift-20261104Z", "drift-20261105Z"}
    assert len(list(folder.iterdir())) == 2 * len(SUFFIXES)


def test_a_report_that_an_open_alert_refers_to_stays(tmp_path: Path) -> None:
    folder = put(tmp_path, "drift-20261101Z", "drift-20261102Z", "drift-20261103Z")
    prune_reports(tmp_path, "m", [referring("reports/m/drift-20261101Z.html")], keep=1)
    assert names(folder) == {"drift-20261101Z", "drift-20261103Z"}


def test_files_of_other_names_and_models_without_reports_are_left_alone(tmp_path: Path) -> None:
    folder = put(tmp_path, "drift-20261101Z", "mine")
    prune_reports(tmp_path, "m", (), keep=0)
    assert names(folder) == {"mine"}
    assert prune_reports(tmp_path, "other", (), keep=0) == []
