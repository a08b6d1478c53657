"""Which lots a quantity is taken from: the earliest to expire first, then the oldest (FEFO, then FIFO)."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Lot:
    """What is left of a lot: bottles, and cents a bottle. `allocate` takes from `remaining`."""

    id: int
    remaining: int
    unit_cost: int
    received_on: dt.date = dt.date.min
    expires_on: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A number of bottles of one lot, at its cost in cents a bottle."""

    lot_id: int
    quantity: int
    unit_cost: int

    @property
    def cost(self) -> int:
        """What the piece had cost, in cents."""
        return self.quantity * self.unit_cost


def allocate(lots: Iterable[Lot], quantity: int) -> list[Piece]:
    """Take `quantity` bottles from `lots`, which come in the order in which they are to be used.

    The cost of goods sold is the sum of the pieces' costs (IAS 2, first-in first-out).

    Raises:
        ValueError: there are not so many.
    """
    pieces = []
    for lot in lots:
        if not quantity:
            break
        taken = min(quantity, lot.remaining)
        if taken:
            pieces.append(Piece(lot.id, taken, lot.unit_cost))
            lot.remaining -= taken
            quantity -= taken
    if quantity:
        raise ValueError(f"{quantity} bottles are missing")
    return pieces


def total_cost(pieces: Sequence[Piece]) -> int:
    """What the pieces had cost together, in cents."""
    return sum(piece.cost for piece in pieces)
