"""Small sales files in the shapes that are met in the wild, and the promise that all shapes read alike."""

import csv
import io
from collections.abc import Mapping, Sequence

import pytest

from graphql_api.imports.rejects import Reject
from graphql_api.imports.sales_block import SalesBlock
from graphql_api.imports.sales_file import read_sales
from graphql_api.imports.source import Checkpoint

PORTAL = [
    "Invoice/Item Number",
    "Date",
    "Store Number",
    "Store Name",
    "Address",
    "City",
    "Zip Code",
    "Store Location",
    "County Number",
    "County",
    "Category",
    "Category Name",
    "Vendor Number",
    "Vendor Name",
    "Item Number",
    "Item Description",
    "Pack",
    "Bottle Volume (ml)",
    "State Bottle Cost",
    "State Bottle Retail",
    "Bottles Sold",
    "Sale (Dollars)",
    "Volume Sold (Liters)",
    "Volume Sold (Gallons)",
]
ROW = [
    "INV-18951900012",
    "2019-04-24",
    "3773",
    "BENZ DISTRIBUTING",
    "501 7TH AVE SE",
    "CEDAR RAPIDS",
    "52401",
    "POINT (-91.659875 41.97574)",
    "57",
    "LINN",
    "1062200",
    "WHITE RUM",
    "35",
    "BACARDI USA INC",
    "43127",
    "BACARDI SUPERIOR",
    "12",
    "1000",
    "9.50",
    "14.25",
    "24",
    "342.00",
    "24.00",
    "6.34",
]


def create_row(changes: Mapping[str, str] | None = None, *, number: int = 12) -> list[str]:
    """One line of invoice INV-189519; `changes` are by portal header."""
    values = dict(zip(PORTAL, ROW, strict=True)) | {PORTAL[0]: f"INV-189519{number:05}"}
    return list((values | dict(changes or {})).values())


def create_file(
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = PORTAL,
    *,
    delimiter: str = ",",
    line_end: str = "\n",
) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end).writerows([header, *rows])
    return text.getvalue().encode()


def read_blocks(
    content: bytes,
    *,
    mapping: Mapping[str, str] | None = None,
    start: Checkpoint | None = None,
    block_bytes: int = 1 << 20,
) -> list[SalesBlock]:
    blocks = read_sales(
        io.BytesIO(content), identity_prefix="file", mapping=mapping, start=start, block_bytes=block_bytes
    )
    return list(blocks)


def read_block(content: bytes, mapping: Mapping[str, str] | None = None) -> SalesBlock:
    [block] = read_blocks(content, mapping=mapping)
    return block


def read_reject(changes: Mapping[str, str]) -> Reject:
    """The reject of a row with these changes, between two good rows."""
    block = read_block(create_file([create_row(number=1), create_row(changes, number=2), create_row(number=3)]))
    assert len(block.lines) == 2
    [reject] = block.rejects
    return reject


def describe_lines(blocks: Sequence[SalesBlock]) -> list[tuple[object, ...]]:
    """Everything that is true of the lines, without indices into blocks."""
    described: list[tuple[object, ...]] = []
    for block in blocks:
        lines = block.lines
        for index in range(len(lines)):
            store = block.stores[lines.store[index]]
            described.append(
                (
                    int(lines.record[index]),
                    int(lines.line[index]),
                    lines.invoice_number[index].as_py(),
                    int(lines.line_number[index]),
                    store.number,
                    block.places[lines.place[index]],
                    block.products[lines.product[index]].sku,
                    lines.date[index].item(),
                    int(lines.quantity[index]),
                    int(lines.unit_price[index]),
                    int(lines.revenue[index]),
                    int(lines.cost[index]),
                    int(lines.volume_ml[index]) if lines.volume_known[index] else None,
                    int(lines.content_hash()[index]),
                    tuple(lines.fields(index)),
                )
            )
    return described


SEED = {
    "Store Name": "store_name",
    "Category Name": "category_name",
    "Vendor Name": "vendor_name",
    "Item Description": "item_desc",
}
CLASSIC_VALUES = {
    "Date": "04/24/2019",
    "Store Location": "501 7TH AVE SE\nCEDAR RAPIDS 52401\n(41.97574, -91.659875)",
    "State Bottle Cost": "$9.50",
    "State Bottle Retail": "$14.25",
    "Sale (Dollars)": "$342.00",
}
NUMBERS_AS_FLOATS = {
    "County Number": "57.0",
    "Category": "1062200.0",
    "Zip Code": "52401.0",
    "Item Number": "43127.0",
    "Pack": "12.0",
}
JOINED = [name.replace(" ", "").replace("(", "").replace(")", "").replace("/", "") for name in PORTAL]
SNAKE = [name.lower().replace(" ", "_").replace("(", "").replace(")", "").replace("/", "_") for name in PORTAL]

SHAPES = {
    "portal": create_file([create_row()]),
    "seed layout": create_file(
        [create_row({"Bottle Volume (ml)": "1,000", "Vendor Number": "035"})],
        [SEED.get(name, name) for name in PORTAL],
    ),
    "classic": create_file([create_row(CLASSIC_VALUES)]),
    "unnamed index column": create_file([["0", *create_row(CLASSIC_VALUES | NUMBERS_AS_FLOATS)]], ["", *PORTAL]),
    "pandas index column": create_file([["0", *create_row()]], ["Unnamed: 0", *PORTAL]),
    "snake case": create_file([create_row()], SNAKE),
    "joined": create_file([create_row()], JOINED),
    "upper case": create_file([create_row()], [name.upper() for name in PORTAL]),
    "semicolons": create_file([create_row()], delimiter=";"),
    "tabs": create_file([create_row()], delimiter="\t"),
    "bars": create_file([create_row()], delimiter="|"),
    "slashed date": create_file([create_row({"Date": "4/24/2019"})]),
    "portal time": create_file([create_row({"Date": "2019-04-24T00:00:00.000"})]),
    "stray spaces": create_file([[f" {value}  " for value in create_row()]]),
    "windows line ends": create_file([create_row()], line_end="\r\n"),
    "byte order mark": b"\xef\xbb\xbf" + create_file([create_row()]),
    "no last line end": create_file([create_row()]).rstrip(b"\n"),
    "every field quoted": b'"'
    + create_file([create_row()]).strip().replace(b",", b'","').replace(b"\n", b'"\n"')
    + b'"\n',
}


@pytest.mark.parametrize("content", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_a_file_says_the_same(content: bytes) -> None:
    given = read_block(SHAPES["portal"])

    block = read_block(content)

    assert block.rejects == []
    assert block.stores == given.stores
    assert block.places == given.places
    assert block.products == given.products
    assert [line[2:-1] for line in describe_lines([block])] == [line[2:-1] for line in describe_lines([given])]


def test_a_line_is_read_to_the_cent() -> None:
    block = read_block(create_file([create_row()]))

    [line] = describe_lines([block])
    place = block.places[0]
    assert line[:4] == (1, 2, "INV-189519", 12)
    assert (place.city, place.zip_code, place.county_number, place.county_name) == ("CEDAR RAPIDS", "52401", 57, "LINN")
    assert line[8:13] == (24, 1425, 34200, 22800, 24000)
