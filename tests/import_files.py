"""Small files of products, stores, purchases and counted stock, for tests."""

import csv
import io
import random
from collections.abc import Iterable, Sequence

PURCHASE_HEADER = ("PO Number", "Date", "Store", "Vendor", "SKU", "Quantity", "Unit Cost", "Expires")


def csv_of(header: Sequence[str] | str, rows: Iterable[Sequence[object]]) -> bytes:
    """A file; the header may be one text with commas."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header.split(",") if isinstance(header, str) else header)
    writer.writerows(rows)
    return text.getvalue().encode()


def stores_file(*numbers: int) -> bytes:
    """Stores of these numbers in one city."""
    return csv_of("Store,Name,City,Zip,County", [(n, f"Shop {n}", "Ames", "50010", "STORY") for n in numbers])


def products_file(*skus: str) -> bytes:
    """Products of these item numbers that cost 6.00 and sell for 9.00."""
    return csv_of("SKU,Name,Unit Cost,Unit Price", [(sku, f"Product {sku}", "6.00", "9.00") for sku in skus])


def purchases_file(*rows: Sequence[object]) -> bytes:
    """Purchases from vendor 7; a row is number, date, store, item number, quantity, unit cost, expiry."""
    return csv_of(PURCHASE_HEADER, [(*row[:3], 7, *row[3:]) for row in rows])


def many_purchases(count: int, stores: Sequence[int], skus: Sequence[str], rng: random.Random) -> list[list[object]]:
    """Rows of purchases with a few lines each, as `purchases_file` takes them."""
    rows: list[list[object]] = []
    while len(rows) < count:
        number = len(rows)
        day, store = f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}", rng.choice(stores)
        for sku in rng.sample(skus, rng.randint(1, min(5, len(skus)))):
            cost = f"{rng.randint(100, 999) / 100:.2f}"
            rows.append([f"PO-{number:06d}", day, store, sku, rng.randint(1, 50), cost, rng.choice(["", "2030-01-31"])])
    return rows[:count]
