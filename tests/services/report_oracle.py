"""An independent answer to sales questions: plain Python over plain records, no SQL."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from graphql_api.reports.dimensions import Dimension, GroupKey, TimeBucket
from graphql_api.reports.measures import Measure, SalesMeasures
from graphql_api.reports.period import DateRange, Shift, add_months, alignment
from graphql_api.reports.question import OrderValue, SalesQuestion


@dataclass(frozen=True)
class Sale:
    """A line with everything a filter or a group can ask about."""

    fields: Mapping[str, Any]
    groups: Mapping[Dimension, tuple[Any, Any]]
    day: date
    sums: SalesMeasures
    is_counted: bool = True


@dataclass(frozen=True)
class ExpectedRow:
    values: tuple[Any, ...]
    names: tuple[Any, ...]
    now: SalesMeasures
    before: SalesMeasures


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda stored, given: stored == given,
    "in": lambda stored, given: stored in given,
    "gt": lambda stored, given: stored > given,
    "gte": lambda stored, given: stored >= given,
    "lt": lambda stored, given: stored < given,
    "lte": lambda stored, given: stored <= given,
    "contains": lambda stored, given: given.lower() in stored.lower(),
    "startsWith": lambda stored, given: stored.lower().startswith(given.lower()),
}


def matches(read: Callable[[str], Any], where: Mapping[str, Any]) -> bool:
    return all(_part_matches(read, name, value) for name, value in where.items())


def _part_matches(read: Callable[[str], Any], name: str, value: Any) -> bool:
    if name == "and":
        return all(matches(read, part) for part in value)
    if name == "or":
        return any(matches(read, part) for part in value)
    if name == "not":
        return not matches(read, value)
    return all(_compare(read(name), operator, given) for operator, given in value.items())


def _compare(stored: Any, operator: str, given: Any) -> bool:
    if operator == "isNull":
        return (stored is None) is given
    if stored is None:
        return False
    if isinstance(stored, str) and operator in {"eq", "in"}:
        given = given.upper() if isinstance(given, str) else [item.upper() for item in given]
        return COMPARISONS[operator](stored.upper(), given)
    return COMPARISONS[operator](stored, given)


def start_of(bucket: TimeBucket, day: date) -> date:
    if bucket is TimeBucket.WEEK:
        year, week, _ = day.isocalendar()
        return date.fromisocalendar(year, week, 1)
    months = {TimeBucket.MONTH: day.month, TimeBucket.QUARTER: (day.month - 1) // 3 * 3 + 1, TimeBucket.YEAR: 1}
    return day if bucket is TimeBucket.DAY else date(day.year, months[bucket], 1)


def ratio(dividend: int, divisor: int) -> Fraction | None:
    return round(Fraction(dividend, divisor), 10) if divisor else None


def measured(measure: Measure, sums: SalesMeasures) -> int | Fraction | None:
    match measure:
        case Measure.MARGIN:
            return ratio(sums.revenue - sums.cost, sums.revenue)
        case Measure.AVERAGE_PRICE:
            return ratio(sums.revenue, sums.quantity)
        case Measure.PROFIT:
            return sums.revenue - sums.cost
        case Measure.VOLUME_LITERS:
            return sums.volume_ml
    number: int = getattr(sums, measure.lower())
    return number


def total(sums: Iterable[SalesMeasures]) -> SalesMeasures:
    return sum(sums, SalesMeasures())


@dataclass(frozen=True)
class Expected:
    """All rows in order, and the totals."""

    rows: list[ExpectedRow]
    now: SalesMeasures
    before: SalesMeasures


def answer(  # noqa: PLR0913 - everything a question can depend on
    sales: list[Sale],
    question: SalesQuestion,
    *,
    having: Callable[[SalesMeasures], bool] = lambda _: True,
    present: DateRange | None = None,
    compared: DateRange | None = None,
    without_dates: Mapping[str, Any] | None = None,
    bounds: tuple[date | None, date | None] = (None, None),
) -> Expected:
    """What the report must say; `present`, `compared` and `without_dates` when it compares."""
    counted = [sale for sale in sales if sale.is_counted]
    now = [(sale, sale.day) for sale in counted if matches(sale.fields.get, question.where)]
    before: list[tuple[Sale, date]] = []
    if compared and present:
        shift = alignment(compared, present, question.bucket)
        before = [
            (sale, moved(sale.day, shift))
            for sale in counted
            if compared.first <= sale.day <= compared.last and matches(sale.fields.get, without_dates or {})
        ]
    rows = group(now, before, question.group_by)
    if question.gap_fill:
        fill(rows, question, *bounds)
    ordered = [row for row in sort(rows.values(), question) if having(row.now)]
    return Expected(ordered, total(sale.sums for sale, _ in now), total(sale.sums for sale, _ in before))


def moved(day: date, shift: Shift) -> date:
    there = add_months(day, shift.months) + timedelta(days=shift.days)
    return min(max(there, shift.onto.first), shift.onto.last)


Rows = dict[tuple[Any, ...], ExpectedRow]


def group(now: list[tuple[Sale, date]], before: list[tuple[Sale, date]], groups: tuple[GroupKey, ...]) -> Rows:
    sums: dict[tuple[Any, ...], list[SalesMeasures]] = defaultdict(lambda: [SalesMeasures(), SalesMeasures()])
    names: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    if not groups:
        sums[()], names[()] = [SalesMeasures(), SalesMeasures()], ()
    for position, part in enumerate((now, before)):
        for sale, day in part:
            pairs = [(start_of(key, day),) * 2 if isinstance(key, TimeBucket) else sale.groups[key] for key in groups]
            values = tuple(value for value, _ in pairs)
            names[values] = tuple(name for _, name in pairs)
            sums[values][position] += sale.sums
    return {values: ExpectedRow(values, names[values], *pair) for values, pair in sums.items()}


def fill(rows: Rows, question: SalesQuestion, first: date | None, last: date | None) -> None:
    bucket = question.bucket
    assert bucket
    place = question.group_by.index(bucket)
    known = [row.values[place] for row in rows.values()]
    first, last = first or min(known, default=None), last or max(known, default=None)
    if first is None or last is None:
        return
    first = start_of(bucket, first)
    combinations = {(row.values, row.names) for row in rows.values()}
    if len(question.group_by) == 1:
        combinations = {((first,), (first,))}
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    for start in sorted({start_of(bucket, day) for day in days}):
        for values, names in combinations:
            key = (*values[:place], start, *values[place + 1 :])
            named = (*names[:place], start, *names[place + 1 :])
            rows.setdefault(key, ExpectedRow(key, named, SalesMeasures(), SalesMeasures()))


def sort(rows: Iterable[ExpectedRow], question: SalesQuestion) -> list[ExpectedRow]:
    keys = [(_sort_value(order, question), order.descending) for order in question.order]
    keys += [(_group_value(index), False) for index in range(len(question.group_by))]

    def compare(one: ExpectedRow, two: ExpectedRow) -> int:
        for read, is_descending in keys:
            left, right = read(one), read(two)
            if left == right:
                continue
            if left is None or right is None:
                return 1 if left is None else -1
            return (1 if left > right else -1) * (-1 if is_descending else 1)
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def _group_value(index: int) -> Callable[[ExpectedRow], Any]:
    return lambda row: row.values[index]


def _sort_value(order: Any, question: SalesQuestion) -> Callable[[ExpectedRow], Any]:
    if not isinstance(order.by, Measure):
        index = question.group_by.index(order.by)
        return lambda row: row.names[index]
    measure = order.by
    if order.value is OrderValue.CURRENT:
        return lambda row: measured(measure, row.now)
    if order.value is OrderValue.BEFORE:
        return lambda row: measured(measure, row.before)

    def difference(row: ExpectedRow) -> Any:
        later, earlier = measured(measure, row.now), measured(measure, row.before)
        return None if later is None or earlier is None else later - earlier

    return difference
