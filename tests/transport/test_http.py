"""`/graphql` over HTTP: what is accepted, what is refused and how, and the headers around it."""

import gzip
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings
from starlette.types import Receive, Scope, Send

from graphql_api.app import create_app
from graphql_api.config import Settings
from graphql_api.services.errors import ErrorCode
from graphql_api.transport.boundary import RequestBoundary
from graphql_api.transport.limits import JSON_LIMIT_BYTES
from graphql_api.transport.negotiation import EVENT_STREAM, GRAPHQL_JSON, answer_type
from graphql_api.transport.problems import SERVICE_STATUSES

QUERY = '{"query": "{ __typename }"}'
TYPENAME = {"data": {"__typename": "Query"}}
JSON_TYPE = {"content-type": "application/json"}
BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "BAD_USER_INPUT"),
    "null": (b"null", 400, "BAD_USER_INPUT"),
    "text": (b'"x"', 400, "BAD_USER_INPUT"),
    "number": (b"1", 400, "BAD_USER_INPUT"),
    "batch": (b"[" + QUERY.encode() + b"]", 400, "BAD_USER_INPUT"),
    "no query": (b"{}", 400, "BAD_USER_INPUT"),
    "empty query": (b'{"query": ""}', 400, "BAD_USER_INPUT"),
    "query of another kind": (b'{"query": ["{ __typename }"]}', 400, "BAD_USER_INPUT"),
    "variables of another kind": (b'{"query": "{ __typename }", "variables": "{}"}', 400, "BAD_USER_INPUT"),
    "extensions of another kind": (b'{"query": "{ __typename }", "extensions": 1}', 400, "BAD_USER_INPUT"),
    "operation name of another kind": (b'{"query": "{ __typename }", "operationName": 1}', 400, "BAD_USER_INPUT"),
    "half a body": (QUERY[:-3].encode(), 400, "BAD_USER_INPUT"),
    "invalid UTF-8": (b'{"query": "\xff"}', 400, "BAD_USER_INPUT"),
    "UTF-16": (QUERY.encode("utf-16"), 400, "BAD_USER_INPUT"),
    "NaN": (b'{"query": "{ __typename }", "variables": {"x": NaN}}', 400, "BAD_USER_INPUT"),
    "a number too long": (b'{"query": "x", "variables": {"x": ' + b"9" * 5000 + b"}}", 400, "BAD_USER_INPUT"),
    "deep arrays": (b"[" * 200_000, 400, "BAD_USER_INPUT"),
    "deep objects": (b'{"query": "x", "variables": ' + b'{"a":' * 100_000, 400, "BAD_USER_INPUT"),
    "too large": (b'{"query": "' + b"x" * JSON_LIMIT_BYTES + b'"}', 413, "PAYLOAD_TOO_LARGE"),
}


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is nothing but one error."""
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert error["message"]
    return response.status_code, error["extensions"]["code"]


async def test_a_query_is_answered(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", content=QUERY, headers=JSON_TYPE)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json() == TYPENAME


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_refused_with_a_code(http: httpx.AsyncClient, name: str) -> None:
    body, status, code = BAD_BODIES[name]

    response = await http.post("/graphql", content=body, headers=JSON_TYPE)

    assert refusal(response) == (status, code)


async def test_a_body_without_a_length_is_counted_while_it_arrives(http: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 65_536

    response = await http.post("/graphql", content=endless(), headers=JSON_TYPE)

    assert refusal(response) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/graphql"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "not a type at all;;;="},
    ],
)
async def test_other_kinds_of_bodies_are_refused(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    body = gzip.compress(QUERY.encode()) if "content-encoding" in headers else QUERY.encode()

    response = await http.post("/graphql", content=body, headers=headers)

    assert refusal(response) == (415, "BAD_USER_INPUT")


async def test_compressed_bytes_that_claim_to_be_json_are_refused(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", content=gzip.compress(QUERY.encode()), headers=JSON_TYPE)

    assert refusal(response) == (400, "BAD_USER_INPUT")


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    body=strategies.one_of(
        strategies.binary(max_size=300),
        strategies.recursive(
            strategies.none() | strategies.booleans() | strategies.floats() | strategies.text(),
            lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
        ).map(lambda value: json.dumps(value).encode()),
        strategies.fixed_dictionaries(
            {"query": strategies.text()},
            optional={"variables": strategies.dictionaries(strategies.text(), strategies.text()) | strategies.none()},
        ).map(lambda value: json.dumps(value).encode()),
    )
)
async def test_no_body_makes_the_server_fail(http: httpx.AsyncClient, body: bytes) -> None:
    response = await http.post("/graphql", content=body, headers={**JSON_TYPE, "accept": GRAPHQL_JSON})

    assert response.status_code in {200, 400}
    assert "INTERNAL_SERVER_ERROR" not in response.text


async def test_a_query_may_come_by_get(http: httpx.AsyncClient) -> None:
    parameters = {
        "query": "query A { a: __typename } query B($if: Boolean!) { b: __typename @include(if: $if) }",
        "operationName": "B",
        "variables": '{"if": true}',
    }

    response = await http.get("/graphql", params=parameters)

    assert response.json() == {"data": {"b": "Query"}}


@pytest.mark.parametrize("parameters", [{}, {"query": ""}, {"query": "{ __typename }", "variables": "{"}])
async def test_an_address_without_a_usable_query_is_refused(
    http: httpx.AsyncClient, parameters: dict[str, str]
) -> None:
    response = await http.get("/graphql", params=parameters)

    assert refusal(response) == (400, "BAD_USER_INPUT")


async def test_a_mutation_by_get_is_refused(http: httpx.AsyncClient) -> None:
    mutation = 'mutation { cancelImport(input: {id: "x"}) { userErrors { message } } }'

    response = await http.get("/graphql", params={"query": mutation})

    assert refusal(response) == (405, "BAD_USER_INPUT")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(http: httpx.AsyncClient, method: str) -> None:
    response = await http.request(method, "/graphql")

    assert refusal(response) == (405, "BAD_USER_INPUT")


async def test_an_unknown_address_is_not_found(http: httpx.AsyncClient) -> None:
    assert refusal(await http.get("/graphqll")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
@pytest.mark.parametrize(("accept", "status"), [(GRAPHQL_JSON, 400), ("application/json", 200)])
async def test_the_accepted_type_decides_the_status_of_what_cannot_run(
    http: httpx.AsyncClient, document: str, code: str, accept: str, status: int
) -> None:
    response = await http.post("/graphql", json={"query": document}, headers={"accept": accept})

    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.status_code == status
    assert "data" not in response.json()
    assert response.json()["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("application/json", "application/json"),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, application/json", GRAPHQL_JSON),
        (f"application/json, {GRAPHQL_JSON}", "application/json"),
        (f"application/json;q=0.5, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0, */*;q=0.1", "application/json"),
        (f"{GRAPHQL_JSON};q=high", "application/json"),
        (EVENT_STREAM, EVENT_STREAM),
        (f"{EVENT_STREAM}, application/json", EVENT_STREAM),
        (f"application/json, {EVENT_STREAM}", "application/json"),
        (f"{EVENT_STREAM};q=0.9, */*", "application/json"),
        ("text/*", "application/json"),
    ],
)
def test_the_accept_header_picks_the_type(accept: str, expected: str) -> None:
    assert answer_type(accept) == expected


async def test_a_browser_gets_a_page_and_the_start_page_leads_to_it(http: httpx.AsyncClient) -> None:
    response = await http.get("/", headers={"accept": "text/html"}, follow_redirects=True)

    assert response.url.path == "/graphql"
    assert response.headers["content-type"].startswith("text/html")


async def test_every_answer_has_security_headers_and_a_request_id(http: httpx.AsyncClient) -> None:
    for response in (await http.post("/graphql", content=QUERY, headers=JSON_TYPE), await http.get("/nowhere")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        assert len(response.headers["x-request-id"]) == 16


@pytest.mark.parametrize(("given_id", "is_kept"), [("trace-1.2:3_x", True), ("a b", False), ("x" * 65, False)])
async def test_a_usable_request_id_is_kept(http: httpx.AsyncClient, given_id: str, is_kept: bool) -> None:  # noqa: FBT001 - a parameter of the table
    response = await http.post("/graphql", content=QUERY, headers={**JSON_TYPE, "x-request-id": given_id})

    assert (response.headers["x-request-id"] == given_id) is is_kept


async def test_a_fault_is_hidden_behind_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    async def faulty(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("the password is 1234")

    transport = httpx.ASGITransport(app=RequestBoundary(faulty))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.get("/", headers={"x-request-id": "trace-7"})

    assert refusal(response) == (500, "INTERNAL_SERVER_ERROR")
    assert response.json()["errors"][0]["extensions"]["requestId"] == "trace-7"
    assert "1234" not in response.text
    assert "trace-7" in caplog.text
    assert "1234" in caplog.text


PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,graphql-require-preflight,last-event-id",
}


async def test_other_origins_are_not_allowed_by_default(http: httpx.AsyncClient) -> None:
    origin = {"origin": "https://shop.example"}

    preflight = await http.options("/graphql", headers={**origin, **PREFLIGHT})
    response = await http.post("/graphql", content=QUERY, headers={**JSON_TYPE, **origin})

    assert preflight.status_code == 405
    assert not any(name.startswith("access-control") for name in (*preflight.headers, *response.headers))


@pytest.mark.parametrize(("origin", "is_allowed"), [("https://shop.example", True), ("https://evil.example", False)])
async def test_only_the_origins_of_the_settings_are_allowed(
    settings: Settings,
    origin: str,
    is_allowed: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    app = create_app(settings.model_copy(update={"cors_origins": ("https://shop.example",)}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client,
    ):
        preflight = await client.options("/graphql", headers={"origin": origin, **PREFLIGHT})

    assert (preflight.headers.get("access-control-allow-origin") == origin) is is_allowed
    assert (preflight.status_code == 200) is is_allowed


async def test_a_page_that_points_its_name_here_does_not_get_in(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": "{ __typename }"}, headers={"host": "attacker.example"})
    assert response.status_code == 400
    assert "data" not in response.text


def test_every_expected_failure_has_a_status() -> None:
    assert SERVICE_STATUSES.keys() == set(ErrorCode)
