"""Vendors: who makes or supplies a product."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.vendor import VendorRow
from graphql_api.services.errors import Conflict, NotFound
from graphql_api.services.named import named_listing, named_noun
from graphql_api.services.reading import rows_by_id

VENDORS = named_listing(VendorRow)
VENDOR = named_noun(
    "Vendor",
    VendorRow,
    unknown=NotFound("There is no vendor with this id.", path=("id",)),
    numbered=Conflict("Another vendor has this number.", path=("number",)),
    unnumbered=Conflict("There is a vendor of this name without a number. Give this one a number.", path=("name",)),
)


async def vendors_by_id(session: AsyncSession, ids: Sequence[int]) -> list[VendorRow | None]:
    """The vendors with these ids, in the order of the ids."""
    return await rows_by_id(session, VendorRow, ids)
