"""`import`: a file from the disk into the database, in this process, as one import job among all others."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graphql_api.cli.database import open_database, upgrade
from graphql_api.cli.failure import ExitCode
from graphql_api.cli.import_report import ImportOutcome, ProgressView, as_json, print_outcome
from graphql_api.cli.operation import operate
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings
from graphql_api.database.engine import Database
from graphql_api.database.import_job import (
    ImportJobRow,
    ImportKind,
    ImportMode,
    ImportStatus,
    RejectPolicy,
    StockEffect,
)
from graphql_api.services.errors import Conflict
from graphql_api.services.import_job import (
    FINAL,
    ImportRequest,
    cancel_import,
    check_request,
    import_by_id,
    receive_file,
    start_import,
    validated_mapping,
)
from graphql_api.services.import_reject import reject_counts_by_import, rejects_csv
from graphql_api.services.import_run import Busy, ImportRunner
from graphql_api.services.resources import create_storage
from graphql_api.services.storage import FileStorage, StoredFile

READ_BYTES = 1 << 20
POLL_SECONDS = 0.2
EXIT_CODES = {ImportStatus.COMPLETED: ExitCode.OK, ImportStatus.CANCELLED: ExitCode.CANCELLED}


class Mode(StrEnum):
    """What happens to rows that say something else than is known."""

    INSERT = "insert"
    UPSERT = "upsert"


class Kind(StrEnum):
    """What the file holds."""

    SALES = "sales"
    PRODUCTS = "products"
    STORES = "stores"
    PURCHASES = "purchases"
    STOCK_COUNT = "stock-count"


class Effect(StrEnum):
    """What sold lines do to stock."""

    NONE = "none"
    DEDUCT = "deduct"


class OnError(StrEnum):
    """What a bad row does to the others."""

    ROW = "row"
    ALL = "all"


POLICIES = {OnError.ROW: RejectPolicy.REJECT_ROW, OnError.ALL: RejectPolicy.REJECT_ALL}


def import_file(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: Annotated[Path, typer.Argument(help="CSV, also as .gz or .xz.", exists=True, dir_okay=False, readable=True)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,  # noqa: FBT002 - a switch of the command line
    json_output: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,  # noqa: FBT002 - as above
    kind: Annotated[Kind, typer.Option(help="What the file holds.")] = Kind.SALES,
    mode: Annotated[
        Mode, typer.Option(help="insert rejects rows that change something, upsert lets them.")
    ] = Mode.INSERT,
    stock_effect: Annotated[
        Effect, typer.Option(help="What sold lines do to stock; deduct takes their bottles.")
    ] = Effect.NONE,
    on_error: Annotated[OnError, typer.Option(help="What a bad row rejects: itself, or all.")] = OnError.ROW,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="HEADER=FIELD", help="What a column means; HEADER= ignores it. May be repeated."),
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Write the rejected rows to this CSV.", dir_okay=False)] = None,
) -> None:
    """Import a file of sales, products, stores, purchases or counted stock; the same file twice changes nothing.

    Ctrl-C cancels the import and takes back what it has written. Ends with 0 when the import is complete, 1 when
    the file was refused, 2 for wrong usage and 130 when cancelled.
    """
    request = ImportRequest(
        file.name,
        kind=ImportKind[kind.name],
        mode=ImportMode[mode.name],
        stock_effect=StockEffect[stock_effect.name],
        on_error=POLICIES[on_error],
        dry_run=dry_run,
        mapping=_parsed_mapping(mapping or []),
    )
    check_request(request, None)
    given = load_settings()
    with servers(given) as settings:
        if given.database_url is None:
            asyncio.run(upgrade(settings))  # somebody else's database is migrated on purpose only
        outcome = asyncio.run(_import(settings, file, request, rejects))
    if outcome is None:
        typer.echo("Cancelled before the import began; nothing was stored.", err=True)
        raise typer.Exit(ExitCode.CANCELLED)
    if json_output:
        typer.echo(json.dumps(as_json(outcome)))
    else:
        print_outcome(outcome, rejects)
    raise typer.Exit(EXIT_CODES.get(outcome.job.status, ExitCode.FAILED))


def _parsed_mapping(texts: list[str]) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in texts]
    if any(not header for header, _, _ in pairs):
        raise typer.BadParameter("write --map HEADER=FIELD", param_hint="--map")
    return validated_mapping((header, name) for header, _, name in pairs)


async def _import(settings: Settings, file: Path, request: ImportRequest, rejects: Path | None) -> ImportOutcome | None:
    """The ended import, or None when it was cancelled before there was a job."""
    storage = create_storage(settings)
    async with open_database(settings) as database:
        runner = ImportRunner(database, storage, settings.unpacked_limit_bytes)
        with ProgressView() as view:
            work = ImportWork(database, storage, runner, view)
            with _interrupting(work.interrupted):
                stored = await work.store(file, settings.upload_limit_bytes)
                job = await work.run(stored, request) if stored else None
        if job is None:
            return None
        outcome = await _outcome(database, job)
        if rejects and outcome.rejects:
            await _write_rejects(database, job.id, rejects)
        return outcome


@contextlib.contextmanager
def _interrupting(interrupted: asyncio.Event) -> Iterator[None]:
    """Ctrl-C sets the event; a second one ends the program, and a worker does the rest."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        interrupted.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@dataclass(frozen=True)
class ImportWork:
    """One import from the command line, which the user may interrupt."""

    database: Database
    storage: FileStorage
    runner: ImportRunner
    view: ProgressView
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self, file: Path, limit: int) -> StoredFile | None:
        """Copy the file into the storage; None when that was interrupted."""
        storing = asyncio.create_task(receive_file(self.storage, self._chunks(file), limit=limit))
        interruption = asyncio.create_task(self.interrupted.wait())
        await asyncio.wait({storing, interruption}, return_when=asyncio.FIRST_COMPLETED)
        interruption.cancel()
        if storing.done():
            return storing.result()
        storing.cancel()
        await asyncio.wait({storing})
        return None

    async def _chunks(self, file: Path) -> AsyncIterator[bytes]:
        with file.open("rb") as content:
            while chunk := await asyncio.to_thread(content.read, READ_BYTES):
                yield chunk

    async def run(self, stored: StoredFile, request: ImportRequest) -> ImportJobRow:
        """Create the job and bring it to its end, here or by following the worker that was faster."""
        job = await operate(self.database, "import", lambda work: start_import(work, stored, request))
        import_id = job.id
        helpers = [asyncio.create_task(self._watch(import_id)), asyncio.create_task(self._cancel(import_id))]
        try:
            return await self._run_to_the_end(import_id)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _run_to_the_end(self, import_id: int) -> ImportJobRow:
        while (job := await self._job(import_id)).status not in FINAL:
            try:
                await self.runner.run(import_id)
            except Busy:
                await asyncio.sleep(POLL_SECONDS)
        self.view.show(job)
        return job

    async def _watch(self, import_id: int) -> None:
        while True:
            self.view.show(await self._job(import_id))
            await asyncio.sleep(POLL_SECONDS)

    async def _cancel(self, import_id: int) -> None:
        await self.interrupted.wait()
        self.view.say("Cancelling: what was written is taken back. Ctrl-C again leaves that to a worker.")
        with contextlib.suppress(Conflict):  # it has just ended
            await operate(self.database, "import", lambda work: cancel_import(work, import_id))

    async def _job(self, import_id: int) -> ImportJobRow:
        async with self.database.read() as session:
            job = await import_by_id(session, import_id)
        if job is None:
            raise LookupError(f"Import {import_id} is gone; jobs are never deleted.")
        return job


async def _outcome(database: Database, job: ImportJobRow) -> ImportOutcome:
    async with database.read() as session:
        (rejects,) = await reject_counts_by_import(session, [job.id])
    return ImportOutcome(job, {code.value: count for code, count in rejects})


async def _write_rejects(database: Database, import_id: int, path: Path) -> None:
    with path.open("wb") as output:
        async for rows in await rejects_csv(database, import_id):
            await asyncio.to_thread(output.write, rows)
