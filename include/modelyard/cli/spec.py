"""`modelyard spec`: check specs, write their JSON Schema, begin a new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.markup import escape

from modelyard.cli.output import AsJson, err, out, print_json
from modelyard.errors import UsageError
from modelyard.settings import get_settings
from modelyard.spec.load import Loaded, find_specs, load_files

app = typer.Typer(no_args_is_help=True, help="Check specs, and begin new ones.")


@app.command()
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Spec files; all of model_specs/ unless given.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check specs and show everything that is wrong, each with file, line and field.

    Exit code 1 if any is wrong.

    Example: modelyard spec check model_specs/digits-cnn.yaml
    """
    loaded = load_files(files or _all_specs())
    if as_json:
        print_json([_as_json(entry) for entry in loaded])
    else:
        _print(loaded)
    if any(entry.error for entry in loaded):
        raise typer.Exit(1)


def _all_specs() -> list[Path]:
    folder = get_settings().specs
    found = find_specs(folder)
    if not found:
        message = f"there are no specs in {folder}"
        raise UsageError(message, hint="modelyard spec new NAME --table FILE --target COLUMN")
    return [_short(path) for path in found]


def _short(path: Path) -> Path:
    """Spell a path from here, as one would type it."""
    relative = Path(os.path.relpath(path))
    return relative if ".." not in relative.parts else path


def _as_json(entry: Loaded) -> JsonValue:
    problems = entry.error.problems if entry.error else ()
    return {
        "file": str(entry.path),
        "name": entry.spec.name if entry.spec else None,
        "ok": entry.error is None,
        "hash": entry.spec.hash if entry.spec else None,
        "problems": [
            {
                "line": problem.line,
                "field": problem.field,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems
        ],
    }


def _print(loaded: list[Loaded]) -> None:
    for entry in loaded:
        if entry.spec:
            out.print(f"{escape(str(entry.path))}: [green]ok[/] {entry.spec.hash[:12]}")
        for problem in entry.error.problems if entry.error else ():
            out.print(escape(str(problem)))
    wrong = sum(1 for entry in loaded if entry.error)
    if wrong:
        count = sum(len(entry.error.problems) for entry in loaded if entry.error)
        err.print(f"[red]{wrong} of {len(loaded)} specs wrong[/], problems: {count}")


@app.command()
def schema() -> None:
    """Write the JSON Schema of specs, for editors.

    Example: modelyard spec schema > model_specs/schema.json
    """
    from modelyard.spec.schema import json_schema

    print_json(json_schema())


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A spec's name, or its file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write; standard output unless given."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="yaml or json; by the file's ending unless given."),
    ] = None,
    spec_too: Annotated[
        bool, typer.Option("--whole", help="The whole spec, not only its model resolved.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:
    """Write the model that a spec means, every default of Ludwig's written out, for use elsewhere.

    Another spec takes it with `model: {from: FILE}`. It is what `build` made, if it has run for
    this model; else Ludwig is asked, which takes some seconds. With --whole, the spec itself is
    written, as YAML or JSON.

    Example: modelyard spec export digits-cnn -o ../other/model_specs/shared/digits.json
    """
    from modelyard.spec import export as exporting
    from modelyard.spec.load import load_spec, resolve
    from modelyard.workspace import Workspace

    chosen = exporting.format_of(output, form, "yaml" if spec_too else "json")
    settings = get_settings()
    spec = load_spec(resolve(name, settings.specs))
    if output is not None and output.exists() and not force:
        message = f"{output} exists"
        raise UsageError(message, hint="give --force to overwrite it")
    if spec_too:
        value = exporting.whole(spec)
    else:
        from modelyard.training.build import architecture

        value = architecture(spec, Workspace(settings))
    text = exporting.text(value, chosen)
    if output is None:
        typer.echo(text, nl=False)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    out.print(f"wrote {escape(str(_short(output)))}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The model's name, such as digits-cnn.")],
    table: Annotated[
        Path,
        typer.Option(
            help="A CSV or Parquet file, or a folder of images with one subfolder a class.",
            exists=True,
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="The column to predict; for an image folder, label unless given."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write; model_specs/NAME.yaml unless given."),
    ] = None,
) -> None:
    """Begin a spec from a table or a folder of images: types, checks, split and gate are inferred.

    A folder of images gets a table labels.csv beside its subfolders, unless it has one.

    Example: modelyard spec new iris --table data/iris/iris.csv --target species
    """
    from modelyard.spec.new import write_new

    settings = get_settings()
    destination = output or settings.specs / f"{name}.yaml"
    made = write_new(name, table, target, destination, settings.project)
    for path in made.written:
        out.print(f"wrote {escape(str(_short(path)))}")
    for note in made.notes:
        out.print(escape(note))
