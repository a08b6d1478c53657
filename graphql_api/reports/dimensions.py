"""What sales can be grouped by, as data: the line key each group hangs on, its value and its name."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Date, FromClause, Table, cast, func, literal_column, types

from graphql_api.reports.tables import CATEGORIES, COUNTIES, PLACES, PRODUCTS, STORES, VENDORS


class LineKey(StrEnum):
    """The columns of a line that everything else about a sale follows from."""

    PLACE = "place_id"
    STORE = "store_id"
    PRODUCT = "product_id"
    DATE = "date"
    INVOICE = "invoice_id"


class Dimension(StrEnum):
    """A property of a sale that is not its time."""

    CITY = "CITY"
    COUNTY = "COUNTY"
    ZIP = "ZIP"
    STORE = "STORE"
    PRODUCT = "PRODUCT"
    CATEGORY = "CATEGORY"
    VENDOR = "VENDOR"


class TimeBucket(StrEnum):
    """A stretch of the calendar; weeks are ISO weeks and start on Monday."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    QUARTER = "QUARTER"
    YEAR = "YEAR"


GroupKey = Dimension | TimeBucket
GroupValue = str | int | date | None


@dataclass(frozen=True)
class DimensionRule:
    """How a dimension follows from a line.

    Args:
        line_key: the column of the line that decides the group.
        value: the group, a column of the row that the line key points at; None when the line key is the group itself.
        named_by: the table whose rows the groups are, by `id` and `name`; None when the value is its own name.
    """

    line_key: LineKey
    value: ColumnElement[Any] | None = None
    named_by: Table | None = None


DIMENSIONS: dict[Dimension, DimensionRule] = {
    Dimension.CITY: DimensionRule(LineKey.PLACE, PLACES.c.city),
    Dimension.ZIP: DimensionRule(LineKey.PLACE, PLACES.c.zip_code),
    Dimension.COUNTY: DimensionRule(LineKey.PLACE, PLACES.c.county_id, COUNTIES),
    Dimension.STORE: DimensionRule(LineKey.STORE, None, STORES),
    Dimension.PRODUCT: DimensionRule(LineKey.PRODUCT, None, PRODUCTS),
    Dimension.CATEGORY: DimensionRule(LineKey.PRODUCT, PRODUCTS.c.category_id, CATEGORIES),
    Dimension.VENDOR: DimensionRule(LineKey.PRODUCT, PRODUCTS.c.vendor_id, VENDORS),
}

# What a line key points at, for the values above.
KEY_TABLES: dict[LineKey, Table] = {LineKey.PLACE: PLACES, LineKey.PRODUCT: PRODUCTS}

# The line key each filter reads; the planner needs it to know which source can answer.
FILTER_KEYS: dict[str, LineKey] = {
    "storeNumber": LineKey.STORE,
    "storeName": LineKey.STORE,
    "near": LineKey.STORE,
    "city": LineKey.PLACE,
    "zip": LineKey.PLACE,
    "county": LineKey.PLACE,
    "countyNumber": LineKey.PLACE,
    "categoryNumber": LineKey.PRODUCT,
    "categoryName": LineKey.PRODUCT,
    "vendorNumber": LineKey.PRODUCT,
    "vendorName": LineKey.PRODUCT,
    "sku": LineKey.PRODUCT,
    "productName": LineKey.PRODUCT,
    "date": LineKey.DATE,
    "customer": LineKey.INVOICE,
    "salesperson": LineKey.INVOICE,
}


def line_key(group: GroupKey) -> LineKey:
    """The column of a line that decides its group."""
    return LineKey.DATE if isinstance(group, TimeBucket) else DIMENSIONS[group].line_key


def bucket_start(bucket: TimeBucket, day: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQL: the first day of the bucket that `day` lies in."""
    if bucket is TimeBucket.DAY:
        return day
    # Through timestamp without zone: twice as fast as through timestamptz, and free of zones.
    return cast(func.date_trunc(literal_column(f"'{bucket.lower()}'"), cast(day, types.TIMESTAMP)), Date)


def bucket_step(bucket: TimeBucket) -> ColumnElement[Any]:
    """SQL: the interval from one bucket to the next."""
    length = "3 month" if bucket is TimeBucket.QUARTER else f"1 {bucket.lower()}"
    return literal_column(f"interval '{length}'")


def group_expression(group: GroupKey, keys: FromClause, day: ColumnElement[Any]) -> ColumnElement[Any]:
    """SQL: the value of `group` for a row of `keys`, whose date counts as `day`."""
    if isinstance(group, TimeBucket):
        return bucket_start(group, day)
    rule = DIMENSIONS[group]
    return keys.c[rule.line_key] if rule.value is None else rule.value


def value_type(group: GroupKey) -> types.TypeEngine[Any]:
    """The SQL type of a group's value."""
    if isinstance(group, TimeBucket):
        return Date()
    return types.Text() if group in {Dimension.CITY, Dimension.ZIP} else types.BigInteger()


def joined_tables(groups: tuple[GroupKey, ...], keys: FromClause, origin: FromClause) -> FromClause:
    """`origin`, which holds the columns of `keys`, joined with the tables that the values of `groups` lie in."""
    joined = origin
    for key, table in KEY_TABLES.items():
        if any(_reads(group, key) for group in groups):
            joined = joined.join(table, table.c.id == keys.c[key])
    return joined


def _reads(group: GroupKey, key: LineKey) -> bool:
    return isinstance(group, Dimension) and DIMENSIONS[group].line_key is key and DIMENSIONS[group].value is not None
