"""Stage `validate`: every broken rule, with its rows, in the artifact and in the page."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from modelyard.artifacts import CheckFailure, ValidationReport
from modelyard.data.checks import unfit_rows
from modelyard.data.pull import pull
from modelyard.data.validate import validate
from modelyard.spec.data import CheckSpec
from modelyard.workspace import Workspace
from tests.data.conftest import make_spec, write_images

Check = Callable[..., ValidationReport]


@pytest.fixture
def folder(project: Path) -> Path:
    made = project / "data" / "own"
    made.mkdir()
    return made


@pytest.fixture
def check(folder: Path, workspace: Workspace) -> Check:
    """Write a table and validate it against checks, with more of the data section."""

    def run(
        table: pd.DataFrame | str, *checks: dict[str, object], **data: object
    ) -> ValidationReport:
        if isinstance(table, str):
            (folder / "table.csv").write_text(table, encoding="utf-8")
        else:
            table.to_csv(folder / "table.csv", index=False)
        options = {"inputs": (("x", "number"),), "outputs": (), **data}
        spec = make_spec("data/own", checks=checks, **options)  # type: ignore[arg-type]
        return validate(spec, pull(spec, workspace), workspace)

    return run


def only(report: ValidationReport) -> CheckFailure:
    assert not report.passed
    assert len(report.failures) == 1, report.failures
    return report.failures[0]


GOOD = pd.DataFrame({"x": [1, 2, 3, 4], "label": ["a", "b", "a", "b"]})


class TestColumnRules:
    def test_good_data_passes(self, check: Check) -> None:
        rules = [
            {"column": "x", "type": "integer", "not_null": True, "unique": True},
            {"column": "x", "min": 1, "max": 4},
            {"column": "label", "one_of": ["a", "b"], "matches": "[ab]", "min_class_share": 0.5},
            {"min_rows": 4, "max_duplicate_rows": 0},
        ]
        report = check(GOOD, *rules)
        assert report.passed
        assert (report.rows, report.failures) == (4, ())
        assert report.checks >= 10

    def test_missing_values_are_counted_with_their_rows(self, check: Check) -> None:
        failure = only(check("x,y\n1,1\n2,1\n,1\n", {"column": "x", "not_null": True}))
        assert failure.message == "x: 1 value breaks `is not missing`: nothing in row 3"

    def test_row_1_is_the_first_below_the_header(self, check: Check) -> None:
        failure = only(check("x\n-1\n2\n-3\n", {"column": "x", "min": 0}))
        assert failure.rows == (1, 3)
        assert failure.count == 2
        assert failure.column == "x"
        assert failure.check == "is at least 0"
        assert failure.message == "x: 2 values break `is at least 0`: -1 in row 1, -3 in row 3"

    def test_repeated_values(self, check: Check) -> None:
        failure = only(check("x\n1\n2\n1\n", {"column": "x", "unique": True}))
        assert (failure.rows, failure.check) == ((3,), "occurs once")

    def test_values_that_are_not_allowed(self, check: Check) -> None:
        failure = only(check("x\n1\n2\n7\n", {"column": "x", "one_of": [1, 2, 3]}))
        assert failure.message == "x: 1 value breaks `is one of 1, 2, 3`: 7 in row 3"

    @pytest.mark.parametrize("allowed", [[1, 2], ["1", "2"], [1.0, 2.0]])
    def test_allowed_values_may_be_written_as_number_or_text(
        self, check: Check, allowed: list[object]
    ) -> None:
        assert check("x\n1\n2\n\n1\n", {"column": "x", "one_of": allowed}).passed

    def test_allowed_values_may_be_booleans(self, check: Check) -> None:
        assert check("x\nTrue\nFalse\n", {"column": "x", "one_of": [True, False]}).passed

    def test_values_above_the_largest(self, check: Check) -> None:
        assert only(check("x\n1\n9\n", {"column": "x", "max": 5})).rows == (2,)

    def test_text_is_neither_above_nor_below_a_number(self, check: Check) -> None:
        report = check("x\n1\nmany\n", {"column": "x", "min": 0, "max": 5})
        assert [failure.rows for failure in report.failures] == [(2,), (2,)]

    def test_the_expression_must_match_as_a_whole(self, check: Check) -> None:
        failure = only(check("x\nA1\nA12\nB1\n", {"column": "x", "matches": "A[0-9]"}))
        assert failure.rows == (2, 3)

    def test_a_broken_expression_is_a_failure_not_a_crash(self, check: Check) -> None:
        failure = only(check("x\nA\n", {"column": "x", "matches": "("}))
        assert "( is not a regular expression" in failure.message

    def test_a_rare_class(self, check: Check) -> None:
        table = pd.DataFrame({"x": ["common"] * 97 + ["rare"] * 3})
        failure = only(check(table, {"column": "x", "min_class_share": 0.05}))
        assert failure.rows == (98, 99, 100)
        assert "rare 3.0% (3 rows)" in failure.message

    @pytest.mark.parametrize(
        ("kind", "bad"),
        [
            ("number", "many"),
            ("number", "inf"),
            ("integer", "1.5"),
            ("integer", "one"),
            ("boolean", "2"),
        ],
    )
    def test_values_of_another_type(self, check: Check, kind: str, bad: str) -> None:
        failure = only(check(f"x\n1\n0\n{bad}\n\n1\n", {"column": "x", "type": kind}))
        assert failure.rows == (3,)

    @pytest.mark.parametrize(
        ("kind", "values"),
        [
            ("number", "1\n2.5\n-3e4"),
            ("integer", "1\n2\n30"),
            ("text", "a\nb\n007"),
            ("text", "1\n2\n3"),
            ("boolean", "True\nFalse\nTrue"),
            ("boolean", "yes\nno\nyes"),
            ("boolean", "0\n1\n0"),
        ],
    )
    def test_values_of_the_right_type(self, check: Check, kind: str, values: str) -> None:
        assert check(f"x\n{values}\n", {"column": "x", "type": kind}).passed

    def test_integers_with_gaps_are_integers(self, check: Check) -> None:
        assert check("x,y\n1,1\n,2\n3,3\n", {"column": "x", "type": "integer"}).passed

    def test_text_keeps_its_leading_zeros(self, check: Check) -> None:
        rules = [{"column": "x", "type": "text"}, {"column": "x", "matches": "0[0-9]{4}"}]
        assert check("x\n01234\n00001\n", *rules).passed


class TestTableRules:
    def test_too_few_rows(self, check: Check) -> None:
        failure = only(check(GOOD, {"min_rows": 5}))
        assert failure.message == "the table has 4 rows, fewer than 5"

    def test_too_many_duplicates(self, check: Check) -> None:
        table = pd.DataFrame({"x": [1, 2, 1, 1], "label": ["a", "b", "a", "b"]})
        assert check(table, {"max_duplicate_rows": 1}).passed
        failure = only(check(table, {"max_duplicate_rows": 0}))
        assert (failure.rows, failure.count) == ((3,), 1)
        assert "row 3 repeats row 1" in failure.message

    def test_an_empty_table(self, check: Check) -> None:
        assert only(check("x,label\n")).message == "the table has no rows"

    def test_a_wrong_column_gets_the_nearest(self, check: Check) -> None:
        failure = only(check(GOOD, {"column": "lable", "not_null": True}))
        assert failure.message == "the table has no column lable; did you mean label?"

    def test_all_failures_are_told_at_once(self, check: Check) -> None:
        report = check(
            "x,label\n1,a\n,z\n500,a\n1,a\n",
            {"column": "x", "not_null": True, "max": 100},
            {"column": "label", "one_of": ["a", "b"]},
            {"column": "lebel", "unique": True},
            {"max_duplicate_rows": 0},
            {"min_rows": 10},
        )
        assert len(report.failures) == 6
        assert report.checks > 6

    def test_only_the_first_rows_are_kept_but_all_are_counted(self, check: Check) -> None:
        table = pd.DataFrame({"x": range(-500, 0)})
        failure = only(check(table, {"column": "x", "min": 0}))
        assert failure.rows == tuple(range(1, 21))
        assert failure.count == 500
        assert "and 497 more" in failure.message


class TestFeatures:
    def test_a_missing_input_column(self, check: Check) -> None:
        failure = only(check(GOOD, inputs=(("xx", "number"),)))
        assert failure.message == (
            "the table has no column xx for the model's input feature xx; there are x, label"
        )

    def test_a_missing_output_column_gets_the_nearest(self, check: Check) -> None:
        failure = only(check(GOOD, outputs=(("labels", "category"),)))
        assert failure.message.endswith("output feature labels; did you mean label?")

    def test_a_renamed_column_is_not_missed(self, check: Check) -> None:
        steps = [{"kind": "rename", "columns": {"x": "width"}}]
        assert check(GOOD, inputs=(("width", "number"),), transform=steps).passed

    def test_a_column_that_is_renamed_away_is_missed(self, check: Check) -> None:
        steps = [{"kind": "rename", "columns": {"x": "width"}}]
        assert "did you mean" not in only(check(GOOD, transform=steps)).message

    def test_a_column_that_is_dropped_is_missed(self, check: Check) -> None:
        steps = [{"kind": "drop_columns", "columns": ["x"]}]
        assert "no column x" in only(check(GOOD, transform=steps)).message

    def test_two_names_may_change_places(self, check: Check) -> None:
        steps = [{"kind": "rename", "columns": {"x": "label", "label": "x"}}]
        assert check(GOOD, outputs=(("label", "category"),), transform=steps).passed


class TestSplits:
    def test_a_missing_split_column(self, check: Check) -> None:
        failure = only(check(GOOD, split={"stratify": "lable"}))
        assert failure.message == (
            "data.split.stratify: the table has no column lable; did you mean label?"
        )

    def test_wrong_words_in_the_split_column(self, check: Check) -> None:
        table = GOOD.assign(part=["train", "dev", None, "test"])
        failure = only(check(table, split={"column": "part"}))
        assert failure.rows == (2, 3)
        assert "'dev' in row 2, nothing in row 3" in failure.message

    def test_the_same_sample_in_two_splits(self, check: Check) -> None:
        table = pd.DataFrame({"x": [1, 2, 3, 1], "part": ["train", "validation", "test", "test"]})
        failure = only(check(table, split={"column": "part"}))
        assert failure.rows == (1, 4)
        assert "row 1 (train) = row 4 (test)" in failure.message

    def test_leakage_may_be_allowed(self, check: Check) -> None:
        table = pd.DataFrame({"x": [1, 2, 3, 1], "part": ["train", "validation", "test", "test"]})
        assert check(table, {"leakage": "allow"}, split={"column": "part"}).passed

    def test_leakage_is_found_under_the_raw_names_of_columns(self, check: Check) -> None:
        table = pd.DataFrame({"raw": [1, 2, 1], "part": ["train", "validation", "test"]})
        steps = [{"kind": "rename", "columns": {"raw": "x", "part": "fold"}}]
        report = check(table, transform=steps, split={"column": "fold"})
        assert only(report).rows == (1, 3)


class TestImages:
    @pytest.fixture
    def names(self, folder: Path) -> list[str]:
        return write_images(folder, 6)

    def test_good_images_pass(self, check: Check, names: list[str]) -> None:
        table = pd.DataFrame({"image": names})
        assert check(table, {"column": "image", "type": "image"}, inputs=()).passed

    def test_each_kind_of_bad_image_is_named(
        self, check: Check, names: list[str], folder: Path
    ) -> None:
        whole = (folder / names[0]).read_bytes()
        (folder / names[0]).write_bytes(whole[: len(whole) - 20])
        (folder / names[1]).write_bytes(b"")
        (folder / names[2]).write_text("no image", encoding="utf-8")
        (folder / names[3]).unlink()
        table = pd.DataFrame({"image": [*names, "../secret.png", "/etc/passwd", None]})
        failure = only(check(table, {"column": "image", "type": "image"}, inputs=()))
        assert failure.rows == (1, 2, 3, 4, 7, 8)
        assert "images/000.png is damaged" in failure.message
        assert "images/001.png is empty (row 2)" in failure.message
        assert "images/002.png is not an image (row 3)" in failure.message

    def test_a_truncated_image_of_real_size_is_found(self, check: Check, folder: Path) -> None:
        from PIL import Image

        noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
        for suffix in ("png", "jpg", "bmp"):
            path = folder / f"noise.{suffix}"
            Image.fromarray(noise).save(path)
            path.write_bytes(path.read_bytes()[:-900])
        table = pd.DataFrame({"image": [f"noise.{suffix}" for suffix in ("png", "jpg", "bmp")]})
        failure = only(check(table, {"column": "image", "type": "image"}, inputs=()))
        assert failure.rows == (1, 2, 3)

    def test_images_of_features_are_opened_without_being_asked(
        self, check: Check, names: list[str], folder: Path
    ) -> None:
        (folder / names[4]).unlink()
        table = pd.DataFrame({"image": names})
        failure = only(check(table, inputs=(("image", "image"),)))
        assert failure.message == (
            "image: 1 image cannot be used: images/004.png does not exist (row 5)"
        )


class TestTiff:
    STEP = {"kind": "extract_tiff", "images": "cells.tif", "masks": "masks.tif"}  # noqa: RUF012

    @pytest.fixture
    def stack(self, folder: Path, workspace: Workspace) -> Check:
        pages = np.arange(5 * 8 * 8, dtype=np.uint16).reshape(5, 8, 8)
        tifffile.imwrite(folder / "cells.tif", pages)
        tifffile.imwrite(folder / "masks.tif", (pages > 100).astype(np.uint8))

        def run(*checks: dict[str, object], **step: object) -> ValidationReport:
            spec = make_spec(
                "data/own",
                None,
                (("image", "image"),),
                (("mask", "image"),),
                checks=checks,
                transform=[{**self.STEP, **step}],
            )
            return validate(spec, pull(spec, workspace), workspace)

        return run

    def test_columns_that_the_transform_makes_are_not_missed(self, stack: Check) -> None:
        report = stack()
        assert report.passed
        assert report.rows == 5

    def test_other_names_are_followed(self, stack: Check) -> None:
        failure = only(stack(image_column="cells"))
        assert failure.message.startswith("the table has no column image")

    def test_a_damaged_tiff_is_told(self, stack: Check, folder: Path) -> None:
        (folder / "cells.tif").write_bytes(b"II*\x00 no")
        assert "cells.tif is not a readable TIFF" in only(stack()).message

    def test_masks_must_fit_the_images(self, stack: Check, folder: Path) -> None:
        tifffile.imwrite(folder / "masks.tif", np.zeros((6, 8, 8), np.uint8))
        assert "masks.tif has pages, rows and columns (6, 8, 8)" in only(stack()).message

    def test_a_check_on_a_column_has_nothing_to_look_at(self, stack: Check) -> None:
        failure = only(stack({"column": "page", "min": 0}))
        assert failure.message.startswith("there is no table before the transforms")


class TestReport:
    def test_the_page_holds_every_failure_and_loads_nothing(
        self, check: Check, workspace: Workspace
    ) -> None:
        report = check("x\n-1\n2\n", {"column": "x", "min": 0}, {"min_rows": 5})
        page = workspace.path(report.report).read_text(encoding="utf-8")
        for failure in report.failures:
            assert html.escape(failure.message) in page
        assert "2 of 4 checks failed." in page
        assert "sha256:" in page
        assert not re.search(r"(src|href)=", page)

    def test_values_of_the_data_are_escaped(self, check: Check, workspace: Workspace) -> None:
        attack = "<script>alert(1)</script>"
        report = check(f"x\n{attack}\n", {"column": "x", "one_of": ["a"]})
        page = workspace.path(report.report).read_text(encoding="utf-8")
        assert attack not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page

    def test_good_data_gives_a_page_too(self, check: Check, workspace: Workspace) -> None:
        report = check(GOOD)
        page = workspace.path(report.report).read_text(encoding="utf-8")
        assert f"All {report.checks} checks held." in page

    def test_the_same_question_is_answered_from_before(self, check: Check) -> None:
        assert check(GOOD, {"min_rows": 5}) == check(GOOD, {"min_rows": 5})


@pytest.mark.parametrize(
    ("check", "unfit"),
    [
        ({"column": "x", "min": 2}, {0}),
        ({"column": "x", "one_of": [1, 3]}, {1}),
        ({"column": "word", "matches": "[ab]"}, {2}),
        ({"column": "word", "not_null": True, "type": "text"}, {1}),
        ({"column": "word", "matches": "["}, {0, 1, 2}),
        ({"column": "elsewhere", "not_null": True}, set()),
    ],
    ids=["least", "one_of", "matches", "missing", "no expression", "no column"],
)
def test_rows_that_break_a_rule_are_found(check: dict[str, object], unfit: set[int]) -> None:
    table = pd.DataFrame({"x": [1, 2, 3], "word": ["a", None, "c"]})
    assert unfit_rows(table, [CheckSpec.model_validate(check)]) == unfit
