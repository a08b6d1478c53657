"""Sales and stock at a glance: totals, the days they span, and how many stores, products and counties sold."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.user import Role
from graphql_api.reports.dimensions import Dimension, GroupKey, TimeBucket
from graphql_api.reports.measures import ADDITIVE, SalesMeasures, whole
from graphql_api.reports.planner import Source, plan
from graphql_api.reports.question import SalesQuestion
from graphql_api.reports.sql import Part, grouped_sums
from graphql_api.reports.stock_question import StockMeasures, StockQuestion
from graphql_api.reports.tables import PRODUCTS, SETTINGS, STOCK_LEVELS, STORES, USERS
from graphql_api.reports.tuning import prepare_to_add_up
from graphql_api.services.filters import Where
from graphql_api.services.sales_filter import sales_condition
from graphql_api.services.stock_report import stock_report


@dataclass(frozen=True)
class SalesOverview:
    """Totals of the lines that match a filter, beside the size of the whole catalogue.

    `first_sale` and `last_sale` are None when nothing matches. `counties_selling` counts the counties by name;
    sales in a place without a county add none. `sales_staff` are the active accounts of salespeople; a product counts
    as low in stock when one store has as little of it as its threshold, or less.
    """

    sales: SalesMeasures
    first_sale: date | None
    last_sale: date | None
    stores_selling: int
    products_selling: int
    counties_selling: int
    stores: int
    products: int
    sales_staff: int
    low_stock_products: int
    stock: StockMeasures


async def sales_overview(session: AsyncSession, where: Where | None = None) -> SalesOverview:
    """The overview of the lines that match `where`, from one snapshot.

    Raises:
        BadInput, TooComplex: with the path to the impossible filter.
    """
    question = SalesQuestion(where=where or {}, group_by=tuple(Dimension))
    source = plan(question).source
    condition = sales_condition(question.where, source)
    days = grouped_sums(source, (TimeBucket.DAY,), Part(condition), name="days")
    totals = select(
        *(whole(func.sum(days.c[name])).label(name) for name in ADDITIVE),
        func.min(days.c.g0).label("first_sale"),
        func.max(days.c.g0).label("last_sale"),
    ).subquery("totals")
    is_sales_staff = and_(USERS.c.role == Role.SALESPERSON, USERS.c.is_active)
    statement = select(
        totals,
        _count(source, Dimension.STORE, condition).label("stores_selling"),
        _count(source, Dimension.PRODUCT, condition).label("products_selling"),
        _count(source, Dimension.COUNTY, condition).label("counties_selling"),
        select(func.count()).where(STORES.c.is_active).scalar_subquery().label("stores"),
        select(func.count()).where(PRODUCTS.c.is_active).scalar_subquery().label("products"),
        select(func.count()).where(is_sales_staff).scalar_subquery().label("sales_staff"),
        _low_stock_products().label("low_stock_products"),
    )
    await prepare_to_add_up(session)
    row = (await session.execute(statement)).mappings().one()
    sums = SalesMeasures(**{name: row[name] for name in ADDITIVE})
    stock = await stock_report(session, StockQuestion(first=0))
    rest = {name: value for name, value in row.items() if name not in ADDITIVE}
    return SalesOverview(sales=sums, stock=stock.grand_total, **rest)


def _low_stock_products() -> ColumnElement[int]:
    threshold = func.coalesce(PRODUCTS.c.low_stock_threshold, SETTINGS.c.low_stock_threshold)
    joined = STOCK_LEVELS.join(PRODUCTS, PRODUCTS.c.id == STOCK_LEVELS.c.product_id).join(SETTINGS, true())
    low = select(func.count(PRODUCTS.c.id.distinct())).select_from(joined)
    return low.where(PRODUCTS.c.is_active, STOCK_LEVELS.c.on_hand <= threshold).scalar_subquery()


def _count(source: Source, group: GroupKey, condition: ColumnElement[bool]) -> ColumnElement[int]:
    grouped = grouped_sums(source, (group,), Part(condition), name=f"by_{group.lower()}")
    return select(func.count(grouped.c.g0)).scalar_subquery()
