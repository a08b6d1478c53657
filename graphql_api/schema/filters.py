"""Operators that filters share, and the way from an input object to the mapping the services read."""

import datetime as dt
from collections.abc import Hashable
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple, cast

import strawberry
from strawberry import UNSET
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from graphql_api.database.invoice import InvoiceStatus
from graphql_api.schema.enums import describe
from graphql_api.schema.node import key_of
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import Where

EQUAL = "Equal to this value."
ONE_OF = "Equal to one of these values, at most 1,000; an empty list matches nothing."
GREATER = "Greater than this value."
AT_LEAST = "This value or more."
LESS = "Less than this value."
AT_MOST = "This value or less."
UNKNOWN = "true: only rows where the value is unknown; false: only rows where it is known."
ALL_OF = "All of these filters must match. Filters nest at most 10 deep and have at most 200 conditions."
ANY_OF = "At least one of these filters must match; an empty list matches nothing."
NONE_OF = "This filter must not match; rows whose value is unknown are kept."

NODE = "node"


def operator(description: str, name: str | None = None) -> Any:
    """An operator or a field of a filter that may be left out."""
    return strawberry.field(default=UNSET, description=description, name=name)


def id_filter(type_name: str, description: str) -> Any:
    """A field of a filter that takes ids of one type."""
    return strawberry.field(default=UNSET, description=description, metadata={NODE: type_name})


@strawberry.input(description='Conditions on a text; all given ones must hold, as in {contains: "ale"}.')
class StringFilter:
    """Conditions on a text."""

    eq: str | None = operator(EQUAL)
    in_: list[str] | None = operator(ONE_OF, name="in")
    contains: str | None = operator("Has this text somewhere in it; upper and lower case are the same.")
    starts_with: str | None = operator("Begins with this text; upper and lower case are the same.")
    is_null: bool | None = operator(UNKNOWN)


@strawberry.input(description="Conditions on a whole number; all given ones must hold.")
class IntFilter:
    """Conditions on a whole number."""

    eq: int | None = operator(EQUAL)
    in_: list[int] | None = operator(ONE_OF, name="in")
    gt: int | None = operator(GREATER)
    gte: int | None = operator(AT_LEAST)
    lt: int | None = operator(LESS)
    lte: int | None = operator(AT_MOST)
    is_null: bool | None = operator(UNKNOWN)


@strawberry.input(description="Conditions on an amount of money; at most two digits after the point.")
class MoneyFilter:
    """Conditions on an amount of money."""

    eq: Decimal | None = operator(EQUAL)
    in_: list[Decimal] | None = operator(ONE_OF, name="in")
    gt: Decimal | None = operator(GREATER)
    gte: Decimal | None = operator(AT_LEAST)
    lt: Decimal | None = operator(LESS)
    lte: Decimal | None = operator(AT_MOST)
    is_null: bool | None = operator(UNKNOWN)


@strawberry.input(description='Conditions on a day, as in {gte: "2024-01-01", lt: "2025-01-01"} for the year 2024.')
class DateFilter:
    """Conditions on a day."""

    eq: dt.date | None = operator(EQUAL)
    in_: list[dt.date] | None = operator(ONE_OF, name="in")
    gt: dt.date | None = operator("After this day.")
    gte: dt.date | None = operator("On this day or later.")
    lt: dt.date | None = operator("Before this day.")
    lte: dt.date | None = operator("On this day or earlier.")


@strawberry.input(description="Conditions on an id.")
class IdFilter:
    """Conditions on an id."""

    eq: strawberry.ID | None = operator(EQUAL)
    in_: list[strawberry.ID] | None = operator(ONE_OF, name="in")


describe(
    InvoiceStatus,
    "How far an invoice has come.",
    {
        "DRAFT": "Being written; counts in no report.",
        "ISSUED": "Sent to the customer, not yet paid.",
        "PAID": "Paid in full. Imported sales are paid.",
        "VOID": "Taken back; counts in no report.",
    },
)


@strawberry.input(description="Conditions on a yes or no.")
class BooleanFilter:
    """Conditions on a yes or no."""

    eq: bool | None = operator(EQUAL)


@strawberry.input(description="Conditions on the status of an invoice.")
class InvoiceStatusFilter:
    """Conditions on the status of an invoice."""

    eq: InvoiceStatus | None = operator(EQUAL)
    in_: list[InvoiceStatus] | None = operator(ONE_OF, name="in")


class _InputField(NamedTuple):
    python_name: str
    graphql_name: str
    node: str | None


@cache
def _input_fields(kind: Any) -> tuple[_InputField, ...]:
    definition: StrawberryObjectDefinition | None = get_object_definition(kind)
    return tuple(_input_field(field) for field in definition.fields) if definition else ()


def _input_field(field: StrawberryField) -> _InputField:
    name = field.graphql_name or to_camel_case(field.python_name)
    return _InputField(field.python_name, name, field.metadata.get(NODE))


def to_where(value: Any, argument: str = "where") -> Where:
    """A filter input as the services read it: GraphQL names, absent fields left out, nulls kept, ids as keys.

    Raises:
        BadInput: for an id of another type, with the path to it, beginning with `argument`.
    """
    if value is None or value is UNSET:
        return {}
    try:
        return _where(value)
    except BadInput as error:
        raise error.below(argument) from None


def _where(value: Any) -> Where:
    fields = _input_fields(cast("Hashable", type(value)))
    given = ((field, getattr(value, field.python_name)) for field in fields)
    return {field.graphql_name: _convert(item, field) for field, item in given if item is not UNSET}


def _convert(given: Any, field: _InputField) -> Any:
    if isinstance(given, list):
        return [_convert(item, field) for item in given]
    if get_object_definition(type(given)) is None:
        return given
    try:
        where = _where(given)
        return where if field.node is None else {name: _keys(value, field.node) for name, value in where.items()}
    except BadInput as error:
        raise error.below(field.graphql_name) from None


def _keys(value: Any, type_name: str) -> Any:
    if isinstance(value, list):
        return [key_of(item, type_name, "in") for item in value]
    return None if value is None else key_of(value, type_name, "eq")
