"""Invented sales as a file: more each year, most in December and on Fridays, and little on Sundays."""

import csv
import io
import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import NamedTuple

from graphql_api.demo.products import DemoProduct, create_products
from graphql_api.demo.stores import DemoStore, create_stores

SEED = 7_301
DAYS = 2 * 365
LINES_PER_INVOICE = (1, 1, 2, 3, 3, 4, 5, 6, 8)
QUANTITIES = (1, 2, 3, 6, 6, 12, 12, 12, 24, 48)
MONTH_WEIGHTS = (80, 78, 88, 92, 100, 106, 110, 104, 96, 100, 118, 150)
WEEKDAY_WEIGHTS = (90, 96, 104, 122, 140, 70, 24)
YEARLY_GROWTH_PERCENT = 18
DISCOUNT_PERCENTS = (5, 10, 15)
ONE_DISCOUNT_IN = 18
ONE_RETURN_IN = 60
BATCH_ROWS = 2_000

HEADER = (
    "Invoice/Item Number", "Date", "Store Number", "Store Name", "Address", "City", "Zip Code", "Store Location",
    "County Number", "County", "Category", "Category Name", "Vendor Number", "Vendor Name", "Item Number",
    "Item Description", "Pack", "Bottle Volume (ml)", "State Bottle Cost", "State Bottle Retail", "Bottles Sold",
    "Sale (Dollars)",
)  # fmt: skip
Row = tuple[str | int | None, ...]


class _Invoice(NamedTuple):
    number: str
    day: date
    store: DemoStore


def sales_file(today: date, lines: int) -> Iterator[bytes]:
    """A CSV of about `lines` invoice lines in the two years before `today`, in pieces; the same for the same day."""
    yield _csv([HEADER])
    rows = _rows(today, lines)
    while batch := list(islice(rows, BATCH_ROWS)):
        yield _csv(batch)


def _csv(rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _rows(today: date, lines: int) -> Iterator[Row]:
    chance = random.Random(SEED)  # noqa: S311 - invented data must be the same every time
    stores, products = create_stores(), create_products()
    store_weights = [store.size for store in stores]
    demand = [product.demand for product in products]
    for number, day in enumerate(_invoice_days(chance, today, lines), start=1):
        invoice = _Invoice(f"DEMO-{number:07d}", day, chance.choices(stores, store_weights)[0])
        is_return = chance.randrange(ONE_RETURN_IN) == 0
        count = 1 if is_return else chance.choice(LINES_PER_INVOICE)
        # a product drawn twice is one line
        for line, product in enumerate(dict.fromkeys(chance.choices(products, demand, k=count)), start=1):
            quantity = min(chance.choice(QUANTITIES), 2 * product.pack)
            percent = chance.choice(DISCOUNT_PERCENTS) if chance.randrange(ONE_DISCOUNT_IN) == 0 else 0
            yield _row(invoice, line, product, -quantity if is_return else quantity, percent)


def _invoice_days(chance: random.Random, today: date, lines: int) -> list[date]:
    """The day of each invoice, in order."""
    days = [today - timedelta(days=before) for before in range(DAYS, 0, -1)]
    weights = [_day_weight(day, index) for index, day in enumerate(days)]
    average = sum(LINES_PER_INVOICE) / len(LINES_PER_INVOICE)
    return sorted(chance.choices(days, weights, k=int(lines / average)))


def _day_weight(day: date, index: int) -> int:
    growth = 100 * 365 + YEARLY_GROWTH_PERCENT * index
    return MONTH_WEIGHTS[day.month - 1] * WEEKDAY_WEIGHTS[day.weekday()] * growth


def _row(invoice: _Invoice, line: int, product: DemoProduct, quantity: int, discount_percent: int) -> Row:
    store, gross = invoice.store, quantity * product.unit_price
    return (
        f"{invoice.number}{line:05d}", invoice.day.isoformat(), store.number, store.name, store.address, store.city,
        store.zip_code, store.location, store.county_number, store.county_name, product.category_number,
        product.category_name, product.vendor_number, product.vendor_name, product.sku, product.name, product.pack,
        product.volume_ml, _dollars(product.unit_cost), _dollars(product.unit_price), quantity,
        _dollars(gross - gross * discount_percent // 100),
    )  # fmt: skip


def _dollars(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"
