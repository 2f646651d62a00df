"""Inline SVG without scripts or styles of its own; classes take their colours from the sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape as escape_markup
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.reports.words import figure, percent, short, visible

if TYPE_CHECKING:
    from modelyard.monitoring.reports.context import Cloud
    from modelyard.monitoring.reports.distributions import Distribution

WIDTH: Final = 340
HEIGHT: Final = 150
MARGIN: Final = 8
FOOT: Final = 24
ROW: Final = 34
LABEL: Final = 116
VALUE: Final = 50
LONGEST: Final = 14
SCATTER: Final = 320
RADIUS: Final = 2.5
SPAN: Final = 160
TALL: Final = 18


def escape(text: str) -> str:
    """Make any text safe to stand in an element or an attribute."""
    return escape_markup(visible(text))


def chart(distribution: Distribution) -> str:
    """Draw the reference and the window over each other, in shares of their rows."""
    if distribution.edges is not None:
        return _histogram(distribution, distribution.edges)
    return _bars(distribution, distribution.labels or ())


def scatter(cloud: Cloud) -> str:
    """Draw the first two components of the embeddings, the reference below the window."""
    points = [*cloud.reference, *cloud.live]
    lows = [min(point[axis] for point in points) for axis in (0, 1)]
    highs = [max(point[axis] for point in points) for axis in (0, 1)]
    inner = SCATTER - 4 * MARGIN

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = (
            (value - low) / ((high - low) or 1.0)
            for value, low, high in zip(point, lows, highs, strict=True)
        )
        return 2 * MARGIN + x * inner, SCATTER - 2 * MARGIN - y * inner

    parts = [f'<rect class="frame" width="{SCATTER}" height="{SCATTER}" rx="6"/>']
    for side, drawn in (("reference", cloud.reference), ("live", cloud.live)):
        dots = (place(point) for point in drawn)
        # A line without length and with round ends is a dot, and all dots are one element.
        marks = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in dots)
        parts.append(f'<path class="dots {side}" d="{marks}"/>')
    label = "Embeddings of the reference and of the window, first two components"
    return _svg(SCATTER, SCATTER, label, parts)


def whisker(low: float, high: float, value: float, baseline: float | None) -> str:
    """Draw a metric with its interval, and a tick where it was at the evaluation."""
    ends = [low, high, value, *([] if baseline is None else [baseline])]
    first, last = min(ends), max(ends)
    pad = 0.12 * ((last - first) or 1.0)
    scale = (SPAN - 8) / (last - first + 2 * pad)
    middle = TALL / 2

    def at(number: float) -> str:
        return f"{4 + (number - first + pad) * scale:.1f}"

    parts = [
        f'<line class="track-line" x1="0" x2="{SPAN}" y1="{middle:g}" y2="{middle:g}"/>',
        f'<line class="interval" x1="{at(low)}" x2="{at(high)}" y1="{middle:g}" y2="{middle:g}"/>',
        f'<circle class="point" cx="{at(value)}" cy="{middle:g}" r="4"/>',
    ]
    if baseline is not None:
        x = at(baseline)
        parts.append(f'<line class="baseline" x1="{x}" x2="{x}" y1="1" y2="{TALL - 1}"/>')
    words = f"{figure(value)}, 95 % interval {figure(low)} to {figure(high)}"
    more = "" if baseline is None else f", at the evaluation {figure(baseline)}"
    return _svg(SPAN, TALL, words + more, parts)


def meter(effect: float, limit: float, *, over: bool) -> str:
    """Draw an effect from 0 to 1 and the limit from which it counts; more than 1 fills it."""
    width, edge = 80 * min(max(effect, 0.0), 1.0), 80 * min(limit, 1.0)
    return (
        '<svg class="meter" viewBox="0 0 80 10" aria-hidden="true">'
        '<rect class="track" width="80" height="10" rx="2"/>'
        f'<rect class="{"over" if over else "under"}" width="{width:.1f}" height="10" rx="2"/>'
        f'<line class="limit" x1="{edge:.1f}" x2="{edge:.1f}" y2="10"/></svg>'
    )


def _svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _histogram(distribution: Distribution, edges: tuple[float, ...]) -> str:
    label = f"{distribution.column}: reference and window"
    return _svg(WIDTH, HEIGHT, label, _histogram_parts(distribution, edges))


def _histogram_parts(distribution: Distribution, edges: tuple[float, ...]) -> Iterator[str]:
    highest = max(*distribution.reference, *distribution.live)
    base, step = HEIGHT - FOOT, (WIDTH - 2 * MARGIN) / len(distribution.reference)
    scale = (base - MARGIN) / (highest or 1.0)
    for side in ("reference", "live"):
        points = [f"M{MARGIN} {base:g}"]
        for index, share in enumerate(getattr(distribution, side)):
            left, top = MARGIN + index * step, base - share * scale
            points.append(f"L{left:.1f} {top:.1f}H{left + step:.1f}")
        yield f'<path class="{side}" d="{"".join(points)}L{WIDTH - MARGIN} {base:g}Z"/>'
    yield f'<line class="axis" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{base:g}" y2="{base:g}"/>'
    yield from _scale(edges)
    for index, (first, second) in enumerate(
        zip(distribution.reference, distribution.live, strict=True)
    ):
        where = f"{figure(edges[index])} to {figure(edges[index + 1])}"
        yield _tooltip(MARGIN + index * step, MARGIN, step, base - MARGIN, where, first, second)


def _scale(edges: Sequence[float]) -> Iterator[str]:
    for place, index, anchor in (
        (0.0, 0, "start"),
        (0.5, len(edges) // 2, "middle"),
        (1.0, -1, "end"),
    ):
        x = MARGIN + place * (WIDTH - 2 * MARGIN)
        text = escape(figure(edges[index]))
        yield f'<text x="{x:g}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'


def _bars(distribution: Distribution, labels: tuple[str, ...]) -> str:
    label = f"{distribution.column}: reference and window"
    parts = _bar_parts(labels, distribution.reference, distribution.live)
    return _svg(WIDTH, ROW * len(labels) + MARGIN, label, parts)


def missing(column: str, reference: float, live: float) -> str:
    """Draw the shares of rows without a value."""
    label = f"{column}: rows without a value, reference and window"
    return _svg(WIDTH, ROW + MARGIN, label, _bar_parts(("no value",), (reference,), (live,)))


def _bar_parts(
    labels: Sequence[str], reference: Sequence[float], live: Sequence[float]
) -> Iterator[str]:
    highest = max(*reference, *live)
    scale = (WIDTH - LABEL - VALUE) / (highest or 1.0)
    for index, (label, first, second) in enumerate(zip(labels, reference, live, strict=True)):
        top = index * ROW + MARGIN / 2
        text = escape(short(label, LONGEST))
        yield f'<text x="{LABEL - 8}" y="{top + 19:g}" text-anchor="end">{text}</text>'
        for offset, side, share in ((2, "reference", first), (15, "live", second)):
            width = max(share * scale, 1)
            end = LABEL + width + 5
            yield f'<rect class="{side}" x="{LABEL}" y="{top + offset:g}" width="{width:.1f}" height="12"/>'
            yield f'<text class="small" x="{end:.1f}" y="{top + offset + 10:g}">{percent(share)}</text>'
        yield _tooltip(0, top, WIDTH, ROW, label, first, second)


def _tooltip(  # noqa: PLR0913, PLR0917 - a place, a size and two shares
    x: float, y: float, width: float, height: float, where: str, first: float, second: float
) -> str:
    text = escape(f"{where}: reference {percent(first)}, window {percent(second)}")
    return (
        f'<rect class="touch" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{text}</title></rect>"
    )
