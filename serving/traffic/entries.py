"""Write an answered request down: as its caller gets it, and as the log keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from pydantic import JsonValue

from modelyard.rollout.routes import Route
from serving.model.backend import Predicted
from serving.model.masks import run_lengths
from serving.model.outputs import Output
from serving.prediction_log.log import Entry
from serving.requests.options import PredictOptions
from serving.traffic.calls import Answered
from serving.traffic.ids import new_ids
from serving.traffic.router import Lanes

HIDDEN = "probabilities"


def entries_of(
    lanes: Lanes, route: Route, answered: Answered, ids: Sequence[str], options: PredictOptions
) -> list[Entry]:
    """Make one log entry a row.

    It has the experiment that the picked route belongs to, whoever answered. A caller who named
    the version is in no experiment and no phase: labels of that answer are no evidence either.
    """
    experiment, phase = (
        (None, None) if options.pinned else (route.experiment, lanes.traffic.phase or None)
    )
    now = datetime.now(UTC)
    request = options.request or new_ids(1)[0]
    answer = answered.answer
    known, predicted = answer.known, answer.predicted
    return [
        Entry(
            id=identity,
            at=now,
            request=request,
            model=lanes.model,
            version=answered.route.version,
            run=known.described.run,
            features=known.features,
            row=row,
            output=output,
            milliseconds=predicted.milliseconds,
            experiment=experiment,
            phase=phase,
            fallback_from=answered.fallback_from,
            client=options.client,
            embedding=place,
            files=known.described.files,
        )
        for identity, row, output, place in zip(
            ids, answer.rows, predicted.outputs, _places(predicted), strict=True
        )
    ]


def _places(predicted: Predicted) -> Sequence[bytes | None]:
    """Cut where the model places the rows into one piece a row."""
    whole, rows = predicted.embedding, len(predicted.outputs)
    if not whole:
        return [None] * rows
    size = len(whole) // rows
    return [whole[start : start + size] for start in range(0, len(whole), size)]


async def answer_of(
    name: str, route: Route, answered: Answered, ids: Sequence[str], options: PredictOptions
) -> dict[str, JsonValue]:
    """Write the answer: id and version of each row, who failed if another answered, the outputs."""
    head: dict[str, JsonValue] = {"version": answered.route.version}
    if answered.fallback_from is not None:
        head["fallback_from"] = answered.fallback_from
    if route.experiment is not None and not options.pinned:
        head["experiment"] = route.experiment
    outputs = await _as_asked(answered.answer.predicted.outputs, options)
    return {
        "model": name,
        "predictions": [
            {"id": identity, **head, **output}
            for identity, output in zip(ids, outputs, strict=True)
        ],
    }


async def _as_asked(outputs: Sequence[Output], options: PredictOptions) -> Sequence[Output]:
    if not options.probabilities:
        outputs = [
            {
                name: {part: value for part, value in parts.items() if part != HIDDEN}
                for name, parts in output.items()
            }
            for output in outputs
        ]
    if options.mask == "rle" and any("share" in p for out in outputs for p in out.values()):
        return await asyncio.to_thread(_with_runs, outputs)
    return outputs


def _with_runs(outputs: Sequence[Output]) -> list[Output]:
    return [
        {
            name: (
                {**parts, "prediction": run_lengths(cast("str", parts["prediction"]))}
                if "share" in parts
                else parts
            )
            for name, parts in output.items()
        }
        for output in outputs
    ]
