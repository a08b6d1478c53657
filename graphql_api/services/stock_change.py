"""What changes of stock have in common: bottles added at a cost, bottles removed, and what came of it."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import any_, select, tuple_
from sqlmodel import col

from graphql_api.database.stock import MovementCause, StockLevelRow, StockMovementRow
from graphql_api.ledger.book import newest_costs
from graphql_api.ledger.entries import Demand, Receipt, StockKey
from graphql_api.services import posting
from graphql_api.services.errors import BadInput, InsufficientStock
from graphql_api.services.reading import id_array
from graphql_api.services.stock_lot import today
from graphql_api.services.stock_subject import Findings, Subjects
from graphql_api.services.unit_of_work import UnitOfWork

MAX_BOTTLES = 10_000_000
MAX_LINES = 500
MAX_REASON = 500
# In cents, of one line: far more than a store is worth, and so little that no sum of such overflows.
MAX_VALUE = 10**13


@dataclass(frozen=True)
class Moved:
    """The levels as they are now, and the movements that made them so."""

    levels: Sequence[StockLevelRow]
    movements: Sequence[StockMovementRow]


@dataclass(frozen=True)
class Found:
    """Bottles to be added, their cost in cents if it was given, and where the input has it."""

    key: StockKey
    quantity: int
    unit_cost: int | None
    cost_path: tuple[str, ...]
    expires_on: dt.date | None = None


async def add_bottles(
    work: UnitOfWork, found: Sequence[Found], subjects: Subjects, cause: MovementCause, reason: str | None
) -> Sequence[int]:
    """Add bottles at the given cost, else at that of the newest lot, else at the product's own.

    Raises:
        BadInput, Problems: nobody knows what they cost, or they are worth too much.
    """
    if not found:
        return []
    findings = Findings()
    newest = await newest_costs(await work.driver(), [item.key for item in found])
    receipts = []
    for item in found:
        known = newest.get(item.key, subjects.products[item.key[1]].unit_cost)
        cost = known if item.unit_cost is None else item.unit_cost
        if cost is None:
            findings.add(BadInput("Nobody knows what these bottles cost. Give their cost."), *item.cost_path)
        elif cost * item.quantity > MAX_VALUE:
            findings.add(BadInput("So many bottles at this cost are worth more than can be kept."), *item.cost_path)
        else:
            receipts.append(Receipt(*item.key, item.quantity, cost, today(), item.expires_on))
    findings.raise_any()
    return (await posting.receive(work, receipts, cause, reason=reason)).ids


async def remove_bottles(
    work: UnitOfWork, demands: Sequence[Demand], cause: MovementCause, reason: str | None, path: tuple[str, ...]
) -> Sequence[int]:
    """Take bottles away; `path` leads to where the input asks for it.

    Raises:
        InsufficientStock: with everything that is short.
    """
    if not demands:
        return []
    try:
        return (await posting.take(work, demands, cause, reason=reason)).ids
    except InsufficientStock as error:
        raise error.below(*path) from None


def check_lines(lines: Sequence[object], findings: Findings) -> None:
    """Find fault with no lines, and with too many."""
    if not 1 <= len(lines) <= MAX_LINES:
        problem = BadInput("Give 1 to {limit} lines; these are {given}.", limit=MAX_LINES, given=len(lines))
        findings.add(problem, "lines")


def line_path(position: int, name: str) -> tuple[str, str, str]:
    """The path to a field of a line."""
    return "lines", str(position), name


async def read_moved(work: UnitOfWork, keys: Iterable[StockKey], ids: Sequence[int]) -> Moved:
    """What came of it, read anew: the database has written it."""
    level_key = tuple_(col(StockLevelRow.store_id), col(StockLevelRow.product_id))
    levels = await work.session.scalars(
        select(StockLevelRow)
        .where(level_key.in_(list(keys)))
        .order_by(col(StockLevelRow.store_id), col(StockLevelRow.product_id))
        .execution_options(populate_existing=True)
    )
    movements = await work.session.scalars(
        select(StockMovementRow)
        .where(col(StockMovementRow.id) == any_(id_array(ids)))
        .order_by(col(StockMovementRow.id))
    )
    return Moved(list(levels), list(movements))
