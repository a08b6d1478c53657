"""Signing in over a WebSocket: where the token goes, when it ends, how it is renewed, and what strangers may do."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role, UserRow
from graphql_api.services.policy import Viewer
from graphql_api.services.resources import create_keys
from graphql_api.services.token import AccessTokens, TokenKind
from tests.factories import PASSWORD, create_product, create_session, create_stock, create_store, create_user
from tests.transport.conftest import create_viewer
from tests.transport.live_server import LiveServer, cloned_database, live_server, live_settings
from tests.transport.socket_client import PATIENCE, SocketClient, socket_to

CHANGES = "subscription { stockChanged { delta } }"
VIEWER = "{ viewer { user { role } } }"
LOGIN = 'mutation { login(input: {email: "%s", password: "%s"}) { accessToken userErrors { message } } }'
PER_USER = 4
# Seconds of a token that ends soon, in which a busy machine does what is to be done before.
ENOUGH = 10
TRY_AGAIN_LATER = 1013

TokenOf = Callable[..., str]


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("server")
    with live_server(live_settings(database_url, valkey_url, folder, connections_per_user=PER_USER)) as server:
        yield server


@pytest.fixture
async def viewer(database: Database) -> Viewer:
    return await create_viewer(database, Role.ADMIN)


def token_of(settings: Settings, viewer: Viewer, seconds: float | None = None) -> str:
    """An access token, as the program makes them; one that ends in some seconds if told so."""
    keys = create_keys(settings)
    text = AccessTokens(keys).issue(viewer, 15).text
    if seconds is None:
        return text
    claims = jwt.decode(text, options={"verify_signature": False})
    claims["exp"] = int(time.time() + seconds)
    secret = keys.current.derive(TokenKind.ACCESS.value)
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": keys.current.id})


@pytest.fixture
def token(server: LiveServer, viewer: Viewer) -> str:
    return token_of(server.settings, viewer)


@asynccontextmanager
async def opened(server: LiveServer, payload: dict[str, Any] | None) -> AsyncIterator[SocketClient]:
    """A connection that has sent its introduction."""
    async with socket_to(server.socket_url) as client:
        await client.send({"type": "connection_init", "payload": payload})
        yield client


async def refusal(server: LiveServer, payload: dict[str, Any]) -> tuple[int, str]:
    async with opened(server, payload) as client:
        return await client.closing()


async def is_welcome(server: LiveServer, token: str) -> bool:
    """Whether there is room for one more."""
    async with opened(server, {"accessToken": token}) as client:
        with suppress(ConnectionClosed):
            return bool((await client.receive())["type"] == "connection_ack")
        assert (await client.closing())[0] == TRY_AGAIN_LATER
        return False


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["authorization", "Authorization", "accessToken"])
async def test_the_token_comes_with_the_introduction(server: LiveServer, token: str, name: str) -> None:
    value = token if name == "accessToken" else f"Bearer {token}"
    async with opened(server, {name: value, "more": 1}) as client:
        acknowledgement = await client.receive()
        ends_at = jwt.decode(token, options={"verify_signature": False})["exp"]
        assert moment(acknowledgement["payload"]["expiresAt"]).timestamp() == ends_at
        assert (await client.execute(VIEWER))["payload"]["data"]["viewer"]["user"] == {"role": "ADMIN"}


async def test_what_happens_before_the_first_subscription_follows_the_cursor_of_the_acknowledgement(
    server: LiveServer, token: str, database: Database
) -> None:
    async with socket_to(server.socket_url) as client:
        # given a client that has signed in, and a product made before it subscribes
        cursor = (await client.init(token))["payload"]["cursor"]
        async with database.transaction() as session:
            product = await create_product(session)
        # when it goes on behind the cursor it was welcomed with
        query = "subscription ($after: Cursor) { productChanged(after: $after) { sku } }"
        await client.subscribe("1", query, variables={"after": cursor})
        # then it hears of the product
        assert (await client.receive())["payload"]["data"] == {"productChanged": {"sku": product.sku}}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"authorization": "x"}, 'Send the access token as {"authorization": "Bearer …"}.'),
        ({"authorization": "Basic eHg6eHg="}, 'Send the access token as {"authorization": "Bearer …"}.'),
        ({"authorization": "Bearer"}, 'Send the access token as {"authorization": "Bearer …"}.'),
        ({"authorization": ["Bearer x"]}, 'Send the access token as {"authorization": "Bearer …"}.'),
        ({"accessToken": ""}, 'Send the access token as {"authorization": "Bearer …"}.'),
        ({"authorization": "Bearer nonsense"}, "The access token is not valid. Sign in again."),
        (
            {"authorization": "Bearer x", "accessToken": "x"},
            "Send the access token once, as `authorization` or `accessToken`.",
        ),
    ],
)
async def test_a_bad_token_is_refused(server: LiveServer, payload: dict[str, Any], reason: str) -> None:
    assert await refusal(server, payload) == (4403, reason)


async def test_an_expired_token_is_refused(server: LiveServer, viewer: Viewer) -> None:
    expired = token_of(server.settings, viewer, seconds=-30)
    assert await refusal(server, {"authorization": f"Bearer {expired}"}) == (
        4403,
        "The access token has expired. Use `refreshToken` to get a new one.",
    )


async def test_the_token_of_an_ended_session_is_refused(server: LiveServer, database: Database) -> None:
    async with database.transaction() as session:
        user = await create_user(session)
        ended = await create_session(session, user, lifetime=timedelta(seconds=-1))
    token = token_of(server.settings, Viewer(user.id, user.role, ended.id))
    assert await refusal(server, {"accessToken": token}) == (4403, "The session has ended. Sign in again.")


@pytest.mark.parametrize(
    "query", ["token=x", "access_token=x", "Authorization=Bearer+x", "q={token}", "q=Bearer+{token}"]
)
async def test_a_token_in_the_address_is_refused_and_not_logged(
    server: LiveServer, token: str, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with socket_to(f"{server.socket_url}?{query.format(token=token)}") as client:
            assert await client.closing() == (
                4403,
                "Send the access token in connection_init, never in the address: addresses are logged.",
            )
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.client")]
    assert any("[accepted]" in line for line in ours)
    assert not any("token=" in line or token in line or "Bearer" in line for line in ours)


async def test_an_address_may_say_other_things(server: LiveServer) -> None:
    async with socket_to(f"{server.socket_url}?client=shop-1.2.3&page=eyJ") as client:
        assert await client.init() == {"type": "connection_ack"}


@pytest.mark.parametrize("payload", [None, {}, {"authorization": None}, {"page": "login"}])
async def test_strangers_may_do_what_strangers_may(
    server: LiveServer, database: Database, payload: dict[str, Any] | None
) -> None:
    async with database.transaction() as session:
        user = await create_user(session)
    async with opened(server, payload) as client:
        assert await client.receive() == {"type": "connection_ack"}
        answer = await client.execute(LOGIN % (user.email, PASSWORD))
        assert answer["payload"]["data"]["login"]["userErrors"] == []
        await client.subscribe("s", CHANGES)
        refused = await client.receive()
        assert refused["type"] == "error"
        assert refused["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_stranger_does_not_sign_in_later(server: LiveServer, token: str) -> None:
    async with opened(server, None) as client:
        await client.receive()
        await client.send({"type": "ping", "payload": {"authorization": f"Bearer {token}"}})
        assert await client.closing() == (
            4403,
            "This connection was opened without a sign-in. Open a new one to sign in.",
        )


async def test_before_the_introduction_nobody_signs_in_by_ping(server: LiveServer, token: str) -> None:
    async with socket_to(server.socket_url) as client:
        await client.send({"type": "ping", "payload": {"accessToken": token}})
        assert (await client.closing())[0] == 4403


async def test_the_end_of_the_token_is_announced_and_ends_the_connection(server: LiveServer, viewer: Viewer) -> None:
    async with opened(server, {"accessToken": token_of(server.settings, viewer, seconds=ENOUGH)}) as client:
        ends_at = moment((await client.receive())["payload"]["expiresAt"])
        notice = await client.receive()

        # at once, because less than a minute is left
        assert notice["type"] == "ping"
        assert notice["payload"]["type"] == "AuthExpiring"
        assert moment(notice["payload"]["expiresAt"]) == ends_at
        assert 1 <= notice["payload"]["seconds"] <= ENOUGH
        await client.send({"type": "pong", "payload": notice["payload"]})
        assert await client.closing() == (4403, "The access token has expired. Connect again with a new one.")
        assert time.time() > ends_at.timestamp() - 0.5


async def test_the_end_is_announced_a_minute_before(server: LiveServer, viewer: Viewer) -> None:
    async with opened(server, {"accessToken": token_of(server.settings, viewer, seconds=60 + ENOUGH)}) as client:
        await client.receive()
        # not before
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        # at most a minute is left, and less only if the machine was busy
        assert 30 <= (await client.receive())["payload"]["seconds"] <= 60


async def test_a_renewed_connection_goes_on(server: LiveServer, viewer: Viewer, database: Database) -> None:
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
    short, long = token_of(server.settings, viewer, seconds=ENOUGH), token_of(server.settings, viewer)
    async with opened(server, {"accessToken": short}) as client:
        await client.receive()
        await client.subscribe("s", CHANGES)
        notice = (await client.receive())["payload"]
        assert notice["type"] == "AuthExpiring"

        await client.send({"type": "ping", "payload": {"authorization": f"Bearer {long}"}})

        renewed = await client.receive()
        assert (renewed["type"], renewed["payload"]["type"]) == ("pong", "AuthRenewed")
        assert moment(renewed["payload"]["expiresAt"]) > datetime.now(UTC) + timedelta(minutes=14)
        await client.silence((moment(notice["expiresAt"]) - datetime.now(UTC)).total_seconds() + 1)
        async with database.transaction() as session:
            await create_stock(session, store, product, 7)
        assert (await client.receive())["payload"] == {"data": {"stockChanged": {"delta": 7}}}


async def test_only_the_same_session_is_renewed(server: LiveServer, viewer: Viewer, database: Database) -> None:
    other = token_of(server.settings, await create_viewer(database, Role.ADMIN))
    async with database.transaction() as session:
        again = await create_session(session, await session.get_one(UserRow, viewer.user_id))
    same_account = token_of(server.settings, replace(viewer, session_id=again.id))
    for refused, reason in (
        (other, "The token is of another session. Open a new connection with it."),
        (same_account, "The token is of another session. Open a new connection with it."),
        ("nonsense", "The access token is not valid. Sign in again."),
    ):
        async with opened(server, {"accessToken": token_of(server.settings, viewer)}) as client:
            await client.receive()
            await client.send({"type": "ping", "payload": {"accessToken": refused}})
            assert await client.closing() == (4403, reason)


async def test_an_account_has_so_many_connections(server: LiveServer, token: str) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(PER_USER - 1):
            client = await stack.enter_async_context(opened(server, {"accessToken": token}))
            assert (await client.receive())["type"] == "connection_ack"
        async with opened(server, {"accessToken": token}) as last:
            assert (await last.receive())["type"] == "connection_ack"
            assert await refusal(server, {"accessToken": token}) == (
                1013,
                f"This account has {PER_USER} open connections already. Close one.",
            )
        # the server sees a little later that the last one has gone
        async with asyncio.timeout(PATIENCE):
            while not await is_welcome(server, token):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
