"""Stock adjusted by hand: broken, stolen, found again. Each time with a reason."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from graphql_api.database.stock import MovementCause
from graphql_api.ledger.entries import Demand, Level
from graphql_api.services import posting
from graphql_api.services.checks import amount, from_cents, one_line, whole
from graphql_api.services.errors import BadInput
from graphql_api.services.stock_change import (
    MAX_BOTTLES,
    MAX_REASON,
    Found,
    Moved,
    add_bottles,
    read_moved,
    remove_bottles,
)
from graphql_api.services.stock_subject import Findings, read_subjects
from graphql_api.services.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class AdjustWish:
    """Bottles that are more (positive) or fewer (negative) than the books say, and why.

    `unit_cost`, in currency units, and `expires_on` are of those that are added.
    """

    store_id: int
    product_id: int
    quantity: int
    reason: str
    unit_cost: Decimal | None = None
    expires_on: dt.date | None = None


async def adjust_stock(work: UnitOfWork, wish: AdjustWish) -> Moved:
    """Bring the books to what is there.

    Raises:
        BadInput, NotFound, Conflict, Problems: with the path to each fault.
        InsufficientStock: more is to go than is there.
    """
    findings = Findings()
    reason = findings.check(one_line(MAX_REASON), wish.reason, "reason")
    unit_cost = findings.check_optional(amount, wish.unit_cost, "unitCost")
    _check_adjustment(wish, findings)
    subjects = await read_subjects(work.session, [wish.store_id], [wish.product_id])
    subjects.check_store(wish.store_id, findings, "storeId", gains=wish.quantity > 0)
    subjects.check_product(wish.product_id, findings, "productId", gains=wish.quantity > 0)
    findings.raise_any()
    key = (wish.store_id, wish.product_id)
    before = await posting.hold(work, [key], make=wish.quantity > 0)
    if wish.quantity < 0:
        ids = await remove_bottles(
            work, [Demand(*key, -wish.quantity)], MovementCause.ADJUSTMENT, reason, ("quantity",)
        )
    else:
        found = Found(key, wish.quantity, unit_cost, ("unitCost",), wish.expires_on)
        ids = await add_bottles(work, [found], subjects, MovementCause.ADJUSTMENT, reason)
    moved = await read_moved(work, [key], ids)
    work.record(
        "StockLevel",
        moved.levels[0].id,
        before={"onHand": before.get(key, Level()).on_hand},
        after={"onHand": moved.levels[0].on_hand, "reason": reason, "unitCost": from_cents(unit_cost)},
    )
    return moved


def _check_adjustment(wish: AdjustWish, findings: Findings) -> None:
    findings.check(whole(-MAX_BOTTLES, MAX_BOTTLES), wish.quantity, "quantity")
    if wish.quantity == 0:
        findings.add(BadInput("Say how many bottles are more or fewer; none changes nothing."), "quantity")
    if wish.quantity < 0:
        for name, given in (("unitCost", wish.unit_cost), ("expiresOn", wish.expires_on)):
            if given is not None:
                findings.add(BadInput("Bottles that go have what their lot has. Leave this out."), name)
