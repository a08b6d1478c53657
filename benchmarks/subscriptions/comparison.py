"""What is measured, and of which servers: tables of what came of it."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.import_speed import fresh_database
from benchmarks.subscriptions.machine import (
    OF_OTHERS,
    describe_machine,
    open_many_files,
    processors,
)
from benchmarks.subscriptions.measure import (
    Size,
    different_operations,
    measure,
    measure_memory,
    measure_rate,
    same_operation,
)
from benchmarks.subscriptions.servers import RunningServer, Start, install_packages, node, ours, strawberry
from graphql_api import embedded

SOCKETS = (500, 2_000)
RATE = 200
RATE_SOCKETS = 50
WIDTH = 120
WHOLE = Size(singles=20, burst=40, seconds=5, idle=5_000)
QUICK = Size(singles=5, burst=10, seconds=2, idle=1_000)


def _throughput(servers: Mapping[str, Start], size: Size) -> Table:
    """One change to all sockets, then many of one transaction; where each socket is an execution of its own, fewer."""
    few = replace(size, singles=size.singles // 4 + 1, burst=size.burst // 10 + 1)
    columns = "1 change: msg/s", "p50 / p99 ms", "burst: msg/s", "CPU µs/msg", "client's CPU"
    table = Table("sockets", "operations", "server", *columns)
    for sockets in SOCKETS:
        operations = ("same", same_operation(), size), ("different", different_operations(sockets), few)
        for kind, documents, size_of_kind in operations:
            for name, start in servers.items():
                with start() as server:
                    outcome = measure(server, sockets, documents, size_of_kind)
                single, burst = f"{outcome.single:,.0f}", f"{outcome.burst:,.0f}"
                shares = f"{outcome.cpu * 1e6:.1f}", f"{outcome.client:.0%}"
                table.add_row(f"{sockets:,}", kind, name, single, str(outcome.delivery), burst, *shares)
    return table


def _delays(servers: Mapping[str, Start], size: Size) -> Table:
    """A steady stream of changes, each with a commit of its own."""
    table = Table(f"{RATE} changes/s to {RATE_SOCKETS} sockets", "since sent: p50 / p99 ms", "since done: p50 / p99 ms")
    for name, start in servers.items():
        with start() as server:
            table.add_row(name, *map(str, measure_rate(server, RATE_SOCKETS, RATE, size)))
    return table


def _memory(servers: Mapping[str, Start], size: Size) -> Table:
    """Sockets that listen and hear nothing."""
    table = Table(f"{size.idle:,} idle sockets", "KiB a socket")
    for name, start in servers.items():
        with start() as server:
            table.add_row(name, f"{measure_memory(server, size.idle):.1f}")
    return table


PARTS = {"throughput": _throughput, "delays": _delays, "memory": _memory}


@contextmanager
def all_servers() -> Iterator[dict[str, Start]]:
    """The servers to be compared; ours on a PostgreSQL and a Valkey of its own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        with embedded.start(folder) as backing:

            @contextmanager
            def started() -> Iterator[RunningServer]:
                asyncio.run(fresh_database(backing.database_url))
                with ours(backing.database_url, backing.redis_url, folder / "data") as server:
                    yield server

            yield {"ours": started, "graphql-ws": node, "Strawberry": strawberry}
        embedded.remove(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(*, is_quick: bool = False, only: str = "", parts: Sequence[str] = tuple(PARTS)) -> None:
    """Measure and print; in each part the servers take turns.

    Args:
        is_quick: less of everything.
        only: a part of the names of the servers to be measured.
        parts: what is measured.
    """
    console = Console(width=WIDTH)
    install_packages()
    open_many_files()
    console.print(describe_machine())
    with processors(OF_OTHERS), all_servers() as servers:
        chosen = {name: start for name, start in servers.items() if only.lower() in name.lower()}
        for part in parts:
            console.print(PARTS[part](chosen, QUICK if is_quick else WHOLE))
