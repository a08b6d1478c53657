"""Lines of a purchase that is being written: what may be ordered, how much of it, at what cost."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow
from graphql_api.services.checks import amount, from_cents, whole
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.reading import rows_by_id
from graphql_api.services.unit_of_work import UnitOfWork

Given = TypeVar("Given")
Stored = TypeVar("Stored")
MAX_LINES = 1_000
MAX_QUANTITY = 1_000_000
# What all lines may cost together, in cents; sums of many purchases still fit a bigint.
MAX_COST = 10**13
FIRST_DAY = dt.date(1900, 1, 1)
LAST_DAY = dt.date(2999, 12, 31)

check_quantity = whole(1, MAX_QUANTITY)


@dataclass(frozen=True)
class LineWish:
    """A product to be ordered: bottles (more than 0), and a cost a bottle in currency units; None takes the product's.

    A product may stand on several lines, as at different costs.
    """

    product_id: int
    quantity: int
    unit_cost: Decimal | None = None
    expires_on: dt.date | None = None


async def new_lines(work: UnitOfWork, wishes: Sequence[LineWish], ordered_on: dt.date) -> list[PurchaseLineRow]:
    """The lines that wishes become, numbered from 1; they do not belong to a purchase yet.

    Raises:
        BadInput, NotFound, Conflict: with the path to the part of a wish that cannot be.
    """
    if not 1 <= len(wishes) <= MAX_LINES:
        raise BadInput("A purchase has 1 to {most:,} lines.", path=("lines",), most=MAX_LINES)
    ids = sorted({wish.product_id for wish in wishes})
    products = {row.id: row for row in await rows_by_id(work.session, ProductRow, ids) if row}
    lines = [_new_line(wish, products, position) for position, wish in enumerate(wishes)]
    for position, line in enumerate(lines):
        check_expiry(line.expires_on, ordered_on, "lines", str(position), "expiresOn")
    if sum(line.quantity * line.unit_cost for line in lines) > MAX_COST:
        raise BadInput("A purchase costs at most {most:,}.", path=("lines",), most=MAX_COST // 100)
    return lines


def _new_line(wish: LineWish, products: Mapping[int, ProductRow], position: int) -> PurchaseLineRow:
    try:
        product = _orderable(products.get(wish.product_id))
        return PurchaseLineRow(
            line_number=position + 1,
            product_id=product.id,
            quantity=checked(wish.quantity, check_quantity, "quantity"),
            unit_cost=_unit_cost(wish.unit_cost, product),
            expires_on=wish.expires_on,
        )
    except (BadInput, NotFound, Conflict) as error:
        raise error.below("lines", str(position)) from None


def _orderable(product: ProductRow | None) -> ProductRow:
    if product is None:
        raise NotFound("There is no product with this id.", path=("productId",))
    if not product.is_active:
        raise Conflict("The product {sku} is archived and ordered no more.", path=("productId",), sku=product.sku)
    return product


def _unit_cost(wish: Decimal | None, product: ProductRow) -> int:
    if wish is not None:
        return checked(wish, amount, "unitCost")
    if product.unit_cost is None:
        raise BadInput("The product {sku} has no cost. Give one.", path=("unitCost",), sku=product.sku)
    return product.unit_cost


def checked(value: Given, check: Callable[[Given], Stored], *path: str) -> Stored:
    """The value in its stored form.

    Raises:
        BadInput: it cannot be used, with `path` to it.
    """
    try:
        return check(value)
    except BadInput as error:
        raise error.below(*path) from None


def check_expiry(expires_on: dt.date | None, day: dt.date, *path: str) -> None:
    """Return when bottles that expire then are still good on `day`.

    Raises:
        BadInput: they are not, or that day is not one that can be kept.
    """
    if expires_on is None:
        return
    if not FIRST_DAY <= expires_on <= LAST_DAY:
        raise BadInput("Give a day from {first} to {last}.", path=path, first=FIRST_DAY, last=LAST_DAY)
    if expires_on < day:
        raise BadInput("This expires on {expiry}, before {day}.", path=path, expiry=expires_on, day=day)


async def lines_of(session: AsyncSession, purchase_id: int) -> list[PurchaseLineRow]:
    """All lines of a purchase by their number, as they are now; the caller holds the purchase."""
    statement = select(PurchaseLineRow).where(col(PurchaseLineRow.purchase_id) == purchase_id)
    found = await session.scalars(
        statement.order_by(col(PurchaseLineRow.line_number)).execution_options(populate_existing=True)
    )
    return list(found)


def seen_lines(lines: Iterable[PurchaseLineRow]) -> list[dict[str, Any]]:
    """Lines as the audit record keeps them, amounts in currency units."""
    return [
        {
            "lineNumber": line.line_number,
            "productId": line.product_id,
            "quantity": line.quantity,
            "received": line.received,
            "unitCost": from_cents(line.unit_cost),
            "expiresOn": line.expires_on,
        }
        for line in lines
    ]
