"""What is measured of a text: its length, its words, and how many of them training knew."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from modelyard.errors import MonitoringError

type Measures = dict[str, str | float | None]

WORD: Final = re.compile(r"\w+")
# Longer texts are looked at so far for words: a measure must not hold up those of others.
READ: Final = 20_000
MOST_WORDS: Final = 20_000
LONGEST_KEPT: Final = 40
FILE: Final = "vocabulary.json"
PLAIN: Final = ("length", "words", "word_length", "non_ascii")
UNKNOWN: Final = "unknown_words"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of a column's training rows, in lower case; of very many, the most frequent."""

    words: frozenset[str]

    def unknown(self, text: str) -> float:
        """The share of a text's words that training did not have."""
        found = words_of(text)
        if not found:
            return 0.0
        return sum(word not in self.words for word in found) / len(found)


@dataclass(frozen=True, slots=True)
class Vocabularies:
    """The vocabulary of each column of text."""

    by_column: Mapping[str, Vocabulary]

    def of(self, column: str) -> Vocabulary | None:
        """Return a column's vocabulary; None where it has none."""
        return self.by_column.get(column)

    def write(self, folder: Path) -> None:
        """Keep them beside the reference; nothing is written where there is no text."""
        if self.by_column:
            document = {name: sorted(one.words) for name, one in sorted(self.by_column.items())}
            text = json.dumps(document, ensure_ascii=False)
            (folder / FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what was kept; references of an older Modelyard have none.

        Raises:
            MonitoringError: the file is broken.
        """
        file = folder / FILE
        try:
            document = json.loads(file.read_bytes())
            return cls({name: Vocabulary(frozenset(words)) for name, words in document.items()})
        except FileNotFoundError:
            return cls({})
        except (OSError, ValueError, AttributeError, TypeError) as error:
            message = f"the vocabulary of the reference cannot be read: {file}: {error}"
            raise MonitoringError(message, hint="train this model again") from error


NO_VOCABULARIES: Final = Vocabularies({})


def learn(texts: Iterable[object]) -> tuple[Vocabulary, Vocabulary]:
    """Return the vocabulary for live texts, and the one for the very texts that it is made of.

    A training text knows its own words, so the share of unknown ones would always be 0 for it. The
    second vocabulary has only words of two texts or more, so that each text is held against all
    others (leave one out), as a live text is.
    """
    texts_with = Counter(word for text in texts for word in set(words_of(text)))
    frequent = texts_with.most_common(MOST_WORDS)
    return (
        Vocabulary(frozenset(word for word, _ in frequent)),
        Vocabulary(frozenset(word for word, count in frequent if count > 1)),
    )


def words_of(text: object) -> list[str]:
    """Cut a text into words, in lower case and without marks; nothing that is no text has any."""
    if not isinstance(text, str):
        return []
    return [word[:LONGEST_KEPT] for word in WORD.findall(text[:READ].lower())]


def measure_text(text: str | None, vocabulary: Vocabulary | None = None) -> Measures:
    """Measure a text: characters, words, their mean length, the share of characters beyond ASCII.

    With a vocabulary also the share of its words that training did not have.
    """
    if text is None:
        return dict.fromkeys(PLAIN if vocabulary is None else (*PLAIN, UNKNOWN))
    words = text.split()
    measured: Measures = {
        "length": float(len(text)),
        "words": float(len(words)),
        "word_length": sum(map(len, words)) / len(words) if words else 0.0,
        "non_ascii": _non_ascii(text),
    }
    if vocabulary is not None:
        measured[UNKNOWN] = vocabulary.unknown(text)
    return measured


def _non_ascii(text: str) -> float:
    if text.isascii():
        return 0.0
    return sum(character > "\x7f" for character in text) / len(text)
