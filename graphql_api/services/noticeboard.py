"""How processes hear that what they remember of the database is out of date.

A notice is posted with NOTIFY in the transaction of the change, so it arrives after the commit and never without
it. Each process listens on a connection of its own and trusts its memory only while that connection is alive.
Whoever posts a notice can wait until every listening process has taken it down: `settled`.
"""

import asyncio
import contextlib
import json
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import asyncpg
from cachetools import TTLCache
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

logger = logging.getLogger(__name__)

NOTICES = "graphql_api_notices"
RECEIPTS = "graphql_api_receipts"
# Held, shared, by every process that listens, so that the receipts to wait for can be counted.
LISTENER_LOCK = 7_302
BEAT_SECONDS = 0.5
# After this long without a sign of life from the database nothing remembered is trusted.
TRUST_SECONDS = 2.0
SETTLE_SECONDS = 0.5
RECONNECT_SECONDS = 0.2

POST = text(
    "SELECT pg_notify(:channel, :notice), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
    "AND mode = 'ShareLock' AND objid = :lock AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


class NoticeKind(StrEnum):
    """What a notice is about."""

    USER = "USER"
    SETTINGS = "SETTINGS"


# Takes the key of what is out of date; None means that anything may be.
Forget = Callable[[int | None], None]


class Notice(NamedTuple):
    """A notice that was posted, and how many processes were listening then."""

    id: str
    listeners: int


async def post_notice(session: AsyncSession, kind: NoticeKind, key: int) -> Notice:
    """Post a notice, which is heard once this transaction has committed."""
    notice_id = secrets.token_hex(8)
    notice = json.dumps({"id": notice_id, "kind": kind.value, "key": key})
    row = (await session.execute(POST, {"channel": NOTICES, "notice": notice, "lock": LISTENER_LOCK})).one()
    return Notice(notice_id, row[1])


class Noticeboard:
    """The notices of one database as one process hears them.

    Args:
        url: `postgresql://…` of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._forgets: list[tuple[NoticeKind, Forget]] = []
        self._receipts: TTLCache[str, int] = TTLCache(maxsize=10_000, ttl=10 * SETTLE_SECONDS)
        self._came = asyncio.Event()
        self._heard_at = float("-inf")

    def on(self, kind: NoticeKind, forget: Forget) -> None:
        """Call `forget` for each notice of this kind, and with None after notices may have been missed."""
        self._forgets.append((kind, forget))

    @property
    def is_current(self) -> bool:
        """Whether a notice would have been heard by now; if not, ask the database rather than memory."""
        return time.monotonic() - self._heard_at < TRUST_SECONDS

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is replaced."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("Notices cannot be heard, memory is not trusted meanwhile: %s", type(error).__name__)
            self._heard_at = float("-inf")
            await asyncio.sleep(RECONNECT_SECONDS * (1 + random.random()))  # noqa: S311 - spreads reconnects

    async def settled(self, notices: Sequence[Notice]) -> None:
        """Wait until all processes that listen have acted on these notices, half a second at most.

        A process that does not answer in that time is cut off, and does not trust its memory either.
        """
        if not notices or not self.is_current:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while not all(self._is_received(notice) for notice in notices):
                    self._came.clear()
                    await self._came.wait()

    def _is_received(self, notice: Notice) -> bool:
        return self._receipts.get(notice.id, 0) >= notice.listeners

    async def _listen(self) -> None:
        """Hear notices and answer them; returns never, raises when the connection is lost."""
        unanswered: asyncio.Queue[str] = asyncio.Queue()

        def hear(_connection: object, _pid: int, channel: str, payload: object) -> None:
            if channel == NOTICES:
                unanswered.put_nowait(self._forget(str(payload)))
            else:
                self._count(str(payload))

        connection = await asyncpg.connect(self._url, timeout=TRUST_SECONDS, command_timeout=TRUST_SECONDS)
        try:
            for channel in (NOTICES, RECEIPTS):
                await connection.add_listener(channel, hear)
            await connection.execute("SELECT pg_advisory_lock_shared($1)", LISTENER_LOCK)
            self._forget_everything()
            while True:
                asked_at = time.monotonic()
                await connection.execute("SELECT 1")
                # what was committed before the question was heard before its answer
                self._heard_at = asked_at
                await self._answer(connection, unanswered, until=asked_at + BEAT_SECONDS)
        finally:
            connection.terminate()

    async def _answer(self, connection: asyncpg.Connection, unanswered: asyncio.Queue[str], until: float) -> None:
        """Confirm each notice that comes, until it is time for the next sign of life."""
        while (remaining := until - time.monotonic()) > 0:
            try:
                notice_id = await asyncio.wait_for(unanswered.get(), remaining)
            except TimeoutError:
                return
            await connection.execute("SELECT pg_notify($1, $2)", RECEIPTS, notice_id)

    def _forget(self, payload: str) -> str:
        """Act on a notice; its id."""
        notice = json.loads(payload)
        for kind, forget in self._forgets:
            if kind == notice["kind"]:
                forget(notice["key"])
        return str(notice["id"])

    def _forget_everything(self) -> None:
        for _, forget in self._forgets:
            forget(None)

    def _count(self, notice_id: str) -> None:
        self._receipts[notice_id] = self._receipts.get(notice_id, 0) + 1
        self._came.set()
