"""What a sales report may ask for, checked before any SQL is written."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Numeric, cast

from graphql_api.reports.dimensions import Dimension, GroupKey, TimeBucket
from graphql_api.reports.measures import Measure, measure_expression, stored_unit
from graphql_api.reports.period import DateRange, EarlierPeriod, earlier_period
from graphql_api.reports.question import ComparePeriod, OrderValue, ReportOrder, SalesQuestion, filter_names
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import FilterField, column_filter, condition
from graphql_api.services.sales_filter import Dates

MAX_GROUPS = 3
MAX_ORDERS = 4
MAX_ROWS = 1_000
# `having` names measures as the fields of SalesMeasures do.
HAVING_NAMES: Mapping[str, Measure] = {
    "lineCount": Measure.LINE_COUNT,
    "quantity": Measure.QUANTITY,
    "revenue": Measure.REVENUE,
    "cost": Measure.COST,
    "profit": Measure.PROFIT,
    "margin": Measure.MARGIN,
    "averagePrice": Measure.AVERAGE_PRICE,
    "volumeLiters": Measure.VOLUME_LITERS,
}


class Ordered(Protocol):
    """A key of the order of any report."""

    @property
    def by(self) -> object:
        """A measure, or a key of `groupBy`."""


def check_question(question: SalesQuestion) -> None:
    """Refuse what cannot be answered.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    check_groups(question.group_by)
    check_order(question.order_by, question.group_by)
    for index, order in enumerate(question.order_by):
        _check_earlier_value(order, question, path=("orderBy", str(index)))
    check_size(question.first)
    if question.gap_fill and question.bucket is None:
        raise BadInput("`gapFill` needs a time bucket in `groupBy`, such as `{time: MONTH}`.", path=("gapFill",))
    compared = question.compare_to
    if isinstance(compared, DateRange) and compared.days < 1:
        raise BadInput("The range of `compareTo` ends before it begins.", path=("compareTo", "range", "to"))


def check_size(first: int) -> None:
    """Refuse a page that is too long.

    Raises:
        BadInput: with the path to it.
    """
    if not 0 <= first <= MAX_ROWS:
        raise BadInput("`first` goes from 0 to {limit}; got {given}.", path=("first",), limit=MAX_ROWS, given=first)


def check_groups(groups: Sequence[GroupKey]) -> None:
    """Refuse too many keys, a repeated one, and more than one time.

    Raises:
        BadInput, TooComplex: with the path to them.
    """
    if len(groups) > MAX_GROUPS:
        raise TooComplex(
            "A report groups by at most {limit} keys; got {given}.",
            path=("groupBy",),
            limit=MAX_GROUPS,
            given=len(groups),
        )
    if len(set(groups)) < len(groups):
        raise BadInput("Name each key of `groupBy` once.", path=("groupBy",))
    if sum(isinstance(group, TimeBucket) for group in groups) > 1:
        raise BadInput("Group by one time bucket at most; the finer one holds the coarser.", path=("groupBy",))


def check_order(orders: Sequence[Ordered], groups: Sequence[GroupKey]) -> None:
    """Refuse too many keys, and the name of what is not grouped by.

    Raises:
        BadInput, TooComplex: with the path to it.
    """
    if len(orders) > MAX_ORDERS:
        raise TooComplex(
            "`orderBy` takes at most {limit} keys; got {given}.",
            path=("orderBy",),
            limit=MAX_ORDERS,
            given=len(orders),
        )
    for index, order in enumerate(orders):
        if isinstance(order.by, Dimension | TimeBucket) and order.by not in groups:
            raise BadInput(
                "`orderBy` names {key}, which `groupBy` does not.", path=("orderBy", str(index), "key"), key=order.by
            )


def _check_earlier_value(order: ReportOrder, question: SalesQuestion, path: tuple[str, ...]) -> None:
    if order.value is OrderValue.CURRENT:
        return
    if question.compare_to is None:
        raise BadInput("Ordering by an earlier value or a change needs `compareTo`.", path=(*path, "value"))
    if not isinstance(order.by, Measure):
        raise BadInput("Only measures have an earlier value or a change.", path=(*path, "value"))


def check_compared_dates(question: SalesQuestion, dates: Dates) -> None:
    """Refuse date filters that cannot move to another period.

    Raises:
        BadInput: when `dates` are not a plain range, or not the range that PREVIOUS_PERIOD needs.
    """
    if "date" in filter_names(dates.rest):
        raise BadInput(
            "With `compareTo`, filter dates on the outer level by `eq`, `gte`, `gt`, `lte` or `lt`, "
            "not by `in` and not inside `or` or `not`.",
            path=("where", "date"),
        )
    if dates.range is None and question.compare_to is EarlierPeriod.PREVIOUS_PERIOD:
        raise BadInput(
            "PREVIOUS_PERIOD needs a beginning and an end: add `date: {gte: …, lte: …}` to `where`, "
            "or give `compareTo` a range of its own.",
            path=("compareTo",),
        )
    if dates.range is not None and dates.range.days < 1:
        raise BadInput("The dates of `where` leave no day to compare.", path=("where", "date"))


def compared_period(compared: ComparePeriod, present: DateRange) -> DateRange:
    """The earlier days that `present` is compared with.

    Raises:
        BadInput: when they would lie before the calendar.
    """
    if isinstance(compared, DateRange):
        return compared
    try:
        return earlier_period(present, compared)
    except (ValueError, OverflowError):
        raise BadInput("The calendar does not reach that far.", path=("compareTo",)) from None


def having_condition(question: SalesQuestion, sums: Mapping[str, ColumnElement[Any]]) -> ColumnElement[bool]:
    """Which groups may become rows.

    Raises:
        BadInput, TooComplex: with the path to the impossible part, `having` included.
    """
    fields = {name: _measure_filter(measure, sums) for name, measure in HAVING_NAMES.items()}
    try:
        return condition(question.having, fields)
    except (BadInput, TooComplex) as error:
        raise error.below("having") from None


def _measure_filter(measure: Measure, sums: Mapping[str, ColumnElement[Any]]) -> FilterField:
    unit = stored_unit(measure)

    def stored(value: Decimal | int) -> Decimal:
        return Decimal(value) * unit

    return column_filter(cast(measure_expression(measure, sums), Numeric), stored)
