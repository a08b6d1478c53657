"""Writes changes of stock with real commits, as another process of the program would.

    python -m benchmarks.subscriptions.writer DATABASE_URL REDIS_URL STORE_ID PRODUCT_ID

Each line of standard input, such as {"events": 50, "commits": 1, "rate": 200}, has so many commits made, so many a
second; each brings so many changes. The answer tells when each COMMIT was sent and when it was done, in nanoseconds of
the monotonic clock.
"""

import asyncio
import json
import sys
from time import monotonic_ns

import asyncpg

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.stock import MovementCause
from graphql_api.events.bus import Bus
from graphql_api.events.identity import log_identity
from graphql_api.ledger.entries import Entry, Receipt
from graphql_api.ledger.moves import receive

UNIT_COST = 600


class Writer:
    """Makes commits, and tells the relay of each.

    Args:
        connection: for the commits.
        bus: where the relay hears of them.
        key: the store and the product whose stock changes.
    """

    def __init__(self, connection: asyncpg.Connection, bus: Bus, key: tuple[int, int]) -> None:
        self._connection = connection
        self._bus = bus
        self._key = key

    async def write(self, events: int, commits: int, rate: float) -> list[tuple[int, int]]:
        """When each commit was sent and done."""
        times = []
        began = monotonic_ns()
        for number in range(commits):
            ahead = began + int(number / rate * 1e9) - monotonic_ns()
            await asyncio.sleep(max(ahead, 0) / 1e9)
            times.append(await self._commit(events))
        return times

    async def _commit(self, events: int) -> tuple[int, int]:
        receipts = [Receipt(*self._key, 1, UNIT_COST, now_utc().date())] * events
        transaction = self._connection.transaction()
        await transaction.start()
        await receive(self._connection, receipts, Entry(MovementCause.ADJUSTMENT, "benchmark"))
        sent = monotonic_ns()
        await transaction.commit()
        done = monotonic_ns()
        self._bus.hint()
        return sent, done


async def main(database_url: str, redis_url: str, key: tuple[int, int]) -> None:
    """Write what is asked for until the input ends."""
    database = Database(database_url)
    bus = Bus(redis_url, lambda: log_identity(database))
    connecting = asyncio.create_task(bus.run())
    connection = await asyncpg.connect(database_url)
    writer = Writer(connection, bus, key)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await writer.write(**json.loads(line))), flush=True)
    connecting.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], (int(sys.argv[3]), int(sys.argv[4]))))
