"""Vendors."""

from enum import Enum

import strawberry

from graphql_api.database.vendor import VendorRow
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    IdFilter,
    IntFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id
from graphql_api.schema.paging import Connection, list_field
from graphql_api.services import vendor


@strawberry.type(description="Who makes or supplies products.")
class Vendor(Node):
    """Who makes or supplies products."""

    number: int | None = strawberry.field(description="Its number, where the source gave one.")
    name: str = strawberry.field(description="Its name.")

    @classmethod
    def from_row(cls, row: VendorRow) -> "Vendor":
        """The vendor as clients see it."""
        return cls(id=global_id("Vendor", row.id), number=row.number, name=row.name)


@strawberry.input(description="Which vendors to list; all given conditions must hold.")
class VendorWhere:
    """Which vendors to list."""

    id: IdFilter | None = id_filter("Vendor", "The id.")
    number: IntFilter | None = operator("The number.")
    name: StringFilter | None = operator("The name.")
    and_: list["VendorWhere"] | None = operator(ALL_OF, name="and")
    or_: list["VendorWhere"] | None = operator(ANY_OF, name="or")
    not_: "VendorWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What vendors can be sorted by.")
class VendorOrderField(Enum):
    """What vendors can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    NUMBER = strawberry.enum_value("NUMBER", description="The number.")


@strawberry.input(description="One key of the order of vendors.")
class VendorOrder:
    """One key of the order of vendors."""

    by: VendorOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_vendor(info: Info, vendor_id: int | None) -> Vendor | None:
    """The vendor with this key, batched."""
    row = None if vendor_id is None else await info.context.loaders.vendors.load(vendor_id)
    return Vendor.from_row(row) if row else None


@strawberry.type
class VendorQuery:
    """Root fields of vendors."""

    vendors: Connection[Vendor] = list_field(
        vendor.VENDORS,
        Vendor.from_row,
        where=VendorWhere,
        order=VendorOrder,
        what="vendors",
        searched="names, and for the number",
        description="Vendors, by name unless `orderBy` says otherwise.",
    )
