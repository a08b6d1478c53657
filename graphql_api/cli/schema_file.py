"""`export-schema`: the schema as a file, so that a change of the API shows in a review."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from graphql_api.cli.failure import CommandError
from graphql_api.schema.root import print_sdl

SHOWN_LINES = 40


def export_schema(
    path: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)] = Path("schema.graphql"),
    check: Annotated[  # noqa: FBT002 - a switch of the command line
        bool, typer.Option("--check", help="Write nothing; fail when the file is not up to date.")
    ] = False,
) -> None:
    """Write the schema in GraphQL's own language; needs no database."""
    text = print_sdl()
    if check:
        _compare(path, text)
        typer.echo(f"{path} is up to date.")
        return
    path.write_text(text, encoding="utf-8")
    typer.echo(f"Wrote {path}.")


def _compare(path: Path, text: str) -> None:
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    if found == text:
        return
    changes = difflib.unified_diff(found.splitlines(), text.splitlines(), str(path), "the program", lineterm="", n=1)
    for line in list(changes)[:SHOWN_LINES]:
        typer.echo(line, err=True)
    raise CommandError(f"{path} is not up to date. Run `graphql-api export-schema` and commit the file.")
