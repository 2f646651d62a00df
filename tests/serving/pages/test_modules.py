"""The pages' modules by themselves: tables, programs and numbers, as they are read and written."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import BrowserContext

from serving.assets import load_assets
from tests.serving.pages.yard import Yard

type Call = Callable[..., Any]
HOSTILE = 'it\'s $HOME `id` \\ "x" \u00e9'


@pytest.fixture(scope="package")
def call(context: BrowserContext, whole_yard: Yard) -> Call:
    """Call a function of a module."""
    page = context.new_page()
    page.goto(f"{whole_yard.url}/docs")
    folder = f"/static/{load_assets().revision}"
    run = "([file, name, given]) => import(file).then((module) => module[name](...given))"
    return lambda file, name, *given: page.evaluate(run, [f"{folder}/{file}", name, list(given)])


@pytest.mark.parametrize(
    ("text", "row", "others"),
    [
        ("1,2", {"a": "1", "b": "2"}, 0),
        ("b\ta\n1\t2\n\n3\t4\r\n", {"b": "1", "a": "2"}, 1),
        ('a;b\n"x;""y""\nz"; 2 ', {"a": 'x;"y"\nz', "b": "2"}, 0),
        ("7", {"a": "7"}, 0),
        ("1,2,3", {"a": "1", "b": "2"}, 0),
    ],
)
def test_a_table_is_read_with_and_without_its_head(
    call: Call, text: str, row: dict[str, str], others: int
) -> None:
    found = call("csv.js", "rowOfTable", text, ["a", "b"])
    assert (found["row"], found["others"]) == (row, others)


@pytest.mark.parametrize("text", ["", " \n\n", "a,b\n"])
def test_a_table_without_a_row_is_none(call: Call, text: str) -> None:
    assert call("csv.js", "rowOfTable", text, ["a", "b"]) is None


def test_a_series_keeps_what_is_no_number_so_that_the_endpoint_can_name_it(call: Call) -> None:
    assert call("series.js", "parts", " 1, 2.5;x\n-3e2 ") == [1, 2.5, "x", -300]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05, "5\u202f%"), (1, "100\u202f%"), (1 / 3, "33.3\u202f%"), (0.125, "12.5\u202f%")],
)
def test_shares_are_whole_where_they_are_whole(call: Call, value: float, text: str) -> None:
    assert call("words.js", "share", value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (152.13348, "152.133"),
        (1e-9, "1.00000e-9"),
        (-0.5, "-0.5"),
        (1234567, "1,234,570"),
        (0, "0"),
    ],
)
def test_numbers_keep_six_digits(call: Call, value: float, text: str) -> None:
    assert call("words.js", "figure", value) == text


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_text_is_one_word_for_the_shell(call: Call, text: str) -> None:
    word = call("snippets.js", "shell", text)
    if len(text) % 10 == 0:  # a shell for each example would take too long
        command = ["bash", "-c", f"printf %s {word}"]
        assert subprocess.run(command, capture_output=True, check=True).stdout.decode() == text
    assert "'" not in word.replace("'\\''", "").strip("'") or word == text


def test_a_hostile_name_breaks_neither_program(call: Call) -> None:
    signature = {"inputs": [{"column": HOSTILE, "type": "number", "middle": 2}], "outputs": []}
    url = "http://127.0.0.1:1/models/x/predict"
    curl = call("snippets.js", "curlOf", url, signature, False)
    printed = curl.replace("curl", "printf '%s\\n'", 1)
    command = ["bash", "-c", printed]
    said = subprocess.run(command, capture_output=True, check=True, text=True)
    assert json.loads(said.stdout.splitlines()[-1]) == {"rows": [{HOSTILE: 2}]}
    python = call("snippets.js", "pythonOf", url, signature, False)
    compile(python, "snippet", "exec")
    [line] = [line for line in python.splitlines() if "json=" in line]
    assert eval(line.strip().removeprefix("json=").removesuffix(",")) == {"rows": [{HOSTILE: 2}]}  # noqa: S307
