"""First-in first-out by hand: purchases and sales with the cost of goods sold and the ending inventory they must have.

The rule is that of IAS 2 "Inventories", paragraphs 25 and 27: what was purchased first is sold first, so that what is
left at the end was purchased last; paragraph 34: what is sold becomes an expense in the period of the sale. The
numbers are our own, worked out on paper. Bottles, and cents a bottle.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bought:
    """Bottles that came, at cents a bottle."""

    quantity: int
    unit_cost: int


@dataclass(frozen=True)
class Sold:
    """Bottles that went, and what they had cost in cents by the book."""

    quantity: int
    cost: int


@dataclass(frozen=True)
class Table:
    """One period: what happened in order, and what is left at its end."""

    name: str
    events: tuple[Bought | Sold, ...]
    left: int
    left_value: int

    @property
    def cost_of_goods_sold(self) -> int:
        """The expense of the period."""
        return sum(event.cost for event in self.events if isinstance(event, Sold))

    @property
    def cost_of_goods_available(self) -> int:
        """Everything that could have been sold."""
        return sum(event.quantity * event.unit_cost for event in self.events if isinstance(event, Bought))


TABLES = [
    # 100 at 10.00 and 50 at 11.00; then 150 at 11.00 and 100 at 12.00; 50 at 12.00 are left
    Table(
        "rising prices",
        (Bought(100, 1_000), Bought(200, 1_100), Sold(150, 155_000), Bought(150, 1_200), Sold(250, 285_000)),
        left=50,
        left_value=60_000,
    ),
    # 60 at 9.10, 20 at 8.60 and 15 at 8.40; 15 at 8.40 are left
    Table(
        "falling prices",
        (Bought(60, 910), Bought(20, 860), Bought(30, 840), Sold(95, 84_400)),
        left=15,
        left_value=12_600,
    ),
    # 10 at 3.33 and 1 at 3.34; then 6 at 3.34 and 6 at 3.41: an average would have to round
    Table(
        "odd cents",
        (Bought(10, 333), Bought(7, 334), Sold(11, 3_664), Bought(13, 341), Sold(12, 4_050)),
        left=7,
        left_value=2_387,
    ),
    # each sale ends a lot exactly, and nothing is left
    Table(
        "sold out and bought again",
        (Bought(24, 500), Sold(24, 12_000), Bought(12, 525), Sold(6, 3_150), Sold(6, 3_150)),
        left=0,
        left_value=0,
    ),
    # bottles that were free cost nothing when they are sold
    Table(
        "free bottles",
        (Bought(5, 0), Bought(10, 799), Sold(8, 2_397), Sold(1, 799)),
        left=6,
        left_value=4_794,
    ),
    # one sale out of five purchases: 3*100 + 3*101 + 3*102 + 3*103 + 1*104
    Table(
        "a sale out of five purchases",
        (Bought(3, 100), Bought(3, 101), Bought(3, 102), Bought(3, 103), Bought(3, 104), Sold(13, 1_322)),
        left=2,
        left_value=208,
    ),
]
