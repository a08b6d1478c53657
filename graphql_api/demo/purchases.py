"""Invented purchases as a file: what lies in the stores today, some of it short, some of it about to expire."""

import csv
import io
import random
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from graphql_api.demo.products import DemoProduct, create_products
from graphql_api.demo.stores import DemoStore, create_stores

SEED = 7_302
# Cream liqueurs keep for half a year; what is left of the first delivery is about to expire or just has.
EXPIRING_CATEGORY = 1101
KEEPS_DAYS = 180
# Days ago, and what a bottle cost then in percent of today.
DELIVERIES = ((175, 97), (20, 100))
ONE_SHORT_IN = 25
ONE_MISSING_IN = 2

HEADER = (
    "Purchase Number", "Line Number", "Date", "Store Number", "Vendor Number", "Vendor Name", "Item Number",
    "Quantity", "Unit Cost", "Expiry Date",
)  # fmt: skip


class _Delivery(NamedTuple):
    day: date
    cost_percent: int
    number: str


def purchases_file(today: date) -> Iterator[bytes]:
    """A CSV of the purchases that filled the stores, one store after another; the same for the same day."""
    chance = random.Random(SEED)  # noqa: S311 - invented data must be the same every time
    yield _csv([HEADER])
    products = create_products()
    for store in create_stores():
        yield _csv(_rows(chance, store, products, today))


def _rows(
    chance: random.Random, store: DemoStore, products: list[DemoProduct], today: date
) -> Iterator[tuple[str | int, ...]]:
    for product in products:
        if chance.randrange(ONE_MISSING_IN) == 0:
            continue  # no store has everything
        is_short = chance.randrange(ONE_SHORT_IN) == 0
        for days, percent in DELIVERIES[1:] if is_short else DELIVERIES:
            number = f"DEMO-{store.number}-{product.vendor_number}-{days}"
            quantity = chance.randint(1, 6) if is_short else product.pack * chance.randint(1, 4)
            yield _row(_Delivery(today - timedelta(days=days), percent, number), store, product, quantity)


def _row(delivery: _Delivery, store: DemoStore, product: DemoProduct, quantity: int) -> tuple[str | int, ...]:
    cents = product.unit_cost * delivery.cost_percent // 100
    expires = delivery.day + timedelta(days=KEEPS_DAYS)
    return (
        delivery.number, product.sku, delivery.day.isoformat(), store.number, product.vendor_number,
        product.vendor_name, product.sku, quantity, f"{cents // 100}.{cents % 100:02d}",
        expires.isoformat() if product.category_number == EXPIRING_CATEGORY else "",
    )  # fmt: skip


def _csv(rows: Iterable[tuple[str | int, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
