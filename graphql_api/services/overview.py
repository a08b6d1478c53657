"""The sales at a glance: totals, the days they span, and how many stores, products and counties sold."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.reports.dimensions import Dimension, GroupKey, TimeBucket
from graphql_api.reports.measures import ADDITIVE, SalesMeasures, whole
from graphql_api.reports.planner import Source, plan
from graphql_api.reports.question import SalesQuestion
from graphql_api.reports.sql import Part, grouped_sums
from graphql_api.reports.tables import PRODUCTS, STORES
from graphql_api.reports.tuning import prepare_to_add_up
from graphql_api.services.filters import Where
from graphql_api.services.sales_filter import sales_condition


@dataclass(frozen=True)
class SalesOverview:
    """Totals of the lines that match a filter, beside the size of the whole catalogue.

    `first_sale` and `last_sale` are None when nothing matches. `counties_selling` counts the counties by name;
    sales in a place without a county add none.
    """

    sales: SalesMeasures
    first_sale: date | None
    last_sale: date | None
    stores_selling: int
    products_selling: int
    counties_selling: int
    stores: int
    products: int


async def sales_overview(session: AsyncSession, where: Where | None = None) -> SalesOverview:
    """The overview of the lines that match `where`, from one statement.

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
    statement = select(
        totals,
        _count(source, Dimension.STORE, condition).label("stores_selling"),
        _count(source, Dimension.PRODUCT, condition).label("products_selling"),
        _count(source, Dimension.COUNTY, condition).label("counties_selling"),
        select(func.count()).where(STORES.c.is_active).scalar_subquery().label("stores"),
        select(func.count()).where(PRODUCTS.c.is_active).scalar_subquery().label("products"),
    )
    await prepare_to_add_up(session)
    row = (await session.execute(statement)).mappings().one()
    sums = SalesMeasures(**{name: row[name] for name in ADDITIVE})
    return SalesOverview(sales=sums, **{name: value for name, value in row.items() if name not in ADDITIVE})


def _count(source: Source, group: GroupKey, condition: ColumnElement[bool]) -> ColumnElement[int]:
    grouped = grouped_sums(source, (group,), Part(condition), name=f"by_{group.lower()}")
    return select(func.count(grouped.c.g0)).scalar_subquery()
