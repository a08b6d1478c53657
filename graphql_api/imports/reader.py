"""Blocks of bytes as data frames of text, and the records that are not readable at all.

Plain records go through Arrow's parser together. A record with anything unusual in it is read alone with the
csv module. Both ways give the same text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from graphql_api.imports.columns import ColumnMap
from graphql_api.imports.layout import Field
from graphql_api.imports.memory import give_memory_back
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.records import NEWLINE, RETURN
from graphql_api.imports.rejects import Reject
from graphql_api.imports.source import RawBlock

TEXT = pa.large_string()
DISTINCT_TEXT = pa.dictionary(pa.int32(), pa.string())
FIRST_OF_LONG_CHARACTER = 0x80

Positions = NDArray[np.int64]

give_memory_back()


@dataclass(frozen=True)
class TextRows:
    """The readable records of a block.

    `frame` has a column of text per field of the file (`Field.LINE_ID` plain, all others categorical) and a
    row per readable record; `records` has the index of each row's record in the block.
    """

    frame: pd.DataFrame
    records: Positions
    rejects: list[Reject]


def read_rows(block: RawBlock, reader: RecordReader) -> TextRows:
    """The rows of a block and the rejects WRONG_FIELD_COUNT, BAD_QUOTES and BAD_TEXT."""
    plain = np.flatnonzero(_find_plain(block))
    table, good = _read_together(block, plain, reader)
    odd = np.setdiff1d(np.arange(len(block)), good)
    if not len(odd):
        return TextRows(_to_frame(table), good, [])
    fields_of = {int(index): reader.read(block, int(index)) for index in odd}
    rejects = [fields for fields in fields_of.values() if isinstance(fields, Reject)]
    rows = {index: fields for index, fields in fields_of.items() if not isinstance(fields, Reject)}
    records = np.concatenate((good, np.array(list(rows), np.int64)))
    order = np.argsort(records)
    both = pa.concat_tables([table, _to_table(list(rows.values()), reader.columns)])
    return TextRows(_to_frame(both.unify_dictionaries().take(pa.array(order))), records[order], rejects)


def _find_plain(block: RawBlock) -> NDArray[np.bool_]:
    """Which records Arrow reads as the csv module does: good quotes and line ends, UTF-8 without NULs."""
    is_plain = block.bounds.is_plain.copy()
    characters = np.frombuffer(block.data, np.uint8)
    if b"\0" in block.data:
        is_plain[_records_at(block, np.flatnonzero(characters == 0))] = False
    if block.data.count(b"\r") != block.data.count(b"\r\n"):
        returns = np.flatnonzero(characters == RETURN)
        is_plain[_records_at(block, returns[characters[returns + 1] != NEWLINE])] = False
    if not _is_utf8(block.data):
        foreign = np.flatnonzero(characters >= FIRST_OF_LONG_CHARACTER)
        suspects = np.unique(_records_at(block, foreign)).tolist()
        is_plain[[index for index in suspects if not _is_utf8(block.bytes_of(index))]] = False
    return is_plain


def _records_at(block: RawBlock, positions: Positions) -> Positions:
    """The records in which the characters stand. No position lies in a blank line."""
    return np.searchsorted(block.bounds.starts, positions, side="right") - 1


def _is_utf8(data: bytes) -> bool:
    """Judged in place: decoding a block would cost 25 times the time and two more copies of it."""
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    text = pa.Array.from_buffers(TEXT, 1, [None, offsets, pa.py_buffer(data)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _read_together(block: RawBlock, plain: Positions, reader: RecordReader) -> tuple[pa.Table, Positions]:
    """The plain records of the right width, as a table and by their indices."""
    if not len(plain):
        return _to_table([], reader.columns), plain
    data = block.data if len(plain) == len(block) else b"".join(block.bytes_of(index) for index in plain)
    wrong: list[int] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        wrong.append(row.number - 1)
        return "skip"

    names = [str(position) for position in range(len(reader.columns.header))]
    table = arrow_csv.read_csv(
        pa.py_buffer(data),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        arrow_csv.ParseOptions(delimiter=reader.delimiter, newlines_in_values=True, invalid_row_handler=skip),
        _convert_options(reader.columns),
    )
    named = table.rename_columns([field.value for field in reader.columns.read])
    return named, np.delete(plain, wrong)


def _convert_options(columns: ColumnMap) -> arrow_csv.ConvertOptions:
    types = {str(position): _type_of(columns, field) for field, position in columns.read.items()}
    return arrow_csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=False)


def _type_of(columns: ColumnMap, field: Field) -> pa.DataType:
    """Ids are all different, so a dictionary of them would only cost."""
    return TEXT if columns.layout.by_field[field].is_text else DISTINCT_TEXT


def _to_table(rows: Sequence[Sequence[str]], columns: ColumnMap) -> pa.Table:
    texts = {field: pa.array([row[position] for row in rows], pa.string()) for field, position in columns.read.items()}
    return pa.table(
        {
            field.value: text.cast(TEXT) if columns.layout.by_field[field].is_text else text.dictionary_encode()
            for field, text in texts.items()
        }
    )


def _to_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.combine_chunks().to_pandas()
    return frame
