"""One network, every way of running it: Ludwig's modules, TorchScript, torch.export, ONNX Runtime.

    python benchmarks/graph_engines.py MODEL_FOLDER ... [--seconds 2]

MODEL_FOLDER is what `train` leaves, such as .modelyard/stages/train/KEY/model. Each way computes
the same random rows on one thread; the difference is the largest from Ludwig's modules. Times are CPU
time of the thread: the lower quartile. onnxruntime is measured if it is installed, which
Modelyard does not ask for.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from modelyard.spec.models import ResourceSpec
from modelyard.training.compiled.graph import Flat
from modelyard.training.compiled.plan import (
    BinaryInput,
    CategoryInput,
    ImageInput,
    InputPlan,
    Plan,
    SeriesInput,
    TextInput,
)
from modelyard.training.compiled.planning import plan_of
from modelyard.training.engine import engine

MANY, LEAST = 64, 5
type Tensors = list[torch.Tensor]
type Call = Callable[..., Sequence[torch.Tensor]]


def main() -> None:
    """Print a line a way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    for folder in options.models:
        print(
            f"\n{folder}\n| way | difference | one row, ms | {MANY} rows, ms |\n|---|---|---|---|"
        )
        with engine(ResourceSpec(), "measure") as ludwig, torch.no_grad():
            model = ludwig.load(folder)
            plan = plan_of(folder)
            flat = Flat(model.model.cpu().eval(), plan).eval()
            one, many = _random(plan, 1), _random(plan, MANY)
            for name, call in _ways(flat, _random(plan, 3)):
                _line(name, call, flat, one, many, options.seconds)


def _ways(flat: Any, example: Tensors) -> Iterator[tuple[str, Call | Exception]]:
    makers: list[tuple[str, Callable[[], Call]]] = [
        ("Ludwig's modules", lambda: flat),
        ("torch.jit.trace", lambda: _traced(flat, example)),
        ("traced and frozen", lambda: torch.jit.freeze(_traced(flat, example))),
        (
            "optimize_for_inference",
            lambda: torch.jit.optimize_for_inference(torch.jit.freeze(_traced(flat, example))),
        ),
        ("torch.export", lambda: _exported(flat, example)),
        ("ONNX Runtime", lambda: _onnx(flat, example)),
        (
            "traced, channels_last",
            lambda: _traced(flat.to(memory_format=torch.channels_last), example),
        ),
    ]
    for name, make in makers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                call: Call | Exception = make()
            except Exception as error:  # noqa: BLE001 - that a way fails is a result
                call = error
        yield name, call


def _traced(flat: Any, example: Tensors) -> Any:
    return torch.jit.trace(flat, tuple(example), strict=False, check_trace=False)


def _exported(flat: Any, example: Tensors) -> Any:
    rows = torch.export.Dim("rows", min=1, max=4096)
    shapes = (tuple({0: rows} for _ in example),)
    return torch.export.export(flat, tuple(example), dynamic_shapes=shapes).module()


def _onnx(flat: Any, example: Tensors) -> Call:
    onnxruntime = import_module("onnxruntime")
    names = [f"input{place}" for place in range(len(example))]
    stream = io.BytesIO()
    torch.onnx.export(
        flat,
        tuple(example),
        stream,
        dynamo=False,
        input_names=names,
        dynamic_axes={name: {0: "rows"} for name in names},
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(stream.getvalue(), options)

    def call(*tensors: torch.Tensor) -> list[torch.Tensor]:
        given = {name: one.numpy() for name, one in zip(names, tensors, strict=True)}
        return [torch.as_tensor(one) for one in session.run(None, given)]

    return call


def _line(  # noqa: PLR0913, PLR0917 - one line of the table
    name: str, call: Call | Exception, flat: Any, one: Tensors, many: Tensors, seconds: float
) -> None:
    if isinstance(call, Exception):
        print(f"| {name} | fails: {type(call).__name__} | | |", flush=True)
        return
    apart = max(
        float((found.to(torch.float64) - wanted.to(torch.float64)).abs().max())
        for given in (one, many)
        for found, wanted in zip(call(*given), flat(*given), strict=True)
    )
    times = [_milliseconds(call, given, seconds) for given in (one, many)]
    print(f"| {name} | {apart:.0e} | {times[0]:.3f} | {times[1]:.2f} |", flush=True)


def _milliseconds(call: Call, given: Tensors, seconds: float) -> float:
    for _ in range(3):
        call(*given)
    times: list[float] = []
    began = time.monotonic()
    while len(times) < LEAST or time.monotonic() - began < seconds:
        start = time.thread_time()
        call(*given)
        times.append((time.thread_time() - start) * 1000)
    return statistics.quantiles(times, n=4)[0]


def _random(plan: Plan, rows: int) -> Tensors:
    torch.manual_seed(rows)
    numbers = [torch.randn(rows, len(plan.numbers))] if plan.numbers else []
    return [*numbers, *(_one(part, rows) for part in plan.others)]


def _one(part: InputPlan, rows: int) -> torch.Tensor:
    match part:
        case ImageInput():
            return torch.rand(rows, part.channels, part.height, part.width)
        case SeriesInput():
            return torch.rand(rows, part.length)
        case TextInput():
            return torch.randint(0, len(part.places), (rows, part.length), dtype=torch.int32)
        case CategoryInput():
            return torch.randint(0, len(part.places), (rows,), dtype=torch.int32)
        case BinaryInput():
            return torch.rand(rows) > 0.5  # noqa: PLR2004 - half of them
        case _:
            message = f"{part.kind} is none of the other inputs"
            raise TypeError(message)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
