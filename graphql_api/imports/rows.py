"""The rows of a block of any kind of file but sales: checked cells, and the way back to the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphql_api.imports.content_hash import hash_texts
from graphql_api.imports.layout import MISSING, Field
from graphql_api.imports.parsed_column import ParsedColumn
from graphql_api.imports.reader import TextRows
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.row_checker import Problems, RowChecker
from graphql_api.imports.sales_block import LineSource
from graphql_api.imports.source import Checkpoint, RawBlock

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FileRows:
    """Rows without any problem, in file order.

    `record` is the number of the data record and `line` the physical line of the file, both from 1; `columns` has
    every field of the layout.
    """

    record: Integers
    line: Integers
    columns: Mapping[Field, ParsedColumn] = field(repr=False)
    position: Integers = field(repr=False)  # index of the row's record in the block
    source: LineSource = field(repr=False)

    def __len__(self) -> int:
        return len(self.record)

    def values(self, name: Field) -> list[Any]:
        """The value of every row, None where the file says nothing."""
        column = self.columns[name]
        return [column.values[code] for code in column.codes.tolist()]

    def chosen(self, name: Field, positions: Sequence[int]) -> list[Any]:
        """The values of some rows."""
        column = self.columns[name]
        return [column.values[column.codes[position]] for position in positions]

    def content_hashes(self) -> list[int]:
        """A hash of all that each row says, the same in every process; what a repeated row is compared by."""
        cells = zip(*(self.values(name) for name in self.columns), strict=True)
        hashes: list[int] = hash_texts(map(repr, cells)).view(np.int64).tolist()
        return hashes

    def reject(self, index: int, code: RejectCode, column: Field, hint: str) -> Reject:
        """A reject of a row on account of one column."""
        return self.source.reject(
            int(self.position[index]), int(self.line[index]), int(self.record[index]), code, column, hint
        )


@dataclass(frozen=True)
class RowBlock:
    """One block of a file, checked; `rows_read` is `len(rows) + len(rejects)`."""

    next: Checkpoint
    rows_read: int
    rejects: list[Reject]
    rows: FileRows


class RowValidator:
    """Checks cell by cell, and that every row fills one of the fields of which the layout asks for one."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._checker = RowChecker(reader)

    def validate(self, block: RawBlock, text: TextRows) -> RowBlock:
        """Everything the block says."""
        columns, problems = self._checker.read(text)
        self._require_one(columns, problems)
        refused = self._checker.refuse_all(block, text, problems)
        is_good = np.ones(len(text.records), np.bool_)
        is_good[list(problems)] = False
        good = np.flatnonzero(is_good)
        records = text.records[good]
        rows = FileRows(
            record=block.begin.record + records,
            line=block.begin.line + block.bounds.lines[records],
            columns={name: column.take(good) for name, column in columns.items()},
            position=records,
            source=LineSource(self._reader.columns, partial(self._reader.fields, block)),
        )
        rejects = sorted([*text.rejects, *refused], key=lambda reject: reject.record)
        return RowBlock(block.next, len(block), rejects, rows)

    def _require_one(self, columns: Mapping[Field, ParsedColumn], problems: Problems) -> None:
        needed: Sequence[Field] = self._reader.columns.layout.one_required
        if not needed:
            return
        known = np.any([columns[name].known() for name in needed], axis=0)
        present = next(name for name in needed if name in self._reader.columns)
        for row in np.flatnonzero(~known).tolist():
            if row not in problems:
                problems[row][present] = MISSING
