"""Two pictures of a search: which values went together with what score, and which mattered."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from modelyard.artifacts import Trial
from modelyard.spec.models import ChoiceSpace, IntegerSpace, TuneSpec, UniformSpace
from modelyard.training.figures import DPI, FAINT, INK, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna import Study

PARALLEL, IMPORTANCE = "parallel_coordinates.png", "importance.png"
ENOUGH_FOR_IMPORTANCE = 4
LONGEST_LABEL = 24
TICKS = 5
MARGIN = 0.04
COLOURS = "viridis"
BEST = "#dc2626"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where the values of one axis stand, from 0 to 1, and what is written beside it."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    places: tuple[float, ...]


def draw_search(
    trials: Sequence[Trial], best: Trial, search: TuneSpec, metric: str, folder: Path
) -> Path:
    """Draw each trial that has a score as a line through its parameters' values."""
    import matplotlib as mpl

    scored = [trial for trial in trials if trial.score is not None]
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = _parallel(scored, best, search, metric)
        figure.savefig(folder / PARALLEL, dpi=DPI)
    return folder / PARALLEL


def draw_importance(study: Study, folder: Path) -> Path | None:
    """Draw how much of the score's variance each parameter explains (functional ANOVA).

    Source: Hutter, Hoos and Leyton-Brown, An efficient approach for assessing hyperparameter
    importance, ICML 2014; computed by Optuna. Nothing is drawn where there are too few trials.
    """
    import matplotlib as mpl
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    done = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(done) < ENOUGH_FOR_IMPORTANCE or len(set(done)) == 1:
        log.info("too few different scores to say which parameters matter")
        return None
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        _bars(shares, len(done)).savefig(folder / IMPORTANCE, dpi=DPI)
    return folder / IMPORTANCE


def _bars(shares: dict[str, float], trials: int) -> Figure:
    from matplotlib.figure import Figure

    names = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(7, 1.4 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(names, [shares[name] for name in names], color="#2563eb", height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlim=(0, 1.08), xlabel="share of the score's variance")
    axes.set_title(f"What mattered, by {trials} finished trials", loc="left")
    axes.grid(axis="y", visible=False)
    return figure


def _parallel(trials: Sequence[Trial], best: Trial, search: TuneSpec, metric: str) -> Figure:
    from matplotlib.figure import Figure

    scores = [float(trial.score or 0.0) for trial in trials]
    scales = [
        *(
            _scale(key, space, [trial.parameters[key] for trial in trials])
            for key, space in sorted(search.parameters.items())
        ),
        _numbers(metric, scores, min(scores), max(scores), logarithmic=False),
    ]
    figure = Figure(figsize=(max(6.0, 2.3 * len(scales)), 5), layout="constrained")
    axes = figure.subplots()
    _lines(axes, trials, best, scales)
    _scales(axes, scales)
    title = f"{len(trials)} trials; the best, number {best.number}, in red"
    stopped = sum(trial.state != "finished" for trial in trials)
    axes.set_title(f"{title}; {stopped} stopped early, dashed" if stopped else title, loc="left")
    return figure


def _lines(axes: Axes, trials: Sequence[Trial], best: Trial, scales: Sequence[_Scale]) -> None:
    import matplotlib as mpl

    colours = mpl.colormaps[COLOURS]
    for index in sorted(range(len(trials)), key=lambda i: trials[i].number == best.number):
        trial, places = trials[index], [scale.places[index] for scale in scales]
        is_best = trial.number == best.number
        axes.plot(
            range(len(scales)),
            places,
            color=BEST if is_best else colours(places[-1]),
            linewidth=2.4 if is_best else 1.2,
            alpha=1.0 if is_best else 0.75,
            linestyle="-" if trial.state == "finished" else (0, (4, 2)),
        )


def _scales(axes: Axes, scales: Sequence[_Scale]) -> None:
    """Draw an upright line for each scale, with its own labels."""
    from matplotlib.patheffects import withStroke

    for number, scale in enumerate(scales):
        axes.axvline(number, color=FAINT, zorder=0)
        for place, text in scale.ticks:
            axes.plot([number - 0.015, number + 0.015], [place, place], color=INK, linewidth=0.8)
            label = axes.annotate(
                text, (number, place), (5, 0), textcoords="offset points", va="center", fontsize=8
            )
            label.set_path_effects([withStroke(linewidth=3, foreground="white")])
    axes.set_xticks(range(len(scales)), [_broken(scale.name) for scale in scales])
    axes.set(xlim=(-0.1, len(scales) - 0.6), ylim=(-MARGIN, 1 + MARGIN), yticks=[])
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", length=0)


def _broken(name: str) -> str:
    """Break a long dotted key before its last step."""
    head, _, tail = name.rpartition(".")
    return f"{head}.\n{tail}" if head and len(name) > LONGEST_LABEL // 2 else name


def _scale(
    key: str, space: UniformSpace | IntegerSpace | ChoiceSpace, values: Sequence[JsonValue]
) -> _Scale:
    if isinstance(space, ChoiceSpace):
        return _choices(key, space.categories, values)
    numbers: Any = values
    logarithmic = isinstance(space, UniformSpace) and space.space == "loguniform"
    return _numbers(key, numbers, space.lower, space.upper, logarithmic=logarithmic)


def _choices(key: str, choices: Sequence[JsonValue], values: Sequence[JsonValue]) -> _Scale:
    step = 1 / max(1, len(choices) - 1)
    ticks = tuple((number * step, _label(choice)) for number, choice in enumerate(choices))
    known = [json.dumps(choice) for choice in choices]
    return _Scale(key, ticks, tuple(known.index(json.dumps(value)) * step for value in values))


def _label(choice: JsonValue) -> str:
    text = _in_words(choice)
    return text if len(text) <= LONGEST_LABEL else f"{text[:LONGEST_LABEL]}..."


def _in_words(choice: JsonValue) -> str:
    """Spell a choice shortly; a section by its values, such as `sgd, 0.9`."""
    if isinstance(choice, dict):
        return ", ".join(_in_words(value) for value in choice.values())
    if isinstance(choice, list):
        return ", ".join(_in_words(value) for value in choice) or "none"
    return "none" if choice is None else str(choice)


def _numbers(
    key: str, values: Sequence[float], lower: float, upper: float, *, logarithmic: bool
) -> _Scale:
    straight = math.log if logarithmic else float
    back = math.exp if logarithmic else float
    low, width = straight(lower), (straight(upper) - straight(lower)) or 1.0
    steps = [number / (TICKS - 1) for number in range(TICKS)]
    ticks = tuple((step, f"{back(low + step * width):.3g}") for step in steps)
    return _Scale(key, ticks, tuple((straight(value) - low) / width for value in values))
