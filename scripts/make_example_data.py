"""Make the example data sets again, byte for byte, from their origins.

The digits and the tables of breast cancer and diabetes come out of scikit-learn; the speech series
and the microscope stack are files that are copied from --sources, which may be a clone's own data/.
The articles of fashion are packed from the four IDX files, if --sources has them: they are in
Debian's package dataset-fashion-mnist.

    python scripts/make_example_data.py --sources data --destination /tmp/data
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import shutil
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

ORIGINALS = {
    "docstrings/table.csv": "69d2c98192cad2a7dc91f7d2adea1e6d63bdabae0aa9cda77e616114c54f6f17",
    "japanese-vowels/JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
    "japanese-vowels/JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "nuclei/nuclei.tif": "355bd4ecebe78326c0439330fc1b70fa04bf4175c7698844fc9a97ee6dc85eb8",
    "nuclei/nuclei_label.tif": "873478582ef328da92331eba4ffb188b6718fd74bddc9506343a40cbf8e3f182",
}
VALIDATION_SERIES = 5

FASHION = "fashion-mnist"
# The SHA-256 of what is inside the gzip files, whose own bytes depend on who packed them.
FASHION_ORIGINALS = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
ARTICLES = (
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
)
IMAGES_HEADER, LABELS_HEADER, SIDE = 16, 8, 28
VALIDATION_IMAGES = 600


def grey_png(pixels: Sequence[Sequence[int]]) -> bytes:
    """Write a grey picture as PNG without compression: the same bytes whatever the zlib."""
    height, width = len(pixels), len(pixels[0])
    raw = b"".join(b"\x00" + bytes(row) for row in pixels)
    stored = struct.pack("<BHH", 1, len(raw), len(raw) ^ 0xFFFF) + raw
    stream = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(raw))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", stream)
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with the same line ends on every system."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def make_digits(folder: Path) -> None:
    """Write 1,797 pictures of 8x8 pixels, 0..16 in the origin and 0..255 here, and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        name = f"images/{number:04d}.png"
        pixels = [[(int(value) * 255 + 8) // 16 for value in row] for row in image]
        (folder / name).write_bytes(grey_png(pixels))
        rows.append((name, int(label)))
    write_table(folder / "labels.csv", ("image", "label"), rows)


def make_breast_cancer(folder: Path) -> None:
    """Write the 569 rows of 30 measures and the diagnosis."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    folder.mkdir(parents=True)
    header = [name.replace(" ", "_") for name in table.feature_names] + ["diagnosis"]
    diagnoses = [str(table.target_names[value]) for value in table.target]
    rows = [
        [*map(repr, map(float, values)), diagnosis]
        for values, diagnosis in zip(table.data, diagnoses, strict=True)
    ]
    write_table(folder / "table.csv", header, rows)


DIABETES = (
    "age",
    "sex",
    "bmi",
    "blood_pressure",
    "total_cholesterol",
    "ldl",
    "hdl",
    "cholesterol_ratio",
    "log_triglycerides",
    "glucose",
    "progression",
)


def make_diabetes(folder: Path) -> None:
    """Write the 442 patients' ten measures, unscaled, and how far the disease was a year later."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    folder.mkdir(parents=True)
    rows = [
        [*(f"{value:.10g}" for value in values), f"{progression:.10g}"]
        for values, progression in zip(table.data, table.target, strict=True)
    ]
    write_table(folder / "table.csv", DIABETES, rows)


def make_fashion(folder: Path, sources: Path) -> None:
    """Pack 70,000 pictures of 28x28 pixels as PNG into one Parquet file, in their original order.

    The file's bytes depend on the release of pyarrow, those of the pictures do not. The pictures
    are stored and the file is compressed, which makes it smaller than compressed pictures would.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    images, labels, splits = [], [], []
    for part in ("train", "t10k"):
        numbers = _idx(sources, f"{part}-labels-idx1-ubyte.gz")[LABELS_HEADER:]
        images += _pictures(_idx(sources, f"{part}-images-idx3-ubyte.gz")[IMAGES_HEADER:])
        labels += [ARTICLES[number] for number in numbers]
        splits += ["test"] * len(numbers) if part == "t10k" else _held_out(numbers)
    folder.mkdir(parents=True)
    table = pa.table({"image": pa.array(images, pa.binary()), "label": labels, "split": splits})
    file = folder / f"{FASHION}.parquet"
    words = ["label", "split"]
    pq.write_table(table, file, compression="zstd", compression_level=9, use_dictionary=words)


def _pictures(pixels: bytes) -> list[bytes]:
    size = SIDE * SIDE
    return [
        grey_png([pixels[row : row + SIDE] for row in range(start, start + size, SIDE)])
        for start in range(0, len(pixels), size)
    ]


def _held_out(numbers: bytes) -> list[str]:
    """Take the last 600 pictures of each article for validation."""
    left = {number: numbers.count(number) for number in set(numbers)}
    splits = []
    for number in numbers:
        left[number] -= 1
        splits.append("validation" if left[number] < VALIDATION_IMAGES else "train")
    return splits


def _idx(sources: Path, name: str) -> bytes:
    content = gzip.decompress((sources / FASHION / name).read_bytes())
    check_original(sources / FASHION / name, content, FASHION_ORIGINALS[name])
    return content


def make_japanese_vowels(folder: Path, sources: Path) -> None:
    """Copy the two series files and write them as one table, a column a channel."""
    folder.mkdir(parents=True)
    rows: list[list[object]] = []
    for part in ("TRAIN", "TEST"):
        name = f"JapaneseVowels_{part}.ts"
        shutil.copyfile(original(sources, f"japanese-vowels/{name}"), folder / name)
        rows += _series(folder / name, part.lower())
    header = [
        *(f"lpc_{channel}" for channel in range(1, 13)),
        "length",
        "speaker",
        "official",
        "split",
    ]
    write_table(folder / "table.csv", header, rows)


def _series(path: Path, official: str) -> list[list[object]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    series = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
    left = {speaker: sum(one[-1] == speaker for one in series) for *_, speaker in series}
    rows: list[list[object]] = []
    for *channels, speaker in series:
        left[speaker] -= 1
        held_out = official == "train" and left[speaker] < VALIDATION_SERIES
        values = [channel.replace(",", " ") for channel in channels]
        split = "validation" if held_out else official
        rows.append([*values, channels[0].count(",") + 1, speaker, official, split])
    return rows


def make_docstrings(folder: Path, sources: Path) -> None:
    """Copy the table; `make_docstrings.py` makes it, of certain releases of the libraries."""
    folder.mkdir(parents=True)
    shutil.copyfile(original(sources, "docstrings/table.csv"), folder / "table.csv")


def make_nuclei(folder: Path, sources: Path) -> None:
    """Copy the stack and its reference masks."""
    folder.mkdir(parents=True)
    for name in ("nuclei.tif", "nuclei_label.tif"):
        shutil.copyfile(original(sources, f"nuclei/{name}"), folder / name)


def original(sources: Path, name: str) -> Path:
    """Find an original file and check that it is the known one."""
    path = sources / name
    if not path.is_file():
        message = f"{path} is missing; `dvc pull` brings it into a clone's data/"
        raise SystemExit(message)
    check_original(path, path.read_bytes(), ORIGINALS[name])
    return path


def check_original(path: Path, content: bytes, known: str) -> None:
    """Refuse a file whose content is not the known one."""
    if hashlib.sha256(content).hexdigest() != known:
        message = f"{path} is not the original; its SHA-256 should be {known}"
        raise SystemExit(message)


def main() -> None:
    """Make the data sets in an empty folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sources", type=Path, default=Path("data"))
    parser.add_argument("--destination", type=Path, required=True)
    given = parser.parse_args()
    make_digits(given.destination / "digits")
    make_breast_cancer(given.destination / "breast-cancer")
    make_diabetes(given.destination / "diabetes")
    make_japanese_vowels(given.destination / "japanese-vowels", given.sources)
    make_nuclei(given.destination / "nuclei", given.sources)
    make_docstrings(given.destination / "docstrings", given.sources)
    if (given.sources / FASHION / "train-images-idx3-ubyte.gz").is_file():
        make_fashion(given.destination / FASHION, given.sources)
    made = sorted(path.name for path in given.destination.iterdir())
    print(f"made {', '.join(made)} in {given.destination}; next: dvc add and dvc push")


if __name__ == "__main__":
    main()
