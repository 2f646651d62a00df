"""Which columns the table will have after the transforms, before any of them has run.

Checks see the raw table, but the model's features name columns of the transformed one: a column
that only `rename` or `extract_tiff` makes is there for the model, and must not be missed.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.spec.data import DropColumns, ExtractTiff, Rename, TransformSpec


def lineage(raw: Sequence[str], steps: Sequence[TransformSpec]) -> dict[str, str | None]:
    """Map each final column to the raw column that it was; None if a transform makes it.

    A step that names a column that is not there changes nothing here; `transform` refuses it.
    """
    columns: dict[str, str | None] = {name: name for name in raw}
    for step in steps:
        if isinstance(step, Rename):
            columns = {step.columns.get(name, name): origin for name, origin in columns.items()}
        elif isinstance(step, DropColumns):
            columns = {name: origin for name, origin in columns.items() if name not in step.columns}
        elif isinstance(step, ExtractTiff):
            columns |= dict.fromkeys(_made(step))
    return columns


def _made(step: ExtractTiff) -> list[str]:
    masks = [step.mask_column] if step.masks is not None else []
    return [step.image_column, *masks, "page", "block"]
