"""Make the text data set `docstrings`: summaries of Python docstrings, and whose they are.

They are read out of the sources of five installed libraries, none of which is imported. Another
release of a library gives another table; `VERSIONS` are those that the shipped one was made of.

    python scripts/make_docstrings.py DESTINATION
"""

from __future__ import annotations

import ast
import csv
import random
import re
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

VERSIONS = {
    "numpy": "2.5.5",
    "pandas": "3.1.1",
    "scikit-learn": "1.9.1",
    "scipy": "1.18.1",
    "torch": "2.13.0",
}
MODULES = {"scikit-learn": "sklearn"}
# Other people's code, under other licences, that the libraries carry along.
CARRIED = re.compile(
    r"(^|[/_])(vendor\w*|externals?|_lib|testing|tests?|third_party|array_api\w*|unification)(/|$)"
)
NAMES = re.compile(r"numpy|\bnp\b|pandas|\bpd\b|scipy|sklearn|scikit|torch", re.IGNORECASE)
SHORTEST, LONGEST = 5, 60
MOST_A_LIBRARY = 1500
SEED = 1


def main(destination: Path) -> None:
    """Write table.csv: text, library."""
    rows: dict[str, str] = {}
    shared: set[str] = set()
    for library in VERSIONS:
        for text in sorted(set(summaries(library))):
            if rows.setdefault(text, library) != library:
                shared.add(text)
    chosen: list[tuple[str, str]] = []
    for library in VERSIONS:
        own = [text for text, owner in rows.items() if owner == library and text not in shared]
        random.Random(SEED).shuffle(own)  # noqa: S311 - it chooses examples
        chosen += [(text, library) for text in own[:MOST_A_LIBRARY]]
    destination.mkdir(parents=True, exist_ok=True)
    with (destination / "table.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("text", "library"))
        writer.writerows(sorted(chosen))
    print(f"{len(chosen)} summaries in {destination}")


def summaries(library: str) -> Iterator[str]:
    """Find the first paragraph of each docstring that is long enough and names no library."""
    installed = version(library).partition("+")[0]
    if installed != VERSIONS[library]:
        print(f"{library} is {installed} here; the table was made of {VERSIONS[library]}")
    found = find_spec(MODULES.get(library, library))
    assert found is not None
    assert found.origin is not None
    root = Path(found.origin).parent
    for path in sorted(root.rglob("*.py")):
        if CARRIED.search(path.relative_to(root).as_posix()):
            continue
        for text in docstrings(path):
            words = len(text.split())
            if SHORTEST <= words <= LONGEST and text.isascii() and not NAMES.search(text):
                yield text


def docstrings(path: Path) -> Iterator[str]:
    """Read the first paragraph of a file's docstrings, as one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield " ".join(text.partition("\n\n")[0].split())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
