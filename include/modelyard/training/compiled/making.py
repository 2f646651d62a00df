"""Compile a model that Ludwig has just evaluated, prove it, and write the folder `compiled/`."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.training.compiled import embedding
from modelyard.training.compiled.loading import digest, libraries
from modelyard.training.compiled.model import CompiledModel, Inputs
from modelyard.training.compiled.plan import FILE, GRAPH, Compiled, NotCompiledError
from modelyard.training.compiled.planning import plan_of
from modelyard.training.compiled.proving import TestRows, prove
from modelyard.training.signature import describe
from modelyard.training.weights import weights_hash
from modelyard.workspace import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

    from modelyard.training.compiled.embedding import Array

log = logging.getLogger(__name__)
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Compilation:
    """What came of it, and where the network places the test rows, [rows, dimensions]."""

    record: Compiled
    places: Array | None = None


def compile_model(  # noqa: PLR0913, PLR0917 - a model, its rows and where to
    model: Path,
    loaded: Any,
    test: DataFrame,
    predicted: DataFrame,
    folder: Path,
    training: DataFrame | None = None,
) -> Compilation:
    """Write a graph that answers as Ludwig does, or the reason why there is none.

    Nothing is raised: without a compiled predictor Ludwig serves the version.

    Args:
        model: The folder of the Ludwig model.
        loaded: The same, loaded by Ludwig.
        test: The test rows.
        predicted: Ludwig's predictions of them.
        folder: Where to write.
        training: Training rows, which the embedding is fitted on; None makes none.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made = _made(model, loaded, test, predicted, folder, training)
    except NotCompiledError as error:
        made = _refused(str(error), folder)
    except Exception as error:
        # Tracing meets any code of any network; none of its faults may cost the evaluation.
        log.exception("the model could not be compiled")
        made = _refused(f"compiling failed: {type(error).__name__}: {error}"[:300], folder)
    write_atomically(folder / FILE, made.record.model_dump_json(indent=1) + "\n")
    log.info("%s in %.1f s", said(made.record), time.monotonic() - began)
    return made


def said(record: Compiled) -> str:
    """Say in a line what came of it."""
    if record.engine == "ludwig":
        return f"not compiled, Ludwig serves it: {record.reason}"
    return f"compiled: {record.rows} test rows answered as by Ludwig, at most {record.difference:.1e} apart"


def _made(  # noqa: PLR0913, PLR0917 - as above
    model: Path,
    loaded: Any,
    test: DataFrame,
    predicted: DataFrame,
    folder: Path,
    training: DataFrame | None,
) -> Compilation:
    from modelyard.training.compiled.graph import read, trace

    if len(test) != len(predicted):  # an evaluation leaves out rows whose truth is missing
        predicted, _ = loaded.predict(dataset=test)
    if len(test) != len(predicted):
        message = f"Ludwig answered {len(predicted)} of {len(test)} test rows"
        raise NotCompiledError(message)
    plan, file = plan_of(model), folder / GRAPH
    signature = describe(model)
    rows = TestRows(signature, test)
    example, _ = Inputs(plan)([rows[number % len(rows)] for number in range(EXAMPLES)])
    projection = None
    if training is not None:
        projection = embedding.fit(loaded.model, plan, signature, training)
    if projection is not None:
        plan = plan.model_copy(update={"embedding": projection.size})
    trace(loaded.model, plan, example, file, projection)
    placing = embedding.Placing(CompiledModel(read(file), plan))
    proof = prove(placing, signature, test, predicted)
    record = Compiled(
        engine="compiled",
        libraries=libraries(plan),
        graph=digest(file),
        weights=weights_hash(model),
        rows=proof.rows,
        difference=proof.difference,
        plan=plan,
    )
    return Compilation(record, placing.places)


def _refused(reason: str, folder: Path) -> Compilation:
    (folder / GRAPH).unlink(missing_ok=True)
    return Compilation(Compiled(engine="ludwig", reason=reason))
