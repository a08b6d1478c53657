"""Sales reports: exact sums of any slice of the sales, with their total, from one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from time import perf_counter
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.invoice import InvoiceLineRow
from graphql_api.reports.dimensions import DIMENSIONS, KEY_TABLES, GroupKey, GroupValue, LineKey, TimeBucket
from graphql_api.reports.measures import ADDITIVE, SalesMeasures, divide
from graphql_api.reports.period import DateRange, alignment, bucket_end
from graphql_api.reports.planner import LINES, ReportSource, Source, plan
from graphql_api.reports.question import SalesQuestion
from graphql_api.reports.sql import (
    BEFORE,
    IS_UNCOUNTED,
    MAX_FILLED_ROWS,
    Part,
    ReportStatement,
    first_and_last_day,
    report_statement,
    sort_types,
)
from graphql_api.reports.tables import INVOICE_LINES, INVOICES
from graphql_api.reports.tuning import prepare_to_add_up
from graphql_api.services import cursors
from graphql_api.services.errors import TooComplex
from graphql_api.services.paging import Page, PageRequest, SortKey, read_page
from graphql_api.services.report_rules import check_compared_dates, check_question, compared_period, having_condition
from graphql_api.services.sales_filter import Dates, sales_condition, split_dates

# Stands for the ends of a table without lines, where any day is as good.
NO_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class ReportRow:
    """One group: its values and names in the order of `groupBy`, what was sold, and what was sold before.

    A value and its name are None for the lines that have none, such as those of a place without a county.
    `revisions` change whenever the store, product, county, … of a value does; None for values that are no row.
    """

    values: tuple[GroupValue, ...]
    names: tuple[str | date | None, ...]
    revisions: tuple[str | None, ...]
    measures: SalesMeasures
    before: SalesMeasures | None
    share: Decimal | None
    cursor: str


@dataclass(frozen=True)
class SalesReport:
    """The answer to a `SalesQuestion`; all of it describes the database at `as_of`.

    `others` plus the measures of `rows` is `grand_total`, always. `rows_scanned` counts the lines added up.
    """

    question: SalesQuestion
    rows: Sequence[ReportRow]
    others: SalesMeasures | None
    grand_total: SalesMeasures
    before_total: SalesMeasures | None
    total_groups: int
    has_next: bool
    as_of: datetime
    source: ReportSource
    rows_scanned: int
    milliseconds: float
    compared: DateRange | None


@dataclass(frozen=True)
class PreparedReport:
    """A question with the statement that answers it; `is_lasting` when the statement stays right as sales change."""

    question: SalesQuestion
    source: Source
    statement: Select[Any]
    compared: DateRange | None
    is_lasting: bool


async def sales_report(session: AsyncSession, question: SalesQuestion) -> SalesReport:
    """Answer `question` in one statement besides tuning (two when `compareTo` meets a filter without both dates).

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    started = perf_counter()
    return await prepared_report(session, await prepare_report(session, question), started)


async def prepared_report(session: AsyncSession, prepared: PreparedReport, started: float | None = None) -> SalesReport:
    """Answer a prepared question; `started` is the `perf_counter` of when work on it began.

    Raises:
        TooComplex: filling the gaps makes too many rows.
    """
    started = perf_counter() if started is None else started
    await prepare_to_add_up(session)
    result = await session.execute(prepared.statement)
    found = result.mappings().all()
    if found[0]["size"] > MAX_FILLED_ROWS:
        raise TooComplex(
            "Filling the gaps makes more than {limit:,} rows. "
            "Shorten the period, take a coarser time bucket or fewer groups.",
            path=("gapFill",),
            limit=MAX_FILLED_ROWS,
        )
    return _report(prepared, found, started)


def check_report(question: SalesQuestion) -> None:
    """Refuse what cannot be answered, whatever the sales are.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    check_question(question)
    source = plan(question).source
    sales_condition(question.where, source)
    having_condition(question, source.sums)
    _after(question)
    if question.compare_to is not None:
        check_compared_dates(question, split_dates(question.where))


async def prepare_report(session: AsyncSession, question: SalesQuestion) -> PreparedReport:
    """Write the statement that answers `question`; reads where the data ends when that decides what it compares.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    check_question(question)
    source = plan(question).source
    dates = split_dates(question.where)
    parts = [Part(sales_condition(question.where, source))]
    compared = None
    if question.compare_to is not None:
        check_compared_dates(question, dates)
        present = await _present(session, source, dates)
        compared = compared_period(question.compare_to, present)
        parts.append(_earlier_part(question, source, dates, compared, present))
    statement = ReportStatement(
        source=source,
        groups=question.group_by,
        parts=tuple(parts),
        order=question.order,
        limit=question.first + 1,
        having=lambda sums: having_condition(question, sums),
        after=_after(question),
        gaps=(dates.first, dates.last) if question.gap_fill else None,
    )
    is_lasting = question.compare_to is None or dates.range is not None
    return PreparedReport(question, source, report_statement(statement), compared, is_lasting)


async def _present(session: AsyncSession, source: Source, dates: Dates) -> DateRange:
    """The days the report is about; an end that the filter leaves open is where the data ends."""
    if dates.range is not None:
        return dates.range
    first, last = (await session.execute(first_and_last_day(source))).one()
    if dates.first is not None:
        return DateRange(dates.first, max(dates.first, last or dates.first))
    end = dates.last or last or NO_DAY
    return DateRange(min(first or end, end), end)


def _earlier_part(
    question: SalesQuestion, source: Source, dates: Dates, compared: DateRange, present: DateRange
) -> Part:
    day = source.table.c[LineKey.DATE]
    condition = and_(sales_condition(dates.rest, source), day >= compared.first, day <= compared.last)
    return Part(condition, alignment(compared, present, question.bucket))


def _signature(question: SalesQuestion) -> str:
    groups = ",".join(question.group_by)
    orders = (f"{order.by}.{order.value}.{'desc' if order.descending else 'asc'}" for order in question.order)
    return f"salesReport:{groups}:{','.join(orders)}"


def _after(question: SalesQuestion) -> list[Any] | None:
    if question.after is None:
        return None
    types = sort_types(question.group_by, question.order)
    try:
        return cursors.decode(question.after, _signature(question), types)
    except cursors.BadCursor as error:
        raise error.below("after") from None


def _report(prepared: PreparedReport, found: Sequence[Mapping[str, Any]], started: float) -> SalesReport:
    question, compared = prepared.question, prepared.compared
    head = found[0]
    total = _sums(head, "total_")
    before = _sums(head, "total_" + BEFORE) if compared else None
    rows = [_row(question, item, total) for item in found if item["present"]]
    page = rows[: question.first]
    others = sum((row.measures for row in page), SalesMeasures())
    return SalesReport(
        question=question,
        rows=page,
        others=total - others if question.others else None,
        grand_total=total,
        before_total=before,
        total_groups=head["groups"],
        has_next=len(rows) > question.first,
        as_of=head["as_of"],
        source=prepared.source.kind,
        rows_scanned=total.line_count + (before.line_count if before else 0),
        milliseconds=(perf_counter() - started) * 1000,
        compared=compared,
    )


def _sums(row: Mapping[str, Any], prefix: str = "") -> SalesMeasures:
    return SalesMeasures(**{name: row[prefix + name] for name in ADDITIVE})


def _row(question: SalesQuestion, row: Mapping[str, Any], total: SalesMeasures) -> ReportRow:
    positions = range(len(question.group_by))
    values = tuple(row[f"g{index}"] for index in positions)
    sort_values = [row[f"o{index}"] for index in range(len(question.order))]
    measures = _sums(row)
    return ReportRow(
        values=values,
        names=tuple(row[f"n{index}"] for index in positions),
        revisions=tuple(row[f"r{index}"] for index in positions),
        measures=measures,
        before=_sums(row, BEFORE) if question.compare_to else None,
        share=divide(measures.revenue, total.revenue),
        cursor=cursors.encode(_signature(question), [*sort_values, *values]),
    )


async def report_lines(
    session: AsyncSession, question: SalesQuestion, values: Sequence[GroupValue], request: PageRequest
) -> Page[InvoiceLineRow]:
    """The lines that the row with these group values adds up, newest first."""
    uncounted = select(INVOICES).where(INVOICES.c.id == INVOICE_LINES.c.invoice_id, IS_UNCOUNTED)
    statement = select(InvoiceLineRow).where(
        sales_condition(question.where, LINES),
        *(_is_in_group(group, value) for group, value in zip(question.group_by, values, strict=True)),
        ~uncounted.exists(),
    )
    order = [
        SortKey("date", INVOICE_LINES.c.date, is_descending=True),
        SortKey("invoice", INVOICE_LINES.c.invoice_id, is_descending=True),
        SortKey("line", INVOICE_LINES.c.line_number, is_descending=True),
    ]
    return await read_page(session, statement, order, request)


def _is_in_group(group: GroupKey, value: GroupValue) -> ColumnElement[bool]:
    if isinstance(group, TimeBucket):
        return INVOICE_LINES.c.date.between(value, bucket_end(cast("date", value), group))
    rule = DIMENSIONS[group]
    key = LINES.table.c[rule.line_key]
    if rule.value is None:
        return key == value
    return key.in_(select(KEY_TABLES[rule.line_key].c.id).where(rule.value.is_not_distinct_from(value)))
