"""Stores."""

from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry

from graphql_api.database.store import StoreRow
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.editing import version_field
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    BooleanFilter,
    IdFilter,
    IntFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import Connection, list_field
from graphql_api.schema.place import County, load_county
from graphql_api.services import store
from graphql_api.services.choices import only_one


@strawberry.type(description="A store, at the place where it is now.")
class Store(Node):
    """A store."""

    number: int = strawberry.field(description="Its number, unique among stores.")
    name: str = strawberry.field(description="Its name.")
    address: str | None = strawberry.field(description="Street and house number.")
    latitude: Decimal | None = strawberry.field(description="Degrees north, six digits; WGS 84.")
    longitude: Decimal | None = strawberry.field(description="Degrees east, six digits; WGS 84.")
    is_active: bool = strawberry.field(description="Whether it still sells.")
    version: int = version_field()
    audit_trail = audit_trail_field()
    place_id: strawberry.Private[int]

    @classmethod
    def from_row(cls, row: StoreRow) -> "Store":
        """The store as clients see it."""
        return cls(
            id=global_id("Store", row.id),
            number=row.number,
            name=row.name,
            address=row.address,
            latitude=row.latitude,
            longitude=row.longitude,
            is_active=row.is_active,
            version=row.version,
            place_id=row.place_id,
        )

    @strawberry.field(description="Its city in upper case; null when unknown.")
    async def city(self, info: Info) -> str | None:
        """Its city."""
        place = await info.context.loaders.places.load(self.place_id)
        return place.city if place else None

    @strawberry.field(description="Its zip; null when unknown.")
    async def zip(self, info: Info) -> str | None:
        """Its zip."""
        place = await info.context.loaders.places.load(self.place_id)
        return place.zip_code if place else None

    @strawberry.field(description="Its county; null when unknown.")
    async def county(self, info: Info) -> County | None:
        """Its county."""
        place = await info.context.loaders.places.load(self.place_id)
        return await load_county(info, place.county_id if place else None)


@strawberry.input(description="A circle on the map, as in {latitude: 41.59, longitude: -93.62, kilometers: 10}.")
class NearFilter:
    """A circle on the map."""

    latitude: Decimal = strawberry.field(description="Degrees north of the centre, -90 to 90.")
    longitude: Decimal = strawberry.field(description="Degrees east of the centre, -180 to 180.")
    kilometers: Decimal = strawberry.field(description="Radius in kilometers, 0 to 1,000.")


@strawberry.input(description="Which stores; all given conditions must hold.")
class StoreWhere:
    """Which stores."""

    id: IdFilter | None = id_filter("Store", "The id.")
    number: IntFilter | None = operator("The store number.")
    name: StringFilter | None = operator("The name.")
    city: StringFilter | None = operator("The city, in any case.")
    zip: StringFilter | None = operator("The zip.")
    county: StringFilter | None = operator("The name of the county, in any case.")
    county_number: IntFilter | None = operator("The official number of the county.")
    near: NearFilter | None = operator("Within a distance of a point; stores of unknown position never match.")
    is_active: BooleanFilter | None = operator("Whether the store still sells.")
    and_: list["StoreWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StoreWhere"] | None = operator(ANY_OF, name="or")
    not_: "StoreWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What stores can be sorted by.")
class StoreOrderField(Enum):
    """What stores can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    NUMBER = strawberry.enum_value("NUMBER", description="The store number.")


@strawberry.input(description="One key of the order of stores.")
class StoreOrder:
    """One key of the order of stores."""

    by: StoreOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_store(info: Info, store_id: int) -> Store:
    """The store with this key, batched; there is always one, the tables see to it."""
    row = await info.context.loaders.stores.load(store_id)
    if row is None:
        raise LookupError(f"store {store_id}")
    return Store.from_row(row)


@strawberry.type
class StoreQuery:
    """Root fields of stores."""

    stores: Connection[Store] = list_field(
        store.STORES,
        Store.from_row,
        where=StoreWhere,
        order=StoreOrder,
        what="stores",
        searched="names, and for the number",
        description="Stores, by name unless `orderBy` says otherwise.",
    )

    @strawberry.field(description="One store, by its id or its number; null when there is none.")
    async def store(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID | None, strawberry.argument(description="The id of the store.")
        ] = None,
        number: Annotated[int | None, strawberry.argument(description="The store number, instead of `id`.")] = None,
    ) -> Store | None:
        """One store."""
        only_one(id=id, number=number)
        if number is None:
            row = await info.context.loaders.stores.load(key_of(id or "", "Store"))
        else:
            async with info.context.database.read() as session:
                row = await store.store_by_number(session, number)
        return Store.from_row(row) if row else None
