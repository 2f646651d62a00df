"""`modelyard data`: bring data in, and bring a spec's data here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modelyard.cli.output import AsJson, err, out, print_json
from modelyard.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Bring data in, and give it a version.")

Source = Annotated[
    str,
    typer.Argument(
        help="A file, a folder, an http(s):// or s3:// address, or a database's SQLAlchemy URL."
    ),
]
Destination = Annotated[
    Path, typer.Argument(help="Where it goes: a folder such as data/NAME, or a file in one.")
]
Sha256 = Annotated[
    str | None, typer.Option(help="What the file's SHA-256 must be; web addresses need it.")
]
Query = Annotated[str | None, typer.Option(help="The SQL query, for a database.")]
NoChecksum = Annotated[
    bool, typer.Option("--no-checksum", help="Trust a web address without --sha256.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace data that is there.")]


@app.command("ingest")
def ingest_command(  # noqa: PLR0913, PLR0917 - one parameter an option
    source: Source,
    destination: Destination,
    sha256: Sha256 = None,
    query: Query = None,
    no_checksum: NoChecksum = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Fetch data into the project and version it with DVC.

    Example: [bold]modelyard data ingest ~/churn.csv data/churn[/]

    Example: [bold]modelyard data ingest sqlite:///shop.db data/orders --query "SELECT * FROM orders"[/]
    """
    from modelyard.data.ingest import ingest

    with _log_to_terminal():
        done = ingest(
            source,
            destination,
            project=get_settings().project,
            query=query,
            sha256=sha256,
            checksum=not no_checksum,
            force=force,
        )
    if as_json:
        print_json(asdict(done))
        return
    out.print(f"{done.path}: {done.content_hash or 'not versioned'}", markup=False)
    out.print("next:")
    for step in done.next_steps:
        out.print(f"  {step}", markup=False)


@app.command("pull")
def pull_command(
    spec: Annotated[str, typer.Argument(help="A spec's name, or the path of its file.")],
    as_json: AsJson = False,
) -> None:
    """Bring the data of a spec here, at the revision that the spec says.

    Example: [bold]modelyard data pull digits-cnn[/]
    """
    from modelyard.data.pull import pull
    from modelyard.spec.load import load_spec, resolve
    from modelyard.workspace import Workspace

    settings = get_settings()
    workspace = Workspace(settings)
    with _log_to_terminal():
        pulled = pull(load_spec(resolve(spec, settings.specs)), workspace)
    if as_json:
        print_json(pulled.model_dump(mode="json"))
    else:
        out.print(str(workspace.path(pulled.folder)), markup=False)


@contextmanager
def _log_to_terminal() -> Iterator[None]:
    """Show the progress lines on standard error while a command works."""
    from rich.logging import RichHandler

    logger = logging.getLogger("modelyard.data")
    handler = RichHandler(console=err, show_time=False, show_path=False, show_level=False)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
