"""Open the compiled predictor that lies beside a version's model, without Ludwig."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modelyard.training.compiled.model import CompiledModel
from modelyard.training.compiled.plan import (
    FILE,
    FORMATS,
    GRAPH,
    Compiled,
    NotCompiledError,
    Plan,
)

log = logging.getLogger(__name__)
IMAGES = "torchvision"
# As in glibc's malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 1 << 30


def load(folder: Path, threads: int | None = None) -> CompiledModel | None:
    """Open a folder `compiled/`; None, and a line in the log, where Ludwig must answer."""
    try:
        return open_compiled(folder, threads)
    except NotCompiledError as error:
        log.info("%s is not used: %s", folder, error)
        return None


def open_compiled(folder: Path, threads: int | None = None) -> CompiledModel:
    """Open a folder `compiled/`.

    Args:
        folder: Holds the record and the graph.
        threads: How many threads torch may use in this process from now on, which also keeps
            memory for the next batch; None changes nothing.

    Raises:
        NotCompiledError: Ludwig must answer; says why.
    """
    record = read_record(folder)
    plan = record.plan
    if record.engine == "ludwig" or plan is None:
        raise NotCompiledError(record.reason or "its record gives no plan")
    _same_libraries(record)
    file = folder / GRAPH
    if not file.is_file() or digest(file) != record.graph:
        message = f"{GRAPH} is missing, or is not the one that was proved"
        raise NotCompiledError(message)
    return CompiledModel(_graph(file, threads), plan, record)


def read_record(folder: Path) -> Compiled:
    """Read what is said of a version's compiled predictor.

    Raises:
        NotCompiledError: nothing is, or nothing that can be understood.
    """
    try:
        record = Compiled.model_validate_json((folder / FILE).read_bytes())
    except FileNotFoundError as error:
        message = "the version was made without a compiled predictor"
        raise NotCompiledError(message) from error
    except ValidationError as error:
        message = f"{FILE} is broken, or of another Modelyard"
        raise NotCompiledError(message) from error
    if record.format not in FORMATS:
        message = f"{FILE} has format {record.format}, and not {' or '.join(map(str, FORMATS))}"
        raise NotCompiledError(message)
    return record


def libraries(plan: Plan) -> dict[str, str]:
    """Name the libraries, with their versions, that a proof holds for."""
    needed = ["torch", *([IMAGES] if any(one.kind == "image" for one in plan.inputs) else [])]
    return {name: _version(name) for name in needed}


def digest(file: Path) -> str:
    """Return a file's SHA-256."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _same_libraries(record: Compiled) -> None:
    for name, proved in record.libraries.items():
        here = _version(name)
        if here != proved:
            message = f"it was proved with {name} {proved}, and here is {here}; train again to prove it with that"
            raise NotCompiledError(message)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _graph(file: Path, threads: int | None) -> Any:
    import torch

    from modelyard.training.compiled.graph import read

    if threads is not None:
        torch.set_num_threads(threads)
        _keep_memory()
    try:
        return read(file)
    except RuntimeError as error:  # what TorchScript raises for archives that it cannot read
        message = f"torch cannot read {GRAPH}"
        raise NotCompiledError(message) from error


def _keep_memory() -> None:
    """Let glibc keep what a batch has freed.

    Otherwise large blocks go back to the kernel and come anew, page by page, at each batch: a
    quarter of the time of 64 small images (fashion-cnn).
    """
    import ctypes

    with suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(MMAP_THRESHOLD, KEPT)
        libc.mallopt(TRIM_THRESHOLD, KEPT)
