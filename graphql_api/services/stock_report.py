"""Stock reports: exact sums of any slice of the stock, now or at the end of a day, from one snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from typing import Any

from sqlalchemy import ColumnElement, FromClause
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.reports.dimensions import GroupValue
from graphql_api.reports.measures import divide
from graphql_api.reports.stock import (
    StockStatement,
    levels_at_end_of,
    present_levels,
    sort_types,
    stock_statement,
)
from graphql_api.reports.stock_question import NUMBERS, StockMeasures, StockQuestion
from graphql_api.reports.tuning import prepare_to_add_up
from graphql_api.services import cursors
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import Where, condition
from graphql_api.services.report_rules import check_groups, check_order, check_size
from graphql_api.services.sales_filter import stock_fields


@dataclass(frozen=True)
class StockReportRow:
    """One group: its values and names in the order of `groupBy`, and what lies there.

    A value and its name are None for stock that has none, such as products without a vendor.
    """

    values: tuple[GroupValue, ...]
    names: tuple[str | None, ...]
    measures: StockMeasures
    share: Decimal | None
    cursor: str


@dataclass(frozen=True)
class StockReport:
    """The answer to a `StockQuestion`; all of it describes the database at `as_of`.

    `others` plus the measures of `rows` is `grand_total`, but for the products: those of other groups may be among
    them. `rows_scanned` counts levels, or movements when a day is asked for.
    """

    question: StockQuestion
    rows: Sequence[StockReportRow]
    others: StockMeasures | None
    grand_total: StockMeasures
    total_groups: int
    has_next: bool
    as_of: datetime
    rows_scanned: int
    milliseconds: float


async def stock_report(session: AsyncSession, question: StockQuestion) -> StockReport:
    """Answer `question` in one statement besides tuning.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    started = perf_counter()
    check_groups(question.group_by)
    check_order(question.order_by, question.group_by)
    check_size(question.first)
    levels = present_levels() if question.as_of is None else levels_at_end_of(question.as_of)
    statement = StockStatement(
        levels=levels,
        condition=stock_condition(question.where, levels),
        groups=question.group_by,
        order=question.order,
        size=question.first,
        after=_after(question),
        others=question.others,
    )
    await prepare_to_add_up(session)
    found = (await session.execute(stock_statement(statement))).mappings().all()
    return _report(question, found, started)


def stock_condition(where: Where, levels: FromClause) -> ColumnElement[bool]:
    """Which of `levels` match `where`.

    Raises:
        BadInput, TooComplex: with the path to the impossible part, `where` included.
    """
    try:
        return condition(where, stock_fields(levels))
    except (BadInput, TooComplex) as error:
        raise error.below("where") from None


def _signature(question: StockQuestion) -> str:
    orders = (f"{order.by}.{'desc' if order.descending else 'asc'}" for order in question.order)
    return f"stockReport:{','.join(question.group_by)}:{','.join(orders)}"


def _after(question: StockQuestion) -> list[Any] | None:
    if question.after is None:
        return None
    try:
        return cursors.decode(question.after, _signature(question), sort_types(question))
    except cursors.BadCursor as error:
        raise error.below("after") from None


def _report(question: StockQuestion, found: Sequence[Mapping[str, Any]], started: float) -> StockReport:
    head = found[0]
    total = _sums(head, "total_")
    rows = [_row(question, item, total) for item in found if item["present"]]
    page = rows[: question.first]
    return StockReport(
        question=question,
        rows=page,
        others=_others(total, page, head["other_products"]) if question.others else None,
        grand_total=total,
        total_groups=head["groups"],
        has_next=len(rows) > question.first,
        as_of=head["as_of"],
        rows_scanned=head["entries"],
        milliseconds=(perf_counter() - started) * 1000,
    )


def _sums(row: Mapping[str, Any], prefix: str = "") -> StockMeasures:
    # PostgreSQL hands the largest sums out as decimals
    return StockMeasures(**{name: int(row[prefix + name]) for name in NUMBERS})


def _others(total: StockMeasures, page: Sequence[StockReportRow], products: int) -> StockMeasures:
    shown = sum((row.measures for row in page), StockMeasures())
    return replace(total - shown, products=products)


def _row(question: StockQuestion, row: Mapping[str, Any], total: StockMeasures) -> StockReportRow:
    positions = range(len(question.group_by))
    values = tuple(row[f"g{index}"] for index in positions)
    sort_values = [row[f"o{index}"] for index in range(len(question.order))]
    measures = _sums(row)
    return StockReportRow(
        values=values,
        names=tuple(row[f"n{index}"] for index in positions),
        measures=measures,
        share=divide(measures.value, total.value),
        cursor=cursors.encode(_signature(question), [*sort_values, *values]),
    )
