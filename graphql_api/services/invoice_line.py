"""Lines of an invoice that is being written: what may stand on one, and at what price."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

from graphql_api.database.product import ProductRow
from graphql_api.services.checks import optional_text, to_cents
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.invoice_amounts import spread
from graphql_api.services.policy import Action, Forbidden, Viewer
from graphql_api.services.reading import rows_by_id
from graphql_api.services.unit_of_work import UnitOfWork

MAX_LINES = 1_000
MAX_QUANTITY = 1_000_000
# What all lines may come to before discounts, in cents; sums of many invoices still fit a bigint.
MAX_AMOUNT = 10**13


@dataclass(frozen=True)
class LineWish:
    """A product to be on an invoice: bottles, and amounts in currency units; None takes what there is.

    `quantity` is more than 0, or 0 where lines are set, to take the product off.
    """

    product_id: int
    quantity: int
    unit_price: Decimal | None = None
    discount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SaleLine:
    """A line as it is kept: bottles, cents and millilitres; `cost` is 0 until the invoice is issued."""

    number: int
    product_id: int
    place_id: int
    quantity: int
    unit_price: int
    discount: int = 0
    cost: int = 0
    volume_ml: int | None = None

    @property
    def gross(self) -> int:
        """What the bottles come to before discounts, in cents."""
        return self.quantity * self.unit_price

    @property
    def revenue(self) -> int:
        """What is to be paid for them, without tax, in cents."""
        return self.gross - self.discount

    def with_quantity(self, quantity: int, volume_ml: int | None) -> "SaleLine":
        """The line with another number of bottles; each has this content unless the line knows its own."""
        if self.volume_ml is not None:
            volume_ml = self.volume_ml // self.quantity
        return replace(self, quantity=quantity, volume_ml=None if volume_ml is None else quantity * volume_ml)


async def wanted_products(work: UnitOfWork, wishes: Sequence[LineWish]) -> dict[int, ProductRow]:
    """The products of some wishes, by id.

    Raises:
        BadInput: there are more wishes than an invoice has lines.
        NotFound: with the path to the id that no product has.
    """
    if len(wishes) > MAX_LINES:
        raise _too_many()
    ids = [wish.product_id for wish in wishes]
    found = {row.id: row for row in await rows_by_id(work.session, ProductRow, sorted(set(ids))) if row}
    for position, key in enumerate(ids):
        if key not in found:
            raise NotFound("There is no product with this id.", path=("lines", str(position), "productId"))
    return found


def check_once(wishes: Sequence[LineWish]) -> None:
    """Return when no product is named twice.

    Raises:
        BadInput: with the path to the second time.
    """
    seen: set[int] = set()
    for position, wish in enumerate(wishes):
        if wish.product_id in seen:
            raise BadInput(
                "This product is named twice. Put both quantities into one.", path=("lines", str(position), "productId")
            )
        seen.add(wish.product_id)


def check_sold(product: ProductRow, position: int) -> None:
    """Return when more of the product may be sold.

    Raises:
        Conflict: it is archived.
    """
    if not product.is_active:
        raise Conflict(
            "The product {sku} is archived and sold no more.",
            path=("lines", str(position), "productId"),
            sku=product.sku,
        )


def new_line(  # noqa: PLR0913, PLR0917 - what a line is made of
    number: int, place_id: int, wish: LineWish, product: ProductRow, viewer: Viewer, position: int
) -> SaleLine:
    """The line that a wish becomes, at the product's price unless the wish names one.

    Raises:
        BadInput, Conflict, Forbidden: with the path to the part of the wish that cannot be.
    """
    check_sold(product, position)
    line = SaleLine(number, product.id, place_id, wish.quantity, product.unit_price or 0)
    if wish.unit_price is None and product.unit_price is None:
        raise BadInput(
            "The product {sku} has no price. Give one.", path=("lines", str(position), "unitPrice"), sku=product.sku
        )
    return changed_line(line, wish, product, viewer, position)


def changed_line(line: SaleLine, wish: LineWish, product: ProductRow, viewer: Viewer, position: int) -> SaleLine:
    """The line with the quantity of a wish, and with its price and discount if it names them.

    Raises:
        BadInput, Forbidden: with the path to the part of the wish that cannot be.
    """
    _check_terms_kept(line, wish, product, viewer, position)
    line = line.with_quantity(checked_quantity(wish.quantity, position), product.volume_ml)
    if wish.unit_price is not None:
        line = replace(line, unit_price=_unit_price(wish.unit_price, product, viewer, position))
    if wish.discount is not None:
        line = replace(line, discount=_discount(wish.discount, viewer, position))
    return line


def _check_terms_kept(line: SaleLine, wish: LineWish, product: ProductRow, viewer: Viewer, position: int) -> None:
    """Return when a special price, or a discount, is not to be had for another quantity than it was given for.

    Raises:
        Forbidden: it is, and `viewer` sells at the product's price alone.
    """
    is_cheap = product.unit_price is not None and line.unit_price < product.unit_price
    if (wish.quantity > line.quantity and is_cheap) or (wish.quantity != line.quantity and line.discount):
        check_may_set_prices(viewer, ("lines", str(position), "quantity"))


def checked_quantity(quantity: int, position: int) -> int:
    """Bottles that one line can sell.

    Raises:
        BadInput: it is none, or too many.
    """
    if not 1 <= quantity <= MAX_QUANTITY:
        raise BadInput("Sell from 1 to {most:,} bottles.", path=("lines", str(position), "quantity"), most=MAX_QUANTITY)
    return quantity


def _unit_price(price: Decimal, product: ProductRow, viewer: Viewer, position: int) -> int:
    path = ("lines", str(position), "unitPrice")
    cents = amount_of(price, *path)
    if cents != product.unit_price:
        check_may_set_prices(viewer, path)
    return cents


def _discount(discount: Decimal, viewer: Viewer, position: int) -> int:
    path = ("lines", str(position), "discount")
    cents = amount_of(discount, *path)
    if cents:
        check_may_set_prices(viewer, path)
    return cents


def check_may_set_prices(viewer: Viewer, path: tuple[str, ...]) -> None:
    """Return when `viewer` may sell at a price of the own choice.

    Raises:
        Forbidden: the product's price must do.
    """
    if Action.SET_PRICES not in viewer.actions:
        raise Forbidden("You may not {action}.", path=path, action=Action.SET_PRICES.value)


def amount_of(amount: Decimal, *path: str) -> int:
    """An amount of a client's in cents.

    Raises:
        BadInput: it is negative, has fractions of a cent, or is too large.
    """
    try:
        cents = to_cents(amount)
    except BadInput as error:
        raise error.below(*path) from None
    if not 0 <= cents <= MAX_AMOUNT:
        raise BadInput("Give an amount from 0 to {most:,}.", path=path, most=MAX_AMOUNT // 100)
    return cents


def with_discount(lines: Sequence[SaleLine], discount: int, path: tuple[str, ...] = ("discount",)) -> list[SaleLine]:
    """The lines with a discount on the invoice as a whole spread over them.

    Raises:
        BadInput: the discount is more than they come to.
    """
    amounts = [line.gross for line in lines]
    if discount > sum(amounts):
        raise BadInput("The discount on the invoice is more than its lines come to.", path=path)
    shares = spread(discount, amounts)
    return [replace(line, discount=share) for line, share in zip(lines, shares, strict=True)]


def check_lines(lines: Sequence[SaleLine], positions: Mapping[int, int]) -> None:
    """Return when an invoice can have these lines.

    Args:
        lines: all of them.
        positions: where in the input a line comes from, by its number; others were there before.

    Raises:
        BadInput: there are too many, they come to too much, or a discount is more than its line.
    """
    if len(lines) > MAX_LINES:
        raise _too_many()
    if sum(line.gross for line in lines) > MAX_AMOUNT:
        raise BadInput("An invoice comes to at most {most:,}.", path=("lines",), most=MAX_AMOUNT // 100)
    for line in lines:
        if line.discount > line.gross:
            place = positions.get(line.number)
            path = ("lines",) if place is None else ("lines", str(place), "discount")
            raise BadInput("The discount is more than the line comes to.", path=path)


def _too_many() -> BadInput:
    return BadInput("An invoice has at most {most:,} lines.", path=("lines",), most=MAX_LINES)


def seen_lines(lines: Iterable[SaleLine]) -> list[dict[str, Any]]:
    """Lines as the audit record keeps them, amounts in currency units."""
    return [
        {
            "lineNumber": line.number,
            "productId": line.product_id,
            "quantity": line.quantity,
            "unitPrice": in_units(line.unit_price),
            "discount": in_units(line.discount),
        }
        for line in lines
    ]


def in_units(cents: int) -> Decimal:
    """Cents in currency units, for the audit record."""
    return Decimal(cents).scaleb(-2)


def checked_text(text: str | None, limit: int, *path: str) -> str | None:
    """A text of any number of lines in its stored form; one of which nothing can be seen is none.

    Raises:
        BadInput: it is longer than `limit` characters, or has control characters other than line breaks.
    """
    try:
        return cast("str | None", optional_text(limit)(text or ""))
    except BadInput as error:
        raise error.below(*path) from None
