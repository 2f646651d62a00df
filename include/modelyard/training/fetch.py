"""Fetch a file over HTTP once; what was fetched is kept and found again without the net."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Final

from filelock import FileLock

from modelyard.errors import TrainingError

SECONDS: Final = 20.0
KNOCK_SECONDS: Final = 5.0
log = logging.getLogger(__name__)


def is_url(source: str) -> bool:
    """Tell an address from a path."""
    return source.startswith(("http://", "https://"))


def fetch(url: str, folder: Path, field: str, *, hint: str) -> Path:
    """Return the file of an address below `folder`, fetched unless it is there.

    Raises:
        TrainingError: the address does not answer; names the field and says what to do.
    """
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{url.rsplit('/', 1)[-1][:80]}"
    kept = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        if not kept.is_file():
            partial = folder / f".{name}.{os.getpid()}"
            try:
                _download(url, partial)
            except (OSError, HTTPException, ValueError) as error:
                reason = getattr(error, "reason", None) or error
                message = f"{field}: the weights at {url} cannot be fetched: {reason}"
                raise TrainingError(message, hint=hint) from error
            finally:
                if partial.exists() and not partial.stat().st_size:
                    partial.unlink()
            partial.replace(kept)
    return kept


def _download(url: str, partial: Path) -> None:
    log.info("fetching %s", url)
    request = urllib.request.Request(url, headers={"User-Agent": "modelyard"})  # noqa: S310 - http(s)
    try:
        with (
            urllib.request.urlopen(request, timeout=SECONDS) as answer,  # noqa: S310 - http(s) only
            partial.open("wb") as stream,
        ):
            shutil.copyfileobj(answer, stream, 1 << 20)
            _refuse_a_part(stream.tell(), answer.headers.get("Content-Length"))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _refuse_a_part(came: int, length: str | None) -> None:
    if length is not None and came != int(length):
        message = f"{came} of {length} bytes came"
        raise OSError(message)


def answers(url: str) -> bool:
    """Tell whether an address can be reached at all, whatever it answers; honours proxies."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - http(s) only
    try:
        urllib.request.urlopen(request, timeout=KNOCK_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException):
        return False
    return True
