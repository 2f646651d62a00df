"""The compiled predictors of the shipped specs: what was proved, and what they cost beside Ludwig's.

    python benchmarks/compiled.py [SPEC ...] [--epochs N | --full] [--home FOLDER]

Each spec is pulled, trained, evaluated and registered as `modelyard run` would, by default for
one epoch and with no gate: what is compared here does not depend on how much a model has
learned. Then two fresh processes load the version as a replica does, one compiled, one with
Ludwig, and answer test rows on one thread. Times are CPU time of the answering thread, which on an idle
machine is the time that passes, and on a busy one does not count what others do.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.artifacts import Evaluation, RegisteredVersion, SplitData
from modelyard.runs import begin, new_run_id
from modelyard.settings import Settings, get_settings
from modelyard.spec.load import find_specs, load_spec, resolve
from modelyard.spec.models import Spec
from modelyard.stages import order, perform
from modelyard.training.compiled.plan import FILE, Compiled
from modelyard.workspace import Workspace

BATCH = 64
SECONDS = 3.0
LEAST, MOST = 5, 400


@dataclass(frozen=True, slots=True)
class Figures:
    """What a fresh process measured: seconds of CPU to load, megabytes of its own, milliseconds, rows a second."""

    load: float
    memory: float
    one: float
    batched: float
    raw: float | None


def main() -> None:
    """Print a line a spec."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", help="Names; all shipped ones by default.")
    parser.add_argument("--epochs", type=int, default=1, help="Epochs of each training.")
    parser.add_argument("--full", action="store_true", help="Train as the specs say.")
    parser.add_argument("--home", type=Path, help="Keep what is made in this folder.")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    with tempfile.TemporaryDirectory() as scratch:
        home = (options.home or Path(scratch)).absolute()
        os.environ["MODELYARD_HOME"] = str(home)
        specs = get_settings().specs
        names = options.specs or sorted(path.stem for path in find_specs(specs))
        _print_head()
        for name in names:
            spec = load_spec(resolve(name, specs))
            _line(spec, None if options.full else options.epochs, home)


def _print_head() -> None:
    print(
        "| spec | test rows | largest difference | one row, ms: Ludwig | compiled |"
        f" rows/s in batches of {BATCH}: Ludwig | compiled | graph alone |"
        " load, CPU-s: Ludwig | compiled | memory, MB: Ludwig | compiled |\n"
        f"|---|{'---|' * 11}",
        flush=True,
    )


def _line(spec: Spec, epochs: int | None, home: Path) -> None:
    record, version, rows = _made(spec, epochs, home)
    with tempfile.NamedTemporaryFile(suffix=".pickle") as file:
        pickle.dump(rows, file)
        file.flush()
        ludwig = _measured("ludwig", spec.name, version, file.name)
        compiled = (
            _measured("compiled", spec.name, version, file.name)
            if record.engine == "compiled"
            else None
        )
    if compiled is None:
        print(f"| {spec.name} | Ludwig serves it: {record.reason} |", flush=True)
        return
    raw = f"{compiled.raw:,.0f}" if compiled.raw else ""
    print(
        f"| {spec.name} | {record.rows:,} | {record.difference:.1e} | {ludwig.one:.1f} |"
        f" {compiled.one:.2f} | {ludwig.batched:,.0f} | {compiled.batched:,.0f} | {raw} |"
        f" {ludwig.load:.1f} | {compiled.load:.1f} | {ludwig.memory:.0f} | {compiled.memory:.0f} |",
        flush=True,
    )


def _made(
    spec: Spec, epochs: int | None, home: Path
) -> tuple[Compiled, int, list[dict[str, object]]]:
    """Train and register; return the proof, the version and some test rows as the endpoint sends them."""
    from modelyard.training.compiled.proving import TestRows
    from modelyard.training.rows import SPLIT, TEST, read_rows
    from modelyard.training.signature import describe

    overrides: dict[str, Any] = {"gate": []}
    if epochs is not None:
        overrides |= {"model.trainer.epochs": epochs, "model.trainer.early_stop": -1}
    workspace = Workspace(get_settings())
    run = begin(spec, new_run_id(spec), workspace, overrides=overrides)
    made: dict[str, Any] = {}
    for stage in order(run.spec):
        if stage != "deploy":
            made[stage] = perform(stage, run, made, workspace)
    evaluation = Evaluation.model_validate(made["evaluate"])
    assert evaluation.compiled is not None
    record = Compiled.model_validate_json((home / evaluation.compiled / FILE).read_bytes())
    table = read_rows(run.spec, SplitData.model_validate(made["split"]), workspace)
    test = TestRows(describe(workspace.path(made["train"]["model"])), table[table[SPLIT] == TEST])
    rows = [dict(test[number % len(test)]) for number in range(BATCH)]
    return record, RegisteredVersion.model_validate(made["register"]).version, rows


def _measured(engine: str, name: str, version: int, rows: str) -> Figures:
    done = subprocess.run(
        [sys.executable, __file__, "--child", engine, name, str(version), rows],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        sys.exit(done.stderr)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _child(engine: str, name: str, version: str, file: str) -> None:
    """Measure one engine, in a process that has loaded nothing else."""
    rows = pickle.loads(Path(file).read_bytes())  # noqa: S301 - of this script's own parent
    began = time.process_time()
    answer, raw = _loaded(engine, get_settings(), name, int(version), rows)
    answer(rows[:1])
    load, memory = time.process_time() - began, _own_memory()
    one = _milliseconds(lambda: answer(rows[:1]))
    batched = len(rows) / _milliseconds(lambda: answer(rows)) * 1000
    figures = {
        "load": load,
        "memory": memory,
        "one": one,
        "batched": batched,
        "raw": len(rows) / _milliseconds(raw) * 1000 if raw else None,
    }
    print(json.dumps(figures))


def _loaded(
    engine: str, settings: Settings, name: str, version: int, rows: Sequence[Any]
) -> tuple[Callable[[Sequence[Any]], object], Callable[[], object] | None]:
    from modelyard.features import ModelSignature
    from modelyard.tracking import registry

    folder = registry.download(settings, name, version)
    if engine == "compiled":
        from modelyard.training.compiled import open_compiled

        model = open_compiled(folder / "compiled", threads=1)
        prepared = model.prepare(rows)
        return model.answer, lambda: model.compute(prepared)
    from modelyard.training.predictor import Predictor
    from serving.model.predictor import Framed

    signature = ModelSignature.model_validate_json((folder / "signature.json").read_bytes())
    return Framed(Predictor(folder / "data" / "model"), signature).answer, None


def _milliseconds(call: Callable[[], object]) -> float:
    """The median over as many calls as fit into a few seconds, after three that do not count."""
    for _ in range(3):
        call()
    times: list[float] = []
    began = time.monotonic()
    while len(times) < LEAST or (time.monotonic() - began < SECONDS and len(times) < MOST):
        start = time.thread_time()
        call()
        times.append((time.thread_time() - start) * 1000)
    return statistics.median(times)


def _own_memory() -> float:
    """Megabytes that no other process shares: what one more replica takes."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    sizes = {name: int(rest.split()[0]) for name, _, rest in (one.partition(":") for one in lines)}
    return (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1000


if __name__ == "__main__":
    main()
