"""What it costs to begin: processor seconds and memory of imports, commands and first answers.

    python benchmarks/start_costs.py [--repeat 3] [--ray]

Each is measured in a fresh process, and the least of the repeats is shown: the rest is the noise of
other work on the machine. `--ray` adds the start of a local Ray worker that has Ludwig imported;
look at its wall time only, since the processor time of Ray's own processes is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = """
import json, os, resource, sys, time
from pathlib import Path
began = time.perf_counter()
{code}
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(u.ru_utime + u.ru_stime for u in used)
print("\\n" + json.dumps([cpu, time.perf_counter() - began, used[0].ru_maxrss / 1024]))
"""
MAKE = """
from modelyard.settings import Settings
from modelyard.spec.models import Spec
from modelyard.artifacts import SplitData
from modelyard.training.build import build
from modelyard.training.log import Untracked
from modelyard.training.train import train
from modelyard.workspace import Workspace
from pathlib import Path
from sklearn.datasets import load_iris
folder = Path(sys.argv[1])
workspace = Workspace(Settings(project=folder, MODELYARD_HOME=folder / "home"))
rows = load_iris(as_frame=True).frame.set_axis(["a", "b", "c", "d", "kind"], axis=1)
rows["split"] = [(0, 0, 0, 1, 2)[n % 5] for n in range(len(rows))]
place = workspace.home / "stages" / "split" / "made"
place.mkdir(parents=True)
rows.to_parquet(place / "table.parquet")
at = workspace.relative
split = SplitData(key="s", table=at(place / "table.parquet"), folder=at(place), rows=(90, 30, 30),
                  content_hash="h", reference=at(place))
model = {"input_features": [{"name": n, "type": "number"} for n in "abcd"],
         "output_features": [{"name": "kind", "type": "category"}],
         "combiner": {"type": "concat", "num_fc_layers": 1, "output_size": 16},
         "trainer": {"epochs": 1, "batch_size": 32}}
spec = Spec.model_validate({"name": "iris", "data": {"path": "x"}, "model": model})
trained = train(spec, split, build(spec, split, workspace), workspace, Untracked())
(folder / "model.txt").write_text(str(workspace.path(trained.model)))
"""
LOAD = """
from pathlib import Path
from modelyard.training.predictor import Predictor
model = Predictor(Path(Path(sys.argv[1], "model.txt").read_text()))
"""
PREDICT = (
    LOAD
    + """
import pandas
model.predict(pandas.DataFrame([{"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2}]))
"""
)
RAY = """
import ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False,
         logging_level="ERROR", _temp_dir=sys.argv[1] + "/ray", object_store_memory=100_000_000)
def warm():
    import importlib
    importlib.import_module("ludwig.api")
ray.get(ray.remote(warm).options(num_cpus=1).remote())
ray.shutdown()
"""
CASES: dict[str, str] = {
    "python": "pass",
    "import modelyard": "import modelyard",
    "import modelyard.spec.load": "import modelyard.spec.load",
    "modelyard --help": "subprocess.run([str(Path(sys.executable).with_name('modelyard')), '--help'], check=True, stdout=subprocess.DEVNULL)",
    "modelyard spec check, one spec": "from modelyard.cli.spec import app\ntry: app(['check', 'model_specs/digits-cnn.yaml'])\nexcept SystemExit: pass",
    "modelyard spec check, all specs": "from modelyard.cli.spec import app\ntry: app(['check'])\nexcept SystemExit: pass",
    "import torch": "import torch",
    "import ludwig.api": "import ludwig.api",
    "import a training, build and train iris 1 epoch": MAKE,
    "load a model (with the import)": LOAD,
    "load and predict one row (with the import)": PREDICT,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ray", action="store_true")
    arguments = parser.parse_args()
    cases = CASES | ({"start Ray and a worker with Ludwig": RAY} if arguments.ray else {})
    print("| what | CPU s | wall s | memory, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, code in cases.items():
            found = [_once(code, folder, number) for number in range(arguments.repeat)]
            cpu, wall, memory = (min(column) for column in zip(*found, strict=True))
            print(f"| {name} | {cpu:.2f} | {wall:.2f} | {memory:,.0f} |", flush=True)


def _once(code: str, folder: str, number: int) -> list[float]:
    place = Path(folder)
    if code == MAKE:
        place = place / str(number)
        place.mkdir()
    elif "model.txt" in code:
        place = place / "0"
    answer = subprocess.run(
        [sys.executable, "-c", REPORT.format(code="import subprocess\n" + code), str(place)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MODELYARD_HOME": str(place / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        sys.exit(f"failed:\n{code}\n{answer.stderr}")
    found: list[float] = json.loads(answer.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
