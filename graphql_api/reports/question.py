"""A sales report as it is asked for, free of GraphQL and SQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from graphql_api.reports.dimensions import FILTER_KEYS, GroupKey, LineKey, TimeBucket, line_key
from graphql_api.reports.measures import Measure
from graphql_api.reports.period import DateRange, EarlierPeriod

ComparePeriod = EarlierPeriod | DateRange


class OrderValue(StrEnum):
    """Which of a measure's values decides the order."""

    CURRENT = "CURRENT"
    BEFORE = "BEFORE"
    CHANGE = "CHANGE"


@dataclass(frozen=True)
class ReportOrder:
    """One key of the order: a measure, or the name or date of a group. Undefined values come last."""

    by: Measure | GroupKey
    descending: bool = True
    value: OrderValue = OrderValue.CURRENT


@dataclass(frozen=True)
class SalesQuestion:
    """Which lines, grouped how, which groups, in which order, how many, compared with what.

    Args:
        where: which lines, in the language of `services.filters`.
        having: measure names in camel case to operators; values in the units clients see.
        after: the cursor of the row to go on after.
        compare_to: a period whose measures stand beside those of the dates in `where`.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    group_by: tuple[GroupKey, ...] = ()
    having: Mapping[str, Any] = field(default_factory=dict)
    order_by: tuple[ReportOrder, ...] = ()
    first: int = 50
    after: str | None = None
    others: bool = False
    compare_to: ComparePeriod | None = None
    gap_fill: bool = False

    @property
    def bucket(self) -> TimeBucket | None:
        """The time bucket it groups by, if any."""
        return next((group for group in self.group_by if isinstance(group, TimeBucket)), None)

    @property
    def order(self) -> tuple[ReportOrder, ...]:
        """The order asked for, or: time first, then the largest revenue."""
        if self.order_by:
            return self.order_by
        time = (ReportOrder(self.bucket, descending=False),) if self.bucket else ()
        return (*time, ReportOrder(Measure.REVENUE))

    @property
    def line_keys(self) -> frozenset[LineKey]:
        """Every key of a line that groups or filters read."""
        dates = {LineKey.DATE} if self.compare_to else set()
        # A filter that does not exist has no key; it is refused where conditions are written.
        filters = {FILTER_KEYS[name] for name in filter_names(self.where) if name in FILTER_KEYS}
        return frozenset({line_key(group) for group in self.group_by} | filters | dates)


def filter_names(where: Mapping[str, Any]) -> Iterator[str]:
    """The names of all filters in use, those inside `and`, `or` and `not` included."""
    for name, value in where.items():
        if value is None:
            continue
        if name in {"and", "or"}:
            for item in value:
                yield from filter_names(item)
        elif name == "not":
            yield from filter_names(value)
        else:
            yield name
