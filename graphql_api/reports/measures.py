"""What is measured: five sums that add up across any split of the lines, and what follows from them."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import BigInteger, ColumnElement, Numeric, cast, func

RATIO = Decimal("0.0001")
PERCENT = Decimal("0.01")
EXACT = Context(prec=60)
# Ratios are compared in SQL at this many places, so that equal ratios of different sums tie.
COMPARED_PLACES = 10


class Measure(StrEnum):
    """A number of a group of lines."""

    LINE_COUNT = "LINE_COUNT"
    QUANTITY = "QUANTITY"
    REVENUE = "REVENUE"
    COST = "COST"
    PROFIT = "PROFIT"
    MARGIN = "MARGIN"
    AVERAGE_PRICE = "AVERAGE_PRICE"
    VOLUME_LITERS = "VOLUME_LITERS"


# Measures that are undefined where they would divide by 0.
RATIOS = frozenset({Measure.MARGIN, Measure.AVERAGE_PRICE})


def divide(dividend: Decimal | int, divisor: Decimal | int, places: Decimal = RATIO) -> Decimal | None:
    """The quotient rounded once, half to even; None when `divisor` is 0."""
    if not divisor:
        return None
    quotient = EXACT.divide(Decimal(dividend), Decimal(divisor))
    return quotient.quantize(places, rounding=ROUND_HALF_EVEN, context=EXACT)


@dataclass(frozen=True)
class SalesMeasures:
    """Sums of a set of lines.

    Args:
        line_count: lines.
        quantity: bottles; returns count negative.
        revenue: cents.
        cost: cents.
        volume_ml: millilitres; lines of unknown volume add nothing.
    """

    line_count: int = 0
    quantity: int = 0
    revenue: int = 0
    cost: int = 0
    volume_ml: int = 0

    def __add__(self, other: Self) -> "SalesMeasures":
        return SalesMeasures(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Self) -> "SalesMeasures":
        return SalesMeasures(*(one - two for one, two in zip(astuple(self), astuple(other), strict=True)))

    @property
    def profit(self) -> int:
        """Cents."""
        return self.revenue - self.cost

    def value(self, measure: Measure) -> Decimal | None:
        """The measure as clients see it: money in currency units, volume in litres, ratios to 4 places."""
        match measure:
            case Measure.MARGIN:
                return divide(self.profit, self.revenue)
            case Measure.AVERAGE_PRICE:
                return divide(self.revenue, self.quantity * 100)
            case Measure.VOLUME_LITERS:
                return Decimal(self.volume_ml).scaleb(-3, context=EXACT)
            case Measure.LINE_COUNT | Measure.QUANTITY:
                return Decimal(getattr(self, measure.lower()))
        return Decimal(getattr(self, measure.lower())).scaleb(-2, context=EXACT)


ADDITIVE = tuple(field.name for field in fields(SalesMeasures))


@dataclass(frozen=True)
class MeasureChange:
    """How a measure moved: the difference in its own unit, and in percent of the size of the earlier value.

    `absolute` is None when either value is undefined; `percent` also when the earlier value is 0.
    """

    absolute: Decimal | None
    percent: Decimal | None


def change(measure: Measure, now: SalesMeasures, before: SalesMeasures) -> MeasureChange:
    """From `before` to `now`."""
    later, earlier = now.value(measure), before.value(measure)
    if later is None or earlier is None:
        return MeasureChange(None, None)
    absolute = EXACT.subtract(later, earlier)
    return MeasureChange(absolute, divide(absolute * 100, abs(earlier), PERCENT))


def measure_expression(measure: Measure, sums: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    """SQL: a number that sorts and compares as `measure` does; money in cents, volume in millilitres."""
    match measure:
        case Measure.PROFIT:
            return sums["revenue"] - sums["cost"]
        case Measure.MARGIN:
            return _quotient(sums["revenue"] - sums["cost"], sums["revenue"])
        case Measure.AVERAGE_PRICE:
            return _quotient(sums["revenue"], sums["quantity"])
        case Measure.VOLUME_LITERS:
            return sums["volume_ml"]
    return sums[measure.lower()]


def stored_unit(measure: Measure) -> int:
    """How many of the units that `measure_expression` counts in make one that clients see."""
    match measure:
        case Measure.REVENUE | Measure.COST | Measure.PROFIT | Measure.AVERAGE_PRICE:
            return 100
        case Measure.VOLUME_LITERS:
            return 1000
    return 1


def _quotient(dividend: ColumnElement[Any], divisor: ColumnElement[Any]) -> ColumnElement[Any]:
    exact = cast(dividend, Numeric) / func.nullif(divisor, 0)
    return cast(func.round(exact, COMPARED_PLACES), Numeric)


def whole(total: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQL: a sum of bigint, which is numeric, as the bigint it is; 0 for nothing."""
    return cast(func.coalesce(total, 0), BigInteger)
