"""Counties and cities."""

from enum import Enum

import strawberry

from graphql_api.database.place import CountyRow
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IntFilter, StringFilter, operator
from graphql_api.schema.node import Node, global_id
from graphql_api.schema.paging import Connection, list_field
from graphql_api.services import place


@strawberry.type(description="A county. Two spellings with the same number are one county.")
class County(Node):
    """A county."""

    number: int | None = strawberry.field(description="Its official number, where the source gave one.")
    name: str = strawberry.field(description="Its name in upper case, such as POLK.")

    @classmethod
    def from_row(cls, row: CountyRow) -> "County":
        """The county as clients see it."""
        return cls(id=global_id("County", row.id), number=row.number, name=row.name)


@strawberry.type(description="A city by its name, with every zip and county it has stores in.")
class City:
    """A city by its name."""

    name: str = strawberry.field(description="Its name in upper case, such as DES MOINES.")

    @classmethod
    def from_name(cls, name: str) -> "City":
        """The city of this name."""
        return cls(name=name)

    @strawberry.field(description="The zips of its stores, past and present, in order.")
    async def zips(self, info: Info) -> list[str]:
        """The zips of the city."""
        places = await info.context.loaders.city_places.load(self.name)
        return sorted({place.zip_code for place in places if place.zip_code is not None})

    @strawberry.field(description="The counties its stores were in, past and present, by name.")
    async def counties(self, info: Info) -> list[County]:
        """The counties of the city."""
        places = await info.context.loaders.city_places.load(self.name)
        ids = sorted({place.county_id for place in places if place.county_id is not None})
        rows = await info.context.loaders.counties.load_many(ids)
        return sorted((County.from_row(row) for row in rows if row), key=lambda county: county.name)


async def load_county(info: Info, county_id: int | None) -> County | None:
    """The county with this key, batched."""
    row = None if county_id is None else await info.context.loaders.counties.load(county_id)
    return County.from_row(row) if row else None


@strawberry.input(description="Which counties to list; all given conditions must hold.")
class CountyWhere:
    """Which counties to list."""

    name: StringFilter | None = operator("The name, in any case.")
    number: IntFilter | None = operator("The official number.")
    and_: list["CountyWhere"] | None = operator(ALL_OF, name="and")
    or_: list["CountyWhere"] | None = operator(ANY_OF, name="or")
    not_: "CountyWhere | None" = operator(NONE_OF, name="not")


@strawberry.input(description="Which cities to list; all given conditions must hold.")
class CityWhere:
    """Which cities to list."""

    name: StringFilter | None = operator("The name, in any case.")
    zip: StringFilter | None = operator("A zip of the city.")
    county: StringFilter | None = operator("The name of a county of the city, in any case.")
    county_number: IntFilter | None = operator("The number of a county of the city.")
    and_: list["CityWhere"] | None = operator(ALL_OF, name="and")
    or_: list["CityWhere"] | None = operator(ANY_OF, name="or")
    not_: "CityWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What counties can be sorted by.")
class CountyOrderField(Enum):
    """What counties can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    NUMBER = strawberry.enum_value("NUMBER", description="The official number.")


@strawberry.input(description="One key of the order of counties.")
class CountyOrder:
    """One key of the order of counties."""

    by: CountyOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.enum(description="What cities can be sorted by.")
class CityOrderField(Enum):
    """What cities can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")


@strawberry.input(description="One key of the order of cities.")
class CityOrder:
    """One key of the order of cities."""

    by: CityOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.type
class PlaceQuery:
    """Root fields of counties and cities."""

    counties: Connection[County] = list_field(
        place.COUNTIES,
        County.from_row,
        where=CountyWhere,
        order=CountyOrder,
        what="counties",
        searched="names, and for the number",
        description="Counties, by name unless `orderBy` says otherwise.",
    )
    cities: Connection[City] = list_field(
        place.CITIES,
        City.from_name,
        where=CityWhere,
        order=CityOrder,
        what="cities",
        searched="names",
        description="Cities, each name once, by name unless `orderBy` says otherwise.",
    )
