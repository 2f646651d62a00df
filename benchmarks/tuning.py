"""Trials a minute: `modelyard stage tune` against Ludwig's own hyperparameter search.

    uv pip install --no-deps --target PEER dask toolz partd locket tblib gputil
    python benchmarks/tuning.py --peer PEER [--trials 12] [--epochs 20] [--repeat 1]

The first line gives Ludwig's search what it needs beyond Modelyard's own environment (the extra
`ludwig[distributed]`), in a folder that only it sees.

Both search the same space over the same table (scikit-learn's breast cancer, the same fixed split)
with the same model, number of epochs and of trials, at random, two trials at a time with one core
each, and both are timed from the start of their process to its end: imports, checks, preprocessing
and all. Ludwig's search is `ludwig.hyperopt` with its Ray executor (what the command `ludwig
hyperopt` runs; it starts its own Ray of two CPUs). Ours tracks each trial in MLflow besides, and
runs the stages before it (pull to build).

The sides take turns `--repeat` times; the load of the machine is printed before each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

CORES = 2
TRIALS, EPOCHS = 12, 20
TABLE = "breast-cancer.csv"
PARAMETERS = {
    "trainer.learning_rate": {"space": "loguniform", "lower": 1.0e-4, "upper": 1.0e-1},
    "combiner.output_size": {"space": "choice", "categories": [8, 16, 32]},
}
LUDWIG = """
import json, os, sys
import pandas as pd
import ray
import torch
from ludwig.hyperopt.run import hyperopt

if __name__ == "__main__":
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[2])
    done = hyperopt(
        json.load(open("hyperopt.json")), dataset=pd.read_csv(sys.argv[1]), backend="local",
        output_directory="hyperopt", experiment_name="search", hyperopt_log_verbosity=0,
    )
    print("best", min(trial.metric_score for trial in done.ordered_trials))
    ray.shutdown()
"""


def main() -> int:
    """Time both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="folder with dask")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--repeat", type=int, default=1)
    asked = parser.parse_args()
    ours, theirs = [], []
    for _ in range(asked.repeat):
        with tempfile.TemporaryDirectory(prefix="tb", dir="/tmp") as folder:
            prepare(Path(folder), asked.trials, asked.epochs)
            command = [Path(sys.executable).with_name("modelyard"), "stage", "tune", "search"]
            ours.append(timed("modelyard", command, Path(folder)))
            command = [sys.executable, "ludwigs.py", TABLE, f"{folder}/ray"]
            theirs.append(timed("ludwig hyperopt", command, Path(folder), asked.peer))
    rates = [asked.trials * 60 / statistics.median(seconds) for seconds in (ours, theirs)]
    print(
        f"trials a minute: {rates[0]:.1f} against {rates[1]:.1f}, ratio {rates[0] / rates[1]:.2f}"
    )
    return 0


def timed(
    name: str, command: list[str | Path], folder: Path, packages: Path | None = None
) -> float:
    """Run a command on two cores and return its seconds."""
    load = os.getloadavg()[0]
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    # Unsaid, a Ray that is started here would leave a token in ~/.ray that later ones ask for.
    settings = {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    if packages is not None:
        settings["PYTHONPATH"] = str(packages.resolve())
    own = {k: v for k, v in os.environ.items() if not k.startswith("MODELYARD_")}
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=own | settings,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    print(f"{name}: {seconds:.1f} s (load before: {load:.1f})", flush=True)
    return seconds


def prepare(folder: Path, trials: int, epochs: int) -> None:
    """Write the table, the spec and Ludwig's configuration of the same search."""
    columns = write_table(folder / "data" / TABLE)
    (folder / TABLE).symlink_to(folder / "data" / TABLE)
    number = {"preprocessing": {"normalization": "zscore"}}
    model = {
        "input_features": [{"name": name, "type": "number", **number} for name in columns],
        "output_features": [{"name": "target", "type": "category"}],
        "combiner": {"type": "concat", "num_fc_layers": 2, "output_size": 16, "dropout": 0.2},
        "trainer": {"epochs": epochs, "batch_size": 32, "eval_batch_size": 128},
    }
    tune = {"search": "random", "trials": trials, "parameters": PARAMETERS, "metric": "target.loss"}
    spec = {
        "name": "search",
        "data": {"path": f"data/{TABLE}", "split": {"column": "split"}},
        "model": model,
        "tune": tune,
    }
    (folder / "model_specs").mkdir()
    (folder / "model_specs" / "search.yaml").write_text(yaml.safe_dump(spec))
    search = {
        "parameters": PARAMETERS,
        "goal": "minimize",
        "metric": "loss",
        "output_feature": "target",
        "split": "validation",
        "search_alg": {"type": "variant_generator"},
        "executor": {
            "type": "ray",
            "num_samples": trials,
            "cpu_resources_per_trial": 1,
            "max_concurrent_trials": CORES,
        },
    }
    split = {"split": {"type": "fixed", "column": "split"}}
    theirs = model | {"preprocessing": split, "hyperopt": search}
    (folder / "hyperopt.json").write_text(json.dumps(theirs))
    (folder / "ludwigs.py").write_text(LUDWIG)


def write_table(file: Path) -> list[str]:
    """Write breast cancer with a split column; return the names of its inputs."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    rows = bunch.frame.rename(columns=lambda name: name.replace(" ", "_"))
    columns = [name for name in rows.columns if name != "target"]
    rows["target"] = [str(bunch.target_names[number]) for number in rows["target"]]
    parts = np.random.default_rng(0).choice([0, 1, 2], size=len(rows), p=[0.7, 0.1, 0.2])
    file.parent.mkdir(parents=True)
    rows.assign(split=parts).to_csv(file, index=False)
    return columns


if __name__ == "__main__":
    sys.exit(main())
