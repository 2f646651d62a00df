"""Load specs: every problem of a file at once, each with its line, field and the nearest right word."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from modelyard.errors import Problem, SpecError, UsageError
from modelyard.spec import document, ludwig_schema, reference, rules, translate
from modelyard.spec.hints import did_you_mean
from modelyard.spec.lines import Finding, problems
from modelyard.spec.models import Spec
from modelyard.spec.yaml_text import Unreadable


@dataclass(frozen=True, slots=True)
class Loaded:
    """A spec file, and either its spec or what is wrong with it."""

    path: Path
    spec: Spec | None = None
    error: SpecError | None = None


def load_spec(path: Path) -> Spec:
    """Load a YAML or JSON spec, with what its `model.from` names merged into its model.

    Raises:
        SpecError: the file is wrong; carries all its problems.
    """
    file = str(path)
    try:
        read = document.read(path)
    except Unreadable as error:
        raise SpecError(file, problems([error.finding], {}, file)) from error
    findings = list(read.findings)
    resolved = reference.resolve(read.value, read.places, path)
    spec = build(resolved.value, findings)
    if resolved.findings:  # the model is not known, so nothing more can be said of it
        known = [finding for finding in findings if finding.path[:1] != ("model",)]
        findings = [*resolved.findings, *known]
    if isinstance(read.value.get("name"), str) and read.value["name"] != path.stem:
        message = f"is `{read.value['name']}`, but the file is called {path.name}"
        findings.append(Finding(("name",), message, "name and file name must be equal"))
    if spec is None or findings:
        raise SpecError(file, problems(findings, read.places, file, resolved.origins))
    return spec


def build(value: Mapping[str, JsonValue], findings: list[Finding]) -> Spec | None:
    """Make a spec of a JSON value, or add all that is wrong with it to `findings`."""
    spec: Spec | None = None
    plain = dict(value)
    try:
        # JSON in strict mode: numbers in quotes, yes and 1.0 do not pass as something else.
        spec = Spec.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        findings += translate.findings(error, plain)
    if isinstance(plain.get("model"), dict):
        findings += rules.check(plain)
        findings += _checked_by_ludwigs_schema(plain["model"])
    return None if findings else spec


def _checked_by_ludwigs_schema(model: JsonValue) -> list[Finding]:
    ours = rules.ours()
    return [
        Finding(("model", *finding.path), finding.message, finding.hint)
        for finding in ludwig_schema.check(model)
        if finding.path not in ours
    ]


def find_specs(folder: Path) -> list[Path]:
    """List the spec files of a folder in the order of their names."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in document.SUFFIXES
        and path.name != "schema.json"
        and not path.name.startswith(".")
    )


def load_all(folder: Path) -> list[Loaded]:
    """Load all specs of a folder; a wrong one does not hide the others."""
    return load_files(find_specs(folder))


def load_files(files: list[Path]) -> list[Loaded]:
    """Load spec files; of two with one name, the second is wrong."""
    taken: dict[tuple[Path, str], Path] = {}
    loaded = []
    for path in files:
        key = (path.parent.absolute(), path.stem)
        other = taken.setdefault(key, path)
        loaded.append(_loaded(path) if other == path else _twice(path, other))
    return loaded


def _loaded(path: Path) -> Loaded:
    try:
        return Loaded(path, spec=load_spec(path))
    except SpecError as error:
        return Loaded(path, error=error)


def _twice(path: Path, other: Path) -> Loaded:
    problem = Problem(
        f"there is {other.name} with the same name", str(path), 1, "name", "keep one of the two"
    )
    return Loaded(path, error=SpecError(str(path), (problem,)))


def resolve(name_or_path: str, folder: Path) -> Path:
    """Find a spec by its name or path; raise UsageError with the nearest name if there is none."""
    path = Path(name_or_path)
    if path.suffix in document.SUFFIXES or len(path.parts) > 1:
        if path.is_file():
            return path
        message = f"there is no spec file {name_or_path}"
        raise UsageError(message, hint="give a name of model_specs/, or a path that exists")
    specs = {path.stem: path for path in reversed(find_specs(folder))}
    if name_or_path in specs:
        return specs[name_or_path]
    message = f"there is no spec `{name_or_path}` in {folder}"
    raise UsageError(message, hint=did_you_mean(name_or_path, specs, of="specs"))
