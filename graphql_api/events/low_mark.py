"""Where the outbox begins: rows that were moved must not be stepped over again each time.

PostgreSQL clears them away, but not while anybody reads an older state, such as a backup.
"""

import asyncio
from dataclasses import dataclass

import asyncpg

RAISE_SECONDS = 1.0
# A mark is an aid. Should it ever be too high, what lies below is found this much later.
FORGET_SECONDS = 30.0
LAST_ID = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM outbox_id_seq"
# A transaction of its own. The end of a snapshot will not do: it lies behind the last transaction that has ended, and
# others that have begun to write since may still run.
FOLLOWING = "SELECT pg_current_xact_id()::text::bigint"
LOOK = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
       (SELECT min(id) FROM outbox WHERE id > $1) AS first
"""


@dataclass(frozen=True)
class _Candidate:
    """An id, and a transaction that has begun after the id was given."""

    id: int
    transaction: int


class LowMark:
    """The highest id at or below which the outbox is empty for good, as far as one leader knows.

    An id was given to a transaction that had begun to write. Once all those have ended and none of their rows is left,
    nothing so low will come any more.

    Args:
        connection: the leader's; after a crash of the database ids may be given again, and the connection is gone.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._beyond = 0
        self._candidate: _Candidate | None = None
        self._clock = asyncio.get_running_loop().time
        self._raise_at = self._clock() + RAISE_SECONDS
        self._forget_at = self._clock() + FORGET_SECONDS

    def beyond(self) -> int:
        """The mark; now and then 0, so that all is looked at."""
        if self._clock() < self._forget_at:
            return self._beyond
        self._forget_at = self._clock() + FORGET_SECONDS
        return 0

    async def raise_when_due(self) -> None:
        """Find a higher mark, from time to time."""
        if self._clock() < self._raise_at:
            return
        self._raise_at = self._clock() + RAISE_SECONDS
        if self._candidate is None:
            self._candidate = await self._find_candidate()
            return
        row = await self._connection.fetchrow(LOOK, self._beyond)
        if row is not None:
            self._learn(self._candidate, row)

    async def _find_candidate(self) -> _Candidate | None:
        """The last id that was given, when it is higher than the mark; first the id, then the transaction."""
        last_id = await self._connection.fetchval(LAST_ID)
        if last_id <= self._beyond:
            return None
        return _Candidate(last_id, await self._connection.fetchval(FOLLOWING))

    def _learn(self, candidate: _Candidate, row: asyncpg.Record) -> None:
        if row["oldest"] >= candidate.transaction and (row["first"] is None or row["first"] > candidate.id):
            self._beyond = candidate.id
            self._candidate = None
