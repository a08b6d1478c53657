"""Columns of text read value by value: each distinct text once, then spread over the rows with numpy."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from graphql_api.imports.layout import Field, FieldRule
from graphql_api.imports.values import ValueProblem

MAX_REMEMBERED = 20_000  # texts of a field
MAX_REMEMBERED_LENGTH = 200


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


class ColumnParser:
    """Reads the columns of one file and remembers what it read, within bounds, from block to block."""

    def __init__(self, rules: Mapping[Field, FieldRule]) -> None:
        self._rules = rules
        self._known: dict[Field, dict[str, Any]] = {field: {} for field in rules}

    def parse(self, frame: pd.DataFrame) -> dict[Field, ParsedColumn]:
        """Every field that there is a rule for; a field that the file lacks is missing in every row."""
        absent = np.zeros(len(frame), np.int32)
        return {
            field: self._parse_column(field, frame[field.value].array)
            if field.value in frame
            else ParsedColumn(absent, [None], {})
            for field in self._rules
        }

    def _parse_column(self, field: Field, texts: Any) -> ParsedColumn:
        results = self._parse_distinct(field, texts.categories.tolist())
        problems = {code: result for code, result in enumerate(results) if isinstance(result, ValueProblem)}
        for code in problems:
            results[code] = None
        return ParsedColumn(texts.codes.astype(np.int32, copy=False), results or [None], problems)

    def _parse_distinct(self, field: Field, texts: list[str]) -> list[Any]:
        known, rule = self._known[field], self._rules[field]
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
