"""Ludwig's tokenizers that need no model of their own, word for word (`ludwig/utils/tokenizers.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

# Python's \w and \s are str.isalnum or "_", and str.isspace, which Ludwig asks letter by letter.
_WORDS_AND_MARKS = re.compile(r"\w+|[^\w\s]")
_COMMA = re.compile(r"\s*,\s*")
_UNDERSCORE = re.compile(r"\s*_\s*")


def _spaces(text: str) -> list[str]:
    return [token for token in text.strip().split(" ") if token]


TOKENIZERS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "space": _spaces,
    "space_punct": _WORDS_AND_MARKS.findall,
    "characters": list,
    "comma": lambda text: _COMMA.split(text.strip()),
    "underscore": lambda text: _UNDERSCORE.split(text.strip()),
    "untokenized": lambda text: [text],
    "stripped": lambda text: [text.strip()],
}
