"""Trace a Ludwig model: tensors in, predictions and probabilities out.

`torch.jit.trace` follows one batch through Ludwig's own modules. What it records holds for any
number of rows, and for sequences of any length; the proof is what makes sure of that.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelyard.training.compiled.plan import LabelOutput, Plan


class Flat(nn.Module):  # type: ignore[misc]  # torch is not followed here
    """A Ludwig model whose inputs and outputs are tensors in the plan's order."""

    def __init__(self, model: Any, plan: Plan) -> None:
        super().__init__()
        self.model = model
        self._order = [one.name for one in plan.inputs]
        self._numbers = [one.name for one in plan.numbers]
        self._others = [one.name for one in plan.others]
        self._outputs = [
            (one.name, ("predictions", "probabilities"))
            if isinstance(one, LabelOutput)
            else (one.name, ("predictions",))
            for one in plan.outputs
        ]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute all outputs from all numbers, [rows, numbers], and the other inputs."""
        left = list(tensors)
        given: dict[str, torch.Tensor] = {}
        if self._numbers:
            given |= dict(zip(self._numbers, left.pop(0).unbind(dim=1), strict=True))
        given |= dict(zip(self._others, left, strict=True))
        predicted = self.model.outputs_to_predictions(
            self.model({name: given[name] for name in self._order})
        )
        return tuple(predicted[name][part] for name, parts in self._outputs for part in parts)


def trace(model: Any, plan: Plan, example: Sequence[torch.Tensor], file: Path) -> None:
    """Write the graph of Ludwig's network; `example` are the tensors of a few rows."""
    # Convolutions over small images take a half to a fifth less time in this order of memory.
    network = model.cpu().eval().to(memory_format=torch.channels_last)
    flat = Flat(network, plan).eval()
    with warnings.catch_warnings(), torch.no_grad():
        # Of what tracing cannot follow, and of TorchScript's age. The proof decides, not they.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(flat, tuple(example), strict=False, check_trace=False)
        # Not frozen: torch 2.13 gains nothing by it, and loses on convolutions.
        torch.jit.save(traced, str(file))


def read(file: Path) -> Any:
    """Load a graph, to run on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(file), map_location="cpu")
