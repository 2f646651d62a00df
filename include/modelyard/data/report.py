"""The page that shows what the checks said; it opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from modelyard.artifacts import PulledData, ValidationReport
from modelyard.data.checks import Result
from modelyard.data.progress import size_text
from modelyard.spec.models import Spec
from modelyard.workspace import write_atomically


def write_report(
    path: Path, spec: Spec, pulled: PulledData, report: ValidationReport, results: Sequence[Result]
) -> None:
    """Write the page; every value of the data is escaped."""
    from jinja2 import Environment, StrictUndefined

    source = files("modelyard.data").joinpath("templates", "validation.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    text = environment.from_string(source).render(
        spec=spec,
        pulled=pulled,
        size=size_text(pulled.size),
        report=report,
        results=sorted(results, key=lambda result: result.failure is None),
    )
    write_atomically(path, text)
