"""What it costs to know who asks: in this process, and over HTTP beside the same query without an account.

    python -m benchmarks.authentication [--requests N]

Over HTTP the two kinds of requests take turns on one connection each to one server, so that whatever else the machine
does meets both alike.
"""

import argparse
import asyncio
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import IO, cast
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from benchmarks.import_speed import fresh_database
from graphql_api import embedded
from graphql_api.app import listening
from graphql_api.database.engine import Database
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services.authentication import Authentication
from graphql_api.services.key import GivenKeys
from graphql_api.services.noticeboard import Noticeboard
from graphql_api.services.password import Passwords
from graphql_api.services.session import Device, Tokens, open_session
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import unit_of_work

SECRET_KEY = "a-secret-key-of-the-benchmarks-0123456789"  # noqa: S105 - of a server that lives for a minute
KEYS = GivenKeys(SECRET_KEY)
BODY = json.dumps({"query": "{ __typename }"}).encode()
WARM_UP = 200


async def sign_in(database: Database) -> Tokens:
    """Somebody with an account and a session."""
    values = {
        "email": "bench@example.com",
        "name": "Bench",
        "password_hash": await Passwords().hash("violet harbour lantern"),
        "role": Role.STAFF,
        "language": Language.EN,
    }
    async with unit_of_work(database) as work:
        user = (await work.session.scalars(insert(UserRow).values(**values).returning(UserRow))).one()
        return await open_session(work, user, Device(), AccessTokens(KEYS))


async def _microseconds(run: Callable[[], Awaitable[object]], times: int) -> float:
    taken = []
    for _ in range(times):
        began = perf_counter()
        await run()
        taken.append(perf_counter() - began)
    return statistics.median(taken) * 1e6


async def measure_inside(database: Database, tokens: Tokens, requests: int) -> Table:
    """The parts of it, without the network."""
    table = Table("in this process", "median µs", title=f"{requests:,} times each")
    noticeboard = Noticeboard(database.url)
    known = Authentication(database, noticeboard, AccessTokens(KEYS))

    async def signature() -> None:
        AccessTokens(KEYS).read(tokens.access.text)

    async def memory() -> None:
        await known.viewer(tokens.access.text)

    async def password() -> None:
        await Passwords().verify("another password", None)

    unheard = await _microseconds(memory, requests // 10)
    async with listening(noticeboard):
        while not noticeboard.is_current:  # noqa: ASYNC110 - the network makes it so
            await asyncio.sleep(0.01)
        table.add_row("a token and session seen before", f"{await _microseconds(memory, requests):.1f}")
    table.add_row("the signature of a token not seen before", f"{await _microseconds(signature, requests // 10):.0f}")
    table.add_row("the session, asked of the database", f"{unheard:.0f}")
    table.add_row("a password (argon2id, in a thread)", f"{await _microseconds(password, 20):,.0f}")
    return table


@contextmanager
def _serving(database_url: str, redis_url: str, folder: Path) -> Iterator[str]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder),
        "SECRET_KEY": SECRET_KEY,
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


def measure_http(url: str, token: str, requests: int) -> Table:
    """The same query with an account and without, in turns."""
    headers = {"content-type": "application/json"}
    kinds = {"anonymous": headers, "signed in": {**headers, "authorization": f"Bearer {token}"}}
    place = urlsplit(url)
    lines = {kind: http.client.HTTPConnection(place.hostname or "", place.port) for kind in kinds}
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(WARM_UP + requests):
        for kind, line in lines.items():
            began = perf_counter()
            line.request("POST", place.path, BODY, kinds[kind])
            answer = line.getresponse().read()
            taken[kind].append(perf_counter() - began)
            if answer != b'{"data":{"__typename":"Query"}}':
                raise RuntimeError(answer.decode())
    table = Table("over HTTP: { __typename }", "p50 µs", "p95 µs", title=f"{requests:,} requests each")
    middles = {}
    for kind, times in taken.items():
        middle, *_, last = statistics.quantiles(times[WARM_UP:], n=20)[9:19]
        middles[kind] = middle
        table.add_row(kind, f"{middle * 1e6:.0f}", f"{last * 1e6:.0f}")
    table.add_row("difference", f"{(middles['signed in'] - middles['anonymous']) * 1e6:.0f}", "")
    return table


async def measure_authentication(url: str, redis_url: str, folder: Path, requests: int) -> None:
    """Measure and print."""
    console = Console()
    database = Database(url)
    try:
        tokens = await sign_in(database)
        console.print(await measure_inside(database, tokens, requests))
        with _serving(url, redis_url, folder) as endpoint:
            console.print(await asyncio.to_thread(measure_http, endpoint, tokens.access.text, requests))
    finally:
        await database.close()


def run(requests: int) -> None:
    """Measure on servers of its own, in a folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        with embedded.start(folder) as servers:
            asyncio.run(_run(servers.database_url, servers.redis_url, folder / "data", requests))
        embedded.remove(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(url: str, redis_url: str, folder: Path, requests: int) -> None:
    await fresh_database(url)
    await measure_authentication(url, redis_url, folder, requests)


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2_000)
    run(parser.parse_args().requests)


if __name__ == "__main__":
    main()
