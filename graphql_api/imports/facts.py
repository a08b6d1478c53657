"""Stores, places and products as the rows of a block tell of them.

Of every store and product the first row counts; what it leaves out comes from the next row that has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphql_api.imports.layout import Field
from graphql_api.imports.parsed_column import ParsedColumn
from graphql_api.imports.sales_block import PlaceFacts, ProductFacts, StoreFacts

Rows = NDArray[np.int64]
Columns = Mapping[Field, ParsedColumn]
PLACE_FIELDS = (Field.CITY, Field.ZIP_CODE, Field.COUNTY_NUMBER, Field.COUNTY_NAME)
NOWHERE = -1
NO_POSITION = (None, None)


@dataclass(frozen=True)
class Groups:
    """Rows sorted into groups in the order of their first rows: `group[row]`, and `first[group]` is a row."""

    group: NDArray[np.int32]
    first: Rows


def group_rows(keys: NDArray[np.integer[Any]]) -> Groups:
    """Rows with the same key belong together."""
    narrow = keys.astype(np.min_scalar_type(int(keys.max(initial=0))))  # 16 bits sort several times faster
    _, first, group = np.unique(narrow, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return Groups(rank[group], first[order])


def group_places(columns: Columns) -> tuple[Groups, list[PlaceFacts]]:
    """The distinct combinations of city, zip code and county."""
    parts = [columns[field].merged() for field in PLACE_FIELDS]
    keys = np.zeros(len(parts[0].codes), np.int64)
    for part in parts:
        keys = keys * len(part.values) + part.codes
    groups = group_rows(keys)
    return groups, [PlaceFacts(*(part.values[part.codes[row]] for part in parts)) for row in groups.first]


def group_stores(columns: Columns, places: Groups) -> tuple[Groups, list[StoreFacts]]:
    """The stores by number. A store stands in its first place that has city, zip code and a county."""
    groups = group_rows(columns[Field.STORE_NUMBER].merged().codes)
    known = {field: columns[field].known() for field in PLACE_FIELDS}
    has_county = known[Field.COUNTY_NUMBER] | known[Field.COUNTY_NAME]
    complete = first_rows(groups, known[Field.CITY] & known[Field.ZIP_CODE] & has_county)
    place_rows = np.where(complete == NOWHERE, groups.first, complete)
    facts = zip(
        first_values(groups, columns[Field.STORE_NUMBER]),
        first_values(groups, columns[Field.STORE_NAME]),
        first_values(groups, columns[Field.ADDRESS]),
        [location or NO_POSITION for location in first_values(groups, columns[Field.LOCATION])],
        places.group[place_rows].tolist(),
        strict=True,
    )
    return groups, [
        StoreFacts(number, name, address, location[0], location[1], place)
        for number, name, address, location, place in facts
    ]


def group_products(columns: Columns, unit_price: NDArray[np.int64]) -> tuple[Groups, list[ProductFacts]]:
    """The products by item number."""
    groups = group_rows(columns[Field.SKU].merged().codes)
    price_rows = first_rows(groups, columns[Field.UNIT_PRICE].known())
    price_rows = np.where(price_rows == NOWHERE, groups.first, price_rows)
    facts = zip(
        first_values(groups, columns[Field.SKU]),
        first_values(groups, columns[Field.PRODUCT_NAME]),
        named_numbers(groups, columns[Field.CATEGORY_NUMBER], columns[Field.CATEGORY_NAME]),
        named_numbers(groups, columns[Field.VENDOR_NUMBER], columns[Field.VENDOR_NAME]),
        first_values(groups, columns[Field.PACK]),
        first_values(groups, columns[Field.BOTTLE_VOLUME_ML]),
        first_values(groups, columns[Field.UNIT_COST]),
        unit_price[price_rows].tolist(),
        strict=True,
    )
    return groups, [
        ProductFacts(sku, name, category[0], category[1], vendor[0], vendor[1], pack, volume_ml, unit_cost, price)
        for sku, name, category, vendor, pack, volume_ml, unit_cost, price in facts
    ]


def first_rows(groups: Groups, is_eligible: NDArray[np.bool_]) -> Rows:
    """The first eligible row of each group, NOWHERE for a group without one."""
    rows = np.flatnonzero(is_eligible)[::-1]
    first = np.full(len(groups.first), NOWHERE, np.int64)
    first[groups.group[rows]] = rows  # of several assignments the last one stays: the first row
    return first


def first_values(groups: Groups, column: ParsedColumn) -> list[Any]:
    """The first value of each group that is not missing."""
    first = first_rows(groups, column.known())
    return [None if row == NOWHERE else column.values[column.codes[row]] for row in first.tolist()]


def named_numbers(groups: Groups, numbers: ParsedColumn, names: ParsedColumn) -> list[tuple[int | None, str | None]]:
    """The first number of each group with the name that the block gives this number.

    Taking number and name from rows of different numbers would name a category after another.
    """
    numbers = numbers.merged()
    by_number = group_rows(numbers.codes)
    number_of = [numbers.values[numbers.codes[row]] for row in by_number.first.tolist()]
    name_of = dict(zip(number_of, first_values(by_number, names), strict=True))
    unnumbered = ~numbers.known()
    own_names = first_values(groups, names) if unnumbered.any() else [None] * len(groups.first)
    found = first_values(groups, numbers)
    return [
        (number, own_name if number is None else name_of[number])
        for number, own_name in zip(found, own_names, strict=True)
    ]
