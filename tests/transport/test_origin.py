"""Where a request comes from: the connection says it, and headers only when a proxy of ours has written them."""

import asyncio
from contextvars import ContextVar
from ipaddress import ip_network

import httpx
import pytest
from sqlalchemy import Engine, event
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from graphql_api.services import noticeboard
from graphql_api.transport.origin import MAX_HOPS, ClientAddress, client_address
from tests.transport.conftest import client_of

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"), ip_network("192.0.2.1/32")]

# Set in the task of a request and in those that it starts.
IS_REQUEST = ContextVar("is_request", default=False)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        # nobody else's word is taken
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        # from the right: what stands on the left came from the client itself
        ("10.0.0.1", ["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["127.0.0.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.2.3.4, 192.0.2.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        # what is no address ends the walk at the last one that is
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [", ,"], "10.0.0.1"),
        ("10.0.0.1", ["1" * 10_000], "10.0.0.1"),
        # forms of one address
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:DB8::0001]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["2001:0db8:0:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("2001:db8:1::7", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:2::7", ["198.51.100.1"], "2001:db8:2::7"),
        ("testclient", ["198.51.100.1"], "testclient"),
    ],
)
def test_the_address_is_the_nearest_that_is_no_proxy_of_ours(peer: str, forwarded: list[str], address: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == address


def test_a_header_of_any_length_is_walked_for_some_steps_only() -> None:
    hops = ",".join(["10.0.0.2"] * 100_000)

    assert client_address("10.0.0.1", [hops], PROXIES) == "10.0.0.2"
    assert client_address("10.0.0.1", ["198.51.100.1," + ",".join(["10.0.0.2"] * MAX_HOPS)], PROXIES) == "10.0.0.2"


async def test_signed_in_requests_ask_the_database_for_nothing_but_their_answer(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a busy machine may keep the noticeboard from its beat
    monkeypatch.setattr(noticeboard, "TRUST_SECONDS", 60.0)
    async with asyncio.timeout(60):
        # until notices are heard, memory is not trusted
        while await _statements(http, 2):  # noqa: ASYNC110 - the network makes it so
            await asyncio.sleep(0.05)

    assert await _statements(http, 200) == []


async def _statements(http: httpx.AsyncClient, requests: int) -> list[str]:
    """What is sent to the database for so many requests; others of the process go on asking for themselves."""
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if IS_REQUEST.get():
            statements.append(statement)

    mark = IS_REQUEST.set(True)
    event.listen(Engine, "before_cursor_execute", count)
    try:
        for _ in range(requests):
            answer = await http.post("/graphql", json={"query": "{ __typename }"})
            assert answer.json() == {"data": {"__typename": "Query"}}
    finally:
        event.remove(Engine, "before_cursor_execute", count)
        IS_REQUEST.reset(mark)
    return statements


@pytest.mark.parametrize(("proxies", "expected"), [((), "127.0.0.1"), (("127.0.0.0/8",), "198.51.100.1")])
async def test_the_application_sees_the_address_of_the_client(proxies: tuple[str, ...], expected: str) -> None:
    async def tell(request: Request) -> Response:
        return PlainTextResponse(request.client.host if request.client else "")

    app = Starlette(routes=[Route("/", tell)])
    app.add_middleware(ClientAddress, proxies=[ip_network(network) for network in proxies])
    async with client_of(app) as client:
        answer = await client.get("/", headers={"x-forwarded-for": "198.51.100.1"})

    assert answer.text == expected
