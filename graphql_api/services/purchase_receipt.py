"""Receiving what was ordered, wholly or in parts: each part becomes a lot with its cost and expiry."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.database.stock import MovementCause
from graphql_api.ledger.entries import Receipt
from graphql_api.services import posting
from graphql_api.services.checks import amount
from graphql_api.services.errors import BadInput, NotFound
from graphql_api.services.purchase_line import (
    MAX_COST,
    MAX_LINES,
    check_expiry,
    check_quantity,
    checked,
    lines_of,
    seen_lines,
)
from graphql_api.services.purchase_lock import FIRST_DAY, check_ordered, check_store, locked_purchase, today
from graphql_api.services.unit_of_work import UnitOfWork

# Where it is tomorrow already, goods may have come before that day begins in UTC.
AHEAD_OF_UTC = dt.timedelta(days=1)


@dataclass(frozen=True)
class ReceiptWish:
    """Bottles that have come of a line (more than 0), and what is other than ordered: the expiry, the cost a bottle.

    Without `has_expiry` the expiry is the line's; without a cost (in currency units) the cost is.
    """

    line_number: int
    quantity: int
    unit_cost: Decimal | None = None
    expires_on: dt.date | None = None
    has_expiry: bool = False


async def receive_purchase(
    work: UnitOfWork,
    purchase_id: int,
    expected_version: int,
    wishes: Sequence[ReceiptWish] | None = None,
    received_on: dt.date | None = None,
) -> PurchaseRow:
    """Bring bottles that were ordered into stock; the purchase is received once nothing is outstanding.

    Args:
        work: the transaction.
        purchase_id: its key.
        expected_version: the version that whoever asks has read.
        wishes: what has come; a line may be named more than once, as with other expiries. None is all outstanding.
        received_on: the day it came, today unless given; older lots are sold first.

    Raises:
        BadInput, NotFound, Conflict: with the path to what cannot be; nothing is received then.
    """
    purchase = await locked_purchase(work, purchase_id, expected_version)
    check_ordered(purchase)
    await check_store(work.session, purchase.store_id, "id")
    lines = await lines_of(work.session, purchase_id)
    before = seen_lines(lines)
    day = _checked_day(received_on)
    receipts = _all(purchase, lines, day) if wishes is None else _some(purchase, lines, wishes, day)
    _count_in(purchase, lines, receipts)
    await posting.receive(work, receipts, MovementCause.RECEIPT)
    work.record(
        "Purchase",
        purchase.id,
        before={"status": PurchaseStatus.ORDERED, "lines": before},
        after={"status": purchase.status, "lines": seen_lines(lines), "receivedOn": day, "receipts": _seen(receipts)},
    )
    return purchase


def _checked_day(received_on: dt.date | None) -> dt.date:
    if received_on is None:
        return today()
    if not FIRST_DAY <= received_on <= today() + AHEAD_OF_UTC:
        raise BadInput("Give a day from 1900 on that is not in the future.", path=("receivedOn",))
    return received_on


def _all(purchase: PurchaseRow, lines: Sequence[PurchaseLineRow], day: dt.date) -> list[Receipt]:
    """Everything that is outstanding, as it was ordered."""
    open_lines = [line for line in lines if line.received < line.quantity]
    for line in open_lines:
        _check_still_good(line, day)
    return [
        _receipt(purchase, line, line.quantity - line.received, line.unit_cost, day, line.expires_on)
        for line in open_lines
    ]


def _check_still_good(line: PurchaseLineRow, day: dt.date) -> None:
    if line.expires_on is not None and line.expires_on < day:
        raise BadInput(
            "Line {number} was to expire on {expiry}, before {day}. Name the lines and when they really expire.",
            path=("lines",),
            number=line.line_number,
            expiry=line.expires_on,
            day=day,
        )


def _some(
    purchase: PurchaseRow, lines: Sequence[PurchaseLineRow], wishes: Sequence[ReceiptWish], day: dt.date
) -> list[Receipt]:
    """What the wishes name, in their order.

    Raises:
        BadInput, NotFound: with the path to the wish.
    """
    if not 1 <= len(wishes) <= MAX_LINES:
        raise BadInput(
            "Name 1 to {most:,} lines, or leave `lines` out to receive all.", path=("lines",), most=MAX_LINES
        )
    by_number = {line.line_number: line for line in lines}
    outstanding = {line.line_number: line.quantity - line.received for line in lines}
    receipts = []
    for position, wish in enumerate(wishes):
        try:
            line = _wanted(wish, by_number, outstanding)
            receipts.append(_wished(purchase, line, wish, day))
        except (BadInput, NotFound) as error:
            raise error.below("lines", str(position)) from None
        outstanding[wish.line_number] -= wish.quantity
    return receipts


def _wanted(wish: ReceiptWish, lines: Mapping[int, PurchaseLineRow], outstanding: Mapping[int, int]) -> PurchaseLineRow:
    line = lines.get(wish.line_number)
    if line is None:
        raise NotFound("This purchase has no line {number}.", path=("lineNumber",), number=wish.line_number)
    checked(wish.quantity, check_quantity, "quantity")
    left = outstanding[wish.line_number]
    if wish.quantity > left:
        raise BadInput(
            "Of line {number} only {left:,} bottles are outstanding.",
            path=("quantity",),
            number=wish.line_number,
            left=left,
        )
    return line


def _wished(purchase: PurchaseRow, line: PurchaseLineRow, wish: ReceiptWish, day: dt.date) -> Receipt:
    unit_cost = line.unit_cost if wish.unit_cost is None else checked(wish.unit_cost, amount, "unitCost")
    if unit_cost * wish.quantity > MAX_COST:
        raise BadInput("A purchase costs at most {most:,}.", path=("unitCost",), most=MAX_COST // 100)
    expires_on = wish.expires_on if wish.has_expiry else line.expires_on
    check_expiry(expires_on, day, "expiresOn")
    return _receipt(purchase, line, wish.quantity, unit_cost, day, expires_on)


def _receipt(  # noqa: PLR0913, PLR0917 - what a lot is made of
    purchase: PurchaseRow,
    line: PurchaseLineRow,
    quantity: int,
    unit_cost: int,
    day: dt.date,
    expires_on: dt.date | None,
) -> Receipt:
    return Receipt(purchase.store_id, line.product_id, quantity, unit_cost, day, expires_on, purchase_line_id=line.id)


def _count_in(purchase: PurchaseRow, lines: Sequence[PurchaseLineRow], receipts: Sequence[Receipt]) -> None:
    """Write down on the purchase what has come."""
    by_id = {line.id: line for line in lines}
    for receipt in receipts:
        by_id[receipt.purchase_line_id or 0].received += receipt.quantity
    if all(line.received == line.quantity for line in lines):
        purchase.status = PurchaseStatus.RECEIVED
    purchase.version += 1


def _seen(receipts: Sequence[Receipt]) -> list[dict[str, object]]:
    """Receipts as the audit record keeps them."""
    return [
        {
            "productId": receipt.product_id,
            "quantity": receipt.quantity,
            "unitCost": Decimal(receipt.unit_cost).scaleb(-2),
            "expiresOn": receipt.expires_on,
        }
        for receipt in receipts
    ]
