"""Read a file of weights safely, and hold it against a torchvision model tensor by tensor.

Import this inside functions only: it imports torch.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from modelyard.errors import TrainingError

type Tensors = dict[str, torch.Tensor]

CLASSES = 1000  # torchvision's own, which it insists on when it loads a file
ANOTHER_NUMBER = 7
WRAPPED = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "model.", "_orig_mod.")
# Ludwig's own files name an image encoder's tensors so.
IN_A_LUDWIG_MODEL = re.compile(
    r"^input_features\.module_dict\.(?P<name>.+?)(?:__ludwig)?\.encoder_obj\.model\.(?P<rest>.+)$"
)
AUXILIARY = re.compile(r"^(aux\d*|AuxLogits)\.")
SHOWN = 3


def prepare(file: Path, create: Callable[..., Any], destination: Path, field: str) -> None:
    """Write the weights of any file as torchvision expects its own, with a head of zeros if need be.

    The head, which Ludwig takes off, and auxiliary classifiers may be missing or of another size.

    Raises:
        TrainingError: the file is not one of weights alone, or does not fit.
    """
    tensors = _unwrapped(read(file, field), file, field)
    expected = _shapes(create, CLASSES)
    other = _shapes(create, ANOTHER_NUMBER)
    optional = {
        name
        for name, shape in expected.items()
        if other.get(name) != shape or AUXILIARY.match(name) or name.endswith("num_batches_tracked")
    }
    _refuse_what_does_not_fit(tensors, expected, optional, file, field)
    complete = {
        name: tensors[name]
        if name in tensors and tuple(tensors[name].shape) == shape
        else torch.zeros(shape)
        for name, shape in expected.items()
    }
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.{os.getpid()}")
    torch.save(complete, partial)
    partial.replace(destination)


def read(file: Path, field: str) -> dict[str, Any]:
    """Read a safetensors file, or a torch file that holds plain tensors and no code.

    Raises:
        TrainingError: it is neither.
    """
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{field}: {file} holds more than weights, and loading it could run code"
        raise TrainingError(message, hint="save model.state_dict() alone") from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError and others
        message = f"{field}: {file} is no file of weights"
        raise TrainingError(message, hint="save model.state_dict(), or safetensors") from error
    if not isinstance(content, Mapping):
        message = f"{field}: {file} holds a {type(content).__name__}, not named tensors"
        raise TrainingError(message, hint="save model.state_dict()")
    return dict(content)


def _unwrapped(content: dict[str, Any], file: Path, field: str) -> Tensors:
    """Take off what training scripts and Ludwig put around a model's own names."""
    for key in WRAPPED:
        if isinstance(content.get(key), Mapping):
            content = dict(content[key])
    tensors = {
        str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)
    }
    if not tensors:
        message = f"{field}: {file} holds no tensors"
        raise TrainingError(message, hint="save model.state_dict()")
    inside = [match for name in tensors if (match := IN_A_LUDWIG_MODEL.match(name))]
    if inside:
        first = inside[0]["name"]
        return {m["rest"]: tensors[m.string] for m in inside if m["name"] == first}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _shapes(create: Callable[..., Any], classes: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a model's tensors, made without memory for them where that can be."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two models announce how they initialise themselves
        try:
            with torch.device("meta"):
                model = create(weights=None, num_classes=classes)
        except NotImplementedError:  # regnet computes with its weights while it is made
            model = create(weights=None, num_classes=classes)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _refuse_what_does_not_fit(
    tensors: Tensors,
    expected: Mapping[str, tuple[int, ...]],
    optional: set[str],
    file: Path,
    field: str,
) -> None:
    missing = [name for name in expected if name not in tensors and name not in optional]
    unknown = [name for name in tensors if name not in expected]
    shaped = [
        f"{name} is {tuple(tensors[name].shape)} and should be {shape}"
        for name, shape in expected.items()
        if name in tensors and name not in optional and tuple(tensors[name].shape) != shape
    ]
    for what, names in (("lacks", missing), ("has besides", unknown), ("differs:", shaped)):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            message = f"{field}: {file} {what} {', '.join(names[:SHOWN])}{more}"
            raise TrainingError(message, hint="is it of another type or model_variant?")
