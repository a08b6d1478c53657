"""Scalars on the wire, and the conversions between stored integers and what clients see."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NewType

import strawberry
from graphql import FloatValueNode, IntValueNode, StringValueNode, ValueNode
from strawberry.types.scalar import ScalarDefinition

Cursor = NewType("Cursor", str)
BigInt = NewType("BigInt", int)

MAX_DIGITS = 30
MAX_SAFE_INTEGER = 2**53 - 1
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def cents_to_decimal(cents: int) -> Decimal:
    """An exact amount with two digits: 1234 cents are 12.34."""
    return Decimal(cents).scaleb(-2)


def optional_cents(cents: int | None) -> Decimal | None:
    """`cents_to_decimal`, or None when the amount is not known."""
    return None if cents is None else cents_to_decimal(cents)


def millilitres_to_litres(millilitres: int) -> Decimal:
    """An exact volume with three digits: 750 ml are 0.750 litres."""
    return Decimal(millilitres).scaleb(-3)


def _literal(parse: Callable[[Any], Any], *kinds: type[ValueNode]) -> Callable[..., Any]:
    """Read a literal of one of these kinds as the text that was written, so that no digit is lost."""

    def parse_literal(node: ValueNode, _variables: Any = None) -> Any:
        return parse(getattr(node, "value", None) if isinstance(node, kinds) else None)

    return parse_literal


def parse_decimal(value: Any) -> Decimal:
    """An exact number of at most 30 digits from a string or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError('Write a decimal number as a string, as in "12.34".')
    text = str(value)
    if len(text) > 2 * MAX_DIGITS or not NUMBER.fullmatch(text):
        raise ValueError('This is not a decimal number. Write it as in "12.34".')
    number = Decimal(text)
    if len(number.as_tuple().digits) > MAX_DIGITS or abs(number.adjusted()) > MAX_DIGITS:
        raise ValueError(f"A decimal number has at most {MAX_DIGITS} digits.")
    return number


def parse_date(value: Any) -> dt.date:
    """A day written as in `2024-03-15`."""
    if not isinstance(value, str) or not DATE.fullmatch(value):
        raise ValueError('Write a date as in "2024-03-15".')
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError("There is no such day in the calendar.") from None


def parse_instant(value: Any) -> dt.datetime:
    """An instant with its offset, brought to UTC."""
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise ValueError('Write an instant with its offset, as in "2024-03-15T12:00:00Z".')
    try:
        return dt.datetime.fromisoformat(value.upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such instant.") from None


def format_instant(value: dt.datetime) -> str:
    """The instant in UTC, ending in Z."""
    return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def parse_big_integer(value: Any) -> int:
    """A whole number that every JSON reader keeps exactly."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_SAFE_INTEGER:
        raise ValueError(f"Write a whole number between -{MAX_SAFE_INTEGER} and {MAX_SAFE_INTEGER}.")
    return value


def format_big_integer(value: int) -> int:
    """The number itself, refused when JSON readers would round it."""
    return parse_big_integer(value)


def _parse_big_integer_literal(node: ValueNode, _variables: Any = None) -> int:
    if not isinstance(node, IntValueNode) or len(node.value) > MAX_DIGITS:
        raise ValueError("Write a whole number, without quotes.")
    return parse_big_integer(int(node.value))


def parse_cursor(value: Any) -> str:
    """Any text; its content is the business of the list it came from."""
    if not isinstance(value, str):
        raise TypeError("Pass a cursor as the text it was given as.")
    return value


SCALARS: Mapping[object, ScalarDefinition] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description=(
            'An exact decimal number, sent as a string such as "12.34". Input may also be a number of at '
            "most 30 digits; write amounts as strings where your JSON library rounds. NaN and Infinity are refused."
        ),
        specified_by_url="https://www.w3.org/TR/xmlschema-2/#decimal",
        serialize=lambda number: format(number, "f"),
        parse_value=parse_decimal,
        parse_literal=_literal(parse_decimal, StringValueNode, IntValueNode, FloatValueNode),
    ),
    dt.date: strawberry.scalar(
        name="Date",
        description='A day in the calendar without time or zone, such as "2024-03-15".',
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
        serialize=dt.date.isoformat,
        parse_value=parse_date,
        parse_literal=_literal(parse_date, StringValueNode),
    ),
    dt.datetime: strawberry.scalar(
        name="DateTime",
        description='An instant, always sent in UTC, such as "2024-03-15T12:00:00Z". Input needs an offset.',
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
        serialize=format_instant,
        parse_value=parse_instant,
        parse_literal=_literal(parse_instant, StringValueNode),
    ),
    Cursor: strawberry.scalar(
        name="Cursor",
        description=(
            "A place in a list, to be passed back unchanged as `after` or `before`. It is bound to the order "
            "of the list and stays valid when rows are added or removed."
        ),
        specified_by_url="https://relay.dev/graphql/connections.htm#sec-Cursor",
        serialize=str,
        parse_value=parse_cursor,
        parse_literal=_literal(parse_cursor, StringValueNode),
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="A whole number up to ±9,007,199,254,740,991, sent as a JSON number; sums do not fit Int.",
        specified_by_url="https://tc39.es/ecma262/#sec-number.max_safe_integer",
        serialize=format_big_integer,
        parse_value=parse_big_integer,
        parse_literal=_parse_big_integer_literal,
    ),
}
