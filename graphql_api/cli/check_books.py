"""`check-books`: whether the books balance."""

import datetime as dt
import json
from typing import Annotated, Any

import typer
from rich.console import Console

from graphql_api.cli.failure import CommandError, ExitCode
from graphql_api.cli.operation import on_database
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.services.books import BooksCheck, CheckResult, check_snapshot
from graphql_api.services.books_watch import check_and_remember


def check_books(
    json_output: Annotated[  # noqa: FBT002 - a switch of the command line
        bool, typer.Option("--json", help="Print the result as one JSON object.")
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(help="Only what was moved until the end of this day in UTC, such as 2024-12-31.", metavar="DATE"),
    ] = None,
) -> None:
    """Compare stock, lots, movements, purchases and invoices with each other, in one snapshot.

    Ends with 0 when everything agrees and 1 when something does not; what is wrong is named.
    """
    day = _day(as_of)

    async def check(_settings: Settings, database: Database) -> BooksCheck:
        return await (check_and_remember(database) if day is None else check_snapshot(database, day))

    found = on_database(check)
    if json_output:
        typer.echo(json.dumps(as_json(found)))
    else:
        _print(found)
    raise typer.Exit(ExitCode.OK if found.is_balanced else ExitCode.FAILED)


def _day(given: str | None) -> dt.date | None:
    try:
        return None if given is None else dt.date.fromisoformat(given)
    except ValueError:
        raise CommandError(f"{given} is no day. Write it as in 2024-12-31.") from None


def as_json(found: BooksCheck) -> dict[str, Any]:
    """The result for scripts."""
    return {
        "balanced": found.is_balanced,
        "checkedAt": found.checked_at.isoformat(),
        "asOf": found.as_of and found.as_of.isoformat(),
        "milliseconds": round(found.milliseconds, 1),
        "checks": [_check_as_json(result) for result in found.results],
    }


def _check_as_json(result: CheckResult) -> dict[str, Any]:
    return {
        "name": result.check.name,
        "held": result.is_held,
        "checked": result.checked,
        "violated": result.violated,
        "violations": [
            {"what": violation.what, "expected": violation.expected, "actual": violation.actual}
            for violation in result.violations
        ],
    }


def _print(found: BooksCheck) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for result in found.results:
        console.print("[green]OK[/]  " if result.is_held else "[red]FAIL[/]", end=" ")
        console.print(f"{result.check.description} ({result.checked:,} compared)", markup=False)
        for violation in result.violations:
            line = f"       {violation.what}: {violation.actual}; expected {violation.expected}"
            console.print(line, markup=False)
        if result.violated > len(result.violations):
            console.print(f"       and {result.violated - len(result.violations):,} more")
