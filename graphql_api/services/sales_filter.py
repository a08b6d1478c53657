"""The filters of sales reports, over the keys of whatever source answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, select

from graphql_api.reports.dimensions import Dimension, LineKey, line_key
from graphql_api.reports.period import DateRange
from graphql_api.reports.planner import Source
from graphql_api.reports.tables import CATEGORIES, COUNTIES, INVOICES, PLACES, PRODUCTS, STORES, VENDORS
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import FilterField, Operators, Where, column_filter, condition, related_filter
from graphql_api.services.place import canonical_name, canonical_zip
from graphql_api.services.store import near

ONE_DAY = timedelta(days=1)


def as_given(value: Any) -> Any:
    """The value itself."""
    return value


def sales_condition(where: Where, source: Source) -> ColumnElement[bool]:
    """Which rows of `source` match `where`.

    Raises:
        BadInput, TooComplex: with the path to the impossible part, `where` included.
    """
    try:
        return condition(where, sales_fields(source.table))
    except (BadInput, TooComplex) as error:
        raise error.below("where") from None


@dataclass(frozen=True)
class FilterColumn:
    """What a filter compares: a column of the rows that `dimension` stands for.

    `normalise` brings a client's value to the stored form.
    """

    dimension: Dimension
    column: ColumnElement[Any]
    normalise: Callable[[Any], Any] = as_given


COLUMNS: dict[str, FilterColumn] = {
    "storeNumber": FilterColumn(Dimension.STORE, STORES.c.number),
    "storeName": FilterColumn(Dimension.STORE, STORES.c.name),
    "city": FilterColumn(Dimension.CITY, PLACES.c.city, canonical_name),
    "zip": FilterColumn(Dimension.ZIP, PLACES.c.zip_code, canonical_zip),
    "county": FilterColumn(Dimension.COUNTY, COUNTIES.c.name, canonical_name),
    "countyNumber": FilterColumn(Dimension.COUNTY, COUNTIES.c.number),
    "categoryNumber": FilterColumn(Dimension.CATEGORY, CATEGORIES.c.number),
    "categoryName": FilterColumn(Dimension.CATEGORY, CATEGORIES.c.name),
    "vendorNumber": FilterColumn(Dimension.VENDOR, VENDORS.c.number),
    "vendorName": FilterColumn(Dimension.VENDOR, VENDORS.c.name),
    "sku": FilterColumn(Dimension.PRODUCT, PRODUCTS.c.sku, str.strip),
    "productName": FilterColumn(Dimension.PRODUCT, PRODUCTS.c.name),
}


def keys_of(dimension: Dimension) -> Select[Any]:
    """The line keys of a dimension, ready for a condition on the columns of its rows."""
    match dimension:
        case Dimension.STORE:
            return select(STORES.c.id)
        case Dimension.CITY | Dimension.ZIP:
            return select(PLACES.c.id)
        case Dimension.COUNTY:
            return select(PLACES.c.id).outerjoin(COUNTIES, COUNTIES.c.id == PLACES.c.county_id)
        case Dimension.PRODUCT:
            return select(PRODUCTS.c.id)
        case Dimension.CATEGORY:
            same_category = CATEGORIES.c.id == PRODUCTS.c.category_id
            return select(PRODUCTS.c.id).outerjoin(CATEGORIES, same_category)
        case Dimension.VENDOR:
            return select(PRODUCTS.c.id).outerjoin(VENDORS, VENDORS.c.id == PRODUCTS.c.vendor_id)


def stock_fields(levels: FromClause) -> dict[str, FilterField]:
    """Every filter of stock as a condition on the store, place and product of `levels`; ids are looked up apart."""
    fields = {
        name: related_filter(
            levels.c[line_key(rule.dimension)],
            keys_of(rule.dimension),
            column_filter(rule.column, rule.normalise),
        )
        for name, rule in COLUMNS.items()
    }
    return {**fields, "near": related_filter(levels.c[LineKey.STORE], keys_of(Dimension.STORE), near)}


def sales_fields(lines: FromClause) -> dict[str, FilterField]:
    """Every filter of sales as a condition on the keys of `lines`."""
    invoices = select(INVOICES.c.id)
    return {
        **stock_fields(lines),
        "date": column_filter(lines.c[LineKey.DATE]),
        "customer": related_filter(lines.c[LineKey.INVOICE], invoices, column_filter(INVOICES.c.customer_id)),
        "salesperson": related_filter(lines.c[LineKey.INVOICE], invoices, column_filter(INVOICES.c.created_by)),
    }


@dataclass(frozen=True)
class Dates:
    """What a filter says about dates on its outer level, and the rest of it.

    `first` and `last` are both included; None where it sets no bound.
    """

    first: date | None
    last: date | None
    rest: Where

    @property
    def range(self) -> DateRange | None:
        """The days, when both ends are bound."""
        return None if self.first is None or self.last is None else DateRange(self.first, self.last)


def split_dates(where: Where) -> Dates:
    """Take the range of dates out of `where`; only what must hold for every line counts (not `or`, not `not`)."""
    rest = dict(where)
    operators = rest.pop("date", None) or {}
    firsts, lasts = _bounds(operators)
    if remaining := {name: value for name, value in operators.items() if name not in RANGE_OPERATORS}:
        rest["date"] = remaining
    if parts := rest.get("and"):
        inner = [split_dates(part) for part in parts]
        rest["and"] = [part.rest for part in inner]
        firsts += [part.first for part in inner if part.first]
        lasts += [part.last for part in inner if part.last]
    return Dates(max(firsts, default=None), min(lasts, default=None), rest)


RANGE_OPERATORS: Mapping[str, tuple[int | None, int | None]] = {
    # operator: days from its value to the first and to the last day it lets through
    "eq": (0, 0),
    "gte": (0, None),
    "gt": (1, None),
    "lte": (None, 0),
    "lt": (None, -1),
}


def _bounds(operators: Operators) -> tuple[list[date], list[date]]:
    firsts, lasts = [], []
    for name, (to_first, to_last) in RANGE_OPERATORS.items():
        value = operators.get(name)
        if value is None:
            continue
        if to_first is not None:
            firsts.append(_moved(value, to_first, name))
        if to_last is not None:
            lasts.append(_moved(value, to_last, name))
    return firsts, lasts


def _moved(day: date, days: int, operator: str) -> date:
    try:
        return day + days * ONE_DAY
    except OverflowError:
        raise BadInput("There is no day beyond this one.", path=("where", "date", operator)) from None
