"""Files of stores: one row a store. Past sales keep the place in which they were made."""

from collections.abc import Sequence
from typing import Any, cast

import asyncpg

from graphql_api.imports.layout import Field
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.master_data import Facts, MasterTable
from graphql_api.imports.names import resolve_names
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.resolver import find_or_make_places
from graphql_api.imports.row_loader import RowLoader, Written
from graphql_api.imports.rows import FileRows

TABLE = MasterTable(
    name="store",
    key="number",
    types={
        "number": "int",
        "name": "text",
        "address": "text",
        "place_id": "bigint",
        "latitude": "numeric",
        "longitude": "numeric",
        "is_active": "boolean",
    },
    shown={
        "name": "name",
        "address": "address",
        "place_id": "city, zip code or county",
        "latitude": "location",
        "longitude": "location",
        "is_active": "activity",
    },
    needed={"name": Field.STORE_NAME},
    conflict=RejectCode.STORE_CONFLICT,
    blamed=Field.STORE_NUMBER,
)
FIELDS = {
    "number": Field.STORE_NUMBER,
    "name": Field.STORE_NAME,
    "address": Field.ADDRESS,
    "is_active": Field.IS_ACTIVE,
}
PRESENT_PLACES = """
SELECT s.number, p.city, p.zip_code, p.county_id FROM store s JOIN place p ON p.id = s.place_id
WHERE s.number = ANY($1) FOR NO KEY UPDATE OF s
"""


# City, zip code and county id.
Place = tuple[str | None, str | None, int | None]
NOWHERE: Place = (None, None, None)


async def _write(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], options: LoadOptions
) -> Written:
    facts: Facts = {column: rows.chosen(field, chosen) for column, field in FIELDS.items()}
    facts["latitude"], facts["longitude"] = _positions(rows, chosen)
    facts["place_id"] = await _place_ids(connection, rows, chosen, options)
    return await TABLE.write(connection, rows, chosen, facts, options)


def _positions(rows: FileRows, chosen: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Latitude and longitude of each row: columns of their own count before the location as one text."""
    located = [location or (None, None) for location in rows.chosen(Field.LOCATION, chosen)]
    own = rows.chosen(Field.LATITUDE, chosen), rows.chosen(Field.LONGITUDE, chosen)
    latitudes = [north if north is not None else pair[0] for north, pair in zip(own[0], located, strict=True)]
    longitudes = [east if east is not None else pair[1] for east, pair in zip(own[1], located, strict=True)]
    return latitudes, longitudes


async def _place_ids(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], options: LoadOptions
) -> list[int]:
    """Where each store stands: what the row gives, and for the rest what is known of it."""
    numbers = rows.chosen(Field.STORE_NUMBER, chosen)
    present: dict[int, Place] = {
        record["number"]: (record["city"], record["zip_code"], record["county_id"])
        for record in await connection.fetch(PRESENT_PLACES, numbers)
    }
    counties = list(zip(rows.chosen(Field.COUNTY_NUMBER, chosen), rows.chosen(Field.COUNTY_NAME, chosen), strict=True))
    county_ids = await resolve_names(connection, "county", counties, options.import_id)
    cities, zip_codes = rows.chosen(Field.CITY, chosen), rows.chosen(Field.ZIP_CODE, chosen)
    given = zip(cities, zip_codes, (county_ids[county] for county in counties), strict=True)
    places = [_merged(place, present.get(number, NOWHERE)) for number, place in zip(numbers, given, strict=True)]
    return await find_or_make_places(connection, places, options.import_id)


def _merged(new: Place, old: Place) -> Place:
    """What is given, and for the rest what is known."""
    city, zip_code, county_id = (old[part] if given is None else given for part, given in enumerate(new))
    return cast("Place", (city, zip_code, county_id))


def _keys(rows: FileRows) -> list[str]:
    return [str(number) for number in rows.values(Field.STORE_NUMBER)]


STORE_ROWS = RowLoader("store", Field.STORE_NUMBER, _keys, _write)
