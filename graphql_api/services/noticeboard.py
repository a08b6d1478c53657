"""How processes hear that what they remember of the database is out of date.

A notice is posted with NOTIFY in the transaction of the change, so it arrives after the commit and never without
it. Each process listens on a connection of its own, and trusts its memory only for TRUST_SECONDS after it has asked
the database something: notices posted before the question arrive before the answer. Whoever posts a notice waits
until all processes have confirmed it, and SETTLE_SECONDS at most. That is longer than a process that has not heard
it goes on trusting its memory, whatever the reason: frozen, cut off from the database, or busy.
"""

import asyncio
import contextlib
import json
import logging
import random
import secrets
import sys
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
GOODBYE = "goodbye"
# Held, shared, by every process that listens, so that the others know of it.
LISTENER_LOCK = 7_302
BEAT_SECONDS = 0.5
TRUST_SECONDS = 2.0
SETTLE_SECONDS = TRUST_SECONDS + 0.1
RECONNECT_SECONDS = 0.2
GOODBYE_SECONDS = 0.2

POST = text("SELECT pg_notify(:channel, :notice)")
CONFIRM = "SELECT pg_notify($1, id) FROM unnest($2::text[]) id"
LISTENERS = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND classid = 0
AND objid = $1 AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# Only who still listens: the number of a backend that has ended may have gone to somebody else's.
CUT_OFF = f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) listener WHERE pid = ANY($2::int[])"  # noqa: S608 - constants


class NoticeKind(StrEnum):
    """What a notice is about."""

    USER = "USER"
    SETTINGS = "SETTINGS"


# Takes the key of what is out of date; None means that anything may be.
Forget = Callable[[int | None], None]


class Notice(NamedTuple):
    """A notice that was posted."""

    id: str


class NotListeningError(ConnectionError):
    """The connection is not what it was: something between us and the database hands connections around."""


async def post_notice(session: AsyncSession, kind: NoticeKind, key: int) -> Notice:
    """Post a notice, which is heard once this transaction has committed."""
    notice_id = secrets.token_hex(8)
    notice = json.dumps({"id": notice_id, "kind": kind.value, "key": key})
    await session.execute(POST, {"channel": NOTICES, "notice": notice})
    return Notice(notice_id)


def _clock() -> float:
    """Seconds that go on while the machine sleeps: what was heard before that is old afterwards."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Noticeboard:
    """The notices of one database as one process hears them.

    Args:
        url: `postgresql://…` of the database, without a pooler between that hands connections around.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._forgets: list[tuple[NoticeKind, Forget]] = []
        self._receipts: TTLCache[str, set[int]] = TTLCache(maxsize=10_000, ttl=5 * SETTLE_SECONDS)
        self._listeners: dict[int, float] = {}
        self._unconfirmed: asyncio.Queue[str] = asyncio.Queue()
        self._connection: asyncpg.Connection | None = None
        self._line = asyncio.Lock()
        self._news = asyncio.Event()
        self._heard_at = float("-inf")
        self._is_running = False

    def on(self, kind: NoticeKind, forget: Forget) -> None:
        """Call `forget` for each notice of this kind, and with None after notices may have been missed."""
        self._forgets.append((kind, forget))

    @property
    def is_current(self) -> bool:
        """Whether a notice would have been heard by now; if not, ask the database rather than memory."""
        return _clock() - self._heard_at < TRUST_SECONDS

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is replaced."""
        self._is_running = True
        is_warned = False
        try:
            while True:
                try:
                    await self._listen()
                except Exception as error:  # noqa: BLE001 - whatever it is, nothing may end the listening for good
                    if not is_warned:
                        logger.warning("Notices cannot be heard, memory is not trusted meanwhile: %r", error)
                    is_warned = True
                await asyncio.sleep(RECONNECT_SECONDS * (1 + random.random()))  # noqa: S311 - spreads reconnects
        finally:
            self._is_running = False

    async def settled(self, notices: Sequence[Notice]) -> None:
        """Wait until no process trusts what these notices have put out of date; called after their commit.

        That is some milliseconds as long as all processes are well. A process that does not confirm in two seconds
        trusts nothing it remembers by then, and is cut off so that others need not wait for it again.
        """
        if not notices or not self._is_running:
            return
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._confirmed(notices)
        except TimeoutError:
            await self._cut_off(notices)

    async def _confirmed(self, notices: Sequence[Notice]) -> None:
        connection = self._connection
        if connection is None or not await self._is_asked(connection):
            await asyncio.sleep(SETTLE_SECONDS)  # nothing tells who else listens
            return
        listeners = set(self._listeners)
        while self._missing(listeners, notices):
            self._news.clear()
            await self._news.wait()

    def _missing(self, listeners: set[int], notices: Sequence[Notice]) -> set[int]:
        """Who has not confirmed all of these notices, and has neither gone nor been silent for long."""
        confirmed = [self._receipts.get(notice.id, set()) for notice in notices]
        return {pid for pid in listeners & set(self._listeners) if not all(pid in pids for pids in confirmed)}

    async def _cut_off(self, notices: Sequence[Notice]) -> None:
        """End the connections of those who do not confirm: they come back when they are well."""
        connection = self._connection
        # it may have been this process that was too busy: after one more answer all confirmations are here
        if connection is None or not await self._is_asked(connection):
            return
        silent = self._missing(set(self._listeners), notices)
        with contextlib.suppress(Exception):
            async with self._line:
                ended = await connection.fetch(CUT_OFF, LISTENER_LOCK, list(silent))
            logger.warning("%d of %d silent listeners were cut off", len(ended), len(silent))
            for pid in silent:
                self._listeners.pop(pid, None)

    async def _is_asked(self, connection: asyncpg.Connection) -> bool:
        """Ask the database who listens; whether it has answered."""
        try:
            await self._beat(connection)
        except Exception:  # noqa: BLE001 - the change is committed: whatever this is, it must not look like a failure
            return False
        return True

    async def _listen(self) -> None:
        """Hear notices and confirm them; returns never, raises when the connection is lost."""
        connection = await asyncpg.connect(self._url, timeout=TRUST_SECONDS, command_timeout=TRUST_SECONDS)
        try:
            connection.add_termination_listener(self._lose)
            # confirmations need not outlive a crash of the database, so nobody waits for its disk
            await connection.execute("SET synchronous_commit = off")
            await connection.add_listener(NOTICES, self._hear_notice)
            await connection.add_listener(RECEIPTS, self._hear_receipt)
            await connection.execute("SELECT pg_advisory_lock_shared($1)", LISTENER_LOCK)
            self._forget_everything()
            self._connection = connection
            while True:
                await self._beat(connection)
                await self._confirm(connection, until=_clock() + BEAT_SECONDS)
        except asyncio.CancelledError:
            await self._say_goodbye(connection)
            raise
        finally:
            self._lose(connection)
            connection.terminate()

    def _lose(self, connection: object) -> None:
        """Trust nothing from here on; a word that comes late, about a connection already replaced, is no matter."""
        if connection is self._connection:
            self._connection = None
            self._heard_at = float("-inf")

    async def _say_goodbye(self, connection: asyncpg.Connection) -> None:
        """Nothing is trusted from here on, so nobody needs to wait for this process."""
        self._lose(connection)
        with contextlib.suppress(Exception):
            async with self._line, asyncio.timeout(GOODBYE_SECONDS):
                await connection.execute("SELECT pg_notify($1, $2)", RECEIPTS, GOODBYE)

    async def _beat(self, connection: asyncpg.Connection) -> None:
        """Ask who listens: the answer proves that all notices posted before the question were heard."""
        async with self._line:
            asked_at = _clock()
            pids = [row["pid"] for row in await connection.fetch(LISTENERS, LISTENER_LOCK)]
        if connection.get_server_pid() not in pids:
            raise NotListeningError("Connect to PostgreSQL itself, or to a pooler that keeps a session together.")
        if connection is not self._connection:
            raise NotListeningError("The connection was lost meanwhile.")
        self._heard_at = asked_at
        # who has vanished may be cut off without knowing, and is waited for like the others
        known = {pid: at for pid, at in self._listeners.items() if asked_at - at < SETTLE_SECONDS + BEAT_SECONDS}
        self._listeners = known | dict.fromkeys(pids, asked_at)

    async def _confirm(self, connection: asyncpg.Connection, until: float) -> None:
        """Confirm each notice that comes, until it is time for the next sign of life."""
        while (remaining := until - _clock()) > 0:
            try:
                # not `wait_for`, which in Python 3.11 loses a cancellation that comes together with a notice
                async with asyncio.timeout(remaining):
                    ids = [await self._unconfirmed.get()]
            except TimeoutError:
                return
            while not self._unconfirmed.empty():
                ids.append(self._unconfirmed.get_nowait())
            async with self._line:
                await connection.execute(CONFIRM, RECEIPTS, ids)

    def _hear_notice(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            notice = json.loads(str(payload))
            notice_id, kind, key = str(notice["id"]), notice["kind"], int(notice["key"])
        except (ValueError, TypeError, KeyError):
            logger.warning("A notice could not be read; nothing remembered is kept")
            self._forget_everything()
            return
        for forgotten, forget in self._forgets:
            if forgotten == kind:
                forget(key)
        self._unconfirmed.put_nowait(notice_id)

    def _hear_receipt(self, _connection: object, pid: int, _channel: str, payload: object) -> None:
        if payload == GOODBYE:
            self._listeners.pop(pid, None)
        else:
            self._receipts[str(payload)] = self._receipts.get(str(payload), set()) | {pid}
        self._news.set()

    def _forget_everything(self) -> None:
        for _, forget in self._forgets:
            forget(None)
