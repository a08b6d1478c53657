"""Sold lines of a file that take their bottles from stock, line by line in the order of the file.

A line that the store has not enough bottles for is refused; what comes back (a negative quantity) becomes a lot of its
own at the line's cost.
"""

import datetime as dt
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg
import numpy as np

from graphql_api.database.stock import MovementCause
from graphql_api.imports import seen
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.resolver import ResolvedReferences
from graphql_api.imports.sales_block import Integers, SalesBlock
from graphql_api.ledger.allocation import Lot, Piece, allocate
from graphql_api.ledger.book import MAKE_LEVELS, lock_levels, make_lots, open_lots, post
from graphql_api.ledger.entries import Entry, Movement, Receipt, StockKey

ALL_LOTS = 2**31
MAY_SELL_EXPIRED = "SELECT sells_expired FROM settings"


class _Sale(NamedTuple):
    """A line that moves bottles; `unit_cost` is the file's, in cents a bottle."""

    position: int
    key: StockKey
    shelf: str
    date: dt.date
    quantity: int
    unit_cost: int


@dataclass
class StockSale:
    """What lines do to stock.

    Args:
        costs: what the bottles of each line had cost, in cents with the sign of its quantity, by position.
        refused: bottles that there are for lines that want more, by position.
        notes: for a dry run, bottles that later blocks of the file do not find any more (negative: find besides).
    """

    costs: dict[int, int] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)


async def sell(
    connection: asyncpg.Connection,
    block: SalesBlock,
    references: ResolvedReferences,
    chosen: Integers,
    options: LoadOptions,
) -> StockSale:
    """Take the bottles of some lines from stock, as far as there are enough; a dry run only finds out."""
    sales = _sales(block, references, chosen)
    backs = [sale for sale in sales if sale.quantity < 0]
    if backs and not options.dry_run:
        stores, products = zip(*sorted({sale.key for sale in backs}), strict=True)
        await connection.execute(MAKE_LEVELS, list(stores), list(products))
    keys = {sale.key for sale in sales}
    held = await lock_levels(connection, keys)
    sells_expired = bool(await connection.fetchval(MAY_SELL_EXPIRED))
    lots = defaultdict(list, await open_lots(connection, dict.fromkeys(held, ALL_LOTS)))
    if options.dry_run:
        await _apply_notes(connection, options.import_id, sales, lots)
        returned = {sale.position: -sale.position - 1 for sale in backs}
    else:
        pieces = await make_lots(connection, [_receipt(sale) for sale in backs])
        returned = {sale.position: piece.lot_id for sale, piece in zip(backs, pieces, strict=True)}
    run = _Run(lots, returned, sells_expired=sells_expired)
    for sale in sales:
        run.take(sale)
    if options.dry_run:
        run.note()
    else:
        # what came back is there before it can be sold again
        for cause, movements in ((MovementCause.CREDIT, run.came), (MovementCause.SALE, run.went)):
            await post(connection, movements, Entry(cause, actor_id=options.actor_id, import_id=options.import_id))
    return run.outcome


def _sales(block: SalesBlock, references: ResolvedReferences, chosen: Integers) -> list[_Sale]:
    lines = block.lines
    stores, products = lines.store[chosen], lines.product[chosen]
    columns = zip(
        chosen.tolist(),
        zip(references.stores[stores].tolist(), references.products[products].tolist(), strict=True),
        zip(stores.tolist(), products.tolist(), strict=True),
        lines.date[chosen].astype("datetime64[D]").tolist(),
        lines.quantity[chosen].tolist(),
        lines.cost[chosen].tolist(),
        strict=True,
    )
    return [
        _Sale(
            position, key, f"back {block.stores[store].number} {block.products[product].sku}", date, quantity,
            cost // quantity,
        )
        for position, key, (store, product), date, quantity, cost in columns
        if quantity
    ]  # fmt: skip


def _receipt(sale: _Sale) -> Receipt:
    return Receipt(*sale.key, -sale.quantity, sale.unit_cost, sale.date)


def _lot_note(lot_id: int) -> str:
    return f"lot {lot_id}"


async def _apply_notes(
    connection: asyncpg.Connection, import_id: int, sales: Sequence[_Sale], lots: Mapping[StockKey, list[Lot]]
) -> None:
    """Lots as earlier blocks of a dry run would have left them; bottles that came back are one lot without expiry."""
    shelves = {sale.key: sale.shelf for sale in sales}
    names = [_lot_note(lot.id) for held in lots.values() for lot in held]
    taken = await seen.find_stock(connection, import_id, [*names, *shelves.values()])
    for held in lots.values():
        for lot in held:
            lot.remaining -= taken.get(_lot_note(lot.id), 0)
    for key, shelf in shelves.items():
        if taken.get(shelf):
            lots[key].append(Lot(_Run.SHELF, -taken[shelf], 0))


def _in_order(lot: Lot) -> tuple[dt.date, dt.date, int]:
    return lot.expires_on or dt.date.max, lot.received_on, lot.id


@dataclass
class _Run:
    """The lines of a block one after another."""

    SHELF = 0  # the lot of a dry run that stands for all that came back in earlier blocks

    lots: dict[StockKey, list[Lot]]
    returned: Mapping[int, int]
    sells_expired: bool = field(kw_only=True)
    outcome: StockSale = field(default_factory=StockSale)
    came: list[Movement] = field(default_factory=list)
    went: list[Movement] = field(default_factory=list)
    shelves: dict[StockKey, str] = field(default_factory=dict)

    def take(self, sale: _Sale) -> None:
        """Take what one line sells, or put back what it returns."""
        self.shelves[sale.key] = sale.shelf
        lots = self.lots[sale.key]
        if sale.quantity < 0:
            lot = Lot(self.returned[sale.position], -sale.quantity, sale.unit_cost, sale.date)
            self.came.append(Movement(sale.key, [Piece(lot.id, lot.remaining, lot.unit_cost)], 1))
            self.outcome.costs[sale.position] = sale.unit_cost * sale.quantity
            insort(lots, lot, key=_in_order)
            return
        usable = [lot for lot in lots if lot.remaining and self._is_usable(lot, sale.date)]
        available = sum(lot.remaining for lot in usable)
        if available < sale.quantity:
            self.outcome.refused[sale.position] = available
            return
        movement = Movement(sale.key, allocate(usable, sale.quantity), -1)
        self.went.append(movement)
        self.outcome.costs[sale.position] = -movement.cost

    def _is_usable(self, lot: Lot, day: dt.date) -> bool:
        return self.sells_expired or lot.expires_on is None or lot.expires_on >= day

    def note(self) -> None:
        """What later blocks of a dry run have to know."""
        made = set(self.returned.values()) | {self.SHELF}
        for movement in (*self.came, *self.went):
            for piece in movement.pieces:
                name = self.shelves[movement.key] if piece.lot_id in made else _lot_note(piece.lot_id)
                self.outcome.notes[name] -= movement.sign * piece.quantity


def with_costs(costs: Integers, sale: StockSale) -> Integers:
    """The costs of lines, with those of the bottles they took."""
    changed = costs.copy()
    changed[list(sale.costs)] = np.array(list(sale.costs.values()), np.int64)
    return changed
