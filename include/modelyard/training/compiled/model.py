"""A compiled model: rows in, plain values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from modelyard.training.compiled import columns
from modelyard.training.compiled.answers import answers
from modelyard.training.compiled.plan import (
    BinaryInput,
    CategoryInput,
    Compiled,
    ImageInput,
    InputPlan,
    NumberInput,
    Output,
    Plan,
    Row,
    SeriesInput,
    TextInput,
)

if TYPE_CHECKING:
    import torch

    from modelyard.training.compiled.columns import Array
    from modelyard.training.compiled.images import Images

type Size = tuple[int, int]


class Graph(Protocol):
    """The traced network."""

    def __call__(self, *inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        """Compute from [rows, ...] each to [rows, ...] each."""
        ...


class CompiledModel:
    """Answers rows that the endpoint has checked: an image as bytes, a series as text."""

    def __init__(self, graph: Graph, plan: Plan, record: Compiled | None = None) -> None:
        self._graph = graph
        self._inputs = Inputs(plan)
        self._plan = plan
        self.record = record

    def answer(self, rows: Sequence[Row]) -> list[Output]:
        """Predict each row.

        Raises:
            DataError: a value is missing or cannot be read; names row and column.
        """
        return self.answer_and_place(rows)[0]

    def answer_and_place(self, rows: Sequence[Row]) -> tuple[list[Output], Array | None]:
        """Predict each row, and say where the network places it: [rows, dimensions], or None.

        Raises:
            DataError: a value is missing or cannot be read; names row and column.
        """
        if not rows:
            return [], None
        tensors, sizes = self._inputs(rows)
        arrays = self.compute(tensors)
        places = arrays.pop() if self._plan.embedding else None
        return answers(self._plan.outputs, arrays, sizes), places

    def compute(self, tensors: Sequence[torch.Tensor]) -> list[Any]:
        """Run the graph alone; return arrays."""
        import torch

        with torch.inference_mode():
            return [tensor.numpy() for tensor in self._graph(*tensors)]

    def prepare(self, rows: Sequence[Row]) -> list[torch.Tensor]:
        """Return what the graph takes."""
        return self._inputs(rows)[0]


class Inputs:
    """Turns rows into what a graph takes: all numbers as one tensor, then each other input."""

    def __init__(self, plan: Plan) -> None:
        self._numbers = columns.Numbers(plan.numbers) if plan.numbers else None
        self._others = [(one.column, _column(one)) for one in plan.others]

    def __call__(self, rows: Sequence[Row]) -> tuple[list[torch.Tensor], list[Size | None]]:
        """Return the tensors, and the height and width of each row's first image."""
        import torch

        tensors: list[torch.Tensor] = []
        sizes: list[Size | None] | None = None
        if self._numbers is not None:
            tensors.append(torch.from_numpy(self._numbers(rows)))
        for name, column in self._others:
            values = [row.get(name) for row in rows]
            if isinstance(column, _Decoded):
                images = column.images.decode(values)
                sizes = sizes or [(one.shape[-2], one.shape[-1]) for one in images]
                tensors.append(column.images.stack(images))
            else:
                tensors.append(torch.from_numpy(column(values)))
        return tensors, sizes or [None] * len(rows)


class _Decoded:
    """An image input, whose preparation also tells the images' sizes."""

    def __init__(self, images: Images) -> None:
        self.images = images


def _column(plan: InputPlan) -> Callable[[Sequence[object]], columns.Array] | _Decoded:
    match plan:
        case CategoryInput():
            return columns.category(plan)
        case BinaryInput():
            return columns.binary(plan)
        case TextInput():
            return columns.text(plan)
        case SeriesInput():
            return columns.series(plan)
        case ImageInput():
            from modelyard.training.compiled.images import Images

            return _Decoded(Images(plan))
        case NumberInput():
            message = f"{plan.name}: numbers are prepared together"
            raise TypeError(message)
