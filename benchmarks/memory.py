"""How much memory a training needs for how many rows: the peak of a fresh process each time.

    python benchmarks/memory.py [--rows 5000 20000] [--only KIND ...]

Three kinds of rows with 28 x 28 = 784 values each: images packed into the table (decoded at once),
image files read eagerly, and image files read lazily, batch by batch; and a table of 50 numbers.
One epoch on one core; the bytes a row are the slope between the two sizes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KINDS = ("packed images", "image files, eager", "image files, lazy", "50 numbers")
SIDE, NUMBERS = 28, 50
MEGABYTE = 1 << 20


def main() -> None:
    """Measure each kind at two sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs=2, default=[5000, 20000])
    parser.add_argument("--only", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(_measure(arguments.kind, arguments.one)))
        return
    few, many = arguments.rows
    print(f"| rows of | peak at {few:,} rows, MB | at {many:,} rows, MB | bytes a row |")
    print("|---|---|---|---|")
    for kind in arguments.only:
        peaks = [_in_a_process(kind, count) for count in (few, many)]
        slope = (peaks[1] - peaks[0]) / (many - few)
        print(
            f"| {kind} | {peaks[0] / MEGABYTE:,.0f} | {peaks[1] / MEGABYTE:,.0f} | {slope:,.0f} |"
        )


def _in_a_process(kind: str, count: int) -> int:
    answer = subprocess.run(
        [sys.executable, __file__, "--kind", kind, "--one", str(count)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return int(json.loads(answer.stdout.splitlines()[-1]))


def _measure(kind: str, count: int) -> int:
    """Train one epoch and return the peak of the process's memory in bytes."""
    import resource

    from modelyard.artifacts import SplitData
    from modelyard.settings import Settings
    from modelyard.spec.models import Spec
    from modelyard.training.build import build
    from modelyard.training.log import Untracked
    from modelyard.training.train import train
    from modelyard.workspace import Workspace

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Settings(project=Path(folder), MODELYARD_HOME=Path(folder) / "home"))  # type: ignore[call-arg]
        place = workspace.home / "stages" / "split" / "made"
        place.mkdir(parents=True)
        _write(kind, count, place)
        split = SplitData(
            key="made",
            table=workspace.relative(place / "table.parquet"),
            folder=workspace.relative(place),
            rows=(count - 2 * (count // 10), count // 10, count // 10),
            content_hash=f"{kind}-{count}",
            reference=workspace.relative(place),
        )
        spec = Spec.model_validate({"name": "memory", "data": {"path": "x"}, "model": _model(kind)})
        train(spec, split, build(spec, split, workspace), workspace, Untracked())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _model(kind: str) -> dict[str, Any]:
    trainer = {"epochs": 1, "batch_size": 128, "learning_rate": 0.001}
    outputs = [{"name": "label", "type": "category"}]
    inputs: list[dict[str, Any]]
    if kind == "50 numbers":
        inputs = [{"name": f"x{number}", "type": "number"} for number in range(NUMBERS)]
    else:
        mode = "lazy" if kind.endswith("lazy") else "eager"
        encoder = {"type": "stacked_cnn", "conv_layers": [{"out_channels": 4}], "output_size": 8}
        preprocessing = {"num_channels": 1, "mode": mode}
        inputs = [{"name": "image", "type": "image", "encoder": encoder, "preprocessing": preprocessing}]  # fmt: skip
    combiner = {"type": "concat"}
    return {"input_features": inputs, "output_features": outputs, "combiner": combiner, "trainer": trainer}  # fmt: skip


def _write(kind: str, count: int, place: Path) -> None:
    """Make the rows in another process, so that its memory is not counted."""
    code = "import sys; from benchmarks.memory import write_rows; write_rows(*sys.argv[1:])"
    root = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", code, kind, str(count), str(place)], check=True, cwd=root)


def write_rows(kind: str, rows: str, folder: str) -> None:
    """Write a table with random values, and image files where they are asked for."""
    import numpy as np
    import pandas as pd
    from PIL import Image

    count, place, source = int(rows), Path(folder), np.random.default_rng(0)
    split = np.array([0] * (count - 2 * (count // 10)) + [1] * (count // 10) + [2] * (count // 10))
    label = [str(number % 10) for number in range(count)]
    table = pd.DataFrame({"label": label, "split": split})
    if kind == "50 numbers":
        numbers = source.normal(size=(count, NUMBERS))
        table = table.assign(**{f"x{number}": numbers[:, number] for number in range(NUMBERS)})
    else:
        images: list[bytes | str] = []
        for number in range(count):
            stream = io.BytesIO()
            pixels = source.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
            Image.fromarray(pixels).save(stream, format="PNG")
            images.append(stream.getvalue())
            if kind != "packed images":
                (place / f"{number}.png").write_bytes(stream.getvalue())
                images[-1] = f"{number}.png"
        table["image"] = images
    table.to_parquet(place / "table.parquet", index=False)


if __name__ == "__main__":
    main()
