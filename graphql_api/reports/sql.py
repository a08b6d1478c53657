"""One statement per report: sum by the keys of the lines, regroup the few sums, name, order and cut a page.

The lines are summed by bare integer keys wherever that leaves few sums; joins and date arithmetic then see only those
(measured: two to three times faster than joining every line). Products with another key leave nearly as many sums as
lines, so there the joins come first. Every part stays open to parallel aggregation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Date,
    FromClause,
    Label,
    Select,
    Table,
    and_,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    types,
    union_all,
)

from graphql_api.reports.dimensions import (
    DIMENSIONS,
    GroupKey,
    LineKey,
    TimeBucket,
    bucket_start,
    bucket_step,
    group_expression,
    joined_tables,
    line_key,
    value_type,
)
from graphql_api.reports.keyset import SortKey, is_after
from graphql_api.reports.measures import ADDITIVE, RATIOS, Measure, measure_expression, whole
from graphql_api.reports.period import Shift
from graphql_api.reports.planner import Source
from graphql_api.reports.question import OrderValue, ReportOrder
from graphql_api.reports.tables import INVOICES

Sums = Mapping[str, ColumnElement[Any]]
MAX_FILLED_ROWS = 10_000
BEFORE = "before_"

# Spelled out, not bound: only so does PostgreSQL see that the partial index on these statuses fits.
IS_UNCOUNTED = INVOICES.c.status.in_((literal_column("'DRAFT'"), literal_column("'VOID'")))


@dataclass(frozen=True)
class Part:
    """Lines of one period: those of the present, or those of an earlier one and how far they move."""

    condition: ColumnElement[bool]
    shift: Shift | None = None


@dataclass(frozen=True)
class ReportStatement:
    """Everything that shapes the statement of one report.

    Args:
        parts: the present period, and the earlier one when the report compares.
        having: which groups may become rows, given their sums.
        after: the values of the sort keys of the row to go on after.
        gaps: the days to fill with empty buckets; an open end reaches to the first or last group. None fills nothing.
    """

    source: Source
    groups: tuple[GroupKey, ...]
    parts: tuple[Part, ...]
    order: tuple[ReportOrder, ...]
    limit: int
    having: Callable[[Sums], ColumnElement[bool]] = field(default=lambda _: true())
    after: Sequence[Any] | None = None
    gaps: tuple[date | None, date | None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of sums."""
        return (*ADDITIVE, *(BEFORE + name for name in ADDITIVE)) if len(self.parts) > 1 else ADDITIVE


def grouped_sums(source: Source, groups: tuple[GroupKey, ...], *parts: Part, name: str = "grouped") -> CTE:
    """The groups `g0, g1, …` of the lines of `parts`, each with its sums; groups without lines are absent.

    The lines of drafts and voided invoices are summed too and then taken back through the index on the few such
    invoices: looking up the invoice of every line would double the time.
    """
    signs = (1, -1) if source.invoice_id is not None else (1,)
    branches = [_branch(source, groups, part, parts, sign) for part in parts for sign in signs]
    rows = union_all(*branches).subquery("contributions")
    regrouped = _regrouped(rows, groups, [column.key for column in rows.c][len(groups) :])
    if groups:
        counts = [func.sum(column) for column in rows.c if column.key.endswith("line_count")]
        regrouped = regrouped.having(or_(*(count != 0 for count in counts)))
    return regrouped.cte(name)


def _branch(
    source: Source, groups: tuple[GroupKey, ...], part: Part, parts: tuple[Part, ...], sign: int
) -> Select[Any]:
    origin, condition = source.table, part.condition
    if sign < 0:
        origin = origin.join(INVOICES, INVOICES.c.id == source.invoice_id)
        condition = and_(condition, IS_UNCOUNTED)
    keys = sorted({line_key(group) for group in groups})
    if LineKey.PRODUCT in keys and len(keys) > 1:
        values = _values(groups, source.table, part)
        joined = joined_tables(groups, source.table, origin)
        chosen = select(*values, *_sums(source.sums, part, parts, sign)).select_from(joined).where(condition)
        return chosen.group_by(*(value.element for value in values))
    columns = [source.table.c[key] for key in keys]
    aggregates = [aggregate.label(name) for name, aggregate in source.sums.items()]
    fine = select(*columns, *aggregates).select_from(origin).where(condition).group_by(*columns).subquery()
    sums = _sums({name: fine.c[name] for name in ADDITIVE}, part, parts, sign)
    return select(*_values(groups, fine, part), *sums).select_from(joined_tables(groups, fine, fine))


def _values(groups: tuple[GroupKey, ...], keys: FromClause, part: Part) -> list[Label[Any]]:
    day: ColumnElement[Any] = keys.c[LineKey.DATE] if LineKey.DATE in keys.c else null()
    day = _moved(day, part.shift) if part.shift else day
    return [group_expression(group, keys, day).label(f"g{index}") for index, group in enumerate(groups)]


def _moved(day: ColumnElement[Any], shift: Shift) -> ColumnElement[Any]:
    moved = cast(day + func.make_interval(0, shift.months, 0, shift.days), Date)
    return func.least(func.greatest(moved, _day(shift.onto.first)), _day(shift.onto.last), type_=Date())


def _day(day: date) -> ColumnElement[Any]:
    """SQL: the day itself; as a parameter, asyncpg sends the first and last days of the calendar as infinities."""
    return func.make_date(day.year, day.month, day.day, type_=Date())


def _sums(sums: Sums, part: Part, parts: tuple[Part, ...], sign: int) -> list[Label[Any]]:
    """The sums of a part in its own columns, zeros in those of the other part."""
    labels = []
    for other, prefix in zip(parts, ("", BEFORE), strict=False):
        for name in ADDITIVE:
            value = sums[name] if sign > 0 else -sums[name]
            labels.append((value if other is part else literal_column("0")).label(prefix + name))
    return labels


def _regrouped(rows: FromClause, groups: tuple[GroupKey, ...], names: Sequence[str]) -> Select[Any]:
    keys = [rows.c[f"g{index}"] for index in range(len(groups))]
    sums = [whole(func.sum(rows.c[name])).label(name) for name in names]
    return select(*keys, *sums).select_from(rows).group_by(*keys)


def report_statement(report: ReportStatement) -> Select[Any]:
    """The page of rows beside the grand total, in one statement and so of one snapshot.

    Always returns at least one row. Columns: `total_…` and `groups` (matching `having`), `size` (rows after gap
    filling, else 0), `as_of`; then of the row, all null when there is none: `present`, `g…` (group), `n…` (name),
    `r…` (revision of what the group is), `o…` (sort values) and the sums.
    """
    grouped = grouped_sums(report.source, report.groups, *report.parts)
    size: ColumnElement[Any] = literal_column("0")
    if report.gaps is not None:
        grouped, size = _filled(grouped, report, *report.gaps)
    named = _named(grouped, report)
    total = _total(named, report, size)
    page = _page(named, report)
    clauses = (key.clause for key in sort_keys(page, report))
    return select(total, page).select_from(total.outerjoin(page, true())).order_by(*clauses)


def _filled(
    grouped: CTE, report: ReportStatement, first: date | None, last: date | None
) -> tuple[CTE, ColumnElement[Any]]:
    """Add every bucket of the range to every combination of the other groups, with sums of zero."""
    position, bucket = next((i, group) for i, group in enumerate(report.groups) if isinstance(group, TimeBucket))
    time = grouped.c[f"g{position}"]
    start = select(func.min(time)).scalar_subquery() if first is None else bucket_start(bucket, _day(first))
    end = select(func.max(time)).scalar_subquery() if last is None else _day(last)
    series = func.generate_series(cast(start, types.TIMESTAMP), cast(end, types.TIMESTAMP), bucket_step(bucket))
    # One more than may be is enough to refuse; in the select list the function stops at the limit, in FROM it does not.
    buckets = select(cast(series, Date).label("bucket")).limit(MAX_FILLED_ROWS + 1).cte("buckets")
    rest = [column for column in grouped.c if column.key.startswith("g") and column is not time]
    others = (select(*rest).distinct() if rest else select(literal_column("1").label("all"))).cte("others")
    count = func.count()
    size = select(count).select_from(buckets).scalar_subquery() * select(count).select_from(others).scalar_subquery()
    keys = [
        (buckets.c.bucket if index == position else others.c[f"g{index}"]).label(f"g{index}")
        for index in range(len(report.groups))
    ]
    zeros: list[ColumnElement[Any]] = [literal_column("0").label(name) for name in report.names]
    # The one-time condition keeps the server from building what will be refused for its size.
    empty = select(*keys, *zeros).select_from(buckets.join(others, true())).where(size <= MAX_FILLED_ROWS)
    rows = union_all(select(grouped), empty).subquery("with_gaps")
    return _regrouped(rows, report.groups, report.names).cte("filled"), size


def _named(grouped: CTE, report: ReportStatement) -> CTE:
    """The groups with their names, revisions and sort values."""
    joined: FromClause = grouped
    names: list[ColumnElement[Any]] = []
    revisions: list[ColumnElement[Any]] = []
    for index, group in enumerate(report.groups):
        value = grouped.c[f"g{index}"]
        named_by = None if isinstance(group, TimeBucket) else DIMENSIONS[group].named_by
        names.append(value if named_by is None else named_by.c.name)
        revisions.append(null() if named_by is None else _revision(named_by))
        joined = joined if named_by is None else joined.outerjoin(named_by, named_by.c.id == value)
    labels = [name.label(f"n{index}") for index, name in enumerate(names)]
    labels += [revision.label(f"r{index}") for index, revision in enumerate(revisions)]
    order = [_sort_value(item, grouped, names, report).label(f"o{index}") for index, item in enumerate(report.order)]
    return select(grouped, *labels, *order).select_from(joined).cte("named")


def _revision(named_by: Table) -> ColumnElement[Any]:
    """SQL: a text that changes whenever the row does, whoever writes it: its transaction."""
    return cast(literal_column(f"{named_by.name}.xmin"), types.Text())


def _sort_value(
    item: ReportOrder, grouped: CTE, names: list[ColumnElement[Any]], report: ReportStatement
) -> ColumnElement[Any]:
    if not isinstance(item.by, Measure):
        return names[report.groups.index(item.by)]
    if item.value is OrderValue.CURRENT:
        return measure_expression(item.by, _sums_of(grouped))
    before = measure_expression(item.by, _sums_of(grouped, BEFORE))
    if item.value is OrderValue.BEFORE:
        return before
    return measure_expression(item.by, _sums_of(grouped)) - before


def _sums_of(rows: FromClause, prefix: str = "") -> Sums:
    return {name: rows.c[prefix + name] for name in ADDITIVE}


def _total(named: CTE, report: ReportStatement, size: ColumnElement[Any]) -> CTE:
    sums = [whole(func.sum(named.c[name])).label(f"total_{name}") for name in report.names]
    groups = func.count().filter(report.having(_sums_of(named))).label("groups")
    as_of = func.statement_timestamp(type_=types.DateTime(timezone=True)).label("as_of")
    return select(*sums, groups, size.label("size"), as_of).select_from(named).cte("total")


def _page(named: CTE, report: ReportStatement) -> CTE:
    keys = sort_keys(named, report)
    page = select(literal_column("true").label("present"), named).where(report.having(_sums_of(named)))
    if report.after is not None:
        page = page.where(is_after(keys, report.after))
    return page.order_by(*(key.clause for key in keys)).limit(report.limit).cte("page")


def sort_keys(named: FromClause, report: ReportStatement) -> list[SortKey]:
    """The order of the report, made total by the groups themselves."""
    asked = [SortKey(named.c[f"o{index}"], item.descending) for index, item in enumerate(report.order)]
    return [*asked, *(SortKey(named.c[f"g{index}"]) for index in range(len(report.groups)))]


def sort_types(groups: tuple[GroupKey, ...], order: tuple[ReportOrder, ...]) -> list[types.TypeEngine[Any]]:
    """The type of each sort value: what a cursor must hold."""
    return [*(_sort_type(item) for item in order), *(value_type(group) for group in groups)]


def _sort_type(item: ReportOrder) -> types.TypeEngine[Any]:
    if isinstance(item.by, Measure):
        return types.Numeric() if item.by in RATIOS else types.BigInteger()
    return Date() if isinstance(item.by, TimeBucket) else types.Text()


def first_and_last_day(source: Source) -> Select[Any]:
    """The first and the last day with lines that count, each found at its end of the index on the date."""
    day = source.table.c[LineKey.DATE]
    counted = select(day)
    if source.invoice_id is not None:
        counted = counted.where(~select(INVOICES.c.id).where(INVOICES.c.id == source.invoice_id, IS_UNCOUNTED).exists())
    first, last = (counted.order_by(order).limit(1).scalar_subquery() for order in (day, day.desc()))
    return select(first, last)
