"""Vendors: who makes or supplies a product."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.vendor import VendorRow
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.place import named_or_numbered
from graphql_api.services.reading import rows_by_id

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(VendorRow.id)),
    "number": column_filter(col(VendorRow.number)),
    "name": column_filter(col(VendorRow.name)),
}
VENDORS: Listing[VendorRow] = Listing(
    statement=select(VendorRow),
    key=col(VendorRow.id),
    fields=FIELDS,
    sorts={"NAME": col(VendorRow.name), "NUMBER": col(VendorRow.number)},
    default=[Sort("NAME")],
    search=lambda text: named_or_numbered(col(VendorRow.name), col(VendorRow.number), text),
)


async def vendors_by_id(session: AsyncSession, ids: Sequence[int]) -> list[VendorRow | None]:
    """The vendors with these ids, in the order of the ids."""
    return await rows_by_id(session, VendorRow, ids)
