"""Small inline SVG charts without scripts or styles of their own; classes take their colours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Final

from modelyard.monitoring.distributions import Distribution

WIDTH: Final = 340
HEIGHT: Final = 150
MARGIN: Final = 8
FOOT: Final = 24
ROW: Final = 34
LABEL: Final = 116
VALUE: Final = 50
LONGEST: Final = 14
# Outside of these an exponent is easier to read.
SMALL: Final = 1e-4
LARGE: Final = 1e9


def chart(distribution: Distribution) -> str:
    """Draw the reference and the window over each other, in shares of their rows."""
    if distribution.edges is not None:
        return _histogram(distribution, distribution.edges)
    return _bars(distribution, distribution.labels or ())


def figure(value: float) -> str:
    """Write a number with four significant digits, as people do and not as programs."""
    size = abs(value)
    if size and not SMALL <= size < LARGE:
        return f"{value:.3g}"
    digits = 3 - math.floor(math.log10(size)) if size else 0
    text = f"{round(value, digits):,.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _svg(height: float, name: str, parts: Iterator[str]) -> str:
    title = f"{name}: reference and window"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _histogram(distribution: Distribution, edges: tuple[float, ...]) -> str:
    return _svg(HEIGHT, distribution.column, _histogram_parts(distribution, edges))


def _histogram_parts(distribution: Distribution, edges: tuple[float, ...]) -> Iterator[str]:
    highest = max(*distribution.reference, *distribution.live)
    base, step = HEIGHT - FOOT, (WIDTH - 2 * MARGIN) / len(distribution.reference)
    scale = (base - MARGIN) / highest
    for side in ("reference", "live"):
        points = [f"M{MARGIN} {base:g}"]
        for index, share in enumerate(getattr(distribution, side)):
            left, top = MARGIN + index * step, base - share * scale
            points.append(f"L{left:.1f} {top:.1f}L{left + step:.1f} {top:.1f}")
        yield f'<path class="{side}" d="{"".join(points)}L{WIDTH - MARGIN} {base:g}Z"/>'
    yield f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{base:g}" y2="{base:g}"/>'
    for place, index, anchor in (
        (0.0, 0, "start"),
        (0.5, len(edges) // 2, "middle"),
        (1.0, -1, "end"),
    ):
        x = MARGIN + place * (WIDTH - 2 * MARGIN)
        text = escape(figure(edges[index]))
        yield f'<text x="{x:g}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'
    for index, (first, second) in enumerate(
        zip(distribution.reference, distribution.live, strict=True)
    ):
        where = f"{figure(edges[index])} to {figure(edges[index + 1])}"
        yield _tooltip(MARGIN + index * step, MARGIN, step, base - MARGIN, where, first, second)


def _bars(distribution: Distribution, labels: tuple[str, ...]) -> str:
    height = ROW * len(labels) + MARGIN
    return _svg(height, distribution.column, _bar_parts(distribution, labels))


def _bar_parts(distribution: Distribution, labels: tuple[str, ...]) -> Iterator[str]:
    highest = max(*distribution.reference, *distribution.live)
    scale = (WIDTH - LABEL - VALUE) / highest
    for index, (label, first, second) in enumerate(
        zip(labels, distribution.reference, distribution.live, strict=True)
    ):
        top = index * ROW + MARGIN / 2
        short = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}\u2026"
        yield f'<text x="{LABEL - 8}" y="{top + 19:g}" text-anchor="end">{escape(short)}</text>'
        for offset, side, share in ((2, "reference", first), (15, "live", second)):
            width = max(share * scale, 1)
            end = LABEL + width + 5
            yield f'<rect class="{side}" x="{LABEL}" y="{top + offset:g}" width="{width:.1f}" height="12"/>'
            yield f'<text class="small" x="{end:.1f}" y="{top + offset + 10:g}">{share:.1%}</text>'
        yield _tooltip(0, top, WIDTH, ROW, label, first, second)


def _tooltip(  # noqa: PLR0913, PLR0917 - a place, a size and two shares
    x: float, y: float, width: float, height: float, where: str, first: float, second: float
) -> str:
    text = escape(f"{where}: reference {first:.1%}, window {second:.1%}")
    return (
        f'<rect class="touch" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{text}</title></rect>"
    )
