"""What is written into the ledger, what comes of it, and why it may be refused."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphql_api.database.stock import MovementCause
from graphql_api.ledger.allocation import Piece, total_cost

# A store and a product: what a level, a lot and a movement belong to.
StockKey = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """What all movements of one posting have in common."""

    cause: MovementCause
    reason: str | None = None
    actor_id: int | None = None
    import_id: int | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """Bottles to be taken (more than 0), and the invoice line that sells them, if one does."""

    store_id: int
    product_id: int
    quantity: int
    invoice_id: int | None = None
    line_number: int | None = None

    @property
    def key(self) -> StockKey:
        """Whose stock it is taken from."""
        return self.store_id, self.product_id


@dataclass(frozen=True, slots=True)
class Receipt:
    """Bottles that become a lot of their own, at cents a bottle."""

    store_id: int
    product_id: int
    quantity: int
    unit_cost: int
    received_on: dt.date
    expires_on: dt.date | None = None
    purchase_line_id: int | None = None
    source_lot_id: int | None = None

    @property
    def key(self) -> StockKey:
        """Whose stock it joins."""
        return self.store_id, self.product_id


@dataclass(frozen=True, slots=True)
class Return:
    """Bottles that go back to the lots which an invoice line took them from.

    `document_id` is the invoice that gives them back: the same one, or its credit note.
    """

    store_id: int
    product_id: int
    invoice_id: int
    line_number: int
    quantity: int
    document_id: int

    @property
    def key(self) -> StockKey:
        """Whose stock it joins."""
        return self.store_id, self.product_id


@dataclass(frozen=True, slots=True)
class LotDemand:
    """Bottles to be taken from one certain lot, and the purchase line that had brought them."""

    store_id: int
    product_id: int
    lot_id: int
    quantity: int
    purchase_line_id: int | None = None

    @property
    def key(self) -> StockKey:
        """Whose stock it is taken from."""
        return self.store_id, self.product_id


@dataclass(frozen=True, slots=True)
class Level:
    """What a store has of a product: bottles, and what they had cost in cents."""

    on_hand: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of the ledger before it is written; `sign` is -1 for what goes and 1 for what comes."""

    key: StockKey
    pieces: Sequence[Piece]
    sign: int
    invoice_id: int | None = None
    line_number: int | None = None
    purchase_line_id: int | None = None
    transfer_of: int | None = None

    @property
    def quantity(self) -> int:
        """Signed bottles."""
        return self.sign * sum(piece.quantity for piece in self.pieces)

    @property
    def cost(self) -> int:
        """Signed cents."""
        return self.sign * total_cost(self.pieces)


@dataclass(frozen=True, slots=True)
class Episode:
    """A level that has just fallen to its threshold, both in bottles."""

    id: int
    store_id: int
    product_id: int
    on_hand: int
    threshold: int


@dataclass(frozen=True)
class Posting:
    """What was written: movements in the order they were asked for, their ids, and levels that are low since."""

    movements: Sequence[Movement] = ()
    ids: Sequence[int] = ()
    opened: Sequence[Episode] = field(default=())

    @property
    def costs(self) -> list[int]:
        """What the bottles of each movement had cost, in cents; never negative."""
        return [abs(movement.cost) for movement in self.movements]


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A product that a store has not enough of, in bottles."""

    store_id: int
    product_id: int
    requested: int
    available: int


class Shortage(Exception):  # noqa: N818 - reads as what it is
    """There is not enough; nothing was written. All that is short is named."""

    def __init__(self, shortfalls: Sequence[Shortfall]) -> None:
        super().__init__(f"{len(shortfalls)} products are short")
        self.shortfalls = tuple(shortfalls)


class NothingToReturn(Exception):  # noqa: N818 - reads as what it is
    """An invoice line is to give back more than it has taken."""
