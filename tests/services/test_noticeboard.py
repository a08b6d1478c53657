"""Notices: heard by all, after the commit and never without it; nothing is trusted while they cannot be heard."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from graphql_api import embedded
from graphql_api.app import listening
from graphql_api.database.engine import Database
from graphql_api.embedded.ports import is_free
from graphql_api.services.noticeboard import (
    LISTENERS,
    NOTICES,
    SETTLE_SECONDS,
    TRUST_SECONDS,
    Notice,
    Noticeboard,
    NoticeKind,
    post_notice,
)

ROUNDS = 50
PATIENCE = 60.0
BOARD = "graphql_api.services.noticeboard"


class Process:
    """A noticeboard as a process has one, and what it was told to forget."""

    def __init__(self, url: str) -> None:
        self.board = Noticeboard(url)
        self.forgotten: list[int | None] = []
        self.board.on(NoticeKind.USER, self.forgotten.append)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are as patient as a minute is long, so that a busy machine is not taken for harm."""
    monkeypatch.setattr(f"{BOARD}.TRUST_SECONDS", PATIENCE)
    monkeypatch.setattr(f"{BOARD}.GOODBYE_SECONDS", PATIENCE)
    monkeypatch.setattr(f"{BOARD}.SETTLE_SECONDS", PATIENCE + 0.1)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    async with asyncio.timeout(2 * PATIENCE):
        while not condition():  # noqa: ASYNC110 - another process or the network changes it
            await asyncio.sleep(0.002)


@asynccontextmanager
async def processes(*urls: str) -> AsyncIterator[list[Process]]:
    made = [Process(url) for url in urls]
    async with AsyncExitStack() as stack:
        for process in made:
            await stack.enter_async_context(listening(process.board))
        await until(lambda: all(process.board.is_current for process in made))
        yield made


async def post(database: Database, *keys: int, kind: NoticeKind = NoticeKind.USER) -> list[Notice]:
    async with database.transaction() as session:
        return [await post_notice(session, kind, key) for key in keys]


async def change(database: Database, poster: Process, *keys: int) -> float:
    """Change something and wait as a mutation does; how long the waiting took."""
    notices = await post(database, *keys)
    began = time.monotonic()
    await poster.board.settled(notices)
    return time.monotonic() - began


async def execute(url: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def listeners(database: Database) -> list[int]:
    connection = await asyncpg.connect(database.url)
    try:
        return [row["pid"] for row in await connection.fetch(LISTENERS, 7_302)]
    finally:
        await connection.close()


def pid_of(process: Process) -> int:
    connection = process.board._connection  # noqa: SLF001 - to harm it
    assert connection is not None
    return int(connection.get_server_pid())


@pytest.mark.usefixtures("patient")
async def test_when_a_change_is_settled_all_processes_have_heard_of_it(database: Database) -> None:
    async with processes(*[database.url] * 3) as made:
        for key in range(ROUNDS):
            taken = await change(database, made[key % 3], key)
            assert [process.forgotten[-1] for process in made] == [key] * 3
            assert taken < PATIENCE, "all have confirmed it"


@pytest.mark.usefixtures("patient")
async def test_a_change_that_is_taken_back_is_not_heard_of(database: Database) -> None:
    async with processes(database.url) as (process,):
        with pytest.raises(ZeroDivisionError):
            await _post_and_fail(database)
        await change(database, process, 2)

        assert process.forgotten == [None, 2]


async def _post_and_fail(database: Database) -> None:
    async with database.transaction() as session:
        await post_notice(session, NoticeKind.USER, 1 // 1)
        await post_notice(session, NoticeKind.USER, 1 // 0)


@pytest.mark.usefixtures("patient")
async def test_one_transaction_can_have_several_notices(database: Database) -> None:
    async with processes(database.url, database.url) as made:
        await change(database, made[0], 4, 5, 5, 6)

        assert [process.forgotten for process in made] == [[None, 4, 5, 5, 6]] * 2


@pytest.mark.usefixtures("patient")
async def test_a_notice_is_for_its_own_kind(database: Database) -> None:
    async with processes(database.url) as (process,):
        await process.board.settled(await post(database, 1, kind=NoticeKind.SETTINGS))

        assert process.forgotten == [None]


@pytest.mark.usefixtures("patient")
async def test_many_changes_at_once_are_all_settled(database: Database) -> None:
    async with processes(*[database.url] * 3) as made:
        await asyncio.gather(*[change(database, made[key % 3], key) for key in range(30)])

        assert [set(process.forgotten) for process in made] == [{None, *range(30)}] * 3


@pytest.mark.usefixtures("patient")
async def test_who_does_not_listen_waits_for_nobody(database: Database) -> None:
    async with processes(database.url):
        assert await change(database, Process(database.url), 1) < PATIENCE
    assert not Process(database.url).board.is_current


@pytest.mark.usefixtures("patient")
async def test_nothing_is_trusted_before_listening_and_after(database: Database) -> None:
    process = Process(database.url)
    assert not process.board.is_current

    async with listening(process.board):
        await until(lambda: process.board.is_current)
        assert process.forgotten == [None]
    assert not process.board.is_current


async def test_a_process_stops_when_it_is_told_to_also_while_it_hears_something(database: Database) -> None:
    process = Process(database.url)
    for _ in range(5):
        listener = asyncio.create_task(process.board.run())
        await until(lambda: process.board.is_current)
        await asyncio.sleep(0.05)  # now it waits for notices
        process.board._hear_notice(None, 0, NOTICES, '{"id": "x", "kind": "USER", "key": 1}')  # noqa: SLF001 - at once
        listener.cancel()

        await asyncio.wait({listener}, timeout=PATIENCE)
        assert listener.cancelled()


@pytest.mark.usefixtures("patient")
async def test_a_process_that_stops_says_goodbye_and_nobody_waits_for_it(database: Database) -> None:
    async with processes(database.url) as (stays,):
        async with processes(database.url, database.url):
            await change(database, stays, 1)
        assert await change(database, stays, 2) < PATIENCE


@pytest.mark.usefixtures("patient")
async def test_a_lost_connection_ends_the_trust_at_once_and_is_replaced(database: Database) -> None:
    async with processes(database.url) as (victim,):
        for key in range(3):
            victim.forgotten.clear()
            began = time.monotonic()
            await execute(database.url, "SELECT pg_terminate_backend($1)", pid_of(victim))
            await until(lambda: not victim.board.is_current)
            assert time.monotonic() - began < PATIENCE / 2, "the trust has not just run out"
            await post(database, key)  # nobody hears it there
            await until(lambda: victim.board.is_current)
            assert None in victim.forgotten
        await post(database, 9)
        await until(lambda: victim.forgotten[-1] == 9)


async def test_a_change_waits_out_the_trust_of_a_process_that_has_vanished(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(database.url, database.url) as (poster, victim):
        # a process whose connection is gone, and which has not noticed
        monkeypatch.setattr(victim.board, "_lose", lambda _connection: None)
        await execute(database.url, "SELECT pg_terminate_backend($1)", pid_of(victim))
        await asyncio.sleep(0.05)
        victim.forgotten.clear()

        await change(database, poster, 1)

        # or it is back by now, and remembers nothing of before
        assert not victim.board.is_current or {None, 1} & set(victim.forgotten)


async def test_a_blocked_process_trusts_nothing_and_hears_what_was_posted_meanwhile(database: Database) -> None:
    async with processes(database.url) as (process,):
        poster = threading.Thread(target=lambda: asyncio.run(_post_elsewhere(database.url)))
        poster.start()
        time.sleep(TRUST_SECONDS + 0.1)  # noqa: ASYNC251 - the loop is to be blocked
        assert not process.board.is_current
        poster.join()

        await until(lambda: process.board.is_current)
        assert 77 in process.forgotten


async def _post_elsewhere(url: str) -> None:
    database = Database(url)
    try:
        await post(database, 77)
    finally:
        await database.close()


@pytest.mark.parametrize("payload", ["", "{", "[]", "7", '{"id": "x"}', '{"id": "x", "kind": "USER", "key": "k"}'])
@pytest.mark.usefixtures("patient")
async def test_a_notice_that_nobody_understands_makes_all_be_forgotten(database: Database, payload: str) -> None:
    async with processes(database.url) as (process,):
        await execute(database.url, "SELECT pg_notify($1, $2)", NOTICES, payload)
        await until(lambda: process.forgotten == [None, None])
        await change(database, process, 3)

        assert process.forgotten == [None, None, 3]


async def test_a_connection_that_is_handed_around_is_never_trusted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a pooler gives each statement another connection of the database, none of which is the one that listens
    monkeypatch.setattr("graphql_api.services.noticeboard.LISTENERS", "SELECT 1 AS pid WHERE $1 > 0")
    process = Process(database.url)

    async with listening(process.board):
        await asyncio.sleep(1)
        assert not process.board.is_current


class Wire:
    """A way to the database that can be cut without either end noticing."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._target.netloc.rpartition("@")[0]
        return self._target._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._flows.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
            with closing(back):
                await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with closing(sink), suppress(ConnectionError):
            while data := await source.read(65_536):
                await self._flows.wait()
                sink.write(data)


async def test_a_process_cut_off_from_the_database_trusts_nothing_and_is_waited_for_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire(database.url)
    async with wire as url, processes(database.url, url) as (poster, victim):
        lonely = pid_of(victim)
        wire.cut()

        waited = await change(database, poster, 1)

        assert not victim.board.is_current
        assert waited > SETTLE_SECONDS - 0.1
        assert "1 of 1 silent listeners were cut off" in caplog.messages
        async with asyncio.timeout(PATIENCE):
            while lonely in await listeners(database):  # noqa: ASYNC110 - the database ends it
                await asyncio.sleep(0.01)
        # the poster may have asked who listens while that was ending
        await until(lambda: lonely not in poster.board._listeners)  # noqa: SLF001 - nothing else shows it
        monkeypatch.setattr(f"{BOARD}.SETTLE_SECONDS", PATIENCE)
        assert await change(database, poster, 2) < PATIENCE
        wire.mend()
        victim.forgotten.clear()
        await until(lambda: victim.board.is_current)
        assert None in victim.forgotten
        monkeypatch.setattr(f"{BOARD}.TRUST_SECONDS", PATIENCE)
        await change(database, poster, 3)
        assert victim.forgotten[-1] == 3


async def test_a_poster_cut_off_from_the_database_waits_until_nobody_can_be_wrong(database: Database) -> None:
    wire = Wire(database.url)
    async with wire as url, processes(url, database.url) as (poster, other):
        wire.cut()
        await until(lambda: not poster.board.is_current)

        waited = await change(database, poster, 1)

        assert SETTLE_SECONDS - 0.1 < waited < SETTLE_SECONDS + TRUST_SECONDS
        assert other.forgotten[-1] == 1
        wire.mend()


async def test_notices_are_heard_again_after_a_restart_of_the_database(tmp_path: Path) -> None:
    servers = embedded.start(tmp_path, valkey=False)
    database = Database(servers.database_url)
    port = urlsplit(database.url).port
    assert port is not None
    try:
        async with processes(database.url, database.url) as made:
            await post(database, 1)
            await until(lambda: [process.forgotten[-1] for process in made] == [1, 1])
            await asyncio.to_thread(servers.stop)
            await until(lambda: not any(process.board.is_current for process in made))
            for process in made:
                process.forgotten.clear()

            # somebody's connection may have taken it meanwhile
            await until(lambda: is_free(port))
            servers = await asyncio.to_thread(embedded.start, tmp_path, valkey=False)
            await until(lambda: all(process.board.is_current for process in made))

            assert [process.forgotten[0] for process in made] == [None, None]
            await post(database, 2)
            await until(lambda: [process.forgotten[-1] for process in made] == [2, 2])
    finally:
        await database.close()
        await asyncio.to_thread(servers.stop)
        await asyncio.to_thread(embedded.remove, tmp_path)
