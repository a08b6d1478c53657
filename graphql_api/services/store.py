"""Stores: finding them by number, name, place or distance."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, Float, Numeric, and_, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.place import PlaceRow
from graphql_api.database.store import StoreRow
from graphql_api.services import place
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import FilterField, Operators, column_filter, related_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.reading import rows_by_id

EARTH_KILOMETERS = 6371
# The smallest length of one degree of latitude, rounded down, so that the box never cuts the circle.
KILOMETERS_PER_DEGREE = 110
MAX_KILOMETERS = 1_000
MAX_LATITUDE = 90
MAX_LONGITUDE = 180


def near(point: Operators) -> ColumnElement[bool]:
    """Whether a store is within `kilometers` of `latitude` and `longitude` (WGS 84, as the crow flies).

    Raises:
        BadInput: for a point that is not on earth or a distance outside 0 to 1,000 km.
    """
    latitude = _within(point, "latitude", -MAX_LATITUDE, MAX_LATITUDE)
    longitude = _within(point, "longitude", -MAX_LONGITUDE, MAX_LONGITUDE)
    kilometers = _within(point, "kilometers", 0, MAX_KILOMETERS)
    return and_(_in_box(latitude, kilometers), _distance(latitude, longitude) <= float(kilometers))


def _within(point: Operators, name: str, least: int, most: int) -> Decimal:
    value = point.get(name)
    if value is None or not least <= value <= most:
        raise BadInput("`{name}` goes from {least} to {most}.", path=(name,), name=name, least=least, most=most)
    return Decimal(value)


def _in_box(latitude: Decimal, kilometers: Decimal) -> ColumnElement[bool]:
    """The band of latitudes around the circle: cheap, and it spares most stores the trigonometry."""
    reach = kilometers / KILOMETERS_PER_DEGREE
    bounds = (literal(latitude - reach, Numeric), literal(latitude + reach, Numeric))
    return col(StoreRow.latitude).between(*bounds)


def _distance(latitude: Decimal, longitude: Decimal) -> ColumnElement[float]:
    """Kilometers along a great circle (haversine)."""
    here, there = func.radians(float(latitude)), func.radians(cast(col(StoreRow.latitude), Float))
    turn = func.radians(cast(col(StoreRow.longitude), Float)) - func.radians(float(longitude))
    across = func.cos(here) * func.cos(there) * func.power(func.sin(turn / 2), 2)
    half = func.power(func.sin((there - here) / 2), 2) + across
    return 2 * EARTH_KILOMETERS * func.asin(func.least(1.0, func.sqrt(half)))


_places = select(col(PlaceRow.id))
FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(StoreRow.id)),
    "number": column_filter(col(StoreRow.number)),
    "name": column_filter(col(StoreRow.name)),
    "isActive": column_filter(col(StoreRow.is_active)),
    "near": near,
    **{name: related_filter(col(StoreRow.place_id), _places, field) for name, field in place.FIELDS.items()},
}
"""Filters of a store; city, zip and county are those of its present place."""

STORES: Listing[StoreRow] = Listing(
    statement=select(StoreRow),
    key=col(StoreRow.id),
    fields=FIELDS,
    sorts={"NAME": col(StoreRow.name), "NUMBER": col(StoreRow.number)},
    default=[Sort("NAME")],
    search=lambda text: place.named_or_numbered(col(StoreRow.name), col(StoreRow.number), text),
)


async def stores_by_id(session: AsyncSession, ids: Sequence[int]) -> list[StoreRow | None]:
    """The stores with these ids, in the order of the ids."""
    return await rows_by_id(session, StoreRow, ids)


async def store_by_number(session: AsyncSession, number: int) -> StoreRow | None:
    """The store with this number."""
    return await session.scalar(select(StoreRow).where(col(StoreRow.number) == number))
