"""The data sets that ship: small, complete, and the same when they are made again."""

from __future__ import annotations

import gzip
import io
import runpy
import struct
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
    "diabetes": ("table.csv", 1),
    "fashion-mnist": ("fashion-mnist.parquet", 1),
    "japanese-vowels": ("table.csv", 3),
    "nuclei": (None, 2),
    "docstrings": ("table.csv", 1),
}
MEGABYTE = 1_000_000
ARTICLES = [
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
]
SIDE = 28
STORED_FROM = 48


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
    assert sum(sizes) < 50 * MEGABYTE


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
    for name in ("docstrings", "japanese-vowels", "nuclei"):
        (sources / name).symlink_to(folders[name])
    write_fashion_originals(folders["fashion-mnist"], sources / "fashion-mnist")
    again = tmp_path / "again"
    script = ROOT / "scripts" / "make_example_data.py"
    arguments = [str(script), "--sources", str(sources), "--destination", str(again)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(script), run_name="__main__")
    for name in SETS:
        assert folder_hash(again / name) == pointer_hash(name), name


def write_fashion_originals(folder: Path, destination: Path) -> None:
    """Unpack the pictures to the four published files; the script knows these by their hashes."""
    table = pd.read_parquet(folder / "fashion-mnist.parquet")
    destination.mkdir()
    for part, name in ((table["split"] != "test", "train"), (table["split"] == "test", "t10k")):
        rows = table[part]
        pixels = b"".join(stored_pixels(image) for image in rows["image"])
        numbers = bytes(ARTICLES.index(label) for label in rows["label"])
        images = struct.pack(">IIII", 2051, len(rows), SIDE, SIDE) + pixels
        labels = struct.pack(">II", 2049, len(rows)) + numbers
        for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
            file = destination / f"{name}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(content, compresslevel=1))


def stored_pixels(png: bytes) -> bytes:
    """Read a PNG that is not compressed: each row is its filter, 0, and its pixels."""
    rows = png[STORED_FROM : STORED_FROM + SIDE * (SIDE + 1)]
    return b"".join(rows[start + 1 : start + SIDE + 1] for start in range(0, len(rows), SIDE + 1))


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


def test_the_diabetes_table_is_scikit_learns(folders: dict[str, Path]) -> None:
    from sklearn.datasets import load_diabetes

    table = pd.read_csv(folders["diabetes"] / "table.csv")
    origin = load_diabetes(scaled=False)
    assert (table.drop(columns="progression").to_numpy() == origin.data).all()
    assert (table["progression"].to_numpy() == origin.target).all()
    assert table.columns[:4].tolist() == ["age", "sex", "bmi", "blood_pressure"]


@pytest.fixture(scope="module")
def fashion(folders: dict[str, Path]) -> pd.DataFrame:
    return pd.read_parquet(folders["fashion-mnist"] / "fashion-mnist.parquet")


class TestFashion:
    def test_all_pictures_are_in_one_small_file(self, folders: dict[str, Path]) -> None:
        (file,) = folders["fashion-mnist"].iterdir()
        assert file.stat().st_size < 32 * MEGABYTE

    def test_the_published_test_pictures_are_the_test_split(self, fashion: pd.DataFrame) -> None:
        assert Counter(fashion["split"]) == {"train": 54_000, "validation": 6_000, "test": 10_000}
        assert set(fashion["split"][60_000:]) == {"test"}

    def test_each_split_has_as_many_of_each_article(self, fashion: pd.DataFrame) -> None:
        counts = Counter(zip(fashion["split"], fashion["label"], strict=True))
        expected = {"train": 5_400, "validation": 600, "test": 1_000}
        assert counts == {
            (split, label): count for split, count in expected.items() for label in ARTICLES
        }

    def test_the_pictures_are_grey_and_all_different(self, fashion: pd.DataFrame) -> None:
        from PIL import Image

        assert fashion["image"].is_unique
        for png in fashion["image"][::1_000]:
            with Image.open(io.BytesIO(png)) as image:
                assert (image.size, image.mode) == ((SIDE, SIDE), "L")

    def test_its_licence_is_beside_it(self) -> None:
        text = (ROOT / "data" / "LICENSE-fashion-mnist.txt").read_text(encoding="utf-8")
        assert "MIT" in text
        assert "Zalando SE" in text
