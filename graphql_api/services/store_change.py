"""Changing stores. One that moves sells at its new place from then on; its old sales stay at the old one."""

from collections.abc import Mapping
from typing import Any

from graphql_api.database.store import StoreRow
from graphql_api.services.checks import MAX_INTEGER, degrees, one_line, optional_text, whole
from graphql_api.services.editing import Noun, Property, change_row, check_version, create_row, locked_row
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.store import MAX_LATITUDE, MAX_LONGITUDE
from graphql_api.services.store_place import PLACE_PROPERTIES, move_to
from graphql_api.services.unit_of_work import UnitOfWork

MAX_NAME = 200
MAX_ADDRESS = 500

STORE = Noun(
    "Store",
    StoreRow,
    properties={
        "number": Property("number", whole(1, MAX_INTEGER), is_needed=True),
        "name": Property("name", one_line(MAX_NAME), is_needed=True),
        "address": Property("address", optional_text(MAX_ADDRESS)),
        "latitude": Property("latitude", degrees(MAX_LATITUDE)),
        "longitude": Property("longitude", degrees(MAX_LONGITUDE)),
        "isActive": Property("is_active", is_needed=True),
    },
    unknown=NotFound("There is no store with this id.", path=("id",)),
    violations={
        "uq_store_number": Conflict("Another store has this number.", path=("number",)),
        # an import that had brought the place was taken back at this moment
        "fk_store_place_id": Conflict("The place was removed at this moment. Try again.", path=("city",)),
        "ck_store_latitude_on_earth": BadInput("Give degrees from -90 to 90.", path=("latitude",)),
        "ck_store_longitude_on_earth": BadInput("Give degrees from -180 to 180.", path=("longitude",)),
    },
)


async def create_store(work: UnitOfWork, values: Mapping[str, Any]) -> StoreRow:
    """A new store.

    Args:
        work: the transaction.
        values: properties by name; `city`, `zip`, `county` and `countyNumber` say where it stands.

    Raises:
        BadInput, NotFound, Conflict: with the path to the property.
    """
    own, place = _parted(values)
    row = await create_row(work, STORE, own, await move_to(work.session, None, place))
    _check_position(row)
    return row


async def update_store(work: UnitOfWork, key: int, expected_version: int, patch: Mapping[str, Any]) -> StoreRow:
    """Change the properties in `patch`, and no other.

    Raises:
        NotFound: there is no such store, or no county of the number.
        Conflict: it is not in `expected_version` any more, or another store has the number.
        BadInput: with the path to the property.
    """
    own, place = _parted(patch)
    row = await locked_row(work.session, STORE, key)
    check_version(row, expected_version)
    await change_row(work, STORE, row, own, await move_to(work.session, row.place_id, place))
    _check_position(row)
    return row


async def archive_store(work: UnitOfWork, key: int, expected_version: int) -> StoreRow:
    """Say that a store sells no more; it stays readable, and so do its sales.

    Raises:
        NotFound, Conflict: as `update_store` does.
    """
    return await update_store(work, key, expected_version, {"isActive": False})


def _parted(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is the store's own, and what says where it stands."""
    place = {name: value for name, value in values.items() if name in PLACE_PROPERTIES}
    return {name: value for name, value in values.items() if name not in place}, place


def _check_position(row: StoreRow) -> None:
    if (row.latitude is None) != (row.longitude is None):
        missing = "latitude" if row.latitude is None else "longitude"
        raise BadInput("Give latitude and longitude together, or neither.", path=(missing,))
