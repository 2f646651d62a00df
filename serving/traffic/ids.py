"""Ids of predictions."""

from __future__ import annotations

import os
import time
from typing import Final

_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_ids(count: int) -> list[str]:
    """Return new ids: UUIDs of version 7 (RFC 9562), as 32 hex digits.

    Milliseconds come first, so that a database writes neighbours next to each other. 74 bits of
    the system's randomness follow: nobody guesses the id of another's prediction to label it.
    """
    head = f"{time.time_ns() // 1_000_000:012x}7"
    noise = os.urandom(10 * count).hex()
    return [
        f"{head}{noise[at : at + 3]}{_VARIANT[noise[at + 3]]}{noise[at + 4 : at + 19]}"
        for at in range(0, 20 * count, 20)
    ]
