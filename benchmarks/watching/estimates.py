"""How far accuracy that is estimated without labels is from the truth, with real models and data.

    .venv/bin/python benchmarks/watching/estimates.py [--rounds 20] [--json]

Models learn from two fifths of a data set that scikit-learn brings along; what follows is
calibrated on half of the rest, the test rows, and live rows are drawn from the other half, half
of it or 500:

- same: as they come,
- chosen: rows are likelier the further out they lie along one direction; what inputs mean stays,
- noise: inputs are blurred by noise, which no test row was,
- meaning: as they come, but a third of the truths are other ones: no estimate can see that.

A line gives the mean over the rounds: true accuracy of test and live rows, and the mean distance
of each estimate from the truth: ours, the model's confidence as it is, the average thresholded
confidence (ATC, Garg et al. 2022), and the test rows' accuracy, which is what one has without an
estimate. `alarms` is the share of rounds in which the estimate says a level, `true` in which
labels of all live rows do.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelyard.monitoring.performance.confidence import estimate
from modelyard.monitoring.performance.degradation import degradation, level_of
from modelyard.monitoring.performance.metrics import Accuracy
from modelyard.monitoring.performance.samples import Sample, made
from modelyard.spec.monitor import LevelsSpec

type Rows = npt.NDArray[np.float64]
type Truths = npt.NDArray[np.int64]
type Shift = Callable[[np.random.Generator, Rows, Truths], tuple[Rows, Truths]]

LIVE: Final = 500
ALPHA: Final = 0.05
PULL: Final = 1.2
CHANGED: Final = 0.33
MODELS: Final[dict[str, Callable[[int], Any]]] = {
    "logistic": lambda _seed: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
    "forest": lambda seed: RandomForestClassifier(60, min_samples_leaf=3, random_state=seed),
    "mlp": lambda seed: make_pipeline(
        StandardScaler(), MLPClassifier((64,), max_iter=60, random_state=seed)
    ),
}


@dataclass(frozen=True, slots=True)
class Round:
    """What one draw showed; the estimates as distances from the truth."""

    test: float
    live: float
    ours: float
    confidence: float
    atc: float
    nothing: float
    alarm: bool
    true_alarm: bool


def same(random: np.random.Generator, rows: Rows, truths: Truths) -> tuple[Rows, Truths]:
    """Draw rows as they come."""
    drawn = random.permutation(len(rows))[: _live(rows)]
    return rows[drawn], truths[drawn]


def chosen(random: np.random.Generator, rows: Rows, truths: Truths) -> tuple[Rows, Truths]:
    """Draw rows by where they lie along a direction of their own, drawn too."""
    spread = rows.std(axis=0)
    scaled = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    places = scaled @ random.normal(size=rows.shape[1])
    weights = np.exp(PULL * places / places.std())
    drawn = random.choice(len(rows), _live(rows), replace=False, p=weights / weights.sum())
    return rows[drawn], truths[drawn]


def noise(random: np.random.Generator, rows: Rows, truths: Truths) -> tuple[Rows, Truths]:
    """Blur inputs by half of their spread."""
    rows_drawn, truths_drawn = same(random, rows, truths)
    return rows_drawn + random.normal(size=rows_drawn.shape) * rows.std(axis=0) * 0.5, truths_drawn


def meaning(random: np.random.Generator, rows: Rows, truths: Truths) -> tuple[Rows, Truths]:
    """Change a third of the truths."""
    rows_drawn, truths_drawn = same(random, rows, truths)
    other = (truths_drawn + 1) % (truths.max() + 1)
    return rows_drawn, np.where(random.random(len(other)) < CHANGED, other, truths_drawn)


def _live(rows: Rows) -> int:
    """Each row is drawn once: rows that come again would make a window seem surer than it is."""
    return min(LIVE, len(rows) // 2)


SHIFTS: Final[dict[str, Shift]] = {
    "same": same,
    "chosen": chosen,
    "noise": noise,
    "meaning": meaning,
}


def tables() -> Iterator[tuple[str, Rows, Truths]]:
    """Yield digits, breast cancer, and a table with classes that cannot be told apart fully."""
    for name, load in (("digits", datasets.load_digits), ("cancer", datasets.load_breast_cancer)):
        bunch = load()
        yield name, np.asarray(bunch.data, dtype=np.float64), np.asarray(bunch.target)
    rows, truths = datasets.make_classification(
        6_000, 12, n_informative=6, n_classes=3, class_sep=0.9, flip_y=0.05, random_state=0
    )
    yield "made", rows, truths


def answered(model: Any, rows: Rows, truths: Truths) -> Sample:
    """Let a model answer."""
    chances = model.predict_proba(rows)
    predicted = model.classes_[chances.argmax(axis=1)]
    return made(
        "label", truths.astype(str).tolist(), predicted.astype(str).tolist(), chances.max(axis=1)
    )  # fmt: skip


def thresholded(test: Sample, live: Sample) -> float:
    """Estimate accuracy by ATC: the share above the confidence that as many test rows exceed as are right."""
    threshold = np.quantile(test.probability, 1 - test.right.mean())
    return float((live.probability > threshold).mean())


def one_round(model: Any, test: Sample, shift: Shift, seed: int, rest: tuple[Rows, Truths]) -> Round:  # fmt: skip
    """Draw live rows, and hold the estimates against their truth."""
    random = np.random.default_rng(seed)
    live = answered(model, *shift(random, *rest))
    truth, known = float(live.right.mean()), float(test.right.mean())
    found = estimate(test.probability, test.right, live.probability)
    share = degradation(found.value, found.baseline, lower_is_better=False)
    true_share = degradation(truth, known, lower_is_better=False)
    levels = LevelsSpec()
    return Round(
        test=known,
        live=truth,
        ours=abs(found.value - truth),
        confidence=abs(float(live.probability.mean()) - truth),
        atc=abs(thresholded(test, live) - truth),
        nothing=abs(known - truth),
        alarm=found.p_value <= ALPHA and level_of(share, levels) is not None,
        true_alarm=Accuracy("accuracy").chance(test, live) <= ALPHA
        and level_of(true_share, levels) is not None,
    )


def main() -> None:
    """Print a table of means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="Draws a line.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of a table.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of networks that are not trained to the end
    begun, lines = time.perf_counter(), []
    for data, rows, truths in tables():
        for name, make in MODELS.items():
            lines += _lines(data, name, make, rows, truths, options.rounds)
    if options.json:
        print(json.dumps({"lines": lines, "seconds": time.perf_counter() - begun}, indent=1))
        return
    print("| data | model | shift | test | live | ours | confidence | ATC | none | alarms | true |")
    print(f"|---|---|---|{'---:|' * 8}")
    for line in lines:
        figures = [f"{line[key]:.3f}" for key in Round.__slots__[:6]]
        figures += [f"{line[key]:.0%}" for key in Round.__slots__[6:]]
        print(f"| {line['data']} | {line['model']} | {line['shift']} | {' | '.join(figures)} |")


def _lines(  # noqa: PLR0913, PLR0917 - a data set, a model and how often
    data: str, name: str, make: Callable[[int], Any], rows: Rows, truths: Truths, rounds: int
) -> list[dict[str, Any]]:
    found: dict[str, list[Round]] = {shift: [] for shift in SHIFTS}
    for seed in range(rounds):
        order = np.random.default_rng(seed).permutation(len(rows))
        learn, test, rest = np.split(order, [len(rows) * 2 // 5, len(rows) * 7 // 10])
        model = make(seed).fit(rows[learn], truths[learn])
        kept = answered(model, rows[test], truths[test])
        for shift, change in SHIFTS.items():
            found[shift].append(one_round(model, kept, change, seed, (rows[rest], truths[rest])))
    return [
        {"data": data, "model": name, "shift": shift}
        | {key: float(np.mean([asdict(one)[key] for one in all_of_it])) for key in Round.__slots__}
        for shift, all_of_it in found.items()
    ]


if __name__ == "__main__":
    main()
