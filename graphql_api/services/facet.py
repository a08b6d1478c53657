"""Autocomplete for the filters of sales reports: the values in use, and how many lines have each."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.reports.dimensions import DIMENSIONS, line_key
from graphql_api.reports.planner import plan
from graphql_api.reports.question import SalesQuestion
from graphql_api.reports.sql import Part, grouped_sums
from graphql_api.reports.tables import CATEGORIES, COUNTIES, PRODUCTS, STORES, VENDORS
from graphql_api.reports.tuning import prepare_to_add_up
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import Where, escape_like
from graphql_api.services.sales_filter import COLUMNS, keys_of, sales_condition

MAX_FACETS = 100
MAX_SEARCH = 200


class FacetField(StrEnum):
    """A filter whose values can be looked up; the value is the name of the filter."""

    STORE_NUMBER = "storeNumber"
    STORE_NAME = "storeName"
    CITY = "city"
    ZIP = "zip"
    COUNTY = "county"
    COUNTY_NUMBER = "countyNumber"
    CATEGORY_NUMBER = "categoryNumber"
    CATEGORY_NAME = "categoryName"
    VENDOR_NUMBER = "vendorNumber"
    VENDOR_NAME = "vendorName"
    SKU = "sku"
    PRODUCT_NAME = "productName"


# What people know a number by: shown beside it, and searched with it.
NAMES: dict[FacetField, ColumnElement[Any]] = {
    FacetField.STORE_NUMBER: STORES.c.name,
    FacetField.COUNTY_NUMBER: COUNTIES.c.name,
    FacetField.CATEGORY_NUMBER: CATEGORIES.c.name,
    FacetField.VENDOR_NUMBER: VENDORS.c.name,
    FacetField.SKU: PRODUCTS.c.name,
}


@dataclass(frozen=True)
class Facet:
    """A value in use: as the filter takes it, as people read it, and the number of lines that have it."""

    value: str | int
    label: str
    count: int


async def facets(
    session: AsyncSession,
    field: FacetField,
    *,
    search: str | None = None,
    where: Where | None = None,
    first: int = 20,
) -> Sequence[Facet]:
    """The values of `field` among the lines that match `where`, the most frequent first.

    Conditions on `field` itself that every line must meet are left out: they are about to be replaced.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    if not 1 <= first <= MAX_FACETS:
        raise BadInput("`first` goes from 1 to {limit}; got {given}.", path=("first",), limit=MAX_FACETS, given=first)
    if len(search or "") > MAX_SEARCH:
        raise BadInput("`search` takes at most {limit} characters.", path=("search",), limit=MAX_SEARCH)
    rule = COLUMNS[field]
    question = SalesQuestion(where=without_field(where or {}, field), group_by=(rule.dimension,))
    source = plan(question).source
    matching = sales_condition(question.where, source)
    if wanted := (search or "").strip():
        keys = keys_of(rule.dimension).where(_search_condition(field, wanted))
        matching = and_(matching, source.table.c[line_key(rule.dimension)].in_(keys))
    grouped = grouped_sums(source, question.group_by, Part(matching))
    named_by = DIMENSIONS[rule.dimension].named_by
    value = grouped.c.g0 if named_by is None else rule.column
    origin = grouped if named_by is None else grouped.join(named_by, named_by.c.id == grouped.c.g0)
    count = func.sum(grouped.c.line_count)
    found = (
        select(value, func.min(NAMES.get(field, value)), count)
        .select_from(origin)
        .where(value.is_not(None))
        .group_by(value)
        .order_by(count.desc(), value)
        .limit(first)
    )
    await prepare_to_add_up(session)
    rows = await session.execute(found)
    return [Facet(value, _label(field, value, name), int(total)) for value, name, total in rows]


def _search_condition(field: FacetField, wanted: str) -> ColumnElement[bool]:
    """Numbers by their first digits, names by any part, in any letter case."""
    column, pattern = COLUMNS[field].column, escape_like(wanted)
    if field not in NAMES:
        return column.ilike(f"%{pattern}%", escape="\\")
    begins = cast(column, Text).ilike(f"{pattern}%", escape="\\")
    return or_(begins, NAMES[field].ilike(f"%{pattern}%", escape="\\"))


def _label(field: FacetField, value: str | int, name: str) -> str:
    return f"{value} {name}" if field in NAMES else str(value)


def without_field(where: Where, field: str) -> Where:
    """`where` without what it says of `field` on its outer level and inside `and`."""
    rest = {name: value for name, value in where.items() if name != field}
    if rest.get("and"):
        rest["and"] = [without_field(part, field) for part in rest["and"]]
    return rest
