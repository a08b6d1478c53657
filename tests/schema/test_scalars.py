import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.schema.permissions import Policy
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.scalars import (
    MAX_SAFE_INTEGER,
    BigInt,
    Cursor,
    cents_to_decimal,
    format_big_integer,
    millilitres_to_litres,
    parse_decimal,
)
from tests.client import Response


@strawberry.type
class Echo:
    @strawberry.field
    def decimal(self, value: Decimal) -> Decimal:
        return value

    @strawberry.field
    def day(self, value: dt.date) -> dt.date:
        return value

    @strawberry.field
    def instant(self, value: dt.datetime) -> dt.datetime:
        return value

    @strawberry.field
    def number(self, value: BigInt) -> BigInt:
        return value

    @strawberry.field
    def cursor(self, value: Cursor) -> Cursor:
        return value

    @strawberry.field
    def text(self, value: str) -> str:
        return value

    @strawberry.field
    def ids(self, value: list[strawberry.ID]) -> int:
        return len(value)


ECHO = ApiSchema(query=Echo, policy=Policy(fields={}, inputs={}))
TYPES = {
    "decimal": "Decimal!",
    "day": "Date!",
    "instant": "DateTime!",
    "number": "BigInt!",
    "cursor": "Cursor!",
    "text": "String!",
    "ids": "[ID!]!",
}


class Anybody:
    """Whoever asks may."""

    def check(self, policy: Policy, field_name: str) -> None:
        pass


async def run(document: str, variables: dict[str, Any] | None = None) -> Response:
    result = await ECHO.execute(document, variable_values=variables, context_value=Anybody())
    return Response(result.data, [dict(error.formatted) for error in result.errors or ()])


async def echo_both_ways(field: str, value: Any) -> list[Response]:
    """The value once as a literal and once as a variable."""
    literal = await run(f"{{ {field}(value: {json.dumps(value)}) }}")
    variable = await run(f"query ($value: {TYPES[field]}) {{ {field}(value: $value) }}", {"value": value})
    return [literal, variable]


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("decimal", "12.34", "12.34"),
        ("decimal", "-0.10", "-0.10"),
        ("decimal", "1e3", "1000"),
        ("decimal", 5, "5"),
        ("decimal", 12.5, "12.5"),
        ("decimal", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("day", "2024-02-29", "2024-02-29"),
        ("instant", "2024-03-15T12:00:00Z", "2024-03-15T12:00:00Z"),
        ("instant", "2024-03-15t12:00:00.5+02:00", "2024-03-15T10:00:00.500000Z"),
        ("number", MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        ("number", -5_000_000_000, -5_000_000_000),
        ("cursor", "abc", "abc"),
        ("text", "ünïcödé 😀", "ünïcödé 😀"),
    ],
)
async def test_good_values_come_back(field: str, value: Any, shown: Any) -> None:
    for response in await echo_both_ways(field, value):
        assert response.errors == []
        assert response.data == {field: shown}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decimal", "NaN"),
        ("decimal", "Infinity"),
        ("decimal", "1_000"),
        ("decimal", " 1"),
        ("decimal", "\N{ARABIC-INDIC DIGIT ONE}"),
        ("decimal", ""),
        ("decimal", True),
        ("decimal", [1]),
        ("decimal", "1e999"),
        ("decimal", "9" * 31),
        ("decimal", "9" * 5_000),
        ("day", "2024-02-30"),
        ("day", "20240229"),
        ("day", "2024-W01-1"),
        ("day", "0000-01-01"),
        ("day", 20240229),
        ("instant", "2024-03-15T12:00:00"),
        ("instant", "2024-03-15"),
        ("instant", "0001-01-01T00:00:00+23:00"),
        ("instant", "2024-03-15T25:00:00Z"),
        ("number", MAX_SAFE_INTEGER + 1),
        ("number", 1.5),
        ("number", "1"),
        ("number", True),
        ("cursor", 5),
        ("text", "a\x00b"),
        ("ids", ["ok", "a\x00b"]),
    ],
)
async def test_bad_values_are_bad_input(field: str, value: Any) -> None:
    for response in await echo_both_ways(field, value):
        assert response.data is None
        assert response.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_a_json_reader_that_lets_nan_through_is_no_way_in(value: float) -> None:
    response = await run("query ($value: Decimal!) { decimal(value: $value) }", {"value": value})

    assert response.codes == ["BAD_USER_INPUT"]


async def test_half_a_surrogate_pair_is_refused_with_its_place() -> None:
    response = await run("query ($value: [ID!]!) { ids(value: $value) }", {"value": ["ok", "\ud800"]})

    assert response.codes == ["BAD_USER_INPUT"]
    assert response.errors[0]["extensions"]["argumentPath"] == ["value", "1"]


async def test_a_literal_keeps_every_digit() -> None:
    response = await run("{ decimal(value: 0.1234567890123456789012345678) }")

    assert response.data == {"decimal": "0.1234567890123456789012345678"}


@given(st.text(max_size=40))
def test_any_text_is_a_decimal_or_refused(text: str) -> None:
    try:
        number = parse_decimal(text)
    except ValueError:
        return
    assert number.is_finite()


@given(st.integers(-(10**18), 10**18))
def test_cents_are_exact(cents: int) -> None:
    assert cents_to_decimal(cents) * 100 == cents
    assert f"{cents_to_decimal(cents):f}"[-3] == "."


def test_volumes_have_three_digits() -> None:
    assert format(millilitres_to_litres(750), "f") == "0.750"


def test_a_sum_that_json_would_round_is_never_sent() -> None:
    with pytest.raises(Exception, match="whole number"):
        format_big_integer(MAX_SAFE_INTEGER + 1)
