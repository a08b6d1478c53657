"""Columns of text read value by value: each distinct text once, then spread over the rows with numpy."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graphql_api.imports import values
from graphql_api.imports.columns import Field
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.values import ValueProblem

MAX_NUMBER = 2**31 - 1
MAX_QUANTITY = 1_000_000
MAX_PACK = 10_000
MAX_VOLUME_ML = 1_000_000
MAX_REMEMBERED = 20_000  # texts of a field
MAX_REMEMBERED_LENGTH = 200

Parser = Callable[[str], Any]


@dataclass(frozen=True)
class ParsedColumn:
    """A column: `values[codes[row]]` is the value of a row, None where missing; `problems` are by code."""

    codes: NDArray[np.int32]
    values: list[Any]
    problems: dict[int, ValueProblem]

    def known(self) -> NDArray[np.bool_]:
        """Which rows have a value."""
        return np.array([value is not None for value in self.values], np.bool_)[self.codes]

    def numbers(self) -> NDArray[np.int64]:
        """The values of all rows, 0 where missing."""
        return np.array([0 if value is None else value for value in self.values], np.int64)[self.codes]

    def bad_rows(self) -> NDArray[np.int64]:
        """The rows whose text cannot be read."""
        if not self.problems:
            return np.empty(0, np.int64)
        is_bad = np.zeros(len(self.values), np.bool_)
        is_bad[list(self.problems)] = True
        return np.flatnonzero(is_bad[self.codes])

    def take(self, rows: NDArray[np.int64]) -> "ParsedColumn":
        """The column of some rows."""
        return ParsedColumn(self.codes[rows], self.values, self.problems)

    def merged(self) -> "ParsedColumn":
        """The same column with one code per value, where several texts mean the same."""
        code_of: dict[Hashable, int] = {}
        merged = np.array([code_of.setdefault(value, len(code_of)) for value in self.values], np.int32)
        return ParsedColumn(merged[self.codes], list(code_of), {})


@dataclass(frozen=True)
class FieldRule:
    """How the text of one field is read, and whether it may be empty."""

    parse: Parser
    is_required: bool = False

    def apply(self, text: str) -> Any:
        """The value, None for an optional empty text, or the problem itself."""
        stripped = values.strip_text(text)
        if not stripped:
            return MISSING if self.is_required else None
        try:
            return self.parse(stripped)
        except ValueProblem as problem:
            return problem


MISSING = ValueProblem(RejectCode.MISSING_VALUE, "Fill in this field; every sale needs it.")


def integer_between(lowest: int, highest: int) -> Parser:
    """A parser of whole numbers within limits."""

    def parse(text: str) -> int:
        number = values.parse_integer(text)
        if not lowest <= number <= highest:
            raise ValueProblem(RejectCode.OUT_OF_RANGE, f"The number must be from {lowest:,} to {highest:,}.")
        return number

    return parse


def parse_price(text: str) -> int:
    """Cents that are not negative."""
    cents = values.parse_money(text)
    if cents < 0:
        raise ValueProblem(RejectCode.OUT_OF_RANGE, "The price of a bottle must not be negative.")
    return cents


_NUMBER = integer_between(0, MAX_NUMBER)

RULES = {
    Field.DATE: FieldRule(values.parse_date, is_required=True),
    Field.STORE_NUMBER: FieldRule(_NUMBER, is_required=True),
    Field.STORE_NAME: FieldRule(values.clean_name),
    Field.ADDRESS: FieldRule(values.clean_name),
    Field.CITY: FieldRule(values.clean_place_name),
    Field.ZIP_CODE: FieldRule(values.clean_zip),
    Field.LOCATION: FieldRule(values.parse_location),
    Field.COUNTY_NUMBER: FieldRule(_NUMBER),
    Field.COUNTY_NAME: FieldRule(values.clean_place_name),
    Field.CATEGORY_NUMBER: FieldRule(_NUMBER),
    Field.CATEGORY_NAME: FieldRule(values.clean_name),
    Field.VENDOR_NUMBER: FieldRule(_NUMBER),
    Field.VENDOR_NAME: FieldRule(values.clean_name),
    Field.SKU: FieldRule(values.clean_sku, is_required=True),
    Field.PRODUCT_NAME: FieldRule(values.clean_name),
    Field.PACK: FieldRule(integer_between(1, MAX_PACK)),
    Field.BOTTLE_VOLUME_ML: FieldRule(integer_between(0, MAX_VOLUME_ML)),
    Field.UNIT_COST: FieldRule(parse_price, is_required=True),
    Field.UNIT_PRICE: FieldRule(parse_price),
    Field.QUANTITY: FieldRule(integer_between(-MAX_QUANTITY, MAX_QUANTITY), is_required=True),
    Field.SALE_AMOUNT: FieldRule(values.parse_money),
}


class ColumnParser:
    """Reads the columns of one file and remembers what it read, within bounds, from block to block."""

    def __init__(self) -> None:
        self._known: dict[Field, dict[str, Any]] = {field: {} for field in RULES}

    def parse(self, frame: pd.DataFrame) -> dict[Field, ParsedColumn]:
        """Every field of `RULES`; a field that the file lacks is missing in every row."""
        absent = np.zeros(len(frame), np.int32)
        return {
            field: self._parse_column(field, frame[field.value].array)
            if field.value in frame
            else ParsedColumn(absent, [None], {})
            for field in RULES
        }

    def _parse_column(self, field: Field, texts: Any) -> ParsedColumn:
        results = self._parse_distinct(field, texts.categories.tolist())
        problems = {code: result for code, result in enumerate(results) if isinstance(result, ValueProblem)}
        for code in problems:
            results[code] = None
        return ParsedColumn(texts.codes.astype(np.int32, copy=False), results or [None], problems)

    def _parse_distinct(self, field: Field, texts: list[str]) -> list[Any]:
        known, rule = self._known[field], RULES[field]
        results = [known[text] if text in known else rule.apply(text) for text in texts]
        if len(known) + len(texts) > MAX_REMEMBERED:
            known.clear()
        if len(texts) <= MAX_REMEMBERED:
            known.update(
                (text, result)
                for text, result in zip(texts, results, strict=True)
                if len(text) <= MAX_REMEMBERED_LENGTH
            )
        return results
