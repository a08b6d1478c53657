import csv
import gzip
import io
from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.imports.layout import Field
from graphql_api.imports.rejects import FileProblem, FileProblemCode, Reject, RejectCode
from graphql_api.imports.sales_block import PlaceFacts, SalesBlock
from graphql_api.imports.sales_file import SalesFile
from tests.pure.test_import_samples import (
    PORTAL,
    create_file,
    create_row,
    describe_lines,
    read_block,
    read_blocks,
    read_reject,
)

REQUIRED = ["Invoice/Item Number", "Date", "Store Number", "Item Number", "State Bottle Cost", "Bottles Sold"]


@pytest.mark.parametrize("column", REQUIRED)
def test_an_empty_required_field_is_refused(column: str) -> None:
    reject = read_reject({column: " "})

    assert (reject.code, reject.column, reject.line, reject.record) == (RejectCode.MISSING_VALUE, column, 3, 2)
    assert len(reject.fields) == len(PORTAL)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("Date", "2019-02-30", RejectCode.BAD_DATE),
        ("Date", "1812-01-01", RejectCode.OUT_OF_RANGE),
        ("Store Number", "x", RejectCode.BAD_NUMBER),
        ("Store Number", "-1", RejectCode.OUT_OF_RANGE),
        ("Store Number", "99999999999999999999", RejectCode.OUT_OF_RANGE),
        ("County Number", "n/a", RejectCode.BAD_NUMBER),
        ("Bottles Sold", "1.5", RejectCode.BAD_NUMBER),
        ("Bottles Sold", "1000001", RejectCode.OUT_OF_RANGE),
        ("Pack", "0", RejectCode.OUT_OF_RANGE),
        ("Bottle Volume (ml)", "-1", RejectCode.OUT_OF_RANGE),
        ("State Bottle Cost", "-0.01", RejectCode.OUT_OF_RANGE),
        ("State Bottle Retail", "NaN", RejectCode.BAD_NUMBER),
        ("Sale (Dollars)", "1e99", RejectCode.BAD_NUMBER),
        ("City", "A" * 501, RejectCode.BAD_TEXT),
        ("City", "a\x07b", RejectCode.BAD_TEXT),
        ("Invoice/Item Number", "a\x07b", RejectCode.BAD_TEXT),
        ("Invoice/Item Number", "I" * 65, RejectCode.BAD_TEXT),
    ],
)
def test_a_bad_value_is_refused_with_its_place(column: str, value: str, code: RejectCode) -> None:
    reject = read_reject({column: value})

    assert (reject.code, reject.column, reject.value, reject.line) == (code, column, value[:200], 3)
    assert reject.hint


def test_a_record_with_several_bad_values_is_one_reject_at_the_first_column() -> None:
    reject = read_reject({"Bottles Sold": "many", "Date": "someday", "Pack": "0"})

    assert reject.column == "Date"
    assert "Pack, Bottles Sold" in reject.hint


@pytest.mark.parametrize("column", ["County", "City", "Zip Code", "Category", "Vendor Number", "Pack", "Store Name"])
def test_an_empty_optional_field_is_missing_and_never_zero(column: str) -> None:
    block = read_block(create_file([create_row({column: ""})]))

    shown = [*vars_of(block.places[0]), *vars_of(block.stores[0]), *vars_of(block.products[0])]
    assert block.rejects == []
    assert shown.count(None) == 1
    assert "" not in shown


def vars_of(facts: object) -> list[object]:
    return [getattr(facts, name) for name in type(facts).__slots__]  # type: ignore[attr-defined]  # slots dataclass


def test_a_missing_volume_is_marked() -> None:
    block = read_block(create_file([create_row({"Bottle Volume (ml)": ""}, number=1), create_row(number=2)]))

    assert block.lines.volume_known.tolist() == [False, True]
    assert block.lines.volume_ml.tolist() == [0, 24000]


def line_with(changes: Mapping[str, str]) -> tuple[int, int, int, int]:
    """Quantity, price, revenue and cost of a line."""
    [line] = describe_lines([read_block(create_file([create_row(changes)]))])
    quantity, price, revenue, cost = line[8:12]
    assert isinstance(quantity, int)
    assert isinstance(price, int)
    assert isinstance(revenue, int)
    assert isinstance(cost, int)
    return quantity, price, revenue, cost


@pytest.mark.parametrize(
    ("quantity", "price", "sale", "expected"),
    [
        ("24", "14.25", "340.00", (24, 1425, 34000, 22800)),  # the amount of the sale counts
        ("24", "14.25", "", (24, 1425, 34200, 22800)),
        ("24", "", "342.00", (24, 1425, 34200, 22800)),
        ("3", "", "10.00", (3, 334, 1000, 2850)),  # rounded up, the rest is discount
        ("-2", "14.25", "-28.50", (-2, 1425, -2850, -1900)),
        ("-3", "", "-10.00", (-3, 334, -1000, -2850)),
        ("0", "14.25", "0.00", (0, 1425, 0, 0)),
        ("0", "", "0", (0, 0, 0, 0)),
    ],
)
def test_amounts_follow_from_each_other(
    quantity: str, price: str, sale: str, expected: tuple[int, int, int, int]
) -> None:
    changes = {"Bottles Sold": quantity, "State Bottle Retail": price, "Sale (Dollars)": sale}

    assert line_with(changes) == expected


def test_a_line_without_price_and_amount_is_refused() -> None:
    reject = read_reject({"State Bottle Retail": "", "Sale (Dollars)": ""})

    assert (reject.code, reject.column) == (RejectCode.MISSING_VALUE, "Sale (Dollars)")


def test_an_amount_is_not_blamed_for_an_unreadable_price() -> None:
    reject = read_reject({"State Bottle Retail": "abc", "Sale (Dollars)": ""})

    assert (reject.code, reject.column) == (RejectCode.BAD_NUMBER, "State Bottle Retail")
    assert "Sale" not in reject.hint


def test_a_price_cannot_follow_from_an_amount_of_the_other_sign() -> None:
    reject = read_reject({"State Bottle Retail": "", "Bottles Sold": "-2"})

    assert (reject.code, reject.column) == (RejectCode.OUT_OF_RANGE, "Sale (Dollars)")


@pytest.mark.parametrize("column", ["State Bottle Retail", "State Bottle Cost"])
def test_an_amount_beyond_all_books_is_refused(column: str) -> None:
    reject = read_reject({column: "100,000,000.00", "Bottles Sold": "1,000,000"})

    assert (reject.code, reject.column) == (RejectCode.OUT_OF_RANGE, "Bottles Sold")


def test_a_file_without_amounts_uses_prices() -> None:
    header = [name for name in PORTAL if name != "Sale (Dollars)"]
    row = [value for name, value in zip(PORTAL, create_row(), strict=True) if name != "Sale (Dollars)"]

    [line] = describe_lines([read_block(create_file([row], header))])

    assert line[8:12] == (24, 1425, 34200, 22800)


def test_a_file_with_the_required_columns_alone_is_read() -> None:
    rows = [["1/5/2015", "7", "x904631", "1.00", "2.00", "3"]]

    block = read_block(create_file(rows, ["date", "store", "sku", "unit cost", "unit price", "quantity"]))

    [line] = describe_lines([block])
    assert line[2:4] == ("file-1", 0)
    assert line[7:12] == (date(2015, 1, 5), 3, 200, 600, 300)
    assert block.places == [PlaceFacts(None, None, None, None)]
    assert vars_of(block.products[0]).count(None) == 7


@pytest.mark.parametrize(
    ("text", "invoice_number", "line_number"),
    [
        ("INV-18951900012", "INV-189519", 12),
        ("S23201600003", "S232016", 3),
        ("A00001", "A", 1),
        ("12345", "12345", 0),
        ("INV-7", "INV-7", 0),
        ("INV-18951900000", "INV-18951900000", 0),
        (" INV-18951900012 ", "INV-189519", 12),
        ("INV-1895190001٢", "INV-1895190001٢", 0),
    ],
)
def test_an_id_is_an_invoice_and_a_line(text: str, invoice_number: str, line_number: int) -> None:
    block = read_block(create_file([create_row({"Invoice/Item Number": text})]))

    assert block.lines.invoice_number.to_pylist() == [invoice_number]
    assert block.lines.line_number.tolist() == [line_number]


@given(st.sets(st.text("0A1", min_size=1, max_size=8), min_size=2, max_size=8))
@settings(max_examples=30, deadline=None)
def test_different_ids_are_different_lines(ids: set[str]) -> None:
    block = read_block(create_file([create_row({"Invoice/Item Number": text}) for text in ids]))

    numbers = zip(block.lines.invoice_number.to_pylist(), block.lines.line_number.tolist(), strict=True)
    assert len(set(numbers)) == len(ids)


def test_lines_of_a_file_without_ids_are_numbered_by_record() -> None:
    rows = [create_row()[1:], create_row({"Date": "never"})[1:], create_row()[1:]]

    block = read_block(create_file(rows, PORTAL[1:]))

    assert block.lines.invoice_number.to_pylist() == ["file-1", "file-3"]


def test_an_identical_repeat_is_dropped_and_counted() -> None:
    row = create_row(number=1)

    block = read_block(create_file([row, create_row(number=2), row, row]))

    assert block.lines.line_number.tolist() == [1, 2]
    assert (block.rows_read, block.repeated, block.rejects) == (4, 2, [])


def test_a_repeated_id_with_other_content_is_refused() -> None:
    reject = read_block(
        create_file([create_row(number=1), create_row(number=2), create_row({"Bottles Sold": "9"}, number=1)])
    ).rejects[0]

    assert (reject.code, reject.line, reject.column) == (RejectCode.ID_REPEATED, 4, "Invoice/Item Number")
    assert "Line 2" in reject.hint


def test_a_refused_line_leaves_no_store_place_or_product() -> None:
    strange = {"Store Number": "1", "City": "NOWHERE", "Item Number": "2"}

    block = read_block(
        create_file(
            [create_row(number=1), create_row({**strange, "Date": "x"}, number=2), create_row(strange, number=1)]
        )
    )

    assert len(block.rejects) == 2
    assert [len(facts) for facts in (block.stores, block.places, block.products)] == [1, 1, 1]


def test_a_good_line_after_a_refused_one_with_its_id_is_kept() -> None:
    block = read_block(create_file([create_row({"Date": "x"}, number=1), create_row(number=1)]))

    assert len(block.lines) == 1
    assert [reject.code for reject in block.rejects] == [RejectCode.BAD_DATE]


def test_a_line_can_still_be_rejected_with_its_original_fields() -> None:
    rows = [create_row({"Date": "x"}, number=1), create_row({"City": " Marion "}, number=2)]
    lines = read_block(create_file(rows)).lines

    reject = lines.reject(0, RejectCode.INVOICE_CONFLICT, Field.CITY, "Another city.")

    assert lines.header == tuple(PORTAL)
    assert lines.fields(0) == rows[1]
    assert (reject.line, reject.record, reject.column, reject.value) == (3, 2, "City", " Marion ")


def test_some_lines_can_be_taken() -> None:
    lines = read_block(create_file([create_row(number=number) for number in (1, 2, 3)])).lines

    taken = lines.take(np.array([2, 0]))

    assert taken.line_number.tolist() == [3, 1]
    assert taken.fields(0)[0] == "INV-18951900003"


def test_progress_is_told_in_bytes_of_the_packed_file() -> None:
    packed = gzip.compress(create_file([create_row()]))
    sales = SalesFile(io.BytesIO(packed), identity_prefix="file")

    list(sales.blocks())

    assert sales.bytes_read == len(packed)


def test_a_bad_header_is_refused_when_the_file_is_opened() -> None:
    with pytest.raises(FileProblem) as problem:
        SalesFile(io.BytesIO(b"a,b\n1,2\n"), identity_prefix="file")

    assert problem.value.code is FileProblemCode.UNKNOWN_HEADER


def test_a_mapping_reads_a_foreign_header() -> None:
    header = ["Nummer" if name == "Store Number" else name for name in PORTAL]

    block = read_block(create_file([create_row()], header), {"Nummer": "store_number"})

    assert block.stores[0].number == 3773


CELLS = st.sampled_from(["", "7", "x", '6" tall', "two\nlines", "a,b", "2019-04-24", "$3.00", "1,750"])
CHANGES = st.dictionaries(st.sampled_from(PORTAL[1:]), CELLS, max_size=3)


def create_rough_file(changes: list[dict[str, str]]) -> bytes:
    """Rows with distinct ids, some bad, some cut short, some with an unclosed quote, some blank lines between."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PORTAL)
    for number, change in enumerate(changes, start=1):
        row = create_row(change, number=number)
        writer.writerow(row[:4] if number % 7 == 0 else row)
        text.write("\n" * (number % 3 == 0))
        text.write('"open\n' * (number % 5 == 0))
    return text.getvalue().encode()


def rejects_of(blocks: list[SalesBlock]) -> list[Reject]:
    return [reject for block in blocks for reject in block.rejects]


@given(st.lists(CHANGES, min_size=1, max_size=12), st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_the_size_of_blocks_changes_nothing(changes: list[dict[str, str]], block_bytes: int) -> None:
    content = create_rough_file(changes)
    whole = read_blocks(content)

    blocks = read_blocks(content, block_bytes=block_bytes)

    assert describe_lines(blocks) == describe_lines(whole)
    assert rejects_of(blocks) == rejects_of(whole)
    assert all(block.rows_read == len(block.lines) + block.repeated + len(block.rejects) for block in blocks)


@given(st.lists(CHANGES, min_size=1, max_size=8), st.integers(1, 1500))
@settings(max_examples=20, deadline=None)
def test_an_import_goes_on_from_any_checkpoint(changes: list[dict[str, str]], block_bytes: int) -> None:
    content = create_rough_file(changes)
    blocks = read_blocks(content, block_bytes=block_bytes)

    for index, block in enumerate(blocks):
        rest = read_blocks(content, start=block.next, block_bytes=block_bytes)
        assert [later.next for later in rest] == [later.next for later in blocks[index + 1 :]]
        assert describe_lines(rest) == describe_lines(blocks[index + 1 :])
        assert rejects_of(rest) == rejects_of(blocks[index + 1 :])
