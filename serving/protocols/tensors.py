"""Tensors of the Open Inference Protocol V2, in JSON and in its binary extension.

Binary data follow the JSON, tensor after tensor, little-endian and row-major; an element of BYTES
is its length in four bytes and then itself. (Triton's "Binary Tensor Data Extension".)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NoReturn

import numpy as np
from pydantic import JsonValue

from serving.http.problems import Refusal

BYTES: Final = "BYTES"
BINARY_SIZE: Final = "binary_data_size"
MOST_DIMENSIONS: Final = 8
LARGEST_DIMENSION: Final = 10_000_000
MOST_VALUES: Final = 2_000_000
DTYPES: Final[Mapping[str, str]] = {
    "BOOL": "?",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor with a batch as its first dimension; its values lie flat, row by row."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[object]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.shape[0]

    def row(self, number: int) -> list[object]:
        """Return one row's values; rows count from 0."""
        width = math.prod(self.shape[1:])
        return self.values[number * width : (number + 1) * width]


def refuse(detail: str) -> NoReturn:
    """Refuse a request that does not follow the protocol: 400."""
    raise Refusal(HTTPStatus.BAD_REQUEST, detail)


def read_tensors(inputs: Sequence[object], binary: bytes) -> list[Tensor]:
    """Read the inputs of a request.

    Args:
        inputs: The objects of its JSON.
        binary: What follows the JSON.

    Raises:
        Refusal: 400, saying which tensor is wrong and how.
    """
    tensors: list[Tensor] = []
    rest = memoryview(binary)
    for item in inputs:
        tensor, used = _tensor(item, rest)
        rest = rest[used:]
        if any(tensor.name == other.name for other in tensors):
            refuse(f"input {tensor.name!r} stands twice")
        tensors.append(tensor)
    if rest:
        refuse(f"{len(rest)} bytes follow the last binary tensor")
    return tensors


def _tensor(item: object, rest: memoryview) -> tuple[Tensor, int]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        refuse("each input must be an object with name, shape, datatype and data")
    name = item["name"][:100]
    datatype, shape = item.get("datatype"), _shape(name, item.get("shape"))
    if not isinstance(datatype, str) or (datatype != BYTES and datatype not in DTYPES):
        refuse(f"input {name!r}: the datatype must be {BYTES} or one of {', '.join(DTYPES)}")
    parameters = item.get("parameters")
    count = math.prod(shape)
    if count > MOST_VALUES:
        refuse(f"input {name!r}: {count} values are too many; at most {MOST_VALUES}")
    size = parameters.get(BINARY_SIZE) if isinstance(parameters, dict) else None
    if size is None:
        values = _flat(name, item.get("data"))
    elif isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(rest):
        refuse(f"input {name!r}: {len(rest)} bytes of binary data are left, not {size}")
    else:
        values = from_binary(name, datatype, bytes(rest[:size]), count)
    if len(values) != count:
        refuse(f"input {name!r}: {len(values)} values do not fill shape {list(shape)}")
    return Tensor(name, datatype, shape, values), size or 0


def _shape(name: str, shape: object) -> tuple[int, ...]:
    right = isinstance(shape, list) and 0 < len(shape) <= MOST_DIMENSIONS
    if not right or not all(
        type(size) is int and 0 <= size <= LARGEST_DIMENSION
        for size in shape  # type: ignore[attr-defined]
    ):
        refuse(f"input {name!r}: the shape must be a list of sizes, the batch's first")
    return tuple(shape)  # type: ignore[arg-type]


def _flat(name: str, data: object, depth: int = 0) -> list[object]:
    """Take nested lists apart; all of a list's items are lists, or none is."""
    if not isinstance(data, list) or depth > MOST_DIMENSIONS:
        refuse(f"input {name!r}: data must be a list, as deep as the shape or flat")
    if not data or not isinstance(data[0], list):
        if any(isinstance(value, list | dict) for value in data):
            refuse(f"input {name!r}: data must hold plain values")
        return data
    return [value for part in data for value in _flat(name, part, depth + 1)]


def from_binary(name: str, datatype: str, data: bytes, count: int) -> list[object]:
    """Read so many values; NaN, for which a tensor has no other word, is a missing one.

    Raises:
        Refusal: 400, the bytes hold more or fewer.
    """
    if datatype == BYTES:
        return _elements(name, data, count)
    dtype = np.dtype(DTYPES[datatype])
    if len(data) != count * dtype.itemsize:
        refuse(f"input {name!r}: {len(data)} bytes are not {count} values of {datatype}")
    values: list[object] = np.frombuffer(data, dtype).tolist()
    if dtype.kind == "f":
        return [None if value != value else value for value in values]  # noqa: PLR0124 - only NaN differs from itself
    return values


def _elements(name: str, data: bytes, count: int) -> list[object]:
    elements: list[object] = []
    at = 0
    while at < len(data):
        start = at + _LENGTH.size
        if len(elements) == count:
            refuse(f"input {name!r}: there are more than {count} elements of BYTES")
        if start > len(data):
            refuse(f"input {name!r}: an element's length is cut off")
        at = start + _LENGTH.unpack_from(data, start - _LENGTH.size)[0]
        if at > len(data):
            refuse(f"input {name!r}: an element of BYTES is longer than what was sent")
        elements.append(data[start:at])
    return elements


def to_binary(datatype: str, values: Sequence[object]) -> bytes:
    """Write values; None is NaN."""
    if datatype == BYTES:
        parts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
        return b"".join(_LENGTH.pack(len(part)) + part for part in parts)
    numbers = [math.nan if value is None else value for value in values]
    return np.array(numbers, np.dtype(DTYPES[datatype])).tobytes()


def described(name: str, datatype: str, shape: Sequence[int]) -> dict[str, JsonValue]:
    """Say what a tensor is, as a model's metadata do."""
    return {"name": name, "datatype": datatype, "shape": list(shape)}
