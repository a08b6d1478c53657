"""How a client asks for a sales report."""

import datetime as dt
from decimal import Decimal

import strawberry
from strawberry import UNSET

from graphql_api.reports.dimensions import GroupKey as Group
from graphql_api.reports.period import DateRange as Days
from graphql_api.reports.question import ComparePeriod as Compared
from graphql_api.reports.question import ReportOrder as Order
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import ALL_OF, ANY_OF, AT_LEAST, AT_MOST, EQUAL, GREATER, LESS, NONE_OF, operator
from graphql_api.schema.report_enums import Dimension, EarlierPeriod, Measure, OrderValue, TimeBucket
from graphql_api.services.errors import BadInput


@strawberry.input(
    one_of=True, description="One key to group by: a property or a time, as in {dimension: COUNTY} or {time: MONTH}."
)
class GroupKey:
    """One key to group by."""

    dimension: Dimension | None = strawberry.field(default=UNSET, description="A property of the sale.")
    time: TimeBucket | None = strawberry.field(default=UNSET, description="A stretch of the calendar.")

    def to_group(self) -> Group:
        """The key as the service knows it; the schema has seen to it that there is exactly one."""
        return self.dimension or self.time or TimeBucket.DAY


@strawberry.input(
    description=(
        "One key of the order of rows: either `measure` or `key`. "
        "Undefined values, such as the margin of no revenue, come last in both directions."
    )
)
class ReportOrder:
    """One key of the order of rows."""

    measure: Measure | None = strawberry.field(default=UNSET, description="Order by this number.")
    key: GroupKey | None = strawberry.field(
        default=UNSET, description="Order by the name or date of this key, which must be in `groupBy`."
    )
    value: OrderValue = strawberry.field(
        default=OrderValue.CURRENT, description="With `compareTo`: which value of the measure decides."
    )
    direction: Direction | None = strawberry.field(
        default=UNSET, description="Which end comes first. Measures are descending by default, keys ascending."
    )

    def to_order(self, position: int) -> Order:
        """The key as the service knows it.

        Raises:
            BadInput: when it names both a measure and a key, or neither.
        """
        if bool(self.measure) == bool(self.key):
            raise BadInput("Order by a `measure` or by a `key`, one of the two.", path=("orderBy", str(position)))
        is_descending = self.direction is Direction.DESC if self.direction else bool(self.measure)
        by = self.key.to_group() if self.key else self.measure
        return Order(by or Measure.REVENUE, is_descending, self.value)


@strawberry.input(description="Conditions on a number of a group; all given ones must hold.")
class MeasureFilter:
    """Conditions on a number of a group."""

    eq: Decimal | None = operator(EQUAL)
    gt: Decimal | None = operator(GREATER)
    gte: Decimal | None = operator(AT_LEAST)
    lt: Decimal | None = operator(LESS)
    lte: Decimal | None = operator(AT_MOST)
    is_null: bool | None = operator("true: only groups where the number is undefined, as a margin of no revenue.")


@strawberry.input(
    description=(
        "Which groups may become rows, by their numbers in the period asked for; all conditions must hold. "
        'Ratios are compared unrounded. Example: {revenue: {gte: "1000"}, margin: {lt: "0.2"}}.'
    )
)
class SalesHaving:
    """Which groups may become rows."""

    line_count: MeasureFilter | None = operator("How many invoice lines.")
    quantity: MeasureFilter | None = operator("Bottles.")
    revenue: MeasureFilter | None = operator("Revenue in currency units.")
    cost: MeasureFilter | None = operator("Cost in currency units.")
    profit: MeasureFilter | None = operator("Profit in currency units.")
    margin: MeasureFilter | None = operator("Profit divided by revenue: 0.25 is a quarter.")
    average_price: MeasureFilter | None = operator("Revenue of a bottle in currency units.")
    volume_liters: MeasureFilter | None = operator("Litres.")
    and_: list["SalesHaving"] | None = operator(ALL_OF, name="and")
    or_: list["SalesHaving"] | None = operator(ANY_OF, name="or")
    not_: "SalesHaving | None" = operator(NONE_OF, name="not")


@strawberry.input(description="Days from the first to the last, both included.")
class DateRange:
    """Days from the first to the last."""

    from_: dt.date = strawberry.field(name="from", description="The first day.")
    to: dt.date = strawberry.field(description="The last day.")


@strawberry.input(
    one_of=True,
    description=(
        'What to compare with, as in {period: PREVIOUS_YEAR} or {range: {from: "2018-01-01", to: "2018-03-31"}}.'
    ),
)
class ComparePeriod:
    """What to compare with."""

    period: EarlierPeriod | None = strawberry.field(default=UNSET, description="A period that the dates imply.")
    range: DateRange | None = strawberry.field(default=UNSET, description="Any days.")

    def to_compared(self) -> Compared | None:
        """The period as the service knows it."""
        return Days(self.range.from_, self.range.to) if self.range else self.period or None
