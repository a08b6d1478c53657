"""One statement per stock report: what lies where, today or at the end of a day, grouped, ordered and cut to a page.

The levels are brought to one row for each group and product first, because a product that lies in ten stores of a
city is one product of the city.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    Numeric,
    Select,
    Text,
    and_,
    cast,
    func,
    literal_column,
    null,
    select,
    true,
    types,
)

from graphql_api.reports.dimensions import DIMENSIONS, Dimension, group_expression, joined_tables, value_type
from graphql_api.reports.keyset import SortKey, is_after
from graphql_api.reports.measures import whole
from graphql_api.reports.stock_question import ADDITIVE, StockOrder, StockQuestion
from graphql_api.reports.tables import PRODUCTS, SETTINGS, STOCK_LEVELS, STOCK_MOVEMENTS, STORES

RETAIL_VALUE = "retail_value"


def present_levels() -> FromClause:
    """What lies where now, and `place_id`, where the store stands now; `entries` is how many rows were read for it."""
    levels = STOCK_LEVELS
    return (
        select(
            levels.c.store_id,
            levels.c.product_id,
            STORES.c.place_id,
            levels.c.on_hand.label("units"),
            levels.c.value,
            literal_column("1").label("entries"),
        )
        .select_from(levels.join(STORES, STORES.c.id == levels.c.store_id))
        .subquery("levels")
    )


def levels_at_end_of(day: date) -> FromClause:
    """What lay where when `day` was over in UTC, in the columns of `present_levels`; summed from the movements."""
    moved = STOCK_MOVEMENTS
    # Spelled out: as a parameter, asyncpg sends the last day of the calendar as infinity.
    next_day = func.make_date(day.year, day.month, day.day, type_=Date()) + literal_column("1")
    end = func.timezone("UTC", cast(next_day, types.TIMESTAMP))
    summed = (
        select(
            moved.c.store_id,
            moved.c.product_id,
            whole(func.sum(moved.c.quantity)).label("units"),
            whole(func.sum(moved.c.cost)).label("value"),
            func.count().label("entries"),
        )
        .where(moved.c.at < end)
        .group_by(moved.c.store_id, moved.c.product_id)
        .subquery("moved")
    )
    return (
        select(
            summed.c.store_id,
            summed.c.product_id,
            STORES.c.place_id,
            summed.c.units,
            summed.c.value,
            summed.c.entries,
        )
        .select_from(summed.join(STORES, STORES.c.id == summed.c.store_id))
        .subquery("levels")
    )


@dataclass(frozen=True)
class StockStatement:
    """Everything that shapes the statement of one stock report.

    Args:
        levels: `present_levels` or `levels_at_end_of`.
        condition: which of them count.
        size: rows of the page.
        after: the values of the sort keys of the row to go on after.
    """

    levels: FromClause
    condition: ColumnElement[bool]
    groups: tuple[Dimension, ...]
    order: tuple[StockOrder, ...]
    size: int
    after: Sequence[Any] | None = None
    others: bool = False


def stock_statement(report: StockStatement) -> Select[Any]:
    """The page of rows beside the grand total and what is not on the page, in one statement and so of one snapshot.

    Always returns at least one row. Columns: `total_…`, `other_products`, `groups`, `entries`, `as_of`; then of the
    row, all null when there is none: `present`, `g…` (group), `n…` (name), `o…` (sort values) and the sums. There is
    one row more than the page has when another page follows.
    """
    by_product = _by_product(report)
    named = _named(_grouped(by_product, report), report)
    page = _page(named, report)
    total = _total(by_product, named, page, report)
    clauses = (key.clause for key in sort_keys(page, report))
    return select(total, page).select_from(total.outerjoin(page, true())).order_by(*clauses)


def _by_product(report: StockStatement) -> CTE:
    """One row for each group and product."""
    levels = _valued(report.levels, report.condition)
    values = [group_expression(group, levels, null()).label(f"g{index}") for index, group in enumerate(report.groups)]
    names = (*ADDITIVE, "entries")
    joined = joined_tables(report.groups, levels, levels)
    if Dimension.STORE in report.groups:
        # a product has one level in a store
        return (
            select(levels.c.product_id, *values, *(levels.c[name] for name in names))
            .select_from(joined)
            .cte("by_product")
        )
    sums = [_summed(levels, name) for name in names]
    keys = [levels.c.product_id, *(value.element for value in values)]
    return select(levels.c.product_id, *values, *sums).select_from(joined).group_by(*keys).cte("by_product")


def _valued(levels: FromClause, condition: ColumnElement[bool]) -> FromClause:
    """The levels that count, with everything that is measured of one."""
    threshold = func.coalesce(PRODUCTS.c.low_stock_threshold, SETTINGS.c.low_stock_threshold)
    is_low = and_(PRODUCTS.c.is_active, levels.c.units <= threshold)
    return (
        select(
            levels,
            # prices are what somebody has typed: as many bottles at the highest of them are more than a bigint holds
            (cast(levels.c.units, Numeric) * func.coalesce(PRODUCTS.c.unit_price, 0)).label(RETAIL_VALUE),
            cast(is_low, Integer).label("low_stock_count"),
        )
        .select_from(levels.join(PRODUCTS, PRODUCTS.c.id == levels.c.product_id).join(SETTINGS, true()))
        .where(condition)
        .subquery("valued")
    )


def _keys(rows: FromClause, report: StockStatement) -> list[ColumnElement[Any]]:
    return [rows.c[f"g{index}"] for index in range(len(report.groups))]


def _key_text(rows: FromClause, report: StockStatement) -> ColumnElement[str]:
    """SQL: the group as one text; unlike the values themselves, unknown ones compare, and by hash."""
    return cast(func.row(*_keys(rows, report)), Text)


def _grouped(by_product: CTE, report: StockStatement) -> CTE:
    keys = _keys(by_product, report)
    sums = [_summed(by_product, name) for name in ADDITIVE]
    # each product has one row here
    products = func.count().filter(by_product.c.units > 0).label("products")
    return select(*keys, *sums, products).select_from(by_product).group_by(*keys).cte("grouped")


def _named(grouped: CTE, report: StockStatement) -> CTE:
    """The groups with their names and sort values."""
    joined: FromClause = grouped
    names: dict[Dimension, ColumnElement[Any]] = {}
    for key, group in zip(_keys(grouped, report), report.groups, strict=True):
        named_by = DIMENSIONS[group].named_by
        names[group] = key if named_by is None else named_by.c.name
        joined = joined if named_by is None else joined.outerjoin(named_by, named_by.c.id == key)
    labels = [name.label(f"n{index}") for index, name in enumerate(names.values())]
    order = [
        (names[item.by] if isinstance(item.by, Dimension) else grouped.c[item.by.lower()]).label(f"o{index}")
        for index, item in enumerate(report.order)
    ]
    return select(grouped, *labels, *order).select_from(joined).cte("named")


def _page(named: CTE, report: StockStatement) -> CTE:
    keys = sort_keys(named, report)
    page = select(literal_column("true").label("present"), named)
    if report.after is not None:
        page = page.where(is_after(keys, report.after))
    return page.order_by(*(key.clause for key in keys)).limit(report.size + 1).cte("page")


def _total(by_product: CTE, named: CTE, page: CTE, report: StockStatement) -> CTE:
    products = func.count(by_product.c.product_id.distinct())
    is_there = by_product.c.units > 0
    shown = select(_key_text(page, report)).select_from(page).order_by(*(key.clause for key in sort_keys(page, report)))
    is_elsewhere = _key_text(by_product, report).not_in(shown.limit(report.size))
    return (
        select(
            *(_summed(by_product, name).label(f"total_{name}") for name in ADDITIVE),
            products.filter(is_there).label("total_products"),
            (products.filter(is_there, is_elsewhere) if report.others else null()).label("other_products"),
            select(func.count()).select_from(named).scalar_subquery().label("groups"),
            whole(func.sum(by_product.c.entries)).label("entries"),
            func.statement_timestamp(type_=types.DateTime(timezone=True)).label("as_of"),
        )
        .select_from(by_product)
        .cte("total")
    )


def sort_keys(rows: FromClause, report: StockStatement) -> list[SortKey]:
    """The order of the report, made total by the groups themselves."""
    asked = [SortKey(rows.c[f"o{index}"], item.descending) for index, item in enumerate(report.order)]
    return [*asked, *(SortKey(key) for key in _keys(rows, report))]


def _summed(rows: FromClause, name: str) -> ColumnElement[Any]:
    """SQL: the sum of a measure under its name."""
    total = func.sum(rows.c[name])
    return (func.coalesce(total, 0) if name == RETAIL_VALUE else whole(total)).label(name)


def sort_types(question: StockQuestion) -> list[types.TypeEngine[Any]]:
    """The type of each sort value: what a cursor must hold."""
    asked = [_sort_type(item) for item in question.order]
    return [*asked, *(value_type(group) for group in question.group_by)]


def _sort_type(item: StockOrder) -> types.TypeEngine[Any]:
    if isinstance(item.by, Dimension):
        return Text()
    return Numeric() if item.by.lower() == RETAIL_VALUE else BigInteger()
