"""What the embedding costs an answer: compiled predictors with it and without, side by side.

    .venv/bin/python benchmarks/watching/embedding_cost.py [SPEC ...] [--epochs N] [--home FOLDER]

Each spec is trained for one epoch and compiled twice, with a projection and without. Both answer
the same test rows in turns, on one thread; the median of the ratios of neighbours is what the
machine's other work disturbs least. Times are CPU time of the answering thread. The last columns
are what else a row costs: its bytes on the link, and the microseconds of packing, unpacking and of
the log process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from modelyard.artifacts import SplitData, TrainedModel
from modelyard.runs import begin, new_run_id
from modelyard.settings import get_settings
from modelyard.spec.load import find_specs, load_spec, resolve
from modelyard.spec.models import Spec
from modelyard.stages import order, perform
from modelyard.workspace import Workspace

BATCHES: Final = (1, 64)
SECONDS: Final = 4.0
WARM: Final = 6
LEAST: Final = 5
PACKS: Final = 2_000


def main() -> None:
    """Print a line a spec."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("specs", nargs="*", help="Names; all shipped ones by default.")
    parser.add_argument("--epochs", type=int, default=1, help="Epochs of each training.")
    parser.add_argument("--home", type=Path, help="Keep what is made in this folder.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MODELYARD_HOME"] = str((options.home or Path(scratch)).absolute())
        specs = get_settings().specs
        names = options.specs or sorted(path.stem for path in find_specs(specs))
        print(
            "| spec | dimensions | one row, ms: without | with | ratio | 64 rows, ms: without | with"
            " | ratio | bytes a row | packing, us a row | logging, us a row |\n"
            f"|---|{'---:|' * 10}",
            flush=True,
        )
        for name in names:
            _line(load_spec(resolve(name, specs)), options.epochs)


def _line(spec: Spec, epochs: int) -> None:
    """Compile both ways, measure and print."""
    models, rows = _compiled(spec, epochs)
    if models is None:
        print(f"| {spec.name} | has no compiled predictor, or no embedding |", flush=True)
        return
    without, placing, size = models
    figures = []
    for batch in BATCHES:
        given = [rows[number % len(rows)] for number in range(batch)]
        figures += _in_turns(
            lambda given=given: without.answer_and_place(given),
            lambda given=given: placing.answer_and_place(given),
        )
    one = f"{figures[0]:.3f} | {figures[1]:.3f} | {figures[2]:.3f}"
    many = f"{figures[3]:.2f} | {figures[4]:.2f} | {figures[5]:.3f}"
    packing, logging = _carrying(placing, rows)
    print(
        f"| {spec.name} | {size} | {one} | {many} | {4 * size} | {packing:.1f} | {logging:.1f} |",
        flush=True,
    )


def _compiled(spec: Spec, epochs: int) -> tuple[tuple[Any, Any, int] | None, list[Any]]:
    from modelyard.training.compiled import open_compiled
    from modelyard.training.compiled.making import compile_model
    from modelyard.training.compiled.proving import TestRows
    from modelyard.training.engine import engine
    from modelyard.training.rows import SPLIT, TEST, TRAIN, read_rows
    from modelyard.training.signature import describe

    workspace = Workspace(get_settings())
    overrides: dict[str, Any] = {
        "gate": [],
        "model.trainer.epochs": epochs,
        "model.trainer.early_stop": -1,
    }
    run = begin(spec, new_run_id(spec), workspace, overrides=overrides)
    made: dict[str, Any] = {}
    for stage in order(run.spec):
        if stage in {"evaluate", "register", "deploy"}:
            break
        made[stage] = perform(stage, run, made, workspace)
    model = workspace.path(TrainedModel.model_validate(made["train"]).model)
    table = read_rows(run.spec, SplitData.model_validate(made["split"]), workspace)
    test = table[table[SPLIT] == TEST].reset_index(drop=True).head(256)
    training = table[table[SPLIT] == TRAIN]
    rows = [dict(row) for row in TestRows(describe(model), test.head(64))]
    with tempfile.TemporaryDirectory() as folder:
        opened: list[Any] = []
        for name, learned in (("without", None), ("with", training)):
            with engine(run.spec.resources, "benchmark") as ludwig:
                loaded = ludwig.load(model)
                predicted, _ = loaded.predict(dataset=test)
                made_of = compile_model(model, loaded, test, predicted, Path(folder, name), learned)
            plan = made_of.record.plan
            if plan is None:
                return None, rows
            opened.append(open_compiled(Path(folder, name), threads=1))
    return ((opened[0], opened[1], plan.embedding) if plan.embedding else None), rows


def _in_turns(one: Callable[[], object], other: Callable[[], object]) -> list[float]:
    """Return the medians of both in milliseconds, and that of their ratios."""
    for _ in range(WARM):
        one(), other()
    pairs: list[tuple[float, float]] = []
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or len(pairs) < LEAST:
        order = (one, other) if len(pairs) % 2 else (other, one)
        taken = {call: _seconds(call) for call in order}
        pairs.append((taken[one], taken[other]))
    medians = [1000 * statistics.median(side) for side in zip(*pairs, strict=True)]
    return [*medians, statistics.median(second / first for first, second in pairs)]


def _seconds(call: Callable[[], object]) -> float:
    begun = time.thread_time()
    call()
    return time.thread_time() - begun


def _carrying(model: Any, rows: Sequence[Any]) -> tuple[float, float]:
    """Return the microseconds a row of packing and unpacking, and of reading it for the log."""
    from serving.model.backend import Predicted
    from serving.prediction_log.sink import _embedding
    from serving.transport.link import pack_answer, unpack_answer

    outputs, places = model.answer_and_place(rows)
    plain, placed = Predicted(outputs, 1.0), Predicted(outputs, 1.0, places.tobytes())
    taken = [
        _repeated(lambda answer=answer: unpack_answer(pack_answer(answer)))
        for answer in (plain, placed)
    ]
    piece = places[0].tobytes()
    return (taken[1] - taken[0]) / len(rows), _repeated(lambda: _embedding(piece))


def _repeated(call: Callable[[], object]) -> float:
    begun = time.thread_time()
    for _ in range(PACKS):
        call()
    return 1e6 * (time.thread_time() - begun) / PACKS


if __name__ == "__main__":
    main()
