"""Rows for tests: each function inserts one row with sensible defaults and returns it with its id.

They take the session of `database.transaction()`. Money is in cents, quantities in bottles, volumes in ml.
"""

import datetime as dt
import itertools
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.category import CategoryRow
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.vendor import VendorRow

Row = TypeVar("Row")
SOME_DAY = dt.date(2024, 3, 15)
_numbers = itertools.count(1_000)


@dataclass(frozen=True)
class Line:
    """One line to be written by `create_invoice`; price and cost default to the product's own."""

    product: ProductRow
    quantity: int = 1
    unit_price: int | None = None
    discount: int = 0
    cost: int | None = None


async def _insert(session: AsyncSession, row: Row) -> Row:
    session.add(row)
    await session.flush()
    return row


async def create_county(session: AsyncSession, *, name: str | None = None, number: int | None = None) -> CountyRow:
    """A county; without arguments a new one with a number of its own."""
    fresh = next(_numbers)
    if name is None:
        number = fresh if number is None else number
    return await _insert(session, CountyRow(number=number, name=name or f"COUNTY {fresh}"))


async def create_place(
    session: AsyncSession,
    *,
    city: str | None = "",
    zip_code: str | None = "",
    county: CountyRow | None = None,
) -> PlaceRow:
    """A place; `None` makes a part unknown, the default "" makes up a new one. No county unless given."""
    fresh = next(_numbers)
    return await _insert(
        session,
        PlaceRow(
            city=f"CITY {fresh}" if city == "" else city,
            zip_code=f"{50_000 + fresh}" if zip_code == "" else zip_code,
            county_id=county.id if county else None,
        ),
    )


async def create_store(  # noqa: PLR0913 - one argument for each column
    session: AsyncSession,
    *,
    number: int | None = None,
    name: str | None = None,
    place: PlaceRow | None = None,
    address: str | None = "1 Main Street",
    latitude: Decimal | None = None,
    longitude: Decimal | None = None,
    is_active: bool = True,
) -> StoreRow:
    """A store, at a new place in a new county unless `place` is given."""
    number = next(_numbers) if number is None else number
    place = place or await create_place(session, county=await create_county(session))
    return await _insert(
        session,
        StoreRow(
            number=number,
            name=name or f"Store {number}",
            address=address,
            place_id=place.id,
            latitude=latitude,
            longitude=longitude,
            is_active=is_active,
        ),
    )


async def create_vendor(session: AsyncSession, *, name: str | None = None, number: int | None = None) -> VendorRow:
    """A vendor; without arguments a new one with a number of its own."""
    fresh = next(_numbers)
    if name is None:
        number = fresh if number is None else number
    return await _insert(session, VendorRow(number=number, name=name or f"Vendor {fresh}"))


async def create_category(session: AsyncSession, *, name: str | None = None, number: int | None = None) -> CategoryRow:
    """A category; without arguments a new one with a number of its own."""
    fresh = next(_numbers)
    if name is None:
        number = fresh if number is None else number
    return await _insert(session, CategoryRow(number=number, name=name or f"Category {fresh}"))


async def create_product(  # noqa: PLR0913 - one argument for each column
    session: AsyncSession,
    *,
    sku: str | None = None,
    name: str | None = None,
    category: CategoryRow | None = None,
    vendor: VendorRow | None = None,
    volume_ml: int | None = 750,
    unit_cost: int | None = 600,
    unit_price: int | None = 900,
    is_active: bool = True,
) -> ProductRow:
    """A product of 750 ml that costs 6.00 and sells for 9.00; no category or vendor unless given."""
    sku = sku or f"{next(_numbers)}"
    return await _insert(
        session,
        ProductRow(
            sku=sku,
            name=name or f"Product {sku}",
            category_id=category.id if category else None,
            vendor_id=vendor.id if vendor else None,
            pack=12,
            volume_ml=volume_ml,
            unit_cost=unit_cost,
            unit_price=unit_price,
            is_active=is_active,
        ),
    )


async def create_invoice(
    session: AsyncSession,
    *lines: Line,
    store: StoreRow | None = None,
    number: str | None = None,
    date: dt.date = SOME_DAY,
    status: InvoiceStatus = InvoiceStatus.PAID,
) -> InvoiceRow:
    """An invoice with `lines` (none is possible), of a new store unless `store` is given."""
    store = store or await create_store(session)
    invoice = await _insert(
        session,
        InvoiceRow(number=number or f"INV-{next(_numbers)}", store_id=store.id, date=date, status=status),
    )
    session.add_all([_line_row(invoice, store, position, line) for position, line in enumerate(lines, start=1)])
    await session.flush()
    return invoice


def _line_row(invoice: InvoiceRow, store: StoreRow, position: int, line: Line) -> InvoiceLineRow:
    product = line.product
    unit_price = (product.unit_price or 0) if line.unit_price is None else line.unit_price
    cost = line.quantity * (product.unit_cost or 0) if line.cost is None else line.cost
    return InvoiceLineRow(
        invoice_id=invoice.id,
        line_number=position,
        store_id=store.id,
        place_id=store.place_id,
        product_id=product.id,
        date=invoice.date,
        quantity=line.quantity,
        unit_price=unit_price,
        discount=line.discount,
        revenue=line.quantity * unit_price - line.discount,
        cost=cost,
        volume_ml=None if product.volume_ml is None else line.quantity * product.volume_ml,
    )
