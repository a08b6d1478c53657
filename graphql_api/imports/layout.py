"""What the columns of a file may be: one layout for each kind of file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.values import ValueProblem, strip_text

Parser = Callable[[str], Any]

MISSING = ValueProblem(RejectCode.MISSING_VALUE, "Fill in this field; every row needs it.")


class Field(StrEnum):
    """What a column of a file can mean; a layout has some of them."""

    LINE_ID = "line_id"
    DATE = "date"
    STORE_NUMBER = "store_number"
    STORE_NAME = "store_name"
    ADDRESS = "address"
    CITY = "city"
    ZIP_CODE = "zip_code"
    LOCATION = "location"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"
    COUNTY_NUMBER = "county_number"
    COUNTY_NAME = "county_name"
    CATEGORY_NUMBER = "category_number"
    CATEGORY_NAME = "category_name"
    VENDOR_NUMBER = "vendor_number"
    VENDOR_NAME = "vendor_name"
    SKU = "sku"
    PRODUCT_NAME = "product_name"
    DESCRIPTION = "description"
    PACK = "pack"
    BOTTLE_VOLUME_ML = "bottle_volume_ml"
    UNIT_COST = "unit_cost"
    UNIT_PRICE = "unit_price"
    LOW_STOCK_THRESHOLD = "low_stock_threshold"
    IS_ACTIVE = "is_active"
    QUANTITY = "quantity"
    SALE_AMOUNT = "sale_amount"
    VOLUME_LITERS = "volume_liters"
    VOLUME_GALLONS = "volume_gallons"
    PURCHASE_NUMBER = "purchase_number"
    LINE_NUMBER = "line_number"
    EXPIRES_ON = "expires_on"
    COUNTED = "counted"
    EXPECTED = "expected"


def normalise(text: str) -> str:
    """The letters and digits of a header, case-folded: what two spellings are compared by."""
    return "".join(character for character in text.casefold() if character.isalnum())


@dataclass(frozen=True)
class FieldRule:
    """How the text of one field is read, and whether it may be empty."""

    parse: Parser
    is_required: bool = False

    def apply(self, text: str) -> Any:
        """The value, None for an optional empty text, or the problem itself."""
        stripped = strip_text(text)
        if not stripped:
            return MISSING if self.is_required else None
        try:
            return self.parse(stripped)
        except ValueProblem as problem:
            return problem


@dataclass(frozen=True)
class Column:
    """A column that a file may have.

    Args:
        field: what it means.
        spellings: how headers name it; the first is shown in messages.
        parse: reads a cell; None where the column is read in a way of its own, or not at all.
        is_required: whether the file must have it and every row must fill it.
        is_read: whether the import makes use of it.
        is_text: whether nearly every cell is different, so that cells are better kept one by one.
    """

    field: Field
    spellings: tuple[str, ...]
    parse: Parser | None = None
    is_required: bool = False
    is_read: bool = True
    is_text: bool = False


@dataclass(frozen=True)
class Layout:
    """The columns of a kind of file; `name` completes "a … file". Of `one_required` a file has at least one."""

    name: str
    columns: tuple[Column, ...]
    one_required: tuple[Field, ...] = ()

    @cached_property
    def by_field(self) -> Mapping[Field, Column]:
        """Its columns by what they mean."""
        return {column.field: column for column in self.columns}

    @cached_property
    def by_spelling(self) -> Mapping[str, Field]:
        """What a header means, by its letters and digits."""
        return {
            normalise(spelling): column.field
            for column in self.columns
            for spelling in (column.field, *column.spellings)
        }

    @cached_property
    def shown(self) -> Mapping[str, str]:
        """How a spelling is shown, by its letters and digits."""
        return {normalise(spelling): spelling for column in self.columns for spelling in column.spellings}

    @cached_property
    def rules(self) -> Mapping[Field, FieldRule]:
        """How the cells of each column are read."""
        return {
            column.field: FieldRule(column.parse, column.is_required)
            for column in self.columns
            if column.parse is not None
        }

    @property
    def required(self) -> tuple[Field, ...]:
        """What a file of this kind must have."""
        return tuple(column.field for column in self.columns if column.is_required)

    def title(self, field: Field) -> str:
        """How messages name a column."""
        return self.by_field[field].spellings[0]
