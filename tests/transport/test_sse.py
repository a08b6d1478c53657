"""Subscriptions as server-sent events: what is answered as a stream, what it says, how it ends, how it is resumed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.transport import graphql_sse
from graphql_api.transport.limits import JSON_LIMIT_BYTES
from graphql_api.transport.negotiation import GRAPHQL_JSON, accepts_event_stream, answer_type
from tests.transport.event_source import EVENT_STREAM, EventSource
from tests.transport.live_server import LiveServer, cloned_database, live_server, live_settings
from tests.transport.stream_shop import CHANGES, Shop, deltas, opened_shop

URQL = f"{GRAPHQL_JSON}, application/graphql+json, application/json, text/event-stream, multipart/mixed"


@pytest.fixture(scope="module")
def database_url(server_url: str, template_name: str) -> Iterator[str]:
    with cloned_database(server_url, template_name) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_url: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("server")
    with live_server(live_settings(database_url, valkey_url, folder)) as server:
        yield server


@pytest.fixture(autouse=True)
def _uncounted(redis_url: str) -> None:
    """Nobody is refused because of what tests before have done."""


@pytest.fixture
async def shop(server: LiveServer, database: Database) -> AsyncIterator[Shop]:
    async with opened_shop(server, database) as shop:
        yield shop


async def test_each_change_is_an_event_whose_id_is_its_cursor(shop: Shop) -> None:
    async with shop.staff.subscribed(CHANGES) as source:
        await shop.adjust(-1)
        await shop.adjust(+2, sku=shop.gin)
        first, second = await source.next(), await source.next()

    changes = [event.result["data"]["stockChanged"] for event in (first, second)]
    assert [(change["delta"], change["product"]["sku"]) for change in changes] == [(-1, shop.ale), (2, shop.gin)]
    assert [event.id for event in (first, second)] == [change["cursor"] for change in changes]


async def test_the_headers_keep_everything_between_from_collecting_events(shop: Shop) -> None:
    async with shop.staff.subscribed(CHANGES) as source:
        headers = source.response.headers
        await shop.adjust(-1)
        await source.next()

    assert source.response.status_code == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["vary"] == "Accept, Accept-Language"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]
    assert source.retry is not None
    assert 500 <= source.retry <= 2_500


async def test_a_subscription_may_come_by_get(shop: Shop) -> None:
    headers = {**shop.staff.headers, "accept": EVENT_STREAM}
    address = httpx.QueryParams(query=CHANGES, variables=json.dumps({"where": {"sku": {"eq": shop.gin}}}))
    async with shop.staff.http.stream("GET", shop.staff.url, params=address, headers=headers) as response:
        source = EventSource(response)
        await shop.adjust(-1)
        await shop.adjust(-2, sku=shop.gin)

        assert await deltas(source, 1) == [-2]


async def test_what_a_head_asks_for_is_not_begun(shop: Shop) -> None:
    headers = {**shop.staff.headers, "accept": EVENT_STREAM}

    answer = await shop.staff.http.head(shop.staff.url, params={"query": CHANGES}, headers=headers)

    assert answer.status_code == 400


async def test_two_streams_on_one_client_get_what_each_asked_for(shop: Shop) -> None:
    async with (
        shop.staff.subscribed(CHANGES, where={"sku": {"eq": shop.ale}}) as ale,
        shop.staff.subscribed(CHANGES, where={"delta": {"gt": 0}}) as arrivals,
    ):
        for quantity, sku in ((-1, shop.ale), (2, shop.gin), (3, shop.ale), (-4, shop.gin), (-5, shop.ale)):
            await shop.adjust(quantity, sku=sku)

        assert await deltas(ale, 3) == [-1, 3, -5]
        assert await deltas(arrivals, 2) == [2, 3]


@pytest.mark.parametrize("accept", [URQL, "application/json, text/event-stream", f"{EVENT_STREAM};q=0.9, */*"])
async def test_queries_and_mutations_stay_json_where_json_is_liked_better(shop: Shop, accept: str) -> None:
    for query in ("{ __typename }", "mutation { logout { endedCount } }"):
        answer = await shop.staff.http.post(
            shop.staff.url, json={"query": query}, headers={**shop.staff.headers, "accept": accept}
        )
        assert answer.headers["content-type"].partition(";")[0] == answer_type(accept)
        assert "json" in answer.headers["content-type"]
        assert "errors" not in answer.json()


@pytest.mark.parametrize("accept", [EVENT_STREAM, f"{EVENT_STREAM}, application/json;q=0.9"])
async def test_a_query_is_a_stream_of_one_for_those_who_like_streams_best(shop: Shop, accept: str) -> None:
    async with shop.staff.subscribed("{ __typename }", accept=accept) as source:
        only, end = await source.rest()

    assert source.response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert only.result == {"data": {"__typename": "Query"}}
    assert (end.name, end.data) == ("complete", "")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        (EVENT_STREAM, True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("text/*", True),
        (f"text/*, {EVENT_STREAM};q=0", False),
        (f"{EVENT_STREAM};q=0.1, application/json", True),
        (f"{EVENT_STREAM};q=high", False),
        (URQL, True),
    ],
)
def test_a_stream_is_for_those_who_name_it(accept: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert accepts_event_stream(accept) is expected


@pytest.mark.parametrize("accept", ["application/json", "*/*", GRAPHQL_JSON])
async def test_whoever_cannot_read_a_stream_is_told_both_ways_to_subscribe(shop: Shop, accept: str) -> None:
    answer = await shop.staff.http.post(
        shop.staff.url, json={"query": CHANGES}, headers={**shop.staff.headers, "accept": accept}
    )

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "BAD_USER_INPUT")
    assert "text/event-stream" in error["message"]
    assert "graphql-transport-ws" in error["message"]


async def test_a_subscription_does_not_come_with_files(shop: Shop) -> None:
    answer = await shop.staff.http.post(
        shop.staff.url,
        files={"operations": (None, '{"query": "subscription { stockChanged { delta } }"}'), "map": (None, "{}")},
        headers={**shop.staff.headers, "accept": EVENT_STREAM, "graphql-require-preflight": "1"},
    )

    assert answer.status_code == 400


async def test_urql_gets_its_subscriptions_as_streams(shop: Shop) -> None:
    async with shop.staff.subscribed(CHANGES, accept=URQL) as source:
        await shop.adjust(-3)

        assert await deltas(source, 1) == [-3]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { stockChanged { delta } importProgress(id: 1) { cursor } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription A { stockChanged { delta } } subscription B { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { stockChanged(after: "x") { delta } }', "BAD_USER_INPUT"),
        ("subscription ($where: StockChangeWhere!) { stockChanged(where: $where) { delta } }", "BAD_USER_INPUT"),
    ],
)
async def test_a_subscription_that_cannot_run_is_refused_in_the_type_that_is_liked_best(
    shop: Shop, query: str, code: str
) -> None:
    assert (await shop.staff.refused(query))["extensions"]["code"] == code
    async with shop.staff.subscribed(query, accept=URQL) as source:
        answer = source.response
        await answer.aread()
    assert answer.headers["content-type"] == f"{GRAPHQL_JSON}; charset=utf-8"
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'{"query": 1}', 400),
        (b'{"query": "subscription', 400),
        (b'{"query": "' + b"x" * JSON_LIMIT_BYTES + b'"}', 413),
    ],
)
async def test_a_malformed_request_is_refused_as_any_other(shop: Shop, body: bytes, status: int) -> None:
    headers = {**shop.staff.headers, "accept": EVENT_STREAM, "content-type": "application/json"}

    answer = await shop.staff.http.post(shop.staff.url, content=body, headers=headers)

    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"]


async def test_a_client_that_comes_again_goes_on_without_gap_or_repeat(shop: Shop) -> None:
    # given somebody who changes stock all the time
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    quantities = [dice.choice((-1, 1)) * number for number in range(1, 41)]

    async def write() -> None:
        for quantity in quantities:
            await shop.adjust(quantity)

    async with shop.staff.subscribed(CHANGES) as source:
        writing = asyncio.create_task(write())
        seen = await deltas(source, 1)
    # when the client leaves again and again, and comes back with the last id
    while len(seen) < len(quantities):
        async with shop.staff.subscribed(CHANGES, last_event_id=source.last_id) as source:
            seen += await deltas(source, min(dice.randint(1, 9), len(quantities) - len(seen)))
    await writing
    # then it has seen all, once and in order
    assert seen == quantities


async def test_the_header_decides_where_to_go_on_not_the_argument(shop: Shop) -> None:
    async with shop.staff.subscribed(CHANGES) as source:
        await shop.adjust(1, 2, 3)
        first, second = await source.next(), await source.next()

    async with shop.staff.subscribed(CHANGES, after=first.id, last_event_id=second.id) as source:
        assert await deltas(source, 1) == [3]
    async with shop.staff.subscribed(CHANGES, after=first.id) as source:
        assert await deltas(source, 2) == [2, 3]


async def test_who_loses_the_connection_before_the_first_event_misses_nothing(shop: Shop) -> None:
    async with shop.staff.subscribed(CHANGES) as source:
        await source.opened()
    await shop.adjust(-1)
    async with shop.staff.subscribed(CHANGES, last_event_id=source.last_id) as source:
        assert await deltas(source, 1) == [-1]


async def test_who_is_told_nothing_for_long_moves_on_all_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_sse, "HEARTBEAT_SECONDS", 0.05)
    nothing, gin = {"sku": {"eq": "none"}}, {"sku": {"eq": shop.gin}}
    async with shop.staff.subscribed(CHANGES) as all_changes, shop.staff.subscribed(CHANGES, where=nothing) as source:
        await shop.adjust(-1, sku=shop.gin)
        last = await all_changes.next()
        await source.moved_to(last.id)
    # what lies before its id does not come, what lies behind does
    await shop.adjust(-2, sku=shop.gin)
    async with shop.staff.subscribed(CHANGES, where=gin, last_event_id=source.last_id) as source:
        assert await deltas(source, 1) == [-2]


async def test_an_id_that_is_none_of_ours_is_refused(shop: Shop) -> None:
    assert (await shop.staff.refused(CHANGES, last_event_id="17"))["extensions"]["code"] == "BAD_USER_INPUT"
    error = await shop.staff.refused(CHANGES, last_event_id="ZXZlbnRzMTowMDAwMDAwMDoxMg")
    assert error["extensions"]["code"] == "CURSOR_EXPIRED"


async def test_without_a_sign_in_nothing_begins(shop: Shop) -> None:
    stranger = replace(shop.staff, headers={})
    swindler = replace(shop.staff, headers={"authorization": "Bearer x"})

    assert (await stranger.refused(CHANGES))["extensions"]["code"] == "UNAUTHENTICATED"
    assert "not valid" in (await swindler.refused(CHANGES))["message"]


async def test_each_role_subscribes_to_what_it_may_see(shop: Shop) -> None:
    seen = {}
    for role in Role:
        somebody = await shop.somebody(role)
        async with somebody.subscribed(CHANGES) as source:
            await shop.adjust(-1)
            event = await source.next()
        seen[role] = event.codes if "errors" in event.result else event.result["data"]["stockChanged"]["delta"]

    assert seen == {Role.ADMIN: -1, Role.STAFF: -1, Role.SALESPERSON: -1, Role.CUSTOMER: ["FORBIDDEN"]}


async def test_comments_keep_an_idle_stream_alive(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_sse, "HEARTBEAT_SECONDS", 0.05)
    async with shop.staff.subscribed(CHANGES) as source:
        await source.commented(4)
        await shop.adjust(-1)

        assert await deltas(source, 1) == [-1]
