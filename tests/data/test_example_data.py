"""The data sets that ship: small, complete, and the same when they are made again."""

from __future__ import annotations

import runpy
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from modelyard.data.pull import pull
from modelyard.data.stores import tree_hash
from modelyard.workspace import Workspace
from tests.data.conftest import ROOT, make_spec, workspace_of

SETS = {
    "digits": ("labels.csv", 1798),
    "breast-cancer": ("table.csv", 1),
    "japanese-vowels": ("table.csv", 3),
    "nuclei": (None, 2),
}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace_of(ROOT, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def folders(home: Workspace) -> dict[str, Path]:
    """All data sets, pulled."""
    found = {}
    for name, (table, files) in SETS.items():
        step = {"kind": "extract_tiff", "images": "nuclei.tif", "masks": "nuclei_label.tif"}
        transform = [] if table else [step]
        pulled = pull(make_spec(f"data/{name}", table, transform=transform), home)
        assert pulled.files == files
        found[name] = home.path(pulled.folder)
    return found


def pointer_hash(name: str) -> str:
    pointer = yaml.safe_load((ROOT / "data" / f"{name}.dvc").read_text(encoding="utf-8"))
    return str(pointer["outs"][0]["md5"])


def test_the_remote_is_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "data/remote").rglob("*") if path.is_file()]
    assert sum(sizes) < 15 * MEGABYTE


def test_the_remote_is_in_the_repository_by_a_relative_path() -> None:
    text = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "url = ../data/remote" in text
    assert "analytics = false" in text
    assert "check_update = false" in text


def test_all_is_made_again_byte_for_byte(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in ("japanese-vowels", "nuclei"):
        (sources / name).symlink_to(folders[name])
    again = tmp_path / "again"
    script = ROOT / "scripts" / "make_example_data.py"
    arguments = [str(script), "--sources", str(sources), "--destination", str(again)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(script), run_name="__main__")
    for name in SETS:
        assert folder_hash(again / name) == pointer_hash(name), name


def folder_hash(folder: Path) -> str:
    """Hash a folder as DVC does."""
    import hashlib

    return tree_hash(
        [
            (
                path.relative_to(folder).as_posix(),
                hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
            )
            for path in folder.rglob("*")
            if path.is_file()
        ]
    )


def test_every_digit_has_its_picture(folders: dict[str, Path]) -> None:
    from PIL import Image

    table = pd.read_csv(folders["digits"] / "labels.csv")
    assert Counter(table["label"]).keys() == set(range(10))
    for name in table["image"]:
        with Image.open(folders["digits"] / name) as image:
            assert (image.size, image.mode) == ((8, 8), "L")


def test_the_breast_cancer_table_is_scikit_learns(folders: dict[str, Path]) -> None:
    from sklearn.datasets import load_breast_cancer

    table = pd.read_csv(folders["breast-cancer"] / "table.csv")
    origin = load_breast_cancer()
    assert (table.drop(columns="diagnosis").to_numpy() == origin.data).all()
    assert Counter(table["diagnosis"]) == {"malignant": 212, "benign": 357}
    assert table.columns[0] == "mean_radius"


def test_the_vowels_keep_their_official_division(folders: dict[str, Path]) -> None:
    table = pd.read_csv(folders["japanese-vowels"] / "table.csv")
    assert Counter(table["official"]) == {"train": 270, "test": 370}
    assert Counter(table["split"]) == {"train": 225, "validation": 45, "test": 370}
    lengths = table["lpc_12"].str.split().str.len()
    assert (lengths == table["length"]).all()
    assert (lengths.min(), lengths.max()) == (7, 29)
