"""The peer of `dag_overhead.py`: the same training by a plain Ludwig script, nothing else.

    python benchmarks/bare_ludwig.py CONFIG.json TABLE.parquet FOLDER SEED

It reads the table, trains, and evaluates on the test split, in one process on one core.
"""

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd
import torch
from ludwig.api import LudwigModel


def main(config: str, table: str, folder: str, seed: str) -> None:
    """Train and evaluate once; print the test metrics."""
    torch.set_num_threads(1)
    settings = json.loads(Path(config).read_text())
    rows = pd.read_parquet(table)
    for feature in settings["input_features"]:
        if feature["type"] == "image":
            rows[feature["name"]] = [str(Path(folder) / name) for name in rows[feature["name"]]]
    model = LudwigModel(settings, backend="local", gpus="-1")
    with tempfile.TemporaryDirectory() as output:
        model.train(
            dataset=rows,
            output_directory=output,
            random_seed=int(seed),
            skip_save_processed_input=True,
        )
        test = rows[rows["split"] == 2]  # noqa: PLR2004 - Ludwig's number for test
        metrics, _, _ = model.evaluate(dataset=test, output_directory=output)
    print({name: values.get("accuracy") for name, values in metrics.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
