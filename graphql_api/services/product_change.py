"""Changing products: who made one edits it, administrators edit every one."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.product import ProductRow
from graphql_api.services.errors import BadInput, Conflict, NotFound, ServiceError
from graphql_api.services.plain_text import has_control, is_blank
from graphql_api.services.policy import Forbidden, Unauthenticated, Viewer
from graphql_api.services.product import to_cents
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.visibility import check_may_edit_product

MAX_SKU = 64
MAX_NAME = 200
MAX_DESCRIPTION = 10_000
MAX_PACK = 10_000
MAX_VOLUME_ML = 1_000_000


@dataclass(frozen=True)
class Property:
    """What can be set of a product.

    Args:
        column: where it is kept.
        stored: brings a client's value to the stored form, or raises `BadInput`.
        is_needed: whether it cannot be null.
    """

    column: str
    stored: Callable[[Any], Any]
    is_needed: bool = False


def _line(text: str, *, limit: int) -> str:
    """A text of one line without spaces at its ends."""
    line = unicodedata.normalize("NFC", text).strip()
    if is_blank(line):
        raise BadInput("Write at least one character.")
    if len(line) > limit:
        raise BadInput("Write at most {limit} characters.", limit=limit)
    if has_control(line):
        raise BadInput("Leave out line breaks and control characters.")
    return line


def _text(text: str) -> str | None:
    """A text of any lines; an empty one is none."""
    stripped = unicodedata.normalize("NFC", text).strip()
    if len(stripped) > MAX_DESCRIPTION:
        raise BadInput("Write at most {limit:,} characters.", limit=MAX_DESCRIPTION)
    return stripped or None


def _number(number: int, *, least: int, most: int) -> int:
    if not least <= number <= most:
        raise BadInput("Give a number from {least} to {most:,}.", least=least, most=most)
    return number


def _amount(amount: Decimal) -> int:
    cents = to_cents(amount)
    if cents < 0:
        raise BadInput("An amount must not be negative.")
    return cents


def _as_given(value: Any) -> Any:
    return value


PROPERTIES: Mapping[str, Property] = {
    "sku": Property("sku", partial(_line, limit=MAX_SKU), is_needed=True),
    "name": Property("name", partial(_line, limit=MAX_NAME), is_needed=True),
    "description": Property("description", _text),
    "categoryId": Property("category_id", _as_given),
    "vendorId": Property("vendor_id", _as_given),
    "pack": Property("pack", partial(_number, least=1, most=MAX_PACK)),
    "volumeMl": Property("volume_ml", partial(_number, least=0, most=MAX_VOLUME_ML)),
    "unitCost": Property("unit_cost", _amount),
    "unitPrice": Property("unit_price", _amount),
    "isActive": Property("is_active", _as_given, is_needed=True),
}
# What the database may refuse, and which property it is about.
VIOLATIONS: Mapping[str, ServiceError] = {
    "uq_product_sku": Conflict("Another product has this SKU.", path=("sku",)),
    "fk_product_category_id": NotFound("There is no category with this id.", path=("categoryId",)),
    "fk_product_vendor_id": NotFound("There is no vendor with this id.", path=("vendorId",)),
    "fk_product_created_by": Unauthenticated("Your account does not exist any more. Sign in again."),
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
    row = ProductRow(**_checked(values), created_by=viewer.user_id)
    work.session.add(row)
    await _flush(work.session)
    work.record("Product", row.id, after=_shown(row, PROPERTIES))
    return row


async def update_product(
    work: UnitOfWork, product_id: int, expected_version: int, patch: Mapping[str, Any], viewer: Viewer
) -> ProductRow:
    """Change the properties in `patch`, and no other.

    Raises:
        NotFound: there is no such product, category or vendor.
        Forbidden: somebody else created it.
        Conflict: it is not in `expected_version` any more, or another product has the SKU.
        BadInput: with the path to the property.
    """
    row = await _locked(work.session, product_id, expected_version, viewer)
    values = _checked(patch)
    changed = [name for name in patch if getattr(row, PROPERTIES[name].column) != values[PROPERTIES[name].column]]
    before = _shown(row, changed)
    if changed:
        for column, value in values.items():
            setattr(row, column, value)
        row.version += 1
        await _flush(work.session)
    work.record("Product", row.id, before=before, after=_shown(row, changed))
    return row


async def archive_product(work: UnitOfWork, product_id: int, expected_version: int, viewer: Viewer) -> ProductRow:
    """Say that a product is sold no more; it stays readable.

    Raises:
        NotFound, Forbidden, Conflict: as `update_product` does.
    """
    return await update_product(work, product_id, expected_version, {"isActive": False}, viewer)


async def _locked(session: AsyncSession, product_id: int, expected_version: int, viewer: Viewer) -> ProductRow:
    """The product, which nobody else can change until the end of the transaction."""
    statement = select(ProductRow).where(col(ProductRow.id) == product_id).with_for_update(key_share=True)
    row = await session.scalar(statement)
    if row is None:
        raise NotFound("There is no product with this id.", path=("id",))
    try:
        check_may_edit_product(viewer, row.created_by)
    except Forbidden as error:
        raise error.below("id") from None
    if row.version != expected_version:
        raise Conflict(
            "The product is in version {version} by now. Read it again, then decide.",
            path=("expectedVersion",),
            version=row.version,
        )
    return row


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by column, in the stored form."""
    checked = {}
    for name, value in values.items():
        rule = PROPERTIES[name]
        try:
            checked[rule.column] = _stored(rule, value)
        except BadInput as error:
            raise error.below(name) from None
    return checked


def _stored(rule: Property, value: Any) -> Any:
    if value is not None:
        return rule.stored(value)
    if rule.is_needed:
        raise BadInput("This cannot be null. Leave it out to keep it as it is.")
    return None


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        known = VIOLATIONS.get(_constraint(error))
        if known is None:
            raise
        raise known.below() from error


def _constraint(error: IntegrityError) -> str:
    """The name of the constraint that was violated."""
    return str(getattr(getattr(error.orig, "__cause__", None), "constraint_name", ""))


def _shown(row: ProductRow, names: Any) -> dict[str, Any]:
    """Properties as clients see them, for the audit record."""
    return {name: _as_seen(PROPERTIES[name], row) for name in names}


def _as_seen(rule: Property, row: ProductRow) -> Any:
    value = getattr(row, rule.column)
    is_amount = rule.stored is _amount and value is not None
    return Decimal(value).scaleb(-2) if is_amount else value
