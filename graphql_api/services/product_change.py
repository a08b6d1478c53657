"""Changing products: who made one edits it, administrators edit every one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.category import CategoryRow
from graphql_api.database.product import ProductRow
from graphql_api.database.vendor import VendorRow
from graphql_api.services.checks import amount, from_cents, one_line, optional_text, whole
from graphql_api.services.editing import (
    Consequence,
    Noun,
    Property,
    change_row,
    check_version,
    create_row,
    locked_row,
)
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.low_stock import hold_levels, reevaluate
from graphql_api.services.policy import Forbidden, Unauthenticated, Viewer
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.visibility import check_may_edit_product

MAX_SKU = 64
MAX_NAME = 200
MAX_DESCRIPTION = 10_000
MAX_PACK = 10_000
MAX_VOLUME_ML = 1_000_000
MAX_THRESHOLD = 1_000_000
# What decides whether stock of it is low.
WATCHED = frozenset({"lowStockThreshold", "isActive"})

PRODUCT = Noun(
    "Product",
    ProductRow,
    properties={
        "sku": Property("sku", one_line(MAX_SKU), is_needed=True),
        "name": Property("name", one_line(MAX_NAME), is_needed=True),
        "description": Property("description", optional_text(MAX_DESCRIPTION)),
        "categoryId": Property("category_id"),
        "vendorId": Property("vendor_id"),
        "pack": Property("pack", whole(1, MAX_PACK)),
        "volumeMl": Property("volume_ml", whole(0, MAX_VOLUME_ML)),
        "unitCost": Property("unit_cost", amount, shown=from_cents),
        "unitPrice": Property("unit_price", amount, shown=from_cents),
        "lowStockThreshold": Property("low_stock_threshold", whole(0, MAX_THRESHOLD)),
        "image": Property("image_key"),
        "isActive": Property("is_active", is_needed=True),
    },
    unknown=NotFound("There is no product with this id.", path=("id",)),
    violations={
        "uq_product_sku": Conflict("Another product has this SKU.", path=("sku",)),
        "fk_product_category_id": NotFound("There is no category with this id.", path=("categoryId",)),
        "fk_product_vendor_id": NotFound("There is no vendor with this id.", path=("vendorId",)),
        "fk_product_created_by": Unauthenticated("Your account does not exist any more. Sign in again."),
        "ck_product_pack_positive": BadInput("This must be positive.", path=("pack",)),
        "ck_product_volume_not_negative": BadInput("This must not be negative.", path=("volumeMl",)),
        "ck_product_unit_cost_not_negative": BadInput("An amount must not be negative.", path=("unitCost",)),
        "ck_product_unit_price_not_negative": BadInput("An amount must not be negative.", path=("unitPrice",)),
        "ck_product_threshold_not_negative": BadInput("This must not be negative.", path=("lowStockThreshold",)),
    },
)


@dataclass(frozen=True)
class _Reference:
    """Something that a product belongs to, which has to be in use."""

    column: str
    kind: type[CategoryRow | VendorRow]
    unknown: NotFound
    archived: Conflict


REFERENCES: Mapping[str, _Reference] = {
    "categoryId": _Reference(
        "category_id",
        CategoryRow,
        NotFound("There is no category with this id.", path=("categoryId",)),
        Conflict("This category is archived. Choose another one, or bring it back first.", path=("categoryId",)),
    ),
    "vendorId": _Reference(
        "vendor_id",
        VendorRow,
        NotFound("There is no vendor with this id.", path=("vendorId",)),
        Conflict("This vendor is archived. Choose another one, or bring it back first.", path=("vendorId",)),
    ),
}


async def create_product(work: UnitOfWork, values: Mapping[str, Any], viewer: Viewer) -> ProductRow:
    """A new product that belongs to `viewer`.

    Args:
        work: the transaction.
        values: properties by name; amounts in currency units, category and vendor by key.
        viewer: who creates it.

    Raises:
        BadInput, NotFound, Conflict: with the path to the property.
    """
    await _check_references(work.session, values)
    return await create_row(work, PRODUCT, values, Consequence({"created_by": viewer.user_id}))


async def update_product(
    work: UnitOfWork, product_id: int, expected_version: int, patch: Mapping[str, Any], viewer: Viewer
) -> ProductRow:
    """Change the properties in `patch`, and no other.

    Raises:
        NotFound: there is no such product, category or vendor.
        Forbidden: somebody else created it.
        Conflict: it is not in `expected_version` any more, another product has the SKU, or the category or vendor
            is archived.
        BadInput: with the path to the property.
    """
    row = await locked_product(work.session, product_id, expected_version, viewer)
    await _check_references(work.session, patch, row)
    if WATCHED & patch.keys() and patch.get("sku", row.sku) != row.sku:
        # a new SKU keeps sales from looking at the product, and those that are under way hold its levels
        await hold_levels(work, row.id)
    row = await change_row(work, PRODUCT, row, patch)
    if WATCHED & patch.keys():
        await reevaluate(work, row.id)
    return row


async def archive_product(work: UnitOfWork, product_id: int, expected_version: int, viewer: Viewer) -> ProductRow:
    """Say that a product is sold no more; it stays readable.

    Raises:
        NotFound, Forbidden, Conflict: as `update_product` does.
    """
    return await update_product(work, product_id, expected_version, {"isActive": False}, viewer)


async def locked_product(session: AsyncSession, product_id: int, expected_version: int, viewer: Viewer) -> ProductRow:
    """The product, which nobody else can change until the end of the transaction.

    Raises:
        NotFound, Forbidden, Conflict: as `update_product` does.
    """
    row = await locked_row(session, PRODUCT, product_id)
    try:
        check_may_edit_product(viewer, row.created_by)
    except Forbidden as error:
        raise error.below("id") from None
    check_version(row, expected_version)
    return row


async def _check_references(session: AsyncSession, values: Mapping[str, Any], row: ProductRow | None = None) -> None:
    """Refuse a category or vendor that is archived, unless the product has it already."""
    for name, reference in REFERENCES.items():
        key = values.get(name)
        if key is None or (row is not None and getattr(row, reference.column) == key):
            continue
        is_active = await session.scalar(select(col(reference.kind.is_active)).where(col(reference.kind.id) == key))
        if is_active is None:
            raise reference.unknown.below()
        if not is_active:
            raise reference.archived.below()
