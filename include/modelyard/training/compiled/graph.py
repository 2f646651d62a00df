"""Trace a Ludwig model: tensors in, predictions and probabilities out.

`torch.jit.trace` follows one batch through Ludwig's own modules. What it records holds for any
number of rows, and for sequences of any length; the proof is what makes sure of that.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from modelyard.training.compiled.plan import LabelOutput, Plan

COMBINED = "combiner_output"
SEQUENCE = 3
# Wider than this, what a combiner gives is averaged over neighbours before it is projected.
MOST_WIDTH = 2048


class Projection(nn.Module):  # type: ignore[misc]  # torch is not followed here
    """Principal components: [rows, width] to [rows, dimensions]."""

    def __init__(self, mean: npt.NDArray[Any], components: npt.NDArray[Any]) -> None:
        super().__init__()
        self.size = len(components)
        directions = torch.tensor(components.T, dtype=torch.float32)
        self.register_buffer("directions", directions)
        shift = torch.tensor(-(mean @ components.T), dtype=torch.float32)
        self.register_buffer("shift", shift)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Project."""
        return torch.addmm(self.shift, hidden, self.directions)


def pooled(hidden: torch.Tensor) -> torch.Tensor:
    """Make [rows, width] of what a combiner gives.

    Steps of a sequence are averaged; of a map of features, which Ludwig flattens, neighbours are.
    """
    if hidden.dim() == SEQUENCE:
        hidden = hidden.mean(dim=1)
    elif hidden.dim() > SEQUENCE:
        hidden = hidden.flatten(start_dim=2).mean(dim=2)
    if hidden.shape[1] > MOST_WIDTH:
        hidden = nn.functional.adaptive_avg_pool1d(hidden.unsqueeze(1), MOST_WIDTH).squeeze(1)
    return hidden


class Flat(nn.Module):  # type: ignore[misc]  # torch is not followed here
    """A Ludwig model whose inputs and outputs are tensors in the plan's order."""

    def __init__(self, model: Any, plan: Plan, projection: Projection | None = None) -> None:
        super().__init__()
        self.model = model
        self.projection = projection
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
        """Compute all outputs from all numbers, [rows, numbers], and the other inputs.

        The last is where the rows are placed, if there is a projection.
        """
        given = self._given(tensors)
        if self.projection is None:
            return self._flat(self.model(given))
        # As ludwig.models.ecd.ECD.forward, in whose middle the embedding is.
        combined = self.model.combine(self.model.encode(given))
        places = self.projection(pooled(combined[COMBINED]))
        return (*self._flat(self.model.decode(combined, None, None)), places)

    def _given(self, tensors: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        left = list(tensors)
        given: dict[str, torch.Tensor] = {}
        if self._numbers:
            given |= dict(zip(self._numbers, left.pop(0).unbind(dim=1), strict=True))
        given |= dict(zip(self._others, left, strict=True))
        return {name: given[name] for name in self._order}

    def _flat(self, outputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        predicted = self.model.outputs_to_predictions(outputs)
        return tuple(predicted[name][part] for name, parts in self._outputs for part in parts)


class Hidden(Flat):
    """The same inputs; gives what the combiner gives, [rows, width]."""

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Compute as far as the combiner."""
        return pooled(self.model.combine(self.model.encode(self._given(tensors)))[COMBINED])


def trace(
    model: Any,
    plan: Plan,
    example: Sequence[torch.Tensor],
    file: Path,
    projection: Projection | None = None,
) -> None:
    """Write the graph of Ludwig's network; `example` are the tensors of a few rows."""
    # Convolutions over small images take a half to a fifth less time in this order of memory.
    network = model.cpu().eval().to(memory_format=torch.channels_last)
    flat = Flat(network, plan, projection).eval()
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
