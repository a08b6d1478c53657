"""A stock report as it is asked for, and what it measures; free of GraphQL and SQL."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from datetime import date
from enum import StrEnum
from typing import Any, Self

from graphql_api.reports.dimensions import Dimension


class StockMeasure(StrEnum):
    """A number of a group of stock levels."""

    UNITS = "UNITS"
    VALUE = "VALUE"
    RETAIL_VALUE = "RETAIL_VALUE"
    PRODUCTS = "PRODUCTS"
    LOW_STOCK_COUNT = "LOW_STOCK_COUNT"


@dataclass(frozen=True)
class StockMeasures:
    """What a set of levels adds up to.

    Args:
        units: bottles.
        value: what they had cost, in cents.
        retail_value: what they sell for now, in cents; products without a price add nothing.
        low_stock_count: levels of active products that are at their threshold or below.
        products: different products of which there is a bottle; alone of these it does not add up over groups.
    """

    units: int = 0
    value: int = 0
    retail_value: int = 0
    low_stock_count: int = 0
    products: int = 0

    def __add__(self, other: Self) -> "StockMeasures":
        return StockMeasures(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Self) -> "StockMeasures":
        return StockMeasures(*(one - two for one, two in zip(astuple(self), astuple(other), strict=True)))


ADDITIVE = tuple(field.name for field in fields(StockMeasures) if field.name != "products")
NUMBERS = (*ADDITIVE, "products")


@dataclass(frozen=True)
class StockOrder:
    """One key of the order: a measure, or the name of a group. Undefined values come last."""

    by: StockMeasure | Dimension
    descending: bool = True


@dataclass(frozen=True)
class StockQuestion:
    """Which levels, grouped how, in which order, how many, when.

    Args:
        where: which levels, in the language of `services.filters`.
        after: the cursor of the row to go on after.
        as_of: the day at whose end (UTC) the stock is asked for; None is now.
        others: whether to add up what is not on the page.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    group_by: tuple[Dimension, ...] = ()
    order_by: tuple[StockOrder, ...] = ()
    first: int = 50
    after: str | None = None
    as_of: date | None = None
    others: bool = False

    @property
    def order(self) -> tuple[StockOrder, ...]:
        """The order asked for, or: the largest value."""
        return self.order_by or (StockOrder(StockMeasure.VALUE),)
