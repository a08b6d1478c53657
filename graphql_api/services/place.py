"""Counties, cities and zips."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.imports.values import TextTooLong, ValueProblem, clean_place_name, clean_zip
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import Column, FilterField, column_filter, escape_like
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.reading import rows_by_id
from graphql_api.services.relations import optional_related_filter

MAX_INTEGER = 2**31 - 1


def canonical_name(text: str) -> str:
    """A city or county as it is stored: trimmed, single spaces, upper case."""
    return _canonical(text, clean_place_name)


def canonical_zip(text: str) -> str:
    """A zip as it is stored: `52726.0` is 52726."""
    return _canonical(text, clean_zip)


def _canonical(text: str, clean: Callable[[str], str]) -> str:
    try:
        return clean(text)
    except TextTooLong as problem:
        raise BadInput("Shorten the text to {limit} characters.", limit=problem.limit) from None
    except ValueProblem:
        raise BadInput("Remove the control characters from the text.") from None


def resembles(column: Column, text: str) -> ColumnElement[bool]:
    """Whether `text` occurs in the column, whatever the case."""
    return column.ilike(f"%{escape_like(text)}%", escape="\\")


def named_or_numbered(name: Column, number: Column, text: str) -> ColumnElement[bool]:
    """Whether `text` occurs in the name or is the number."""
    if text.isascii() and text.isdigit() and int(text[:11]) <= MAX_INTEGER:
        return or_(resembles(name, text), number == int(text))
    return resembles(name, text)


_counties = select(col(CountyRow.id))
FIELDS: Mapping[str, FilterField] = {
    "city": column_filter(col(PlaceRow.city), canonical_name),
    "zip": column_filter(col(PlaceRow.zip_code), canonical_zip),
    "county": optional_related_filter(
        col(PlaceRow.county_id), _counties, column_filter(col(CountyRow.name), canonical_name)
    ),
    "countyNumber": optional_related_filter(col(PlaceRow.county_id), _counties, column_filter(col(CountyRow.number))),
}
"""Filters of a place; sales and stores are filtered by the places that match."""

COUNTY_FIELDS: Mapping[str, FilterField] = {
    "name": column_filter(col(CountyRow.name), canonical_name),
    "number": column_filter(col(CountyRow.number)),
}
COUNTIES: Listing[CountyRow] = Listing(
    statement=select(CountyRow),
    key=col(CountyRow.id),
    fields=COUNTY_FIELDS,
    sorts={"NAME": col(CountyRow.name), "NUMBER": col(CountyRow.number)},
    default=[Sort("NAME")],
    search=lambda text: named_or_numbered(col(CountyRow.name), col(CountyRow.number), text),
)
CITIES: Listing[str] = Listing(
    statement=select(col(PlaceRow.city)).where(col(PlaceRow.city).is_not(None)).distinct(),
    key=col(PlaceRow.city),
    fields={"name": FIELDS["city"], **FIELDS},
    sorts={"NAME": col(PlaceRow.city)},
    default=[Sort("NAME")],
    search=lambda text: resembles(col(PlaceRow.city), text),
)


async def counties_by_id(session: AsyncSession, ids: Sequence[int]) -> list[CountyRow | None]:
    """The counties with these ids, in the order of the ids."""
    return await rows_by_id(session, CountyRow, ids)


async def places_by_id(session: AsyncSession, ids: Sequence[int]) -> list[PlaceRow | None]:
    """The places with these ids, in the order of the ids."""
    return await rows_by_id(session, PlaceRow, ids)


async def places_by_city(session: AsyncSession, cities: Sequence[str]) -> list[list[PlaceRow]]:
    """The places of each of these cities, by zip."""
    by_zip = (col(PlaceRow.zip_code), col(PlaceRow.id))
    found = await session.scalars(select(PlaceRow).where(col(PlaceRow.city).in_(cities)).order_by(*by_zip))
    places: dict[str | None, list[PlaceRow]] = {city: [] for city in cities}
    for place in found:
        places[place.city].append(place)
    return [places[city] for city in cities]
