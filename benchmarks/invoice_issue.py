"""Issuing invoices of 3 lines with 16 clients, beside the same statements by hand over asyncpg.

    python -m benchmarks.invoice_issue [--invoices N] [--rounds R] [--profile]

The ways take turns within each round, on one database: by hand, through the schema in this process, and over HTTP
with a server of its own. Once the invoices are spread over many stores and products, once all are of one store and
have one product in common. Afterwards the books are checked: nothing oversold, no number left out.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import perf_counter, process_time
from typing import IO, Any, cast
from urllib.parse import urlsplit

import asyncpg
from rich.console import Console
from rich.table import Table

from benchmarks.import_speed import fresh_database
from benchmarks.invoice_by_hand import issue_by_hand
from benchmarks.invoice_data import Company, Wish, fill, find_faults, make_drafts, sign_in_people
from graphql_api import embedded
from graphql_api.app import create_services
from graphql_api.config import Settings, load_settings
from graphql_api.database.engine import Database
from graphql_api.events.bus import Bus
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import build_schema
from graphql_api.services.policy import Viewer

CLIENTS = 16
# What one account may do in a minute is limited, so many take turns.
TURNS = 400
SECRET_KEY = "a-secret-key-of-the-benchmarks-0123456789"  # noqa: S105 - of a server that lives for a minute
ISSUE = """
mutation ($id: ID!) {
  issueInvoice(input: {id: $id, expectedVersion: 1}) { invoice { number status } userErrors { code message } }
}
"""
SCARCE = 250

# Issues one draft; answers the code of a refusal, or None when it was issued.
Issue = Callable[[int], Awaitable[str | None]]
# Clients for one measurement.
Clients = Callable[[], AbstractAsyncContextManager[list[Issue]]]


@dataclass
class People:
    """Who issues: everybody a few hundred times, then the next."""

    known: Sequence[tuple[Viewer, str]]
    _counter: Iterator[int] = field(default_factory=count)

    def next(self) -> tuple[Viewer, str]:
        """Whose turn it is, and the access token."""
        return self.known[next(self._counter) // TURNS % len(self.known)]


@dataclass(frozen=True)
class Outcome:
    """What came of one pile of drafts.

    Args:
        rate: invoices a second.
        cpu: milliseconds of processor that an invoice took in this process.
        refusals: codes.
    """

    rate: float
    cpu: float
    refusals: list[str]


async def issue_all(ids: Sequence[int], clients: Sequence[Issue]) -> Outcome:
    """Have all clients take from one pile until it is gone."""
    pile = iter(ids)
    refusals: list[str] = []

    async def work(issue: Issue) -> None:
        for key in pile:
            code = await issue(key)
            refusals.extend([code] if code else [])

    begin, used = perf_counter(), process_time()
    await asyncio.gather(*[work(issue) for issue in clients])
    return Outcome(len(ids) / (perf_counter() - begin), (process_time() - used) / len(ids) * 1_000, refusals)


def _refusal(answer: dict[str, Any]) -> str | None:
    if answer.get("errors"):
        return str(answer["errors"][0])
    codes = [error["code"] for error in answer["data"]["issueInvoice"]["userErrors"]]
    return codes[0] if codes else None


@asynccontextmanager
async def by_hand(url: str, people: People) -> AsyncIterator[list[Issue]]:
    """Clients with a connection each."""
    connections = [await asyncpg.connect(url) for _ in range(CLIENTS)]

    def client(connection: asyncpg.Connection) -> Issue:
        async def issue(key: int) -> None:
            viewer, _ = people.next()
            await issue_by_hand(connection, key, (viewer.user_id, viewer.role.value, viewer.session_id))

        return issue

    try:
        yield [client(connection) for connection in connections]
    finally:
        for connection in connections:
            await connection.close()


@asynccontextmanager
async def in_process(services: Services, people: People) -> AsyncIterator[list[Issue]]:
    """Clients of the schema, without a network."""
    schema = build_schema()

    async def issue(key: int) -> str | None:
        viewer, _ = people.next()
        context = Context(services, Origin("benchmark"), viewer)
        variables = {"id": global_id("Invoice", key)}
        result = await schema.execute(ISSUE, variables, context)
        return _refusal({"data": result.data, "errors": result.errors})

    yield [issue] * CLIENTS


@asynccontextmanager
async def over_http(endpoint: str, people: People) -> AsyncIterator[list[Issue]]:
    """Clients with an open connection each to a server."""
    place = urlsplit(endpoint)
    lines = [await asyncio.open_connection(place.hostname, place.port) for _ in range(CLIENTS)]

    def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Issue:
        async def issue(key: int) -> str | None:
            _, token = people.next()
            body = json.dumps({"query": ISSUE, "variables": {"id": global_id("Invoice", key)}}).encode()
            head = (
                f"POST {place.path} HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
            return _refusal(json.loads(await reader.readexactly(length)))

        return issue

    try:
        yield [client(*line) for line in lines]
    finally:
        for _, writer in lines:
            writer.close()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The endpoint of a server with these settings."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url or "",
        "REDIS_URL": settings.redis_url or "",
        "DATA_DIR": str(settings.data_dir),
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_POOL_SIZE": str(CLIENTS),
        "WORKER_IN_SERVER": "false",
        "LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-c", "from graphql_api.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        lines = cast("IO[str]", process.stdout)
        yield next(line for line in lines if line.startswith("Endpoint")).split()[1]
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Bench:
    """One database and the ways to issue on it."""

    connection: asyncpg.Connection
    company: Company
    ways: dict[str, Clients]
    outcomes: dict[tuple[str, str], list[Outcome]] = field(default_factory=dict)

    async def measure(self, what: str, wish: Callable[[], Wish], invoices: int) -> None:
        """Each way issues as many invoices of a kind."""
        for way, clients_of in self.ways.items():
            ids = await make_drafts(self.connection, [wish() for _ in range(invoices)])
            async with clients_of() as clients:
                outcome = await issue_all(ids, clients)
            if outcome.refusals:
                raise RuntimeError(f"{way}: {len(outcome.refusals)} refused, such as {outcome.refusals[0]}")
            self.outcomes.setdefault((what, way), []).append(outcome)

    async def sell_out(self) -> None:
        """Twice as many drafts of the last product as there are bottles: exactly the bottles are sold.

        Raises:
            RuntimeError: other than that.
        """
        store, product = self.company.stores[-1], self.company.products[-1]
        left = await self.connection.fetchval(
            "SELECT on_hand FROM stock_level WHERE store_id = $1 AND product_id = $2", store, product
        )
        away = await make_drafts(self.connection, [Wish(store, [product], left - SCARCE)])
        ids = await make_drafts(self.connection, [Wish(store, [product], 1)] * (2 * SCARCE))
        async with self.ways["over HTTP"]() as clients:
            await issue_all(away, clients)
            refusals = (await issue_all(ids, clients)).refusals
        if refusals != ["CONFLICT"] * SCARCE:
            raise RuntimeError(f"{len(refusals)} of {2 * SCARCE} were refused: {set(refusals)}")

    def table(self) -> Table:
        """Invoices a second (median of the rounds), and the ratio to those by hand."""
        table = Table("3 lines, 16 clients", "invoices/s", "ratio", "rounds", "CPU here, ms")
        for (what, way), outcomes in self.outcomes.items():
            rates = [outcome.rate for outcome in outcomes]
            middle = statistics.median(rates)
            ratio = middle / statistics.median(outcome.rate for outcome in self.outcomes[what, "by hand"])
            cpu = statistics.median(outcome.cpu for outcome in outcomes)
            spread = f"{min(rates):.0f} to {max(rates):.0f}"
            table.add_row(f"{what}: {way}", f"{middle:.0f}", f"{ratio:.2f}", spread, f"{cpu:.2f}")
        return table


async def measure_issuing(settings: Settings, invoices: int, rounds: int, profile: Path | None = None) -> None:
    """Measure, check the books, print."""
    url = settings.database_url or ""
    await fresh_database(url)
    database = Database(url, pool_size=CLIENTS)
    connection = await asyncpg.connect(url)
    redis: Any = None
    services = create_services(settings, database, cast("Any", None), redis, Bus(None, "here"))
    people = People(await sign_in_people(database, services.authentication.tokens, 10 * rounds * invoices // TURNS + 2))
    company = await fill(connection)
    try:
        with serving(settings) as endpoint:
            async with by_hand(url, people) as hand, in_process(services, people) as schema:
                ways: dict[str, Clients] = {
                    "by hand": lambda: nullcontext(hand),
                    "in this process": lambda: nullcontext(schema),
                    # a server closes connections that nobody uses
                    "over HTTP": lambda: over_http(endpoint, people),
                }
                bench = Bench(connection, company, ways)
                await _warm_up(bench)
                for _ in range(rounds):
                    await bench.measure("spread", company.spread, invoices)
                    await bench.measure("one hot product", company.hot, invoices)
                if profile:
                    await _profile(bench, invoices, profile)
                await bench.sell_out()
        Console().print(bench.table())
        faults = await find_faults(connection)
        Console().print(
            f"faults in the books: {faults or 'none'}; {SCARCE} bottles for {2 * SCARCE} drafts: {SCARCE} sold"
        )
    finally:
        await connection.close()
        await database.close()


async def _warm_up(bench: Bench) -> None:
    await bench.measure("warm up", bench.company.spread, 10 * CLIENTS)
    bench.outcomes.clear()


async def _profile(bench: Bench, invoices: int, file: Path) -> None:
    """Where this process spends its time while the schema issues."""
    ids = await make_drafts(bench.connection, [bench.company.spread() for _ in range(invoices)])
    async with bench.ways["in this process"]() as clients:
        with cProfile.Profile() as profiler:
            await issue_all(ids, clients)
    profiler.dump_stats(file)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def run(invoices: int, rounds: int, profile: Path | None = None) -> None:
    """Measure on servers of its own, in a folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        with embedded.start(folder) as servers:
            settings = load_settings(
                folder / "no.env",
                database_url=servers.database_url,
                redis_url=servers.redis_url,
                data_dir=folder / "data",
                secret_key=SECRET_KEY,
            )
            asyncio.run(measure_issuing(settings, invoices, rounds, profile))
        embedded.remove(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invoices", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", type=Path, help="write a profile of the schema's part into this file")
    arguments = parser.parse_args()
    run(arguments.invoices, arguments.rounds, arguments.profile)


if __name__ == "__main__":
    main()
