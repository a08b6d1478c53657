"""Stock moves on behalf of the services: the one door to the ledger inside of a unit of work.

What is short comes back as `InsufficientStock`; levels that fall to their threshold are told about.
"""

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.ledger import moves
from graphql_api.ledger.book import lock_levels
from graphql_api.ledger.entries import Demand, Entry, Level, LotDemand, Posting, Receipt, Return, Shortage, StockKey
from graphql_api.services import low_stock
from graphql_api.services.errors import InsufficientStock, MissingStock
from graphql_api.services.unit_of_work import UnitOfWork


async def hold(work: UnitOfWork, keys: Iterable[StockKey], *, make: bool = False) -> dict[StockKey, Level]:
    """Keep levels as they are for everybody else until the transaction ends, and answer them.

    A transaction that posts more than once holds all its levels first, so that everybody locks in one order.

    Args:
        work: the transaction.
        keys: stores and products.
        make: have levels that do not exist begin; otherwise they are left out.
    """
    async with _ledger(work) as connection:
        return await lock_levels(connection, keys, make=make)


async def take(
    work: UnitOfWork,
    demands: Sequence[Demand],
    cause: MovementCause,
    *,
    reason: str | None = None,
    usable_on: dt.date | None = None,
) -> Posting:
    """Take bottles, first expired and oldest first; one movement for each demand, in their order.

    Args:
        work: the transaction.
        demands: may name a product of a store more than once.
        cause: why.
        reason: why, in somebody's words.
        usable_on: leave lots alone that have expired before this day.

    Raises:
        InsufficientStock: with everything that is short.
    """
    async with _ledger(work) as connection:
        posting = await moves.take(connection, demands, _entry(work, cause, reason), usable_on=usable_on)
    return await _told(work, posting)


async def receive(
    work: UnitOfWork, receipts: Sequence[Receipt], cause: MovementCause, *, reason: str | None = None
) -> Posting:
    """Bring bottles in, each receipt as a lot; one movement for each, in their order."""
    async with _ledger(work) as connection:
        posting = await moves.receive(connection, receipts, _entry(work, cause, reason))
    return await _told(work, posting)


async def give_back(
    work: UnitOfWork, returns: Sequence[Return], cause: MovementCause, *, reason: str | None = None
) -> Posting:
    """Put bottles back into the lots that invoice lines took them from; `Posting.costs` is what they had cost.

    Raises:
        NothingToReturn: a line has not taken so many; whoever asks has to know.
    """
    async with _ledger(work) as connection:
        posting = await moves.give_back(connection, returns, _entry(work, cause, reason))
    return await _told(work, posting)


async def take_lots(
    work: UnitOfWork, demands: Sequence[LotDemand], cause: MovementCause, *, reason: str | None = None
) -> Posting:
    """Take bottles out of certain lots.

    Raises:
        InsufficientStock: some of the lots have not so many left.
    """
    async with _ledger(work) as connection:
        posting = await moves.take_lots(connection, demands, _entry(work, cause, reason))
    return await _told(work, posting)


async def transfer(
    work: UnitOfWork, demands: Sequence[Demand], to_store_id: int, *, reason: str | None = None
) -> tuple[Posting, Posting]:
    """Move bottles to another store, where they keep cost, age and expiry; answers what went and what came.

    Raises:
        InsufficientStock: with everything that is short.
    """
    entry = _entry(work, MovementCause.TRANSFER_OUT, reason)
    async with _ledger(work) as connection:
        gone, came = await moves.transfer(connection, demands, to_store_id, entry)
    return await _told(work, gone), await _told(work, came)


def _entry(work: UnitOfWork, cause: MovementCause, reason: str | None) -> Entry:
    return Entry(cause, reason, work.actor_id)


@asynccontextmanager
async def _ledger(work: UnitOfWork) -> AsyncIterator[asyncpg.Connection]:
    """The ledger's connection; what the session still holds back is written first."""
    await work.session.flush()
    try:
        yield await work.driver()
    except Shortage as shortage:
        missing = [MissingStock(s.store_id, s.product_id, s.requested, s.available) for s in shortage.shortfalls]
        raise InsufficientStock(
            "There is not enough stock of {count} products. Lower the quantities, or receive more first.",
            count=len(missing),
            shortages=missing,
        ) from None


async def _told(work: UnitOfWork, posting: Posting) -> Posting:
    await low_stock.tell(work, posting.opened)
    return posting
