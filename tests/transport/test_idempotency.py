"""How a key comes with a request over HTTP."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database

CREATE = 'mutation { createProduct(input: {sku: "A-1", name: "Ale"}) { product { id } userErrors { code } } }'
DONE = {"data": {"createProduct": {"product": {"id": "UHJvZHVjdDox"}, "userErrors": []}}}


async def send(http: httpx.AsyncClient, *headers: str, extensions: Any = None) -> httpx.Response:
    body = {"query": CREATE, "extensions": extensions}
    return await http.post("/graphql", json=body, headers=[("idempotency-key", header) for header in headers])


async def kept_keys(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(text("SELECT key FROM idempotency_key")))


@pytest.mark.parametrize(
    ("headers", "extensions"),
    [
        (["a key"], None),
        ([], {"idempotencyKey": "a key"}),
        (["a key"], {"idempotencyKey": "a key"}),
        (["a key", "a key"], {"somethingElse": 1}),
        (["a key"], {"idempotencyKey": None}),
    ],
)
async def test_a_key_comes_by_header_or_extension_or_both(
    http: httpx.AsyncClient, database: Database, headers: list[str], extensions: Any
) -> None:
    answers = [await send(http, *headers, extensions=extensions) for _ in range(2)]

    assert [answer.json() for answer in answers] == [DONE, DONE]
    assert await kept_keys(database) == ["a key"]


async def test_header_and_extension_are_the_same_key(http: httpx.AsyncClient) -> None:
    assert (await send(http, "a key")).json() == DONE
    assert (await send(http, extensions={"idempotencyKey": "a key"})).json() == DONE


@pytest.mark.parametrize("key", ["x", "~" * 255, "with spaces and \\\"'", "5f0c3b3e-9d0b-4a57-8d3f-1f6c2f6f3a11"])
async def test_a_key_may_be_any_short_printable_text(http: httpx.AsyncClient, database: Database, key: str) -> None:
    assert (await send(http, key)).json() == DONE
    assert await kept_keys(database) == [key]


@pytest.mark.parametrize(
    ("headers", "extensions"),
    [
        ([""], None),
        (["x" * 256], None),
        (["a\tb"], None),
        (["one", "two"], None),
        (["one"], {"idempotencyKey": "two"}),
        ([], {"idempotencyKey": ""}),
        ([], {"idempotencyKey": "x" * 256}),
        ([], {"idempotencyKey": "grün"}),
        ([], {"idempotencyKey": "a\nb"}),
        ([], {"idempotencyKey": "a\n"}),
        ([], {"idempotencyKey": 7}),
        ([], {"idempotencyKey": ["a key"]}),
    ],
)
async def test_what_is_no_key_is_refused_and_nothing_is_done(
    http: httpx.AsyncClient, database: Database, headers: list[str], extensions: Any
) -> None:
    response = await send(http, *headers, extensions=extensions)

    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "dempotency" in error["message"]
    async with database.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM product")) == 0


async def test_without_a_key_nothing_is_kept(http: httpx.AsyncClient, database: Database) -> None:
    assert (await send(http)).json() == DONE
    assert await kept_keys(database) == []
    assert (await send(http)).json()["data"]["createProduct"]["userErrors"] == [{"code": "CONFLICT"}]


async def test_a_query_may_have_a_key_too(http: httpx.AsyncClient, database: Database) -> None:
    body = {"query": "{ __typename }"}

    response = await http.post("/graphql", json=body, headers={"idempotency-key": "a key"})

    assert response.json() == {"data": {"__typename": "Query"}}
    assert await kept_keys(database) == []


async def test_parallel_requests_with_one_key_are_answered_alike(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*[send(http, "a key") for _ in range(20)])

    assert [answer.json() for answer in answers] == [DONE] * 20
