"""Rows for tests: each function inserts one row with sensible defaults and returns it with its id.

They take the session of `database.transaction()`. Money is in cents, quantities in bottles, volumes in ml.
"""

import datetime as dt
import itertools
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from argon2 import PasswordHasher
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.base import now_utc
from graphql_api.database.category import CategoryRow
from graphql_api.database.customer import CustomerRow
from graphql_api.database.engine import driver_connection
from graphql_api.database.import_job import ImportJobRow, ImportKind
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow, InvoiceStatus
from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.database.session import SessionRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.database.vendor import VendorRow
from graphql_api.ledger.entries import Entry, Receipt
from graphql_api.ledger.moves import receive
from tests.client import CHEAP

Row = TypeVar("Row")
SOME_DAY = dt.date(2024, 3, 15)
# What every account of `create_user` signs in with; its hash is made once, at a thousandth of the real cost.
PASSWORD = "violet harbour lantern"  # noqa: S105 - of accounts that exist in tests alone
PASSWORD_HASH = PasswordHasher.from_parameters(CHEAP).hash(PASSWORD)
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


async def create_user(  # noqa: PLR0913 - one argument for each column
    session: AsyncSession,
    *,
    email: str | None = None,
    name: str | None = None,
    role: Role = Role.ADMIN,
    password_hash: str = PASSWORD_HASH,
    language: Language = Language.EN,
    is_active: bool = True,
) -> UserRow:
    """An account with the password `PASSWORD`; an active administrator unless told otherwise."""
    fresh = next(_numbers)
    return await _insert(
        session,
        UserRow(
            email=email or f"user{fresh}@example.com",
            name=name or f"User {fresh}",
            password_hash=password_hash,
            role=role,
            language=language,
            is_active=is_active,
        ),
    )


async def create_session(
    session: AsyncSession, user: UserRow, *, lifetime: dt.timedelta = dt.timedelta(days=30)
) -> SessionRow:
    """A sign-in of this account, without refresh tokens; over at once when `lifetime` is negative."""
    return await _insert(session, SessionRow(user_id=user.id, expires_at=now_utc() + lifetime))


async def create_customer(
    session: AsyncSession,
    *,
    name: str | None = None,
    email: str | None = None,
    user: UserRow | None = None,
    is_active: bool = True,
) -> CustomerRow:
    """A customer; without an account unless `user` is given."""
    fresh = next(_numbers)
    return await _insert(
        session,
        CustomerRow(
            name=name or f"Customer {fresh}",
            email=email or (user.email if user else None),
            user_id=user.id if user else None,
            is_active=is_active,
        ),
    )


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
    created_by: UserRow | None = None,
) -> ProductRow:
    """A product of 750 ml that costs 6.00 and sells for 9.00; no category, vendor or creator unless given."""
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
            created_by=created_by.id if created_by else None,
        ),
    )


async def create_invoice(  # noqa: PLR0913 - one argument for each column
    session: AsyncSession,
    *lines: Line,
    store: StoreRow | None = None,
    number: str | None = None,
    date: dt.date = SOME_DAY,
    status: InvoiceStatus = InvoiceStatus.PAID,
    customer: CustomerRow | None = None,
    created_by: UserRow | None = None,
) -> InvoiceRow:
    """An invoice with `lines` (none is possible), of a new store unless `store` is given."""
    store = store or await create_store(session)
    invoice = await _insert(
        session,
        InvoiceRow(
            number=number or f"INV-{next(_numbers)}",
            store_id=store.id,
            date=date,
            status=status,
            customer_id=customer.id if customer else None,
            created_by=created_by.id if created_by else None,
        ),
    )
    session.add_all([_line_row(invoice, store, position, line) for position, line in enumerate(lines, start=1)])
    await session.flush()
    return invoice


async def create_draft(
    session: AsyncSession,
    *lines: Line,
    store: StoreRow | None = None,
    date: dt.date = SOME_DAY,
    customer: CustomerRow | None = None,
    created_by: UserRow | None = None,
) -> InvoiceRow:
    """A draft with `lines`, which have no cost, of a new store unless `store` is given."""
    free = [replace(line, cost=0) for line in lines]
    invoice = await create_invoice(
        session,
        *free,
        store=store,
        date=date,
        status=InvoiceStatus.DRAFT,
        customer=customer,
        created_by=created_by,
    )
    invoice.number = None
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


async def create_stock(  # noqa: PLR0913 - what a lot consists of
    session: AsyncSession,
    store: StoreRow,
    product: ProductRow,
    quantity: int = 100,
    *,
    unit_cost: int = 600,
    received_on: dt.date = SOME_DAY,
    expires_on: dt.date | None = None,
) -> None:
    """A lot of `quantity` bottles in the store, received without a purchase."""
    await session.flush()
    await session.execute(text("SELECT"))
    connection = await driver_connection(await session.connection())
    receipt = Receipt(store.id, product.id, quantity, unit_cost, received_on, expires_on)
    await receive(connection, [receipt], Entry(MovementCause.ADJUSTMENT, "test stock"))


@dataclass(frozen=True)
class OrderLine:
    """One line to be written by `create_purchase`; the cost in cents a bottle defaults to the product's own."""

    product: ProductRow
    quantity: int = 12
    unit_cost: int | None = None
    expires_on: dt.date | None = None


async def create_purchase(  # noqa: PLR0913 - one argument for each column
    session: AsyncSession,
    *lines: OrderLine,
    store: StoreRow | None = None,
    number: str | None = None,
    vendor: VendorRow | None = None,
    supplier_name: str | None = None,
    date: dt.date = SOME_DAY,
    status: PurchaseStatus = PurchaseStatus.ORDERED,
    created_by: UserRow | None = None,
) -> PurchaseRow:
    """A purchase with `lines` of which nothing has come, of a new store and from a name unless they are given."""
    store = store or await create_store(session)
    purchase = await _insert(
        session,
        PurchaseRow(
            number=number or f"P-{next(_numbers)}",
            store_id=store.id,
            vendor_id=vendor.id if vendor else None,
            supplier_name=None if vendor else supplier_name or "Supplier",
            date=date,
            status=status,
            created_by=created_by.id if created_by else None,
        ),
    )
    session.add_all([_order_line_row(purchase, position, line) for position, line in enumerate(lines, start=1)])
    await session.flush()
    return purchase


def _order_line_row(purchase: PurchaseRow, position: int, line: OrderLine) -> PurchaseLineRow:
    return PurchaseLineRow(
        purchase_id=purchase.id,
        line_number=position,
        product_id=line.product.id,
        quantity=line.quantity,
        unit_cost=(line.product.unit_cost or 0) if line.unit_cost is None else line.unit_cost,
        expires_on=line.expires_on,
    )


async def create_import(session: AsyncSession) -> ImportJobRow:
    """An import of a file of one byte that waits for a worker; nothing is stored, and no job leads to it."""
    return await _insert(
        session,
        ImportJobRow(
            kind=ImportKind.SALES, dry_run=False, file_name="a.csv", file_size=1, sha256="0" * 64, storage_key="a"
        ),
    )
