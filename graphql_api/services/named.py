"""What vendors and categories have in common: a name, a number where there is one, and whether they are in use."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import select
from sqlmodel import col

from graphql_api.database.category import CategoryRow
from graphql_api.database.vendor import VendorRow
from graphql_api.services.checks import MAX_INTEGER, one_line, whole
from graphql_api.services.editing import Noun, Property, change_row, check_version, create_row, locked_row
from graphql_api.services.errors import Conflict, NotFound
from graphql_api.services.filters import column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.place import named_or_numbered
from graphql_api.services.unit_of_work import UnitOfWork

MAX_NAME = 200

NamedRow = TypeVar("NamedRow", VendorRow, CategoryRow)


def named_listing(kind: type[NamedRow]) -> Listing[NamedRow]:
    """How a noun with a name and a number is listed."""
    name, number = col(kind.name), col(kind.number)
    return Listing(
        statement=select(kind),
        key=col(kind.id),
        fields={
            "id": column_filter(col(kind.id)),
            "number": column_filter(number),
            "name": column_filter(name),
            "isActive": column_filter(col(kind.is_active)),
        },
        sorts={"NAME": name, "NUMBER": number},
        default=[Sort("NAME")],
        search=lambda text: named_or_numbered(name, number, text),
    )


def named_noun(
    name: str, kind: type[NamedRow], unknown: NotFound, numbered: Conflict, unnumbered: Conflict
) -> Noun[Any]:
    """How a noun with a name and a number is changed.

    Args:
        name: its GraphQL type.
        kind: its table.
        unknown: says that there is none of an id.
        numbered: says that another one has the number.
        unnumbered: says that another one without a number has the name.
    """
    table = kind.__tablename__
    return Noun(
        name,
        kind,
        properties={
            "number": Property("number", whole(0, MAX_INTEGER)),
            "name": Property("name", one_line(MAX_NAME), is_needed=True),
            "isActive": Property("is_active", is_needed=True),
        },
        unknown=unknown,
        violations={f"uq_{table}_number": numbered, f"uq_{table}_name_unnumbered": unnumbered},
    )


async def create_named(work: UnitOfWork, noun: Noun[Any], values: Mapping[str, Any]) -> Any:
    """A new vendor or category.

    Raises:
        BadInput, Conflict: with the path to the property.
    """
    return await create_row(work, noun, values)


async def update_named(
    work: UnitOfWork, noun: Noun[Any], key: int, expected_version: int, patch: Mapping[str, Any]
) -> Any:
    """Change the properties in `patch`, and no other. Products keep what is archived; they just cannot get it anew.

    Raises:
        NotFound: there is none of this key.
        Conflict: it is not in `expected_version` any more, or another one has the number or name.
        BadInput: with the path to the property.
    """
    row = await locked_row(work.session, noun, key)
    check_version(row, expected_version)
    return await change_row(work, noun, row, patch)
