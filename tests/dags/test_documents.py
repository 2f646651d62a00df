from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.spec.load import load_spec
from modelyard.spec.models import Spec


def page(path: Path) -> str:
    from modelyard_dags.documents import spec_page

    return spec_page(load_spec(path), path, "http://127.0.0.1:8000")


def test_the_page_says_what_the_spec_says(write_spec: Callable[..., Path]) -> None:
    text = page(write_spec(search=True))
    for part in (
        "### toy",
        "A toy model, for tests.",
        "`data/toy` at the work tree, split 70% / 10% / 20% stratified by `label`, seed 42",
        "`size` (number), `colour` (category)",
        "epochs `2`",
        "3 trials",
        "3 folds",
        "`label.accuracy` at least 0.5",
        "(http://127.0.0.1:8000/docs)",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("monitor", "words"),
    [
        pytest.param("", "| Retrained | by hand |", id="never"),
        pytest.param(
            "monitor: {retrain_on: immediate, retrain: {data: labelled, cooldown_hours: 6}}\n",
            "on alerts from `immediate` on, with new labels; at most every 6 h and 4 times in 30 days",
            id="labelled",
        ),
    ],
)
def test_the_page_says_when_it_is_retrained(
    write_spec: Callable[..., Path], monitor: str, words: str
) -> None:
    assert words in page(write_spec(more=monitor))


def test_the_page_holds_the_file_as_it_is(write_spec: Callable[..., Path]) -> None:
    path = write_spec()
    assert f"```yaml\n{path.read_text().rstrip()}\n```" in page(path)


def test_many_features_are_counted(write_spec: Callable[..., Path]) -> None:
    path = write_spec()
    features = ", ".join(f"{{name: x{number}, type: number}}" for number in range(30))
    path.write_text(path.read_text().replace("{name: size, type: number}", features))
    assert "`x7` (number) and 23 more" in page(path)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({}, "at random, seed 42"),
        ({"column": "part"}, "split by column `part`"),
        ({"blocks_of": "series"}, "by blocks of `series`"),
    ],
)
def test_each_way_to_split_has_words(
    write_spec: Callable[..., Path], split: dict[str, str], words: str
) -> None:
    from modelyard_dags.documents import spec_page

    path = write_spec()
    value = load_spec(path).model_dump(mode="json")
    value["data"]["split"] = split
    assert words in spec_page(Spec.model_validate(value), path, "http://127.0.0.1:8000")


def test_a_description_cannot_form_the_page(write_spec: Callable[..., Path]) -> None:
    path = write_spec()
    hostile = "'[click](javascript:alert(1)) <img src=x> `'"
    path.write_text(path.read_text().replace("A toy model, for tests.", hostile))
    before_the_file = page(path).partition("```")[0]
    assert r"\[click\](javascript" in before_the_file
    assert r"\<img" in before_the_file


@given(text=st.text(alphabet="`a\n", max_size=40))
def test_no_text_ends_its_own_quotation(text: str) -> None:
    from modelyard_dags.documents import fenced

    first, *_, last = fenced(text, "").splitlines()
    assert set(first) == {"`"}
    assert first == last
    assert first not in text


def test_the_page_of_a_broken_spec_shows_the_error_and_the_remedy(tmp_path: Path) -> None:
    from modelyard_dags.documents import broken_page

    text = broken_page(tmp_path / "model_specs" / "bad.yaml", "bad.yaml:3: name: is missing")
    assert "bad.yaml:3: name: is missing" in text
    assert "modelyard spec check model_specs/bad.yaml" in text


def test_a_file_that_is_gone_still_has_a_page(write_spec: Callable[..., Path]) -> None:
    from modelyard_dags.documents import spec_page

    path = write_spec()
    spec = load_spec(path)
    path.unlink()
    assert "cannot be read" in spec_page(spec, path, "http://127.0.0.1:8000")
