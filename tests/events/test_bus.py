"""The bus between processes, on a real Valkey."""

import asyncio
import datetime as dt
import logging
import random
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest
from broadcaster import BroadcastBackend
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis

from graphql_api.database.engine import Database
from graphql_api.events import broadcast, counters, redis_backend, redis_publisher
from graphql_api.events.broadcast import Gap, Mailbox, SafeBroadcast
from graphql_api.events.bus import Bus
from graphql_api.events.identity import log_identity
from tests.events.conftest import PATIENCE, give_redis_time
from tests.faults.valkey_process import ValkeyProcess, running_valkey

EVENTS = "graphql_api.here.events"
Item = TypeVar("Item")


@asynccontextmanager
async def running_bus(url: str | None, identity: str = "here") -> AsyncIterator[Bus]:
    bus = Bus(url, identity)
    task = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.wait({task})


async def connected(bus: Bus) -> None:
    async with asyncio.timeout(PATIENCE):
        while not bus.is_connected:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)


async def next_of(messages: AsyncIterator[Item]) -> Item:
    async with asyncio.timeout(PATIENCE):
        return await anext(messages)


async def nothing_comes(messages: AsyncIterator[object], seconds: float = 0.1) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await anext(messages)
    except TimeoutError:
        return True
    return False


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[Bus]:
    async with running_bus(redis_url) as bus:
        await connected(bus)
        yield bus


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """A Valkey of this module's own, to be made to suffer; it runs again when a test is over."""
    with running_valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


async def test_what_one_process_publishes_all_hear_in_order(bus: Bus, redis_url: str) -> None:
    async with running_bus(redis_url) as other:
        # its beginning is a gap to those who listen already
        await connected(other)
        async with bus.events() as here, other.events() as there:
            published = [await bus.publish_events(f"message {number}, ä") for number in range(100)]

            assert all(published)
            for messages in (here, there):
                assert [await next_of(messages) for _ in range(100)] == [f"message {n}, ä" for n in range(100)]


async def test_fifty_first_subscribers_at_once_are_all_served(redis_url: str) -> None:
    # given a bus that nobody listens to yet, and everybody who will at the same moment
    async with running_bus(redis_url) as bus, AsyncExitStack() as stack:
        await connected(bus)

        # when
        everybody = await asyncio.gather(*(stack.enter_async_context(bus.events()) for _ in range(50)))
        await bus.publish_events("heard")

        # then
        assert [await next_of(messages) for messages in everybody] == ["heard"] * 50


class SlowBackend(BroadcastBackend):
    """A backend that takes its time to subscribe."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    async def subscribe(self, group: str) -> None:
        await asyncio.sleep(0.05)
        self.heard.add(group)

    async def unsubscribe(self, group: str) -> None:
        await asyncio.sleep(0.05)
        self.heard.discard(group)


async def test_nobody_is_let_in_before_the_channel_is_heard_even_if_the_first_one_leaves() -> None:
    backend = SlowBackend()
    broadcast = SafeBroadcast(backend)

    async def come_in() -> set[str]:
        async with broadcast.subscribe("news"):
            heard = set(backend.heard)
            await asyncio.sleep(0.2)
            return heard & backend.heard

    everybody = [asyncio.create_task(come_in()) for _ in range(50)]
    await asyncio.sleep(0.02)
    everybody[0].cancel()
    results = await asyncio.gather(*everybody, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [{"news"}] * 49
    assert not backend.heard


async def test_subscribers_who_come_and_go_never_cost_another_one_a_message(bus: Bus) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - no secret
    print(f"seed {seed}")  # noqa: T201 - to have it again
    dice = random.Random(seed)  # noqa: S311 - as above

    async def come_and_go() -> None:
        for _ in range(20):
            async with bus.events():
                await asyncio.sleep(dice.random() / 200)
            await asyncio.sleep(dice.random() / 200)

    async def stay() -> None:
        for _ in range(20):
            async with bus.events() as messages:
                text = str(dice.random())
                await bus.publish_events(text)
                while await next_of(messages) != text:
                    pass

    await asyncio.gather(*(come_and_go() for _ in range(10)), *(stay() for _ in range(5)))


async def test_a_subscriber_that_is_given_up_while_it_begins_leaves_nothing_behind(bus: Bus, redis: Redis) -> None:
    for delay in range(20):
        task = asyncio.create_task(first_of(bus))
        await asyncio.sleep(delay / 10_000)
        task.cancel()
        await asyncio.wait({task})

    async with asyncio.timeout(PATIENCE):
        while EVENTS.encode() in await redis.pubsub_channels():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
    async with bus.events() as messages:
        await bus.publish_events("heard")
        assert await next_of(messages) == "heard"


async def first_of(bus: Bus) -> str | Gap:
    async with bus.events() as messages:
        return await anext(messages)


async def test_over_a_slow_line_too_nobody_is_let_in_before_the_channel_is_heard(valkey: ValkeyProcess) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(line_to(valkey.port, delay=0.1))
        quick = await stack.enter_async_context(running_bus(valkey.url))
        slow = await stack.enter_async_context(running_bus(valkey.url.replace(str(valkey.port), str(port))))
        await connected(slow)
        async with slow.events() as messages:
            assert await quick.publish_events("heard")
            assert await next_of(messages) == "heard"


async def test_who_listens_before_the_bus_runs_is_told_of_a_gap(redis_url: str) -> None:
    bus = Bus(redis_url, "here")
    async with bus.events() as messages:
        task = asyncio.create_task(bus.run())
        first = await next_of(messages)
        await bus.publish_events("heard")
        assert (isinstance(first, Gap), await next_of(messages)) == (True, "heard")
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("poison", [b"\xff\xfe", b"\x80" * 10, b"{" * (1 << 21)], ids=["bytes", "bits", "size"])
async def test_a_message_that_nobody_can_read_is_counted_and_skipped(bus: Bus, redis: Redis, poison: bytes) -> None:
    before = counters.UNREADABLE._value.get()  # noqa: SLF001 - there is no other way to read one
    async with bus.events() as messages:
        await redis.publish(EVENTS, poison)
        await bus.publish_events("after it")

        # whoever listens is told that it may have been something
        assert isinstance(await next_of(messages), Gap)
        assert await next_of(messages) == "after it"
    assert counters.UNREADABLE._value.get() == before + 1  # noqa: SLF001 - as above


async def test_databases_do_not_hear_each_other(bus: Bus, redis_url: str) -> None:
    async with running_bus(redis_url, "elsewhere") as other, bus.events() as messages:
        await connected(other)
        assert await other.publish_events("not for here")
        assert await nothing_comes(messages)


async def test_hints_arrive_and_many_at_once_become_few(bus: Bus, redis_url: str) -> None:
    async with running_bus(redis_url) as teller, bus.hints() as hints:
        # at the same moment
        for _ in range(1_000):
            teller.hint()
        await next_of(hints)
        assert await nothing_comes(hints)

        # one after the other: each takes two turns of the loop at least, one to go out and one for the answer
        for _ in range(1_000):
            teller.hint()
            await asyncio.sleep(0)
        await next_of(hints)
        heard = 1
        while not await nothing_comes(hints):
            heard += 1
        assert heard < 600


async def test_the_last_hint_of_a_process_goes_out_before_it_hangs_up(bus: Bus, redis_url: str) -> None:
    async with bus.hints() as hints:
        teller = Bus(redis_url, "here")
        teller.hint()
        await teller.close()
        await next_of(hints)


async def test_who_does_not_keep_up_gets_a_gap_and_costs_no_memory(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MAX_WAITING", 10)
    async with bus.events() as slow, bus.events() as quick:
        for number in range(25):
            await bus.publish_events(str(number))
            assert await next_of(quick) == str(number)

        waiting = [await next_of(slow)]
        while not await nothing_comes(slow):
            waiting.append(0)  # type: ignore[arg-type] # counted
        assert isinstance(waiting[0], Gap)
        assert len(waiting) <= 10


async def test_a_flood_is_no_reason_to_lose_anything_for_who_keeps_up(bus: Bus, redis: Redis) -> None:
    async with bus.events() as messages:
        flood = redis.pipeline(transaction=False)
        for number in range(5_000):
            flood.publish(EVENTS, str(number))
        task = asyncio.create_task(flood.execute())
        assert [await next_of(messages) for _ in range(5_000)] == [str(number) for number in range(5_000)]
        await task


def test_a_mailbox_is_bounded_by_the_size_of_what_waits() -> None:
    mailbox = Mailbox()
    for _ in range(100):
        mailbox.put("x" * (1 << 20))
    assert mailbox.characters <= 8 << 20


async def test_a_new_identity_moves_listeners_to_its_channels(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    # given
    name = "one"

    async def identity() -> str:
        return name

    bus = Bus(redis_url, identity)
    task = asyncio.create_task(bus.run())
    async with bus.events() as messages, running_bus(redis_url, "two") as other:
        assert isinstance(await next_of(messages), Gap)
        assert await bus.refresh() is False

        # when
        name = "two"
        assert await bus.refresh() is True

        # then, without a word about an outage
        assert isinstance(await next_of(messages), Gap)
        await connected(bus)
        await other.publish_events("heard")
        while isinstance(message := await next_of(messages), Gap):
            pass
        assert message == "heard"
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    task.cancel()
    await asyncio.wait({task})


async def test_without_redis_nothing_is_published_and_nothing_comes() -> None:
    async with running_bus(None) as bus, bus.events() as messages:
        bus.hint()
        assert (await bus.publish_events("x"), await bus.refresh(), bus.is_connected) == (False, False, False)
        assert await nothing_comes(messages)


async def test_a_socket_a_password_and_a_database_number_are_no_matter(valkey: ValkeyProcess) -> None:
    async with running_bus(valkey.socket_url) as one, running_bus(valkey.url) as other, one.events() as messages:
        assert isinstance(await next_of(messages), Gap)
        assert await other.publish_events("heard")
        assert await next_of(messages) == "heard"


async def warned(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(PATIENCE):
        while not [record for record in caplog.records if record.levelno >= logging.WARNING]:  # noqa: ASYNC110 - a log
            await asyncio.sleep(0.01)


async def test_a_wrong_password_is_an_outage_and_one_warning(
    valkey: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_bus(f"redis://:wrong@127.0.0.1:{valkey.port}/0") as bus, bus.events():
        assert not await bus.publish_events("x")
        await warned(caplog)
        # and the next attempts say nothing
        await asyncio.sleep(0.5)
        assert not bus.is_connected
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "invalid username-password" in warnings[0].getMessage()


async def test_an_outage_is_a_gap_at_its_beginning_and_one_at_its_end(
    valkey: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_bus(valkey.url) as bus, bus.events() as messages, bus.events() as others:
        assert isinstance(await next_of(messages), Gap)
        assert await bus.publish_events("before")
        assert await next_of(messages) == "before"

        valkey.kill()
        assert isinstance(await next_of(messages), Gap)
        assert not bus.is_connected
        valkey.start()
        assert isinstance(await next_of(messages), Gap)
        assert bus.is_connected
        assert await bus.publish_events("after")
        assert await next_of(messages) == "after"
        # a gap stands for everything that waited
        assert isinstance(await next_of(others), Gap)
        assert await next_of(others) == "after"
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_a_frozen_redis_is_noticed_and_holds_up_no_publication(
    valkey: ValkeyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_bus(valkey.url) as bus, bus.events() as messages:
        assert isinstance(await next_of(messages), Gap)
        assert await bus.publish_events("before")
        assert await next_of(messages) == "before"

        monkeypatch.undo()
        valkey.freeze()
        try:
            # it answers nothing before it is thawed: whatever comes to an end has not waited for it
            async with asyncio.timeout(PATIENCE):
                assert not await bus.publish_events("lost")
                # nor do the next ones wait for a limit of their own, which would take longer than this may
                assert redis_backend.PUBLISH_SECONDS * 100 > PATIENCE
                assert not any([await bus.publish_events("lost") for _ in range(100)])

            assert isinstance(await next_of(messages), Gap)
            assert not bus.is_connected
        finally:
            give_redis_time(monkeypatch)
            valkey.thaw()

        assert isinstance(await next_of(messages), Gap)
        assert await bus.publish_events("after")
        while (message := await next_of(messages)) == "lost":
            pass  # what was on its way when it froze
        assert message == "after"


async def test_a_redis_that_was_started_anew_takes_the_very_next_message(valkey: ValkeyProcess) -> None:
    teller = Bus(valkey.url, "here")
    assert await teller.publish_events("before")
    valkey.kill()
    valkey.start()
    async with running_bus(valkey.url) as bus, bus.events() as messages:
        await next_of(messages)
        assert await teller.publish_events("after")
        assert await next_of(messages) == "after"
    await teller.close()


async def test_a_connection_that_was_idle_for_long_is_not_relied_on(
    redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def clients() -> set[str]:
        return {client["id"] for client in await redis.client_list()}

    teller = Bus(redis_url, "here")
    await teller.publish_events("first")
    first = await clients()
    await teller.publish_events("soon")
    assert await clients() == first

    monkeypatch.setattr(redis_publisher, "IDLE_SECONDS", 0.0)
    await teller.publish_events("late")
    assert len(await clients() - first) == 1
    await teller.close()


async def test_whoever_has_hung_up_publishes_no_more(redis_url: str) -> None:
    teller = Bus(redis_url, "here")
    assert await teller.publish_events("x")
    await teller.close()
    teller.hint()
    assert not await teller.publish_events("x")


async def test_a_database_that_is_down_only_makes_the_bus_wait(redis_url: str) -> None:
    attempts = 0

    async def identity() -> str:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise OSError("no database")
        return "here"

    bus = Bus(redis_url, identity)
    assert not await bus.publish_events("x")
    task = asyncio.create_task(bus.run())
    async with bus.events() as messages:
        assert isinstance(await next_of(messages), Gap)
        assert await bus.publish_events("x")
        assert await next_of(messages) == "x"
    task.cancel()
    await asyncio.wait({task})


async def test_an_identity_is_of_exactly_one_database(database: Database, server_url: str, database_url: str) -> None:
    # given a copy on the same server, which has the same log
    name = database_url.rsplit("/", 1)[1] + "_copy"
    await database.close()
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database_url.rsplit("/", 1)[1]}"')
        copy = Database(database_url + "_copy")

        identities = [await log_identity(database), await log_identity(database), await log_identity(copy)]

        await copy.close()
        assert identities[0] == identities[1] != identities[2]
        # and yet the log is the same
        assert identities[0].split(".")[0] == identities[2].split(".")[0]
    finally:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.close()


async def test_who_may_not_read_the_servers_identifier_has_an_identity_too(
    database: Database, database_url: str
) -> None:
    # given a role that may read and nothing else
    role = database_url.rsplit("/", 1)[1] + "_reader"
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'x'")
        await connection.execute(f'GRANT SELECT ON event_head TO "{role}"')
        await connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public")
        server = urlsplit(database_url)
        reader = Database(server._replace(netloc=f"{role}:x@{server.hostname}:{server.port}").geturl())

        identity = await log_identity(reader)

        await reader.close()
        assert identity != await log_identity(database)
        assert identity.split(".")[0] == (await log_identity(database)).split(".")[0]
    finally:
        await connection.execute(f'DROP OWNED BY "{role}"')
        await connection.execute(f'DROP ROLE "{role}"')
        await connection.close()


async def test_a_redis_behind_tls_is_heard_when_its_certificate_is_good(valkey: ValkeyProcess, tmp_path: Path) -> None:
    certificate = create_certificate(tmp_path)
    async with line_to(valkey.port, certificate) as port:
        url = valkey.url.replace("redis://", "rediss://").replace(str(valkey.port), str(port))

        async with running_bus(f"{url}?ssl_ca_certs={certificate}") as bus, bus.events() as messages:
            assert isinstance(await next_of(messages), Gap)
            assert await bus.publish_events("heard")
            assert await next_of(messages) == "heard"
        async with running_bus(url) as stranger:
            assert not await stranger.publish_events("to nobody we know")


def create_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that vouches for itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return file


@asynccontextmanager
async def line_to(port: int, certificate: Path | None = None, delay: float = 0) -> AsyncIterator[int]:
    """A way to a port of this machine: for those who speak TLS, or slow in one direction."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    carriers = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carriers.add(asyncio.current_task())
        above_reader, above_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            ways = copy(reader, above_writer, delay), copy(above_reader, writer, 0)
            await asyncio.wait([asyncio.create_task(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (above_writer, writer):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    server = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*filter(None, carriers))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            await asyncio.sleep(delay)
            writer.write(data)
