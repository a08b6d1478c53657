"""What files do to stock: purchases, counts and sales that take from it, loaded and taken back at random."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from graphql_api.database.import_job import ImportJobRow, ImportKind, ImportStatus, StockEffect
from tests.import_files import csv_of
from tests.sales_files import sale, sales_csv
from tests.services.books_machine import (
    CHOICE,
    COSTS,
    EXPIRIES,
    PRICE,
    PRODUCTS,
    QUANTITIES,
    STORES,
    Trade,
    today,
    units,
)
from tests.services.books_model import Invoice, Key, Line, Lot, Purchase, PurchaseLine
from tests.services.import_case import ImportCase

SKUS = "ABC"


@dataclass
class File:
    """A file that was loaded: what it brought into each lot, and the documents it wrote."""

    kind: ImportKind
    net: Counter[Lot] = field(default_factory=Counter)
    purchase: int | None = None
    invoice: int | None = None
    is_reverted: bool = False


class TradeWithFiles(Trade):
    """People and files at once."""

    def __init__(self) -> None:
        super().__init__()
        self.case = ImportCase(self.database, self.folder / self.name)
        self.files: dict[int, File] = {}
        self.loaded = 0

    def load(self, content: bytes, kind: ImportKind, **request: StockEffect) -> tuple[ImportJobRow, File]:
        job = self.wait(self.case.load(content, kind=kind, **request))
        assert job.status is ImportStatus.COMPLETED, job.failure
        self.files[job.id] = File(kind)
        self.acts[f"load {kind}"] += 1
        return job, self.files[job.id]

    def key_of(self, query: str) -> int:
        return int(self.wait(self.case.query(query))[0][0])

    @rule(store=STORES, rows=st.lists(st.tuples(PRODUCTS, QUANTITIES, COSTS, EXPIRIES), min_size=1, max_size=3))
    def load_purchase(self, store: int, rows: list[tuple[int, int, int, int | None]]) -> None:
        self.loaded += 1
        day = today() - dt.timedelta(days=40)
        dates = [None if ahead is None else today() + dt.timedelta(days=ahead) for *_, ahead in rows]
        number = f"PO-{self.loaded}"
        # numbered, because equal rows of a file without line numbers are one
        content = csv_of(
            "PO Number,Line,Date,Store,Vendor,SKU,Quantity,Unit Cost,Expires",
            [
                (number, line, day, store + 1, 7, SKUS[product], quantity, units(cost), expiry or "")
                for line, ((product, quantity, cost, _), expiry) in enumerate(zip(rows, dates, strict=True), start=1)
            ],
        )
        job, file = self.load(content, ImportKind.PURCHASES)
        assert (job.rows_inserted, job.rows_rejected) == (len(rows), 0)
        lines = []
        for (product, quantity, cost, _), expiry in zip(rows, dates, strict=True):
            key = (self.stores[store], self.products[product])
            line = PurchaseLine(key[1], quantity, cost, expiry, quantity)
            line.lots.append((key, self.books.add(key, quantity, cost, day, expiry)))
            lines.append(line)
        file.purchase = self.key_of(f"SELECT id FROM purchase WHERE number = '{number}'")  # noqa: S608 - our own number
        self.books.purchases[file.purchase] = Purchase(self.stores[store], lines, "RECEIVED")

    @rule(
        rows=st.lists(
            st.tuples(STORES, PRODUCTS, st.integers(0, 20), st.none() | COSTS),
            min_size=1,
            max_size=3,
            unique_by=lambda row: row[:2],
        )
    )
    def load_count(self, rows: list[tuple[int, int, int, int | None]]) -> None:
        self.loaded += 1
        cells = [(s + 1, SKUS[p], counted, "" if cost is None else units(cost)) for s, p, counted, cost in rows]
        # a day of its own, because the same count of the same file is posted once
        date = today() - dt.timedelta(days=self.loaded)
        content = csv_of("Store,SKU,Counted,Unit Cost,Date", [(*row, date) for row in cells])
        job, file = self.load(content, ImportKind.STOCK_COUNT)
        assert job.rows_rejected == 0
        differences: list[tuple[Key, int, int]] = []
        for store, product, counted, cost in rows:
            key = (self.stores[store], self.products[product])
            known = self.books.newest_cost(key) if cost is None else cost
            differences.append((key, counted - self.books.on_hand(key), 700 if known is None else known))
        for key, difference, _ in differences:
            if difference < 0:
                file.net.subtract(dict(self.books.take(key, -difference)))
        for key, difference, cost in differences:
            if difference > 0:
                file.net[self.books.add(key, difference, cost, today())] += difference

    @rule(
        store=STORES,
        rows=st.lists(st.tuples(PRODUCTS, st.integers(-3, 8).filter(bool), COSTS), min_size=1, max_size=4),
    )
    def load_sales(self, store: int, rows: list[tuple[int, int, int]]) -> None:
        self.loaded += 1
        number = f"INV-{self.loaded:06d}"
        content = sales_csv(
            sale(
                f"{number}{line:05d}",
                date=str(today()),
                store_number=str(store + 1),
                item_number=SKUS[product],
                bottles_sold=str(quantity),
                state_bottle_cost=str(units(cost)),
                state_bottle_retail=str(units(PRICE)),
                sale_dollars=str(units(quantity * PRICE)),
            )
            for line, (product, quantity, cost) in enumerate(rows, start=1)
        )
        job, file = self.load(content, ImportKind.SALES, stock_effect=StockEffect.DEDUCT)
        lines = self.sell_from_file(store, rows, file)
        assert (job.rows_inserted, job.rows_rejected) == (len(lines), len(rows) - len(lines))
        if lines:
            file.invoice = self.key_of(f"SELECT id FROM invoice WHERE number = '{number}'")  # noqa: S608 - our own number
            self.books.invoices[file.invoice] = Invoice(self.stores[store], lines, "PAID", is_imported=True)

    def sell_from_file(self, store: int, rows: list[tuple[int, int, int]], file: File) -> list[Line]:
        """Line after line; what there is not enough for is refused, what comes back is a lot of its own."""
        keys = [(self.stores[store], self.products[product]) for product, _, _ in rows]
        backs = {}
        for line, (key, (_, quantity, cost)) in enumerate(zip(keys, rows, strict=True), start=1):
            if quantity < 0:
                backs[line] = self.books.add(key, -quantity, cost, today())
                backs[line].remaining = 0
        lines = []
        for number, (key, (_, quantity, cost)) in enumerate(zip(keys, rows, strict=True), start=1):
            if quantity < 0:
                backs[number].remaining = -quantity
                file.net[backs[number]] -= quantity
                lines.append(Line(number, key[1], quantity, PRICE, quantity * cost))
            elif quantity <= self.books.usable(key, today()):
                pieces = self.books.take(key, quantity, today())
                file.net.subtract(dict(pieces))
                paid = sum(taken * lot.unit_cost for lot, taken in pieces)
                lines.append(Line(number, key[1], quantity, PRICE, paid))
        return lines

    @precondition(lambda self: any(not file.is_reverted for file in self.files.values()))
    @rule(choice=CHOICE)
    def revert(self, choice: int) -> None:
        found = [key for key, file in self.files.items() if not file.is_reverted]
        key = found[choice % len(found)]
        file = self.files[key]
        net = dict(file.net)
        purchase = self.books.purchases[file.purchase] if file.purchase else None
        if purchase and purchase.status != "VOID":
            net = {lot: lot.received for line in purchase.lines for _, lot in line.lots}
        is_blocked = any(moved > lot.remaining for lot, moved in net.items())
        job = self.wait(self.case.revert(key))
        assert job.status is (ImportStatus.COMPLETED if is_blocked else ImportStatus.REVERTED)
        self.acts["revert blocked" if is_blocked else "revert"] += 1
        if is_blocked:
            return
        file.is_reverted = True
        for lot, moved in net.items():
            lot.remaining -= moved
        if purchase:
            purchase.status = "VOID"
        if file.invoice:
            del self.books.invoices[file.invoice]
