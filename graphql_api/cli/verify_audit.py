"""`verify-audit`: whether the audit record is what it was."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from graphql_api.cli.database import open_database
from graphql_api.cli.failure import CommandError, ExitCode
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings
from graphql_api.services.audit_check import AuditCheck, ChainEnd, Fault
from graphql_api.services.audit_check import verify_audit as check_audit

NOT_A_NOTE = "{file} holds no chain ends. Give a file that `graphql-api verify-audit --json` was written to."
Noted = Mapping[int, ChainEnd]


def verify_audit(
    json_output: Annotated[  # noqa: FBT002 - a switch of the command line
        bool, typer.Option("--json", help="Print the result as one JSON object; keep it elsewhere for --against.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="An earlier --json result: also find what was rewritten since.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Check that no entry of the audit record was changed, removed, inserted or moved.

    Somebody who rules the database can rewrite a whole chain of entries; that shows only against an earlier result
    which that person could not reach. Ends with 0 when all is well and 1 when something was tampered with.
    """
    noted = _read_note(against) if against else {}
    with servers(load_settings()) as settings:
        check = asyncio.run(_check(settings, noted))
    if json_output:
        typer.echo(json.dumps(as_json(check)))
    else:
        _print(check, is_compared=bool(against))
    raise typer.Exit(ExitCode.OK if check.is_intact else ExitCode.FAILED)


async def _check(settings: Settings, noted: Noted) -> AuditCheck:
    with Progress(
        TextColumn("Checking entries"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        async with open_database(settings) as database, database.read() as session:
            return await check_audit(session, noted, _shown_on(progress))


def _shown_on(progress: Progress) -> Callable[[int, int], None]:
    task = progress.add_task("")

    def show(done: int, total: int) -> None:
        progress.update(task, completed=done, total=max(done, total))

    return show


def as_json(check: AuditCheck) -> dict[str, Any]:
    """The result for scripts, and for later checks: `ends` holds length and hash of each chain that has entries."""
    return {
        "intact": check.is_intact,
        "checked": check.checked,
        "faults": [_fault_as_json(fault) for fault in check.faults],
        "ends": {str(chain): [end.length, end.hash.hex()] for chain, end in sorted(check.ends.items())},
    }


def _fault_as_json(fault: Fault) -> dict[str, Any]:
    entry = fault.entry
    return {
        "kind": fault.kind.value,
        "chain": fault.chain,
        "detail": fault.detail,
        "entry": entry and {"id": entry.id, "at": entry.at.isoformat(), "action": entry.action},
    }


def _read_note(file: Path) -> Noted:
    try:
        ends = json.loads(file.read_text())["ends"]
        return {int(chain): ChainEnd(int(length), bytes.fromhex(digits)) for chain, (length, digits) in ends.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CommandError(NOT_A_NOTE.format(file=file)) from None


def _print(check: AuditCheck, *, is_compared: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    if check.is_intact:
        compared = " and with what was noted earlier" if is_compared else ""
        console.print(f"[green]OK[/]   {check.checked:,} entries agree with their chains{compared}.")
        console.print("To find later what is rewritten from here on, keep this elsewhere: verify-audit --json > FILE")
        return
    for fault in check.faults:
        console.print("[red]FAIL[/]", end=" ")
        console.print(_line(fault), markup=False)
    console.print(f"{check.checked:,} entries checked. In a chain with a fault, look at what follows it as well.")


def _line(fault: Fault) -> str:
    if fault.entry is None:
        place = "" if fault.chain is None else f"chain {fault.chain}. "
        return f"{fault.kind.value}: {place}{fault.detail}"
    entry = fault.entry
    return (
        f"{fault.kind.value}: entry {entry.id} of {entry.at:%Y-%m-%d %H:%M:%S} UTC, `{entry.action}` "
        f"(chain {fault.chain}). {fault.detail}"
    )
