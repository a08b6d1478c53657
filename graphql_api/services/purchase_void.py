"""Voiding a purchase: what has come of it leaves its own lots again, or what is in the way is named."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Select, any_, case, func, null, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.invoice import InvoiceRow
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow, PurchaseStatus
from graphql_api.database.stock import LotUseRow, MovementCause, StockLotRow, StockMovementRow
from graphql_api.ledger.entries import LotDemand
from graphql_api.services import posting
from graphql_api.services.checks import one_line
from graphql_api.services.errors import Conflict, InsufficientStock
from graphql_api.services.purchase_line import checked, lines_of, seen_lines
from graphql_api.services.purchase_lock import locked_purchase
from graphql_api.services.reading import id_array
from graphql_api.services.unit_of_work import UnitOfWork

MAX_REASON = 500
# A lot may have been sold on thousands of invoices.
MAX_USES = 20
MAX_BLOCKERS = 100
check_reason = one_line(MAX_REASON)


@dataclass(frozen=True)
class LotLoss:
    """Bottles of a lot that are gone, by what took them: an invoice, net of what came back, or another movement."""

    lot_id: int
    quantity: int
    cause: MovementCause
    at: dt.datetime
    invoice_id: int | None
    movement_id: int


@dataclass(frozen=True)
class Blocker:
    """A lot of a purchase of which some bottles are gone; `used_by` names the latest 20 that took them."""

    lot_id: int
    product_id: int
    line_number: int
    received: int
    remaining: int
    used_by: Sequence[LotLoss]

    @property
    def gone(self) -> int:
        """Bottles that cannot be taken back."""
        return self.received - self.remaining


class PurchaseInUse(Conflict):
    """A purchase cannot be voided, because some of its bottles are gone.

    Args:
        blockers: the lots that miss some, at most 100.
    """

    def __init__(
        self, template: str, *, path: tuple[str, ...] = (), blockers: Sequence[Blocker] = (), **values: object
    ) -> None:
        super().__init__(template, path=path, blockers=blockers, **values)
        self.blockers = tuple(blockers)


async def void_purchase(work: UnitOfWork, purchase_id: int, expected_version: int, reason: str) -> PurchaseRow:
    """Take a purchase back: nothing more of it will come, and what has come goes out of its own lots.

    Raises:
        NotFound: there is none.
        PurchaseInUse: some of its bottles are sold, moved or lost; all of that is named.
        Conflict: it is void already, or not in `expected_version` any more.
        BadInput: there is no reason.
    """
    purchase = await locked_purchase(work, purchase_id, expected_version)
    if purchase.status is PurchaseStatus.VOID:
        raise Conflict("This purchase is void already.", path=("id",))
    why = checked(reason, check_reason, "reason")
    lines = await lines_of(work.session, purchase_id)
    before = {"status": purchase.status, "lines": seen_lines(lines)}
    await _take_back(work, [line.id for line in lines if line.received], why)
    for line in lines:
        line.received = 0
    purchase.status, purchase.void_reason = PurchaseStatus.VOID, why
    purchase.version += 1
    await work.session.flush()
    after = {"status": purchase.status, "voidReason": why, "lines": seen_lines(lines)}
    work.record("Purchase", purchase.id, before=before, after=after)
    return purchase


async def _take_back(work: UnitOfWork, line_ids: Sequence[int], reason: str) -> None:
    lot = StockLotRow
    columns = (lot.store_id, lot.product_id, lot.id, lot.received, lot.purchase_line_id)
    statement = select(*map(col, columns)).where(col(lot.purchase_line_id) == any_(id_array(line_ids)))
    found = await work.session.execute(statement.order_by(col(lot.id)))
    demands = [LotDemand(row.store_id, row.product_id, row.id, row.received, row.purchase_line_id) for row in found]
    try:
        await posting.take_lots(work, demands, MovementCause.RECEIPT_VOID, reason=reason)
    except InsufficientStock:
        # the levels are held since, so what is found now is what was in the way
        blockers = await _blockers(work.session, line_ids)
        raise PurchaseInUse(
            "{gone:,} bottles of this purchase are gone already. Take back what used them, or adjust the stock.",
            path=("id",),
            blockers=blockers,
            gone=sum(blocker.gone for blocker in blockers),
        ) from None


async def _blockers(session: AsyncSession, line_ids: Sequence[int]) -> list[Blocker]:
    """The lots of these lines that miss some bottles."""
    lot, line = StockLotRow, PurchaseLineRow
    statement = (
        select(col(lot.id), col(lot.product_id), col(line.line_number), col(lot.received), col(lot.remaining))
        .join(line, col(line.id) == col(lot.purchase_line_id))
        .where(col(line.id) == any_(id_array(line_ids)), col(lot.remaining) < col(lot.received))
        .order_by(col(line.line_number), col(lot.id))
        .limit(MAX_BLOCKERS)
    )
    rows = (await session.execute(statement)).all()
    losses = [LotLoss(*loss) for loss in await session.execute(_losses([row.id for row in rows]))]
    return [Blocker(*row, used_by=[loss for loss in losses if loss.lot_id == row.id]) for row in rows]


def _losses(lot_ids: Sequence[int]) -> Select[int, int, MovementCause, dt.datetime, int | None, int]:
    """What took bottles of these lots and has not given them back, the latest first, `MAX_USES` of each lot.

    An invoice, its corrections and its credit notes are one; every other movement stands for itself.
    """
    use, movement, invoice = LotUseRow, StockMovementRow, InvoiceRow
    sale = func.coalesce(col(invoice.credit_of), col(invoice.id))
    alone = case((col(movement.invoice_id).is_(None), col(movement.id)), else_=null())
    gone = -func.sum(col(use.quantity)).cast(BigInteger)
    last = func.max(col(movement.id))
    place = func.row_number().over(partition_by=col(use.lot_id), order_by=last.desc()).label("place")
    first_cause = func.min(case((col(movement.quantity) < 0, col(movement.cause)), else_=null()))
    grouped = (
        select(
            col(use.lot_id).label("lot_id"),
            gone.label("gone"),
            first_cause.label("cause"),
            func.max(col(movement.at)).label("at"),
            sale.label("invoice_id"),
            last.label("movement_id"),
            place,
        )
        .join(movement, col(movement.id) == col(use.movement_id))
        .outerjoin(invoice, col(invoice.id) == col(movement.invoice_id))
        .where(col(use.lot_id) == any_(id_array(lot_ids)), col(movement.cause) != MovementCause.RECEIPT)
        .group_by(col(use.lot_id), sale, alone)
        .having(func.sum(col(use.quantity)) < 0)
        .subquery()
    )
    columns = grouped.c
    return (
        select(columns.lot_id, columns.gone, columns.cause, columns.at, columns.invoice_id, columns.movement_id)
        .where(columns.place <= MAX_USES)
        .order_by(columns.lot_id, columns.place)
    )
