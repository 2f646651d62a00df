"""The figures as a Markdown table with ratios, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.serving.logged import Logged
from benchmarks.serving.models import RawRates
from benchmarks.serving.peers import BARE, LUDWIG, MODELYARD, TITLES

MOST_CONCURRENT = 64


@dataclass(frozen=True, slots=True)
class Cell:
    """One server, model and concurrency: medians of the rounds."""

    server: str
    model: str
    concurrency: int
    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    answered: int


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured."""

    cells: Sequence[Cell]
    raw: Mapping[str, RawRates]
    logged: Logged | None
    seconds: int

    def document(self) -> dict[str, Any]:
        """Write it for JSON."""
        return {
            "cells": [asdict(cell) for cell in self.cells],
            "raw": {name: asdict(rates) for name, rates in self.raw.items()},
            "logged": None if self.logged is None else asdict(self.logged),
            "seconds": self.seconds,
        }

    def cell(self, server: str, model: str, concurrency: int) -> Cell | None:
        """Find one cell."""
        wanted = (server, model, concurrency)
        for cell in self.cells:
            if (cell.server, cell.model, cell.concurrency) == wanted:
                return cell
        return None


def markdown(results: Results) -> str:
    """Write all tables."""
    models = list(dict.fromkeys(cell.model for cell in results.cells))
    lines = [line for model in models for line in (*_table(results, model), "")]
    return "\n".join([*lines, *_figures(results, models)])


def _table(results: Results, model: str) -> Iterator[str]:
    cells = [cell for cell in results.cells if cell.model == model]
    levels = sorted({cell.concurrency for cell in cells})
    yield f"**{model}**: requests a second, p50 and p99 in ms, and Modelyard's rate over that server's"
    yield ""
    yield "| server | " + " | ".join(f"{level} at once" for level in levels) + " |"
    yield "|---" * (len(levels) + 1) + "|"
    for server in dict.fromkeys(cell.server for cell in cells):
        found = [_words(results, server, model, level) for level in levels]
        yield f"| {TITLES[server]} | " + " | ".join(found) + " |"


def _words(results: Results, server: str, model: str, level: int) -> str:
    cell = results.cell(server, model, level)
    if cell is None:
        return "-"
    words = f"{cell.rate:,.0f}/s, {cell.p50_ms:.2f}, {cell.p99_ms:.1f}"
    ours = results.cell(MODELYARD, model, level)
    if server != MODELYARD and ours is not None and cell.rate:
        words += f", **{ours.rate / cell.rate:.2f}x**"
    return f"{words}, {cell.failed} failed" if cell.failed else words


def _figures(results: Results, models: Sequence[str]) -> Iterator[str]:
    for model in models:
        yield from _model_figures(results, model)
    if (log := results.logged) is not None:
        yield (
            f"- predictions: {log.answered:,} answers were counted by the load generator, "
            f"{log.rows:,} rows are in the database, {log.dropped} were dropped; the last was "
            f"written {log.drain_seconds:.1f} s after the load"
        )
    yield f"- all in {results.seconds} s"


def _model_figures(results: Results, model: str) -> Iterator[str]:
    raw = results.raw[model]
    ours = results.cell(MODELYARD, model, MOST_CONCURRENT)
    share = "" if ours is None else f"; Modelyard at 64: {ours.rate / raw.forward:.0%} of the first"
    yield (
        f"- {model}: one core computes {raw.forward:,.0f} rows/s in batches of 64 "
        f"({raw.whole:,.0f} with reading and answers, {raw.single:,.0f} one by one){share}"
    )
    one, bare = results.cell(MODELYARD, model, 1), results.cell(BARE, model, 1)
    if one is not None and bare is not None:
        yield f"- {model}: p50 beyond bare Ray Serve, one at a time: {one.p50_ms - bare.p50_ms:+.2f} ms"
    ludwig = results.cell(LUDWIG, model, MOST_CONCURRENT)
    if ours is not None and ludwig is not None and ludwig.rate:
        yield f"- {model}: {ours.rate / ludwig.rate:.1f} times `ludwig serve` at 64"
