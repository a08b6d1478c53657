"""graphql-transport-ws by the letter: every message, every reason to end a connection, over a real socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import text
from starlette.types import Message
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.schema.context import Origin
from graphql_api.transport import graphql_ws_limits
from graphql_api.transport.graphql_ws_connection import Connection, House
from graphql_api.transport.graphql_ws_limits import SocketLimits
from graphql_api.transport.graphql_ws_messages import MAX_MESSAGE_BYTES
from tests.factories import create_product, create_stock, create_store
from tests.transport.conftest import authorization, create_viewer
from tests.transport.live_server import LiveServer, cloned_database, live_server, live_settings
from tests.transport.socket_client import PATIENCE, SocketClient, socket_to

CHANGES = "subscription { stockChanged { delta } }"
CREATE = 'mutation { createCategory(input: {name: "%s"}) { category { name } userErrors { message } } }'
NAMES = "{ categories(first: 100) { nodes { name } } }"
TYPENAME = "{ __typename }"
OPERATIONS = 5
WAITING = text(
    "SELECT count(*) FROM pg_locks WHERE NOT granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("server")
    settings = live_settings(database_url, valkey_url, folder, operations_per_socket=OPERATIONS)
    with live_server(settings) as server:
        yield server


@pytest.fixture
async def token(server: LiveServer, database: Database) -> str:
    viewer = await create_viewer(database, Role.ADMIN)
    return authorization(server.settings, viewer)["authorization"].removeprefix("Bearer ")


@pytest.fixture
async def client(server: LiveServer, token: str) -> AsyncIterator[SocketClient]:
    """A connection of an administrator."""
    async with welcome(server, token) as client:
        yield client


@asynccontextmanager
async def welcome(server: LiveServer, token: str) -> AsyncIterator[SocketClient]:
    async with socket_to(server.socket_url) as client:
        await client.init(token)
        yield client


@dataclass(frozen=True)
class Shelf:
    """A product in a store."""

    database: Database
    store: StoreRow
    product: ProductRow

    async def add(self, quantity: int) -> None:
        async with self.database.transaction() as session:
            await create_stock(session, self.store, self.product, quantity)


@pytest.fixture
async def shelf(database: Database) -> Shelf:
    async with database.transaction() as session:
        return Shelf(database, await create_store(session), await create_product(session))


async def heard(client: SocketClient, shelf: Shelf) -> object:
    """The first change that a subscription hears; nothing tells from when on it listens."""

    async def change() -> None:
        while True:
            await shelf.add(1)
            await asyncio.sleep(0.2)

    changing = asyncio.create_task(change())
    try:
        return (await client.receive())["payload"]["data"]
    finally:
        changing.cancel()
        await asyncio.wait({changing})


WRONG_PROTOCOL = (4406, "Subprotocol not acceptable: this server speaks graphql-transport-ws.")


@pytest.mark.parametrize("protocols", [("graphql-ws",), ("mqtt", "graphql-ws")])
async def test_other_protocols_are_refused_with_a_reason(server: LiveServer, protocols: tuple[str, ...]) -> None:
    async with socket_to(server.socket_url, *protocols) as client:
        assert await client.closing() == WRONG_PROTOCOL


async def test_no_protocol_is_refused_with_a_reason(server: LiveServer) -> None:
    async with connect(server.socket_url) as connection:
        assert await SocketClient(connection).closing() == WRONG_PROTOCOL


async def test_ours_is_chosen_among_others_and_nothing_is_compressed(server: LiveServer) -> None:
    async with socket_to(server.socket_url, "graphql-ws", "graphql-transport-ws") as client:
        assert client.connection.subprotocol == "graphql-transport-ws"
        assert client.connection.protocol.extensions == []
        assert await client.init() == {"type": "connection_ack"}


async def test_a_client_that_does_not_introduce_itself_is_closed_after_three_seconds(server: LiveServer) -> None:
    began = asyncio.get_running_loop().time()
    async with socket_to(server.socket_url) as client:
        assert await client.closing() == (4408, "Connection initialisation timeout")
    # nothing else ends it like this
    assert asyncio.get_running_loop().time() - began > 2.9
    assert SocketLimits().init_seconds == 3.0


async def test_a_process_that_was_busy_all_the_time_hears_who_it_is_all_the_same(server: LiveServer) -> None:
    process = server.uvicorn.servers[0].get_loop()
    async with socket_to(server.socket_url) as client:
        await client.silence(0.5)
        process.call_soon_threadsafe(time.sleep, SocketLimits().init_seconds + 0.1)
        assert await client.init() == {"type": "connection_ack"}


async def test_a_client_that_has_introduced_itself_stays(client: SocketClient) -> None:
    await client.silence(3.5)
    assert (await client.execute(TYPENAME))["payload"] == {"data": {"__typename": "Query"}}


async def test_nobody_introduces_himself_twice(client: SocketClient) -> None:
    await client.send({"type": "connection_init"})
    assert await client.closing() == (4429, "Too many initialisation requests")


async def test_nothing_runs_before_the_introduction(server: LiveServer) -> None:
    async with socket_to(server.socket_url) as client:
        await client.subscribe("1", TYPENAME)
        assert await client.closing() == (4401, "Unauthorized")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "The message is not JSON. Expecting property name enclosed in double quotes at line 1, column 2."),
        ("", "The message is not JSON. Expecting value at line 1, column 1."),
        ("[" * 100_000, "The message is not JSON. The values nest too deeply."),
        ("NaN", "The message is not JSON. NaN is not a JSON number."),
        ("null", "A message is a JSON object, not null."),
        ("[]", "A message is a JSON object, not an array."),
        ('"ping"', "A message is a JSON object, not a text."),
        ("7", "A message is a JSON object, not a number."),
        ("{}", "`type` must be one of connection_init, subscribe, complete, ping, pong."),
        ('{"type": "start"}', "`type` must be one of connection_init, subscribe, complete, ping, pong."),
        ('{"type": ["ping"]}', "`type` must be one of connection_init, subscribe, complete, ping, pong."),
        ('{"type": "connection_ack"}', "`type` must be one of connection_init, subscribe, complete, ping, pong."),
        ('{"type": "ping", "payload": 1}', "`payload` must be a JSON object."),
        ('{"type": "connection_init", "payload": []}', "`payload` must be a JSON object."),
        ('{"type": "subscribe", "payload": {"query": "{a}"}}', "`id` must be a text of 1 to 128 characters."),
        ('{"type": "subscribe", "id": 7, "payload": {}}', "`id` must be a text of 1 to 128 characters."),
        ('{"type": "subscribe", "id": ""}', "`id` must be a text of 1 to 128 characters."),
        ('{"type": "complete"}', "`id` must be a text of 1 to 128 characters."),
        (json.dumps({"type": "complete", "id": "x" * 129}), "`id` must be a text of 1 to 128 characters."),
        ('{"type": "subscribe", "id": "1"}', "`payload` must be a JSON object."),
        ('{"type": "subscribe", "id": "1", "payload": {}}', "`query` must be a text that holds a GraphQL document."),
        (
            '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": []}}',
            "`variables` must be a JSON object or null.",
        ),
        (
            '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "operationName": 1}}',
            "`operationName` must be a text or null.",
        ),
        (b'{"type": "ping"}', "Send messages as text frames."),
    ],
)
async def test_what_is_no_message_ends_the_connection_and_says_why(
    client: SocketClient, text: str | bytes, reason: str
) -> None:
    await client.send_text(text)
    assert await client.closing() == (4400, reason)


async def test_text_that_is_not_utf8_ends_the_connection(
    client: SocketClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.connection.send(b'{"type": "ping", "payload": {"x": "\xff"}}', text=True)
    assert (await client.closing())[0] == 1007
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_message_that_is_too_large_ends_the_connection(client: SocketClient) -> None:
    await client.send_text("x" * (MAX_MESSAGE_BYTES + 1))
    assert (await client.closing())[0] == 1009


async def test_a_message_of_the_largest_size_is_read(client: SocketClient) -> None:
    message = {"type": "ping", "payload": {"filler": ""}}
    message["payload"] = {"filler": "x" * (MAX_MESSAGE_BYTES - len(json.dumps(message)))}
    await client.send(message)
    assert await client.receive() == {**message, "type": "pong"}


async def flood(client: SocketClient, kind: str) -> None:
    """Send far more of what is no message than anybody needs to."""
    for _ in range(100):
        if kind == "pings":
            await asyncio.gather(*(client.connection.ping() for _ in range(100)))
        else:
            await client.connection.send([""] * 100)


@pytest.mark.parametrize("kind", ["pings", "pieces"])
async def test_a_flood_of_what_is_no_message_ends_the_connection(client: SocketClient, kind: str) -> None:
    async with asyncio.timeout(60):
        with suppress(ConnectionClosed):
            await flood(client, kind)
        with pytest.raises(ConnectionClosed):
            await client.connection.recv()
    assert client.connection.close_code in {1008, 1006}  # what is still being sent may get the better of the reason


async def test_a_message_may_come_in_pieces(client: SocketClient) -> None:
    await client.connection.send(['{"type": "ping", ', *[" "] * 900, '"payload": {"pieces": 900}}'])
    assert await client.receive() == {"type": "pong", "payload": {"pieces": 900}}


async def test_a_client_that_floods_the_server_lets_others_have_their_turn() -> None:
    flood = [{"type": "websocket.receive", "text": '{"type": "ping"}'}] * 1_000
    messages: Iterator[Message] = iter([*flood, {"type": "websocket.disconnect"}])
    turns = 0

    async def receive() -> Message:
        return next(messages)

    async def send(_message: Message) -> None:
        """Take it."""

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    house = House(cast("Any", None), cast("Any", SimpleNamespace(leave=lambda _guest: None)), SocketLimits())
    await Connection(house, Origin("test"), {}, receive, send).serve()
    other.cancel()
    assert turns > 50


@pytest.mark.parametrize("before", [True, False])
async def test_a_ping_is_answered_with_its_payload(server: LiveServer, before: bool) -> None:  # noqa: FBT001 - a case
    async with socket_to(server.socket_url) as client:
        if not before:
            await client.init()
        await client.send({"type": "ping", "payload": {"at": [1, None, "x"]}})
        assert await client.receive() == {"type": "pong", "payload": {"at": [1, None, "x"]}}
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        await client.send({"type": "pong", "payload": None})
        await client.silence()


async def test_a_query_gets_one_result(client: SocketClient) -> None:
    await client.subscribe("a", "query A { __typename }", operationName="A", variables=None, extensions=None)
    assert await client.receive() == {"id": "a", "type": "next", "payload": {"data": {"__typename": "Query"}}}
    assert await client.receive() == {"id": "a", "type": "complete"}


@pytest.mark.parametrize("id_", ["1", "é ✓", '"\\', "x" * 128, "\ud800"])
async def test_ids_come_back_as_they_were(client: SocketClient, id_: str) -> None:
    await client.subscribe(id_, TYPENAME)
    assert [(await client.receive())["id"], (await client.receive())["id"]] == [id_, id_]


async def test_a_field_that_fails_is_a_result_with_errors(client: SocketClient) -> None:
    answer = await client.execute('{ __typename node(id: "nonsense") { id } }')
    assert answer["type"] == "next"
    assert answer["payload"]["data"] == {"__typename": "Query", "node": None}
    assert [error["extensions"]["code"] for error in answer["payload"]["errors"]] == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nonsense }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { stockChanged { delta } productChanged { cursor } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename }", "B", "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Query { __typename }", None, "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { stockChanged(after: "nonsense") { delta } }', None, "BAD_USER_INPUT"),
        ("query Q($id: ID!) { node(id: $id) { id } }", None, "BAD_USER_INPUT"),
        ("{" * 300_000, None, "QUERY_TOO_COMPLEX"),
    ],
)
async def test_a_bad_document_ends_its_operation_alone(
    client: SocketClient, query: str, name: str | None, code: str
) -> None:
    if len(query) > MAX_MESSAGE_BYTES:
        query = query[: MAX_MESSAGE_BYTES - 1_000]
    await client.subscribe("bad", query, operationName=name)
    answer = await client.receive()
    assert (answer["type"], answer["id"]) == ("error", "bad")
    assert [error["extensions"]["code"] for error in answer["payload"]] == [code]
    assert (await client.execute(TYPENAME))["type"] == "next"


async def test_an_id_is_taken_until_its_operation_ends(client: SocketClient) -> None:
    for _ in range(3):  # one after the other is fine
        await client.subscribe("same", TYPENAME)
        assert [(await client.receive())["type"], (await client.receive())["type"]] == ["next", "complete"]
    await client.subscribe("same", CHANGES)
    await client.send({"type": "complete", "id": "same"})
    await client.subscribe("same", CHANGES)
    await client.subscribe("same", TYPENAME)
    assert await client.closing() == (4409, "Subscriber for same already exists")


async def test_a_long_id_is_cut_off_in_the_reason(client: SocketClient) -> None:
    for _ in range(2):
        await client.subscribe("é" * 128, CHANGES)
    code, reason = await client.closing()
    assert code == 4409
    assert "Subscriber for ééé".startswith(reason[:18])
    assert len(reason.encode()) <= 123


async def test_to_complete_what_is_not_there_does_no_harm(client: SocketClient) -> None:
    await client.send({"type": "complete", "id": "never begun"})
    assert (await client.execute(TYPENAME))["type"] == "next"


async def test_a_subscription_goes_on_until_the_client_completes_it(client: SocketClient, shelf: Shelf) -> None:
    await client.subscribe("s", CHANGES)
    await client.send({"type": "ping"})
    assert await client.receive() == {"type": "pong"}
    assert await heard(client, shelf) == {"stockChanged": {"delta": 1}}
    await shelf.add(12)
    while (message := await client.receive())["payload"] == {"data": {"stockChanged": {"delta": 1}}}:
        pass
    assert message == {"id": "s", "type": "next", "payload": {"data": {"stockChanged": {"delta": 12}}}}

    await client.send({"type": "complete", "id": "s"})
    await client.execute(TYPENAME)
    await shelf.add(3)
    await client.silence(0.5)


async def test_more_operations_than_allowed_are_refused_one_by_one(client: SocketClient) -> None:
    for number in range(OPERATIONS + 1):
        await client.subscribe(str(number), CHANGES)

    answer = await client.receive()
    assert (answer["type"], answer["id"]) == ("error", str(OPERATIONS))
    assert answer["payload"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 1}
    assert answer["payload"][0]["message"] == "A connection runs at most 5 operations at once. Complete one first."
    await client.send({"type": "complete", "id": "0"})
    assert (await client.execute(TYPENAME))["type"] == "next"


async def test_operations_begin_at_a_bounded_pace(client: SocketClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a moment that lasts for as long as the server needs
    now = time.monotonic()
    monkeypatch.setattr(graphql_ws_limits, "time", SimpleNamespace(monotonic=lambda: now))
    for number in range(80):
        await client.subscribe(f"q{number}", TYPENAME)
        if number % OPERATIONS == 0:
            await client.send({"type": "ping"})
            while (await client.receive())["type"] != "pong":
                pass
    await client.send({"type": "ping", "payload": {"is": "last"}})
    answers = []
    while (message := await client.receive())["type"] != "pong":
        answers.append(message)
    refused = [answer for answer in answers if answer["type"] == "error"]
    assert refused
    assert {answer["payload"][0]["extensions"]["code"] for answer in refused} == {"RATE_LIMITED"}
    now += 0.5
    assert (await client.execute(TYPENAME))["type"] == "next"


async def test_a_mutation_over_the_socket_is_answered(client: SocketClient) -> None:
    answer = await client.execute(CREATE % "WHISKY")
    assert answer["payload"]["data"]["createCategory"] == {"category": {"name": "WHISKY"}, "userErrors": []}


@asynccontextmanager
async def waiting_mutation(database: Database) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Keeps categories from being written; what the block gets waits until somebody tries."""
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE category IN EXCLUSIVE MODE"))

        async def tried() -> None:
            async with asyncio.timeout(60):
                while not await session.scalar(WAITING):  # noqa: ASYNC110 - nothing here tells when
                    await asyncio.sleep(0.01)

        yield tried


async def comes(client: SocketClient, name: str) -> None:
    """Wait for a category of this name."""
    async with asyncio.timeout(PATIENCE):
        while True:
            nodes = (await client.execute(NAMES))["payload"]["data"]["categories"]["nodes"]
            if name in {node["name"] for node in nodes}:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("leaving", ["close", "abort", "complete", "shut out"])
async def test_a_mutation_that_has_begun_is_carried_out_whatever_the_client_does(
    server: LiveServer, token: str, client: SocketClient, database: Database, leaving: str
) -> None:
    async with welcome(server, token) as other, waiting_mutation(database) as tried:
        await other.subscribe("m", CREATE % f"LEFT BY {leaving}")
        await tried()
        match leaving:
            case "close":
                await other.connection.close()
            case "abort":
                other.connection.transport.abort()
            case "complete":
                await other.send({"type": "complete", "id": "m"})
            case _:
                await other.send_text("nonsense")
                assert (await other.closing())[0] == 4400
        await asyncio.sleep(0.2)

    await comes(client, f"LEFT BY {leaving}")


async def test_mutations_that_the_client_has_left_count_until_they_have_ended(
    client: SocketClient, database: Database
) -> None:
    async with waiting_mutation(database) as tried:
        for number in range(OPERATIONS):
            await client.subscribe("m", CREATE % f"LEFT {number}")
            await client.send({"type": "complete", "id": "m"})
        await tried()
        await client.subscribe("one more", "{ __typename }")
        answer = await client.receive()

    assert (answer["type"], answer["id"]) == ("error", "one more")
    assert answer["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_query_that_nobody_waits_for_is_given_up(client: SocketClient, database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("LOCK TABLE category IN ACCESS EXCLUSIVE MODE"))
        await client.subscribe("q", NAMES)
        async with asyncio.timeout(60):
            while not await session.scalar(WAITING):  # noqa: ASYNC110 - nothing here tells when
                await asyncio.sleep(0.01)
            await client.send({"type": "complete", "id": "q"})
            while await session.scalar(WAITING):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    await client.silence()


async def test_an_idempotency_key_counts_as_over_http(client: SocketClient) -> None:
    extensions = {"idempotencyKey": "the same"}
    first = await client.execute(CREATE % "RUM", extensions=extensions)
    second = await client.execute(CREATE % "RUM", extensions=extensions)
    other = await client.execute(CREATE % "GIN", extensions=extensions)
    bad = await client.execute(CREATE % "GIN", extensions={"idempotencyKey": "é"})

    assert first["payload"] == second["payload"]
    assert first["payload"]["data"]["createCategory"]["userErrors"] == []
    assert other["payload"]["data"]["createCategory"]["category"] is None
    assert bad["type"] == "error"
    assert bad["payload"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


async def test_the_same_address_still_answers_http(server: LiveServer, token: str) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        answer = await http.post(
            server.http_url, json={"query": TYPENAME}, headers={"authorization": f"Bearer {token}"}
        )
    assert answer.json() == {"data": {"__typename": "Query"}}


async def test_hosts_that_are_not_ours_are_refused(server: LiveServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket_to("ws://evil.example/graphql", host="127.0.0.1", port=server.port):
            pass
    assert refused.value.response.status_code == 400


async def test_other_addresses_take_no_sockets(server: LiveServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket_to(server.socket_url.replace("/graphql", "/other")):
            pass
    assert refused.value.response.status_code == 403


async def test_what_goes_on_is_counted(server: LiveServer, token: str, client: SocketClient) -> None:
    await client.subscribe("s", CHANGES)
    async with socket_to(server.socket_url, "graphql-ws") as other:
        await other.closing()
    async with socket_to(server.socket_url) as other:
        await other.send_text("x" * (MAX_MESSAGE_BYTES + 1))
        await other.closing()
    expected = {
        "graphql_api_sockets": 1,
        "graphql_api_socket_operations": 1,
        "graphql_api_socket_messages_total": 2,
        'graphql_api_socket_closes_total{code="4406"}': 1,
        'graphql_api_socket_closes_total{code="1009"}': 1,
    }
    url, headers = server.http_url.replace("/graphql", "/metrics"), {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(timeout=PATIENCE) as http, asyncio.timeout(PATIENCE):
        while True:
            page = (await http.get(url, headers=headers)).text
            numbers = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
            if all(float(numbers.get(name, 0)) >= least for name, least in expected.items()):
                return
            await asyncio.sleep(0.05)
