"""A comparison in words and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.tracking.compare import Comparison
from modelyard.tracking.paired import Paired

LONGEST = 60
SMALLEST_P = 0.0001

type Rows = Mapping[str, tuple[object, object]]


def verdicts(comparison: Comparison) -> list[str]:
    """Say of each output whether the second differs by more than chance, or why nobody can."""
    if comparison.note is not None:
        return [comparison.note]
    return [
        f"{output}: {comparison.second} {_verdict(test, comparison.first)}"
        for output, test in comparison.tests.items()
    ]


def short_verdict(comparison: Comparison) -> str:
    """The same in a few words, for a tag."""
    if not comparison.tests:
        return "not comparable in pairs"
    return "; ".join(
        f"{output} {_word(test)}{'' if test.significant else ', maybe by chance'} ({_p(test)})"
        for output, test in comparison.tests.items()
    )


def parts(comparison: Comparison) -> dict[str, Rows]:
    """The tables of a comparison by their titles."""
    return {
        "Metrics on the test split": comparison.metrics,
        "Parameters that differ": comparison.parameters,
        "Spec keys that differ": comparison.spec,
        "Data that differ": comparison.data,
        "Code and packages that differ": comparison.code,
    }


def markdown(comparison: Comparison) -> str:
    """Write the whole comparison as a page."""
    first, second = comparison.first, comparison.second
    lines = [f"# {second} against {first}", "", *(f"- {line}" for line in verdicts(comparison))]
    for title, rows in parts(comparison).items():
        lines += ["", f"## {title}", ""]
        lines += _table(first, second, rows) if rows else ["None."]
    return "\n".join(lines) + "\n"


def cell(value: object) -> str:
    """Spell one value, cut where it is long."""
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _table(first: str, second: str, rows: Rows) -> list[str]:
    head = [f"| | {first} | {second} |", "|---|---|---|"]
    return head + [f"| {name} | {_escaped(a)} | {_escaped(b)} |" for name, (a, b) in rows.items()]


def _escaped(value: object) -> str:
    return cell(value).replace("|", "\\|").replace("\n", " ")


def _verdict(test: Paired, other: str) -> str:
    means = f"{test.measure} {test.second:.4g} against {test.first:.4g} of {other}"
    chance = "more than chance explains" if test.significant else "which chance may explain"
    interval = f"95 % interval of the difference {test.low:+.4g} to {test.high:+.4g}"
    return f"is {_word(test)}, {chance}: {means} on {test.rows} rows ({test.test}, {_p(test)}; {interval})"


def _word(test: Paired) -> str:
    if test.difference == 0:
        return "equal"
    return "better" if (test.difference < 0) == test.lower_is_better else "worse"


def _p(test: Paired) -> str:
    return f"p < {SMALLEST_P:g}" if test.p_value < SMALLEST_P else f"p = {test.p_value:.2g}"
