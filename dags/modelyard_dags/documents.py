"""The page that Airflow shows for a DAG, in Markdown."""

from __future__ import annotations

import re
from pathlib import Path

from modelyard.spec.data import SplitSpec
from modelyard.spec.models import FeatureSpec, GateRule, Spec
from modelyard.spec.monitor import MonitorSpec


def spec_page(spec: Spec, path: Path, endpoint: str) -> str:
    """Describe a spec: its data, model, gate and endpoint, and the file itself."""
    return "\n\n".join(
        [
            f"### {spec.name}",
            _plain(spec.description) or "No description.",
            "\n".join(_rows(spec, endpoint)),
            f"`{path.parent.name}/{path.name}`:",
            fenced(_text(path), path.suffix.lstrip(".")),
        ]
    )


def broken_page(path: Path, error: str) -> str:
    """Describe what is wrong with a spec, and what happens until it is put right."""
    file = f"{path.parent.name}/{path.name}"
    return "\n\n".join(
        [
            f"### The spec `{path.name}` is broken",
            fenced(error, ""),
            f"Until `{file}` is put right, each run of this DAG fails with the same message.",
            f"To check it by hand: `modelyard spec check {file}`.",
        ]
    )


def fenced(text: str, language: str) -> str:
    """Quote a text as it is, whatever back-ticks it holds."""
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _rows(spec: Spec, endpoint: str) -> list[str]:
    split = _split(spec.data.split)
    rows = {
        "Data": f"`{spec.data.path}` at {_code(spec.data.revision) or 'the work tree'}, {split}",
        "Checks": f"{len(spec.data.checks)} beside the built-in ones",
        "Inputs": _features(spec.inputs),
        "Outputs": _features(spec.outputs),
        "Trainer": _trainer(spec),
        "Tune": f"{spec.tune.trials} trials" if spec.tune else "no",
        "Cross-validation": (
            f"{spec.cross_validation.folds} folds" if spec.cross_validation else "no"
        ),
        "Gate": "; ".join(_rule(rule) for rule in spec.gate) or "every model passes",
        "Retrained": _retrained(spec.monitor),
        "Endpoint": f"[{endpoint}/models/{spec.name}/predict]({endpoint}/docs)",
    }
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]


def _split(split: SplitSpec) -> str:
    if split.column:
        return f"split by column `{split.column}`"
    words = {"stratify": "stratified by", "group": "by groups of", "blocks_of": "by blocks of"}
    ways = (f"{word} `{value}`" for way, word in words.items() if (value := getattr(split, way)))
    shares = " / ".join(f"{share:.0%}" for share in split.fractions)
    return f"split {shares} {next(ways, 'at random')}, seed {split.seed}"


def _features(features: tuple[FeatureSpec, ...], most: int = 8) -> str:
    shown = ", ".join(f"`{feature.name}` ({feature.type})" for feature in features[:most])
    rest = len(features) - most
    return f"{shown} and {rest} more" if rest > 0 else shown or "none"


def _trainer(spec: Spec) -> str:
    trainer = spec.model.get("trainer")
    entries = trainer.items() if isinstance(trainer, dict) else ()
    return ", ".join(f"{key} `{value}`" for key, value in entries) or "Ludwig's defaults"


def _rule(rule: GateRule) -> str:
    if rule.within is not None:
        return f"`{rule.metric}` within {rule.within:g} of the champion"
    if rule.at_least is not None:
        return f"`{rule.metric}` at least {rule.at_least:g}"
    return f"`{rule.metric}` at most {rule.at_most:g}"


def _retrained(monitor: MonitorSpec) -> str:
    if monitor.retrain_on is None:
        return "by hand"
    rules = monitor.retrain
    data = "new labels" if rules.data == "labelled" else "the data as it is then"
    return (
        f"on alerts from `{monitor.retrain_on}` on, with {data}; "
        f"at most every {rules.cooldown_hours:g} h and {rules.budget} times in 30 days"
    )


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
