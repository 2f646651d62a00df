"""What drifted, in words: how much, what changed, since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from modelyard.monitoring.reports import words
from modelyard.monitoring.reports.said import Finding, Line, Profiles, part_of
from modelyard.store.monitoring_records import DriftCheck, Verdict
from modelyard.store.records import Moment

if TYPE_CHECKING:
    from modelyard.monitoring.profile import ColumnSummary
    from modelyard.monitoring.reports.distributions import Distribution

MOST_CHANGES: Final = 3
LONGEST: Final = 40


def finding_of(
    verdict: Verdict, check: DriftCheck, earlier: Sequence[DriftCheck], changed: str | None
) -> Finding:
    """Describe a verdict of drift; `earlier` are the checks before, newest first."""
    run = [verdict, *_in_a_row(verdict, earlier)]
    known = [one.since for one in run if one.since is not None]
    since = min(known, default=None)
    first = None if len(run) == 1 else earlier[len(run) - 2].at
    return Finding(
        column=verdict.column,
        part=part_of(verdict.column),
        missing=verdict.kind == "missing",
        effect=verdict.effect,
        effect_name=verdict.effect_name,
        size=words.size(verdict.effect_name, verdict.effect),
        meaning=words.meaning(verdict.effect_name, verdict.effect),
        changed=changed,
        p_adjusted=verdict.p_adjusted,
        since=since,
        since_words=_since(check, since, first, len(run)),
        checks=len(run),
        note=verdict.note,
    )


def _in_a_row(verdict: Verdict, earlier: Sequence[DriftCheck]) -> list[Verdict]:
    """The same column's verdicts in the checks before, as long as each said drift."""
    found = []
    for check in earlier:
        same = next(
            (
                one
                for one in check.verdicts
                if (one.column, one.kind) == (verdict.column, verdict.kind) and one.drifted
            ),
            None,
        )
        if same is None:
            break
        found.append(same)
    return found


def _since(check: DriftCheck, since: Moment | None, first: Moment | None, run: int) -> str | None:
    checks = f"in the last {run} checks" if run > 1 else "first seen by this check"
    if since == check.first_at:
        # The whole window differs, so it began with it or before it.
        return f"{words.moment(since)} or before, the whole window; {checks}"
    if since is not None:
        before = words.lasting(check.last_at - since)
        return f"{words.moment(since)}, {before} before the window's end; {checks}"
    return None if first is None else f"first seen {words.moment(first)}; {checks}"


def what_changed(
    verdict: Verdict, distributions: Mapping[str, Distribution], profiles: Profiles
) -> str | None:
    """Say what a column's values are now and were before; None where that is not known."""
    if verdict.kind == "missing":
        before, after = map(words.percent, (verdict.reference_missing, verdict.live_missing))
        return f"without a value: from {before} to {after}"
    shown = distributions.get(verdict.column)
    if verdict.kind == "category" and shown is not None and shown.labels is not None:
        triples = zip(shown.labels, shown.reference, shown.live, strict=True)
        moved = sorted(triples, key=lambda one: -abs(one[2] - one[1]))[:MOST_CHANGES]
        return "; ".join(
            f"{words.short(label, LONGEST)}: from {words.percent(first)} to {words.percent(second)}"
            for label, first, second in moved
            if first != second
        )
    old, new = (side.get(verdict.column) for side in profiles)
    if old is not None and new is not None:
        return _moved(old, new)
    if "mean_shift" not in verdict.measures:
        return None
    shift = verdict.measures["mean_shift"]
    side = "higher" if shift > 0 else "lower"
    return f"mean {words.figure(abs(shift))} standard deviations {side}"


def _moved(before: ColumnSummary, after: ColumnSummary) -> str | None:
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in ("mean", "std")]
    said = [
        f"{'standard deviation' if name == 'std' else name} from {words.figure(first)} to {words.figure(second)}"
        for name, first, second in pairs
        if first is not None and second is not None
    ]
    return "; ".join(said) or None


def drift_line(check: DriftCheck, findings: Sequence[Finding]) -> Line:
    """Say what differs most, drifted or not."""
    if not findings:
        return _nothing(check)
    worst = findings[0]
    name = words.short(worst.column, words.LONGEST_NAME)
    what = f"missing values of {name}" if worst.missing else name
    size = f", {worst.size}" if worst.size else ""
    since = f", since {words.moment(worst.since)}" if worst.since else ""
    since += " or before" if worst.since == check.first_at else ""
    text = f"Most of all {what}: {worst.effect_name} {worst.effect:.2f}{size}{since}."
    others = list(dict.fromkeys(one.column for one in findings if one.column != worst.column))
    return Line(tone="bad", text=f"{text} Also {words.listed(others)}." if others else text)


def _nothing(check: DriftCheck) -> Line:
    tested = [verdict for verdict in check.verdicts if verdict.p_value is not None]
    if not tested:
        return Line(tone="plain", text="There was nothing that could be tested.")
    most = max(tested, key=lambda verdict: verdict.effect)
    size = words.size(most.effect_name, most.effect)
    certain = most.p_adjusted is not None and most.p_adjusted <= check.alpha
    small = f": sure, but below {check.min_effect:g} it does not count" if certain else ""
    text = f"The largest difference is in {words.short(most.column, words.LONGEST_NAME)}: {most.effect_name} {most.effect:.2f}"
    return Line(
        tone="good",
        text=f"{text}{f', {size}' if size else ''}, corrected p {words.sure(most.p_adjusted)}{small}.",
    )
