import csv
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.imports.columns import ColumnMap
from graphql_api.imports.layout import Field
from graphql_api.imports.reader import TextRows, read_rows
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.source import RawBlock, TextSource

# Long names keep the rows out of the part of the file by which its encoding is judged.
COLUMNS = ColumnMap(("a" * 600, "b" * 600, "ignored"), {Field.LINE_ID: 0, Field.CITY: 1})
HEADER = ",".join(COLUMNS.header).encode() + b"\n"
READER = RecordReader(COLUMNS, ",")


def create_blocks(rows: bytes, block_bytes: int = 1 << 20) -> list[RawBlock]:
    return list(TextSource(io.BytesIO(HEADER + rows), block_bytes=block_bytes).blocks())


def texts_of(rows: TextRows) -> list[tuple[str, ...]]:
    return [tuple(map(str, row)) for row in rows.frame.itertuples(index=False)]


def read_one_by_one(block: RawBlock) -> TextRows:
    """The same block with every record declared unusual, so that the csv module reads it."""
    bounds = replace(block.bounds, is_plain=np.zeros(len(block), np.bool_))
    return read_rows(replace(block, bounds=bounds), READER)


def read_all(rows: bytes) -> tuple[list[tuple[str, ...]], list[Reject]]:
    """The texts and rejects of all blocks."""
    read = [read_rows(block, READER) for block in create_blocks(rows)]
    return [row for part in read for row in texts_of(part)], [reject for part in read for reject in part.rejects]


def reject_of(record: bytes) -> Reject:
    """The reject of a record on line 3, between two good ones."""
    texts, [reject] = read_all(b"1,good,x\n" + record + b"2,good,x\n")
    assert texts == [("1", "good"), ("2", "good")]
    assert (reject.line, reject.record) == (3, 2)
    return reject


PIECES = [
    b"a",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\r\n",
    b'""',
    b'","',
    b"\0",
    b"\xe9",
    "é".encode(),
    b"x,y,z\n",
    b'1,"2\n3",4\n',
]
ANY_BYTES = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)
ANY_ROWS = st.lists(
    st.lists(st.text('ab,";\n\t é€😀', max_size=6), min_size=3, max_size=3).filter(any),
    min_size=1,
    max_size=30,
)


@given(ANY_BYTES)
@settings(deadline=None)
def test_both_ways_of_reading_agree_on_any_bytes(rows: bytes) -> None:
    for block in create_blocks(b"1,2,3\n" + rows):
        together, alone = read_rows(block, READER), read_one_by_one(block)

        assert texts_of(together) == texts_of(alone)
        assert together.records.tolist() == alone.records.tolist()
        assert together.rejects == alone.rejects


@given(ANY_BYTES)
@settings(deadline=None)
def test_every_record_is_a_row_or_a_reject(rows: bytes) -> None:
    for block in create_blocks(b"1,2,3\n" + rows):
        read = read_rows(block, READER)

        rejected = [reject.record - block.begin.record for reject in read.rejects]
        assert sorted([*read.records.tolist(), *rejected]) == list(range(len(block)))


@given(
    rows=ANY_ROWS,
    quotes_all=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=st.integers(1, 200),
)
@settings(deadline=None)
def test_what_the_csv_module_writes_is_read_unchanged(
    *, rows: list[list[str]], quotes_all: bool, line_end: str, block_bytes: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL, lineterminator=line_end).writerows(
        rows
    )

    blocks = create_blocks(text.getvalue().encode(), block_bytes)

    read = [row for block in blocks for row in texts_of(read_rows(block, READER))]
    assert read == [(row[0], row[1]) for row in rows]


def test_a_frame_has_categories_of_text_and_plain_ids() -> None:
    [block] = create_blocks(b"007,,x\nNA,nan,x\n")

    frame = read_rows(block, READER).frame

    assert isinstance(frame["city"].dtype, pd.CategoricalDtype)
    assert frame["line_id"].tolist() == ["007", "NA"]
    assert frame["city"].tolist() == ["", "nan"]


@pytest.mark.parametrize(("record", "count"), [(b"1,2\n", 2), (b"1,2,3,4\n", 4), (b'"1,2\n3",4\n', 2)])
def test_a_record_of_another_width_is_refused_and_shifts_nothing(record: bytes, count: int) -> None:
    reject = reject_of(record)

    assert reject.code is RejectCode.WRONG_FIELD_COUNT
    assert reject.column is None
    assert f"The header has 3 columns, this record has {count} fields" in reject.hint
    assert len(reject.fields) == count


def test_a_record_of_another_encoding_is_refused_alone() -> None:
    reject = reject_of(b"1,Caf\xe9,x\n")

    assert reject.code is RejectCode.BAD_TEXT
    assert reject.column == COLUMNS.header[1]
    assert reject.value == "Caf\\xe9"
    assert reject.fields == ["1", "Caf\\xe9", "x"]


@pytest.mark.parametrize("text", [b"a\0b", b"\xed\xa0\x80", b"a\rb", b"\xc3"])
def test_a_record_with_text_that_cannot_be_stored_is_refused(text: bytes) -> None:
    reject = reject_of(b"1," + text + b",x\n")

    assert reject.code is RejectCode.BAD_TEXT
    assert reject.column == COLUMNS.header[1]
    assert "\0" not in "".join(reject.fields)
    "".join(reject.fields).encode()


@pytest.mark.parametrize("record", [b'1,"open,x\n', b'1,"closed" twice,x\n', b'1,"a"b"c",x\n'])
def test_a_record_with_bad_quotes_is_refused(record: bytes) -> None:
    assert reject_of(record).code is RejectCode.BAD_QUOTES


@pytest.mark.parametrize("text", ['6" bottle', 'the "best"', 'a""b'])
def test_quotes_inside_of_a_bare_field_are_text(text: str) -> None:
    texts, rejects = read_all(f"1,{text},x\n2,plain,x\n".encode())

    assert texts == [("1", text), ("2", "plain")]
    assert rejects == []


def test_a_long_value_is_cut_in_the_reject_and_whole_in_its_fields() -> None:
    reject = reject_of(b"1,\xe9" + b"a" * 500 + b",x\n")

    assert len(reject.value) == 200
    assert len(reject.fields[1]) == 504
