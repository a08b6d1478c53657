"""Files as spreadsheets and people leave them: what they mean is read, what is wrong is said with its place."""

import io

import pytest

from graphql_api.imports.rejects import FileProblem, FileProblemCode, Reject, RejectCode
from graphql_api.imports.sales_block import SalesBlock
from graphql_api.imports.sales_file import SalesFile
from tests.sales_files import HEADER, sale, sales_csv


def read(content: bytes) -> SalesBlock:
    (block,) = SalesFile(io.BytesIO(content), identity_prefix="x").blocks()
    return block


def only_reject(content: bytes) -> Reject:
    (reject,) = read(content).rejects
    return reject


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "\N{BYTE ORDER MARK}sep=;"])
def test_the_line_by_which_excel_names_the_delimiter_is_understood(line: str) -> None:
    rows = [sale("S1000001"), sale("S1000002", date="never")]
    block = read(f"{line}\r\n".encode() + sales_csv(rows, delimiter=";"))

    assert len(block.lines) == 1
    assert [reject.line for reject in block.rejects] == [4]


def test_a_named_delimiter_counts_although_another_is_more_frequent() -> None:
    names = ["date,of,the,day;Date", *HEADER[2:]]
    with pytest.raises(FileProblem) as problem:
        SalesFile(io.BytesIO(b"sep=;\n" + ";".join(names).encode() + b"\n1\n"), identity_prefix="x")

    assert problem.value.column == "date,of,the,day"


def test_a_file_of_nothing_but_a_delimiter_is_empty() -> None:
    with pytest.raises(FileProblem) as problem:
        SalesFile(io.BytesIO(b"sep=;\r\n\r\n"), identity_prefix="x")

    assert problem.value.code is FileProblemCode.EMPTY_FILE


def test_the_header_line_once_more_is_named_as_such() -> None:
    content = sales_csv([sale("S1000001")])
    block = read(content + content.replace(b"S1000001", b"S1000002"))

    assert [(reject.code, reject.line, reject.record) for reject in block.rejects] == [
        (RejectCode.REPEATED_HEADER, 3, 2)
    ]
    assert len(block.lines) == 2


@pytest.mark.parametrize("record", [b"," * 23, b" ," * 23, b"   ", b",,,"])
def test_an_empty_record_is_to_be_deleted(record: bytes) -> None:
    reject = only_reject(sales_csv([sale("S1000001")]) + record + b"\r\n")

    assert reject.line == 3
    assert "empty" in reject.hint
    assert "delete" in reject.hint


def test_rows_that_end_with_a_delimiter_are_not_guessed_at() -> None:
    content = sales_csv([sale("S1000001")])
    reject = only_reject(content.removesuffix(b"\r\n") + b",\r\n")

    assert reject.code is RejectCode.WRONG_FIELD_COUNT
    assert "let the header line end with it too" in reject.hint
    assert len(read(content.replace(b"\r\n", b",\r\n")).lines) == 1


@pytest.mark.parametrize("mark", ["\u200b", "\u200e", "\u200f", "\u202a", "\u2060", "\ufeff", "\u00ad"])
def test_invisible_marks_make_no_other_place_product_or_number(mark: str) -> None:
    cells = {"city": "Cedar Rapids", "item_number": "43127", "bottles_sold": "2", "county": ""}
    marked = {name: f"{mark}{value}{mark}" for name, value in cells.items()}
    block = read(sales_csv([sale("S1000001", **cells), sale("S1000002", **marked)]))

    assert (len(block.places), len(block.products), block.lines.quantity.tolist()) == (1, 1, [2, 2])
    assert block.rejects == []


def test_an_id_with_an_invisible_mark_is_refused() -> None:
    reject = only_reject(sales_csv([sale("S1000001"), sale("S1000001\u200b")]))

    assert (reject.code, reject.column, reject.line) == (RejectCode.BAD_TEXT, "Invoice/Item Number", 3)


def test_emoji_of_several_characters_stay_as_they_are() -> None:
    name = "🍷 👩\u200d👩\u200d👧"
    (store,) = read(sales_csv([sale("S1000001", store_name=name)])).stores

    assert store.name == name


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (sales_csv([sale("a")]).replace(b"\r\n", b"\r"), "line feeds"),
        (b"Sales of May\r\n" + sales_csv([sale("a")]), "titles"),
    ],
)
def test_what_stops_a_whole_file_comes_with_what_to_do(content: bytes, advice: str) -> None:
    with pytest.raises(FileProblem) as problem:
        SalesFile(io.BytesIO(content), identity_prefix="x")

    assert (problem.value.code, problem.value.line) == (FileProblemCode.NOT_A_CSV, 1)
    assert advice in problem.value.hint
