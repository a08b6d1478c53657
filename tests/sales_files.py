"""Small sales files in the shapes of the real ones, for tests."""

import csv
import gzip
import io
import lzma
from collections.abc import AsyncIterator, Iterable, Sequence

HEADER = (
    "Invoice/Item Number", "Date", "Store Number", "Store Name", "Address", "City", "Zip Code", "Store Location",
    "County Number", "County", "Category", "Category Name", "Vendor Number", "Vendor Name", "Item Number",
    "Item Description", "Pack", "Bottle Volume (ml)", "State Bottle Cost", "State Bottle Retail", "Bottles Sold",
    "Sale (Dollars)", "Volume Sold (Liters)", "Volume Sold (Gallons)",
)  # fmt: skip
DEFAULTS = {
    "Date": "2019-04-24", "Store Number": "3773", "Store Name": "Benz", "Address": "1 Main St",
    "City": "Cedar Rapids", "Zip Code": "52401", "Store Location": "POINT (-91.66 41.97)", "County Number": "57",
    "County": "LINN", "Category": "1062200", "Category Name": "WHITE RUM", "Vendor Number": "35",
    "Vendor Name": "BACARDI", "Item Number": "43127", "Item Description": "Superior", "Pack": "12",
    "Bottle Volume (ml)": "750", "State Bottle Cost": "9.50", "State Bottle Retail": "14.25", "Bottles Sold": "2",
    "Sale (Dollars)": "28.50", "Volume Sold (Liters)": "1.5", "Volume Sold (Gallons)": "0.4",
}  # fmt: skip


def sale(line_id: str, **cells: str) -> dict[str, str]:
    """One row; keyword `bottles_sold` sets the column `Bottles Sold`, and so on."""
    names = {name.lower().replace(" ", "_").replace("(", "").replace(")", ""): name for name in HEADER}
    return {"Invoice/Item Number": line_id, **DEFAULTS, **{names[key]: value for key, value in cells.items()}}


def many_sales(count: int) -> list[dict[str, str]]:
    """`count` rows over a few hundred invoices, scattered as the real files are."""
    rows = []
    for index in range(count):
        invoice, line = index % max(1, count // 7), index // max(1, count // 7)
        quantity = index % 5 + 1
        rows.append(
            sale(
                f"INV-{invoice:06d}{line:05d}",
                date=f"2019-{invoice % 12 + 1:02d}-{invoice % 28 + 1:02d}",
                store_number=str(2000 + invoice % 9),
                city=f"City {invoice % 9}",
                zip_code=f"{50000 + invoice % 9}",
                item_number=str(100 + index % 13),
                bottles_sold=str(quantity),
                sale_dollars=f"{quantity * 1425 / 100:.2f}",
            )
        )
    return rows


def sales_csv(rows: Iterable[dict[str, str]], *, header: Sequence[str] = HEADER, delimiter: str = ",") -> bytes:
    """The rows as a file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def packed(content: bytes, name: str) -> bytes:
    """The content as a file of that name would hold it."""
    if name.endswith(".gz"):
        return gzip.compress(content, mtime=0)
    return lzma.compress(content) if name.endswith(".xz") else content


async def chunks(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """The content as an upload delivers it."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
