"""Who asks, as the header `Authorization` says: what strangers get, and what becomes of headers that are no use."""

from datetime import timedelta

import httpx
import pytest
import time_machine

from graphql_api.config import Settings
from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.policy import Viewer
from graphql_api.transport.negotiation import GRAPHQL_JSON
from tests.transport.conftest import authorization, create_viewer

ONE_STORE = '{ store(id: "U3RvcmU6MQ==") { id } }'
ALL_STORES = "{ stores { nodes { id } } }"
ME = "{ me { role } }"
LOGIN = """
mutation { login(input: {email: "nobody@shop.example", password: "violet harbour"}) { userErrors { code path } } }
"""


async def post(http: httpx.AsyncClient, query: str, **headers: str) -> httpx.Response:
    return await http.post("/graphql", json={"query": query}, headers=headers)


def codes(response: httpx.Response) -> list[tuple[list[str], str]]:
    """Path and code of each error of an answer."""
    return [(error["path"], error["extensions"]["code"]) for error in response.json().get("errors", [])]


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL_JSON])
async def test_a_stranger_is_refused_field_by_field(stranger: httpx.AsyncClient, accept: str) -> None:
    # given a document with fields for everybody and fields that need a right
    query = '{ __typename me { id } a: store(id: "U3RvcmU6MQ==") { id } b: import(id: "SW1wb3J0OjE=") { id } }'
    # when nobody has signed in
    response = await post(stranger, query, accept=accept)
    # then the request is well, each refused field says so, and the others are answered
    assert response.status_code == 200
    assert response.json()["data"] == {"__typename": "Query", "me": None, "a": None, "b": None}
    assert codes(response) == [(["a"], "UNAUTHENTICATED"), (["b"], "UNAUTHENTICATED")]


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL_JSON])
async def test_a_refused_field_that_cannot_be_null_takes_the_data_with_it(
    stranger: httpx.AsyncClient, accept: str
) -> None:
    response = await post(stranger, ALL_STORES, accept=accept)

    assert (response.status_code, response.json()["data"]) == (200, None)
    assert codes(response) == [(["stores"], "UNAUTHENTICATED")]


async def test_strangers_see_the_schema(stranger: httpx.AsyncClient) -> None:
    response = await post(stranger, "{ __schema { mutationType { fields { name } } } }")

    names = [field["name"] for field in response.json()["data"]["__schema"]["mutationType"]["fields"]]
    assert {"login", "startImport"} <= set(names)


BAD_HEADERS = {
    "no token": "Bearer",
    "an empty token": "Bearer ",
    "nonsense": "Bearer nonsense",
    "three parts of nonsense": "Bearer a.b.c",
    "not ASCII": "Bearer \xff\xfe",
    "very long": "Bearer " + "x" * 20_000,
    "another scheme": "Basic YWRtaW46YWRtaW4=",
    "a token without scheme": "eyJhbGciOiJub25lIn0.e30.",
}


@pytest.mark.parametrize("name", BAD_HEADERS)
async def test_a_bad_header_is_an_error_only_where_a_right_is_needed(stranger: httpx.AsyncClient, name: str) -> None:
    headers = {b"authorization": BAD_HEADERS[name].encode("latin-1")}

    public = await stranger.post("/graphql", json={"query": LOGIN}, headers=headers)
    protected = await stranger.post("/graphql", json={"query": ONE_STORE}, headers=headers)

    assert public.json() == {"data": {"login": {"userErrors": [{"code": "UNAUTHENTICATED", "path": ["input"]}]}}}
    assert (protected.status_code, protected.json()["data"]) == (200, {"store": None})
    assert codes(protected) == [(["store"], "UNAUTHENTICATED")]


async def test_who_asks_for_the_own_account_with_a_bad_token_learns_why_there_is_none(
    stranger: httpx.AsyncClient,
) -> None:
    response = await post(stranger, ME, authorization="Bearer nonsense")

    assert response.json()["data"] == {"me": None}
    assert codes(response) == [(["me"], "UNAUTHENTICATED")]


async def test_another_scheme_is_told_which_one_is_meant(stranger: httpx.AsyncClient) -> None:
    response = await post(stranger, ONE_STORE, authorization="Basic YWRtaW46YWRtaW4=")

    assert "Authorization: Bearer" in response.json()["errors"][0]["message"]


async def test_an_expired_token_says_what_to_do(stranger: httpx.AsyncClient, settings: Settings, admin: Viewer) -> None:
    with time_machine.travel(now_utc() - timedelta(minutes=16), tick=True):
        expired = authorization(settings, admin)

    response = await post(stranger, ONE_STORE, **expired)

    assert codes(response) == [(["store"], "UNAUTHENTICATED")]
    assert "refreshToken" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_token_tells_who_asks(
    stranger: httpx.AsyncClient, settings: Settings, database: Database, scheme: str
) -> None:
    staff = await create_viewer(database, Role.STAFF)
    token = authorization(settings, staff)["authorization"].removeprefix("Bearer ")

    response = await post(stranger, ME, authorization=f"{scheme} {token}")

    assert response.json() == {"data": {"me": {"role": "STAFF"}}}


async def test_who_has_signed_in_but_may_not_is_told_so(
    stranger: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    customer = await create_viewer(database, Role.CUSTOMER)

    response = await post(stranger, '{ import(id: "SW1wb3J0OjE=") { id } }', **authorization(settings, customer))

    assert codes(response) == [(["import"], "FORBIDDEN")]
