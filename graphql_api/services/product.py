"""Products: finding them by SKU, name, category, vendor or price."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.category import CategoryRow
from graphql_api.database.product import ProductRow
from graphql_api.database.vendor import VendorRow
from graphql_api.services.checks import to_cents
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.place import resembles
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import rows_by_id
from graphql_api.services.relations import optional_related_filter

_categories, _vendors = select(col(CategoryRow.id)), select(col(VendorRow.id))
FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(ProductRow.id)),
    "sku": column_filter(col(ProductRow.sku)),
    "name": column_filter(col(ProductRow.name)),
    "category": optional_related_filter(col(ProductRow.category_id), _categories, column_filter(col(CategoryRow.name))),
    "categoryNumber": optional_related_filter(
        col(ProductRow.category_id), _categories, column_filter(col(CategoryRow.number))
    ),
    "vendor": optional_related_filter(col(ProductRow.vendor_id), _vendors, column_filter(col(VendorRow.name))),
    "vendorNumber": optional_related_filter(col(ProductRow.vendor_id), _vendors, column_filter(col(VendorRow.number))),
    "volumeMl": column_filter(col(ProductRow.volume_ml)),
    "unitCost": column_filter(col(ProductRow.unit_cost), to_cents),
    "unitPrice": column_filter(col(ProductRow.unit_price), to_cents),
    "hasImage": column_filter(col(ProductRow.image_key).is_not(None)),
    "isActive": column_filter(col(ProductRow.is_active)),
}


def own_fields(viewer: Viewer | None) -> Mapping[str, FilterField]:
    """`mine` keeps the products that whoever asks has created, or with false all others."""

    def mine(is_mine: Any) -> ColumnElement[bool]:
        created = col(ProductRow.created_by) == viewer.user_id if viewer else false()
        return created if is_mine else not_(created.is_(True))

    return {"mine": mine}


PRODUCTS: Listing[ProductRow] = Listing(
    statement=select(ProductRow),
    key=col(ProductRow.id),
    fields=FIELDS,
    sorts={
        "NAME": col(ProductRow.name),
        "SKU": col(ProductRow.sku),
        "UNIT_PRICE": col(ProductRow.unit_price),
        "UNIT_COST": col(ProductRow.unit_cost),
        "VOLUME": col(ProductRow.volume_ml),
    },
    default=[Sort("NAME")],
    search=lambda text: or_(resembles(col(ProductRow.name), text), col(ProductRow.sku) == text),
    own_fields=own_fields,
)


async def products_by_id(session: AsyncSession, ids: Sequence[int]) -> list[ProductRow | None]:
    """The products with these ids, in the order of the ids."""
    return await rows_by_id(session, ProductRow, ids)


async def product_by_sku(session: AsyncSession, sku: str) -> ProductRow | None:
    """The product with this SKU."""
    return await session.scalar(select(ProductRow).where(col(ProductRow.sku) == sku))
