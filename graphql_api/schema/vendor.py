"""Vendors."""

from enum import Enum
from typing import Any

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.editing import user_errors_field
from graphql_api.schema.enums import Direction
from graphql_api.schema.errors import UserError
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IdFilter, id_filter, operator
from graphql_api.schema.named import (
    Archive,
    CreateNamed,
    Named,
    NamedWhere,
    UpdateNamed,
    archive_field,
    create_field,
    update_field,
)
from graphql_api.schema.paging import Connection, list_field
from graphql_api.services.vendor import VENDOR, VENDORS


@strawberry.type(description="Who makes or supplies products.")
class Vendor(Named):
    """Who makes or supplies products."""


@strawberry.input(description="Which vendors to list; all given conditions must hold.")
class VendorWhere(NamedWhere):
    """Which vendors to list."""

    id: IdFilter | None = id_filter("Vendor", "The id.")
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


@strawberry.input(description="A new vendor.")
class CreateVendorInput(CreateNamed):
    """A new vendor."""


@strawberry.input(description="What to change of a vendor; what is left out stays as it is.")
class UpdateVendorInput(UpdateNamed):
    """What to change of a vendor."""


@strawberry.input(description="A vendor that products cannot get any more.")
class ArchiveVendorInput(Archive):
    """A vendor that products cannot get any more."""


@strawberry.type(description="What came of it: the vendor, or why not.")
class VendorPayload:
    """What came of it."""

    vendor: Vendor | None = strawberry.field(
        default=None, description="The vendor as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: Any) -> "VendorPayload":
        """The answer when it was done."""
        return cls(vendor=Vendor.from_row(row))


async def load_vendor(info: Info, vendor_id: int | None) -> Vendor | None:
    """The vendor with this key, batched."""
    row = None if vendor_id is None else await info.context.loaders.vendors.load(vendor_id)
    return Vendor.from_row(row) if row else None


@strawberry.type
class VendorQuery:
    """Root fields of vendors."""

    vendors: Connection[Vendor] = list_field(
        VENDORS,
        Vendor.from_row,
        where=VendorWhere,
        order=VendorOrder,
        what="vendors",
        searched="names, and for the number",
        description="Vendors, by name unless `orderBy` says otherwise.",
    )


@strawberry.type
class VendorMutation:
    """Mutations of vendors."""

    create_vendor: VendorPayload = create_field(VENDOR, VendorPayload, CreateVendorInput, "Create a vendor.")
    update_vendor: VendorPayload = update_field(
        VENDOR, VendorPayload, UpdateVendorInput, "Change a vendor. Reports of past sales show it by its new name."
    )
    archive_vendor: VendorPayload = archive_field(
        VENDOR,
        VendorPayload,
        ArchiveVendorInput,
        "Say that products cannot get it any more. Those that have it keep it. `updateVendor` brings it back.",
    )
