"""Multi-page TIFF files: one image file a page, and a table of them."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from modelyard.data.progress import Progress
from modelyard.data.stores import translated
from modelyard.data.words import suggestion
from modelyard.errors import DataError
from modelyard.spec.data import ExtractTiff

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Pages = npt.NDArray[np.generic]

log = logging.getLogger(__name__)

GREY, COLOUR = 3, 4
WHITE = 255


def extract(
    step: ExtractTiff, source: Path, destination: Path, table: pd.DataFrame | None, field: str
) -> pd.DataFrame:
    """Write the pages below `destination`; return `table` with columns for image, mask, page, block.

    Values of the whole stack are stretched to 0..255, the same for each page. Masks become 0 and
    255, or keep their values where these are classes. With a table, its rows belong to the pages in their order.
    """
    import pandas as pd

    images = _read(source, step.images, f"{field}.images")
    columns: dict[str, list[Any]] = {
        step.image_column: _write(_stretched(images), destination, "images")
    }
    if step.masks is not None:
        masks = _read(source, step.masks, f"{field}.masks")
        _refuse_unequal(images, masks, step, field)
        columns[step.mask_column] = _write(_mask_pages(masks, step, field), destination, "masks")
    columns["page"] = list(range(len(images)))
    columns["block"] = [page // step.block for page in range(len(images))]
    if table is None:
        return pd.DataFrame(columns)
    return _joined(table, columns, field)


def check_pages(step: ExtractTiff, source: Path, field: str) -> int:
    """Read a TIFF and its masks, refuse what `extract` would refuse, and count the pages."""
    images = _read(source, step.images, f"{field}.images")
    if step.masks is not None:
        masks = _read(source, step.masks, f"{field}.masks")
        _refuse_unequal(images, masks, step, field)
        _mask_pages(masks, step, field)
    return len(images)


def _joined(table: pd.DataFrame, columns: dict[str, list[Any]], field: str) -> pd.DataFrame:
    pages = len(columns["page"])
    if len(table) != pages:
        message = f"{field}: the table has {len(table)} rows, but the TIFF has {pages} pages"
        raise DataError(message, hint="a table beside a TIFF has one row a page")
    taken = sorted(set(columns) & set(table.columns))
    if taken:
        message = f"{field}: the table already has a column {taken[0]}"
        raise DataError(message, hint="rename or drop it in an earlier transform")
    return table.assign(**columns)


def _read(folder: Path, name: str, field: str) -> Pages:
    import tifffile

    inside = PurePosixPath(name)
    path = folder / inside
    if inside.is_absolute() or ".." in inside.parts or not path.is_file():
        present = sorted(one.name for one in folder.iterdir() if one.suffix in {".tif", ".tiff"})
        message = f"{field}: the data has no file {name}"
        raise DataError(message, hint=suggestion(name, present))
    with translated(f"{field}: {name} is not a readable TIFF"):
        pages: Pages = tifffile.imread(path)
    if pages.ndim == GREY - 1:
        pages = pages[None]
    if pages.ndim == GREY or (pages.ndim == COLOUR and pages.shape[-1] == GREY):
        return pages
    message = f"{field}: {name} has the shape {pages.shape}, not that of grey or colour pages"
    raise DataError(message)


def _refuse_unequal(images: Pages, masks: Pages, step: ExtractTiff, field: str) -> None:
    if masks.ndim != GREY:
        message = f"{field}.masks: {step.masks} has colours; a mask has one value a pixel"
        raise DataError(message)
    if masks.shape != images.shape[:GREY]:
        message = (
            f"{field}.masks: {step.masks} has pages, rows and columns {masks.shape}, "
            f"but {step.images} has {images.shape[:GREY]}"
        )
        raise DataError(message)


def _stretched(pages: Pages) -> Pages:
    """Scale the whole stack to 8 bits by its smallest and largest value."""
    import numpy as np

    if pages.dtype == np.uint8:
        return pages
    values = pages.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        message = "data.transform: the TIFF holds values that are not finite"
        raise DataError(message)
    span = (high - low) or 1.0
    return np.rint((values - low) * (WHITE / span)).astype(np.uint8)


def _mask_pages(masks: Pages, step: ExtractTiff, field: str) -> Pages:
    """Make masks of 8 bits: black and white, or with the values of their classes."""
    import numpy as np

    if step.mask_values == "binary":
        return np.where(masks != 0, np.uint8(WHITE), np.uint8(0))
    kept = masks.astype(np.uint8)
    if (kept != masks).any():
        wrong = masks[kept != masks].flat[0]
        message = f"{field}.mask_values: {step.masks} holds {wrong:g}; classes are 0 to {WHITE}"
        hint = "values that number objects are no classes: mask_values: binary"
        raise DataError(message, hint=hint)
    return kept


def _write(pages: Pages, destination: Path, folder: str) -> list[str]:
    from PIL import Image

    (destination / folder).mkdir(parents=True, exist_ok=True)
    progress = Progress(log, f"writing {folder}, pages", len(pages))
    digits = max(4, len(str(len(pages) - 1)))
    names = [f"{folder}/{page:0{digits}d}.png" for page in range(len(pages))]
    for name, page in zip(names, pages, strict=True):
        Image.fromarray(page).save(destination / name)
        progress.add()
    return names
