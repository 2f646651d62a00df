from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def read(folder: Path, **options: str) -> dict[str, object]:
    from modelyard_dags.catalogue import read_specs

    return {entry.dag_id: entry for entry in read_specs(folder, **options)}


def test_a_good_spec_is_read(specs: Path, write_spec: Callable[..., Path]) -> None:
    write_spec("toy")
    entry = read(specs)["train_toy"]
    assert entry.spec.name == "toy"
    assert entry.error is None


def test_the_error_names_the_file_without_its_folder(specs: Path) -> None:
    (specs / "bad.yaml").write_text("name: bad\n")
    entry = read(specs)["train_bad"]
    assert entry.error.startswith("bad.yaml:")
    assert str(specs) not in entry.error


def test_two_files_of_one_name_are_refused_together(
    specs: Path, write_spec: Callable[..., Path]
) -> None:
    write_spec("toy")
    write_spec("toy", file="toy.yml")
    entry = read(specs)["train_toy"]
    assert entry.spec is None
    assert "toy.yaml, toy.yml" in entry.error


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe", b"name: half-wri", b"[1, 2]", b"&a [*a]", b"- " * 3000]
)
def test_an_unreadable_file_does_not_hide_the_others(
    specs: Path, write_spec: Callable[..., Path], content: bytes
) -> None:
    write_spec("good")
    (specs / "bad.yaml").write_bytes(content)
    entries = read(specs)
    assert entries["train_good"].spec is not None
    assert entries["train_bad"].error


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_whatever_a_file_holds_it_hides_no_other(
    specs: Path, write_spec: Callable[..., Path], content: bytes
) -> None:
    write_spec("good")
    (specs / "bad.json").write_bytes(content)
    entries = read(specs)
    assert entries["train_good"].spec is not None
    assert entries["train_bad"].error


def test_a_folder_and_a_dead_link_do_not_hide_the_others(
    specs: Path, write_spec: Callable[..., Path]
) -> None:
    write_spec("good")
    (specs / "folder.yaml").mkdir()
    (specs / "link.yaml").symlink_to(specs / "nowhere.yaml")
    assert read(specs)["train_good"].spec is not None


def test_a_loader_that_breaks_does_not_hide_the_others(
    specs: Path, write_spec: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard_dags import catalogue

    from modelyard.spec.load import load_spec

    def load(path: Path) -> object:
        if path.stem == "bad":
            message = "too deep"
            raise RecursionError(message)
        return load_spec(path)

    write_spec("good")
    write_spec("bad")
    monkeypatch.setattr(catalogue, "load_spec", load)
    entries = read(specs)
    assert entries["train_good"].spec is not None
    assert entries["train_bad"].error == "bad.yaml: RecursionError: too deep"


@pytest.mark.parametrize("stem", ["a b", "a/b"[:1] + "ä", "x" * 200, "a'b", "-", "a\tb"])
def test_any_file_name_makes_an_id_that_airflow_takes(stem: str) -> None:
    from airflow.sdk.definitions._internal.node import validate_key
    from modelyard_dags.catalogue import dag_id

    validate_key(dag_id(stem))


def test_ids_of_different_files_differ() -> None:
    from modelyard_dags.catalogue import dag_id

    assert len({dag_id(stem) for stem in ("a-b", "a b", "a  b", "a\tb")}) == 4


def test_a_spec_named_any_leaves_the_dag_for_any_spec_alone(
    specs: Path, write_spec: Callable[..., Path]
) -> None:
    write_spec("any")
    (entry,) = read(specs).values()
    assert entry.spec.name == "any"
    assert entry.dag_id != "train_any"


def test_only_the_asked_spec_is_read(specs: Path, write_spec: Callable[..., Path]) -> None:
    write_spec("one")
    write_spec("two")
    assert list(read(specs, only="train_two")) == ["train_two"]
    assert read(specs, only="train_any") == {}


def test_a_project_without_specs_has_none(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == {}


def test_labels_leave_broken_specs_out(specs: Path, write_spec: Callable[..., Path]) -> None:
    from modelyard_dags.catalogue import labels, read_specs

    write_spec("toy")
    (specs / "bad.yaml").write_text("")
    assert labels(read_specs(specs)) == {"toy": "toy: A toy model, for tests."}
