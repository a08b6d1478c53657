"""Bottles and cents of invoice lines: what follows from quantity, price, cost and the amount of the sale.

The amount of the sale is what counts where a file gives it, else it is price times quantity. Where the price
is missing it is the amount over the quantity, rounded up to the cent; the difference shows as discount, so
that `revenue = quantity * unit_price - discount` holds for every line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graphql_api.imports.layout import MISSING, Field
from graphql_api.imports.parsed_column import ParsedColumn
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.values import ValueProblem

MAX_LINE_CENTS = 10**13

Integers = NDArray[np.int64]

TOO_MUCH = ValueProblem(
    RejectCode.OUT_OF_RANGE, "Quantity times price or cost exceeds 100,000,000,000.00; correct one of them."
)
NEGATIVE_PRICE = ValueProblem(
    RejectCode.OUT_OF_RANGE, "Give the amount the sign of the quantity, or add the price of a bottle."
)


@dataclass(frozen=True)
class Amounts:
    """What each row says in bottles and cents."""

    quantity: Integers
    unit_price: Integers
    revenue: Integers
    cost: Integers

    def take(self, rows: Integers) -> "Amounts":
        """The amounts of some rows."""
        return Amounts(self.quantity[rows], self.unit_price[rows], self.revenue[rows], self.cost[rows])


@dataclass(frozen=True)
class AmountProblems:
    """Rows whose amounts do not make sense although each value does, with the field to blame."""

    rows: Integers
    field: Field
    problem: ValueProblem


def compute_amounts(columns: Mapping[Field, ParsedColumn]) -> tuple[Amounts, list[AmountProblems]]:
    """The amounts of all rows, and the rows to refuse."""
    price, sale = columns[Field.UNIT_PRICE], columns[Field.SALE_AMOUNT]
    quantity = columns[Field.QUANTITY].numbers()
    unit_price, has_price, has_sale = price.numbers(), price.known(), sale.known()
    revenue = np.where(has_sale, sale.numbers(), unit_price * quantity)
    unit_price = np.where(has_price, unit_price, _implied_price(revenue, quantity))
    amounts = Amounts(quantity, unit_price, revenue, columns[Field.UNIT_COST].numbers() * quantity)
    return amounts, [
        AmountProblems(np.flatnonzero(~has_price & ~has_sale), Field.SALE_AMOUNT, MISSING),
        AmountProblems(np.flatnonzero(unit_price < 0), Field.SALE_AMOUNT, NEGATIVE_PRICE),
        AmountProblems(np.flatnonzero(_is_too_much(amounts)), Field.QUANTITY, TOO_MUCH),
    ]


def _implied_price(revenue: Integers, quantity: Integers) -> Integers:
    """The lowest price at which the bottles come to at least the revenue; 0 without bottles."""
    rounded_up = -(-np.abs(revenue) // np.maximum(np.abs(quantity), 1))
    return rounded_up * np.sign(revenue) * np.sign(quantity)


def _is_too_much(amounts: Amounts) -> NDArray[np.bool_]:
    gross = np.abs(amounts.quantity * amounts.unit_price)
    largest = np.array([gross, np.abs(amounts.revenue), np.abs(amounts.cost)]).max(axis=0)
    is_too_much: NDArray[np.bool_] = largest > MAX_LINE_CENTS
    return is_too_much
