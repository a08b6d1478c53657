"""The ways in which stock moves: taken, received, given back, transferred. Each locks, checks all, then writes."""

import datetime as dt
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.ledger.allocation import Lot, allocate
from graphql_api.ledger.book import certain_lots, lock_levels, lots_of_lines, make_lots, open_lots, post
from graphql_api.ledger.entries import (
    Demand,
    Entry,
    LotDemand,
    Movement,
    NothingToReturn,
    Posting,
    Receipt,
    Return,
    Shortage,
    Shortfall,
    StockKey,
)


async def take(
    connection: asyncpg.Connection, demands: Sequence[Demand], entry: Entry, *, usable_on: dt.date | None = None
) -> Posting:
    """Take bottles out of the lots that expire first, then of the oldest; one movement for each demand.

    Args:
        connection: in a transaction.
        demands: may name a product of a store more than once.
        entry: why.
        usable_on: leave lots alone that have expired before this day.

    Raises:
        Shortage: with everything that there is not enough of.
    """
    held = await lock_levels(connection, [demand.key for demand in demands])
    movements, _ = await _allocated(connection, demands, held, usable_on)
    return await post(connection, movements, entry)


async def _allocated(
    connection: asyncpg.Connection, demands: Sequence[Demand], held: Container[StockKey], usable_on: dt.date | None
) -> tuple[list[Movement], dict[int, Lot]]:
    """What takes the bottles, and the lots they come from by id.

    Only what is held is looked at: a level that came into being since is nobody's to take from yet.
    """
    wanted: Counter[StockKey] = Counter()
    for demand in demands:
        wanted[demand.key] += demand.quantity
    open_ = {key: quantity for key, quantity in wanted.items() if key in held}
    lots = await open_lots(connection, open_, usable_on=usable_on)
    _check_enough(wanted, lots)
    movements = [_taken(demand, lots[demand.key]) for demand in demands]
    return movements, {lot.id: lot for of_key in lots.values() for lot in of_key}


def _check_enough(wanted: Mapping[StockKey, int], lots: Mapping[StockKey, Sequence[Lot]]) -> None:
    available = {key: sum(lot.remaining for lot in lots.get(key, ())) for key in wanted}
    short = [
        Shortfall(*key, requested=quantity, available=available[key])
        for key, quantity in wanted.items()
        if quantity > available[key]
    ]
    if short:
        raise Shortage(short)


def _taken(demand: Demand, lots: Sequence[Lot]) -> Movement:
    pieces = allocate(lots, demand.quantity)
    return Movement(demand.key, pieces, -1, invoice_id=demand.invoice_id, line_number=demand.line_number)


async def receive(connection: asyncpg.Connection, receipts: Sequence[Receipt], entry: Entry) -> Posting:
    """Bring bottles in, each receipt as a lot of its own; one movement for each receipt."""
    await lock_levels(connection, [receipt.key for receipt in receipts], make=True)
    pieces = await make_lots(connection, receipts)
    movements = [
        Movement(receipt.key, [piece], 1, purchase_line_id=receipt.purchase_line_id)
        for receipt, piece in zip(receipts, pieces, strict=True)
    ]
    return await post(connection, movements, entry)


async def give_back(connection: asyncpg.Connection, returns: Sequence[Return], entry: Entry) -> Posting:
    """Put bottles back into the lots that an invoice line took them from, the last taken first.

    Raises:
        NothingToReturn: a line has not taken so many, or has given them back already.
    """
    await lock_levels(connection, [back.key for back in returns])
    by_invoice = sorted(returns, key=lambda back: back.invoice_id)
    lots: dict[tuple[int, int], list[Lot]] = {}
    for invoice_id, backs in groupby(by_invoice, key=lambda back: back.invoice_id):
        held = await lots_of_lines(connection, invoice_id, [back.line_number for back in backs])
        lots.update({(invoice_id, number): line for number, line in held.items()})
    return await post(connection, [_given_back(back, lots) for back in returns], entry)


def _given_back(back: Return, lots: Mapping[tuple[int, int], Sequence[Lot]]) -> Movement:
    try:
        pieces = allocate(lots[back.invoice_id, back.line_number], back.quantity)
    except ValueError:
        raise NothingToReturn(f"line {back.line_number} of invoice {back.invoice_id}") from None
    return Movement(back.key, pieces, 1, invoice_id=back.document_id, line_number=back.line_number)


async def take_lots(connection: asyncpg.Connection, demands: Sequence[LotDemand], entry: Entry) -> Posting:
    """Take bottles out of certain lots, as when what was received goes back to the supplier.

    Raises:
        Shortage: some of the lots have not so many left.
    """
    await lock_levels(connection, [demand.key for demand in demands])
    lots = await certain_lots(connection, [demand.lot_id for demand in demands])
    _check_lots(demands, lots)
    movements = [
        Movement(
            demand.key,
            allocate([lots[demand.key, demand.lot_id]], demand.quantity),
            -1,
            purchase_line_id=demand.purchase_line_id,
        )
        for demand in demands
    ]
    return await post(connection, movements, entry)


def _check_lots(demands: Sequence[LotDemand], lots: Mapping[tuple[StockKey, int], Lot]) -> None:
    wanted: Counter[tuple[StockKey, int]] = Counter()
    for demand in demands:
        wanted[demand.key, demand.lot_id] += demand.quantity
    left = {place: lots[place].remaining if place in lots else 0 for place in wanted}
    short = [
        Shortfall(*key, requested=quantity, available=left[key, lot_id])
        for (key, lot_id), quantity in wanted.items()
        if quantity > left[key, lot_id]
    ]
    if short:
        raise Shortage(short)


async def transfer(
    connection: asyncpg.Connection, demands: Sequence[Demand], to_store_id: int, entry: Entry
) -> tuple[Posting, Posting]:
    """Move bottles to another store; there they keep their cost, age and expiry.

    Answers what went and what came: a movement for each demand, in the same order.

    Raises:
        Shortage: with everything that there is not enough of.
    """
    keys = [demand.key for demand in demands]
    arrivals = [(to_store_id, demand.product_id) for demand in demands]
    # both sides at once, so that transfers in both directions keep to one order
    held = await lock_levels(connection, [*keys, *arrivals], make=True)
    leaving, lots = await _allocated(connection, demands, held, None)
    gone = await post(connection, leaving, replace(entry, cause=MovementCause.TRANSFER_OUT))
    receipts = [
        Receipt(
            to_store_id,
            movement.key[1],
            piece.quantity,
            piece.unit_cost,
            lots[piece.lot_id].received_on,
            lots[piece.lot_id].expires_on,
            source_lot_id=piece.lot_id,
        )
        for movement in gone.movements
        for piece in movement.pieces
    ]
    pieces = iter(await make_lots(connection, receipts))
    came = [
        Movement((to_store_id, movement.key[1]), [next(pieces) for _ in movement.pieces], 1, transfer_of=source)
        for movement, source in zip(gone.movements, gone.ids, strict=True)
    ]
    return gone, await post(connection, came, replace(entry, cause=MovementCause.TRANSFER_IN))
