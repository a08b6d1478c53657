"""What can be done with stores: create, update, archive."""

from decimal import Decimal

import strawberry

from graphql_api.database.store import StoreRow
from graphql_api.schema.editing import (
    VERSION,
    edit_field,
    given_values,
    is_active_field,
    needed,
    optional,
    patched,
    user_errors_field,
)
from graphql_api.schema.errors import UserError
from graphql_api.schema.named import Archive
from graphql_api.schema.node import key_of
from graphql_api.schema.store import Store
from graphql_api.services.policy import Viewer
from graphql_api.services.store_change import archive_store, create_store, update_store
from graphql_api.services.unit_of_work import UnitOfWork

NUMBER = "The store number, unique: 1 to 2,147,483,647. Numbers of new invoices begin with it."
NAME = "The name: 1 to 200 characters."
ADDRESS = "Street and house number: at most 500 characters; may have several lines."
CITY = "The city, in any case; it is kept in upper case, as imports keep it."
ZIP = 'The zip, such as "50309".'
COUNTY = (
    "The name of the county, in any case. A new one is made; with `countyNumber` it must be the name of that county."
)
COUNTY_NUMBER = "The official number of the county. It decides which county is meant; a new one needs `county` too."
LATITUDE = "Degrees north, -90 to 90, rounded to six digits; WGS 84. Only together with the longitude."
LONGITUDE = "Degrees east, -180 to 180, rounded to six digits; WGS 84. Only together with the latitude."
WHOLE_COUNTY = " Of a county, what is left out beside the other part is found anew."


@strawberry.input(description="A new store.")
class CreateStoreInput:
    """A new store."""

    number: int = strawberry.field(description=NUMBER)
    name: str = strawberry.field(description=NAME)
    address: str | None = optional(ADDRESS)
    city: str | None = optional(CITY)
    zip: str | None = optional(ZIP)
    county: str | None = optional(COUNTY)
    county_number: int | None = optional(COUNTY_NUMBER)
    latitude: Decimal | None = optional(LATITUDE)
    longitude: Decimal | None = optional(LONGITUDE)


@strawberry.input(description="What to change of a store; what is left out stays as it is.")
class UpdateStoreInput:
    """What to change of a store."""

    id: strawberry.ID = strawberry.field(description="The id of the store.")
    expected_version: int = strawberry.field(description=VERSION)
    number: int | None = needed(NUMBER)
    name: str | None = needed(NAME)
    address: str | None = patched(ADDRESS)
    city: str | None = patched(CITY)
    zip: str | None = patched(ZIP)
    county: str | None = patched(COUNTY + WHOLE_COUNTY)
    county_number: int | None = patched(COUNTY_NUMBER + WHOLE_COUNTY)
    latitude: Decimal | None = patched(LATITUDE)
    longitude: Decimal | None = patched(LONGITUDE)
    is_active: bool | None = is_active_field("Whether it still sells.")


@strawberry.input(description="A store that sells no more.")
class ArchiveStoreInput(Archive):
    """A store that sells no more."""


@strawberry.type(description="What came of it: the store, or why not.")
class StorePayload:
    """What came of it."""

    store: Store | None = strawberry.field(
        default=None, description="The store as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: StoreRow) -> "StorePayload":
        """The answer when it was done."""
        return cls(store=Store.from_row(row))


async def _create(work: UnitOfWork, wish: CreateStoreInput, _viewer: Viewer) -> StoreRow:
    return await create_store(work, given_values(wish))


async def _update(work: UnitOfWork, wish: UpdateStoreInput, _viewer: Viewer) -> StoreRow:
    return await update_store(work, key_of(wish.id, "Store"), wish.expected_version, given_values(wish))


async def _archive(work: UnitOfWork, wish: ArchiveStoreInput, _viewer: Viewer) -> StoreRow:
    return await archive_store(work, key_of(wish.id, "Store"), wish.expected_version)


@strawberry.type
class StoreMutation:
    """Mutations of stores."""

    create_store: StorePayload = edit_field(
        StorePayload, CreateStoreInput, "The new store.", _create, "Create a store."
    )
    update_store: StorePayload = edit_field(
        StorePayload,
        UpdateStoreInput,
        "Which store, and what to change.",
        _update,
        "Change a store. When it moves, its past sales stay in the city, zip and county that they were made in.",
    )
    archive_store: StorePayload = edit_field(
        StorePayload,
        ArchiveStoreInput,
        "Which store.",
        _archive,
        (
            "Say that a store sells no more. It stays readable with `isActive: false`, and so do its sales and stock. "
            "`updateStore` brings it back."
        ),
    )
