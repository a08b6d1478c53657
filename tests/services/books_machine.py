"""What people do to stock, as a machine that does it at random to the program and to the model in `books_model`."""

import asyncio
import datetime as dt
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.reports.question import SalesQuestion
from graphql_api.reports.stock_question import StockQuestion
from graphql_api.services import (
    invoice_draft,
    invoice_edit,
    invoice_issue,
    invoice_reversal,
    purchase_change,
    purchase_line,
    purchase_receipt,
    purchase_void,
    stock_adjustment,
    stock_count,
    stock_transfer,
)
from graphql_api.services.books import books_check
from graphql_api.services.errors import Conflict, InsufficientStock, ServiceError
from graphql_api.services.invoice_line import LineWish
from graphql_api.services.policy import Viewer
from graphql_api.services.report import sales_report
from graphql_api.services.stock_report import stock_report
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work
from tests.conftest import with_database
from tests.factories import create_product, create_store, create_user
from tests.services.books_model import Books, Invoice, Key, Line, Purchase, PurchaseLine, Short

PRICE = 900
Answer = TypeVar("Answer")

QUANTITIES = st.integers(1, 12)
STORES = st.integers(0, 1)
PRODUCTS = st.integers(0, 2)
COSTS = st.integers(0, 1_500)
CHOICE = st.integers(0, 1_000)
# days from today: an expiry of the past needs a receipt of a day before it
AGES = st.sampled_from([0, 3, 40])
EXPIRIES = st.sampled_from([None, -2, 5, 30])


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def units(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class Trade(RuleBasedStateMachine):
    """Everything people can do to stock; what must be refused is tried as well."""

    runner: asyncio.Runner
    server_url: str
    template: str
    folder: Path
    steps = 0
    # what came of it all: things done by name, and things refused
    acts: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.name = f"books_{os.getpid()}_{id(self)}"
        self.books = Books()
        self.wait(
            execute(self.server_url, f'CREATE DATABASE "{self.name}" TEMPLATE "{self.template}" STRATEGY FILE_COPY')
        )
        self.database = Database(with_database(self.server_url, self.name), pool_size=2)
        self.wait(self.open())

    async def open(self) -> None:
        async with self.database.transaction() as session:
            self.stores = [(await create_store(session, number=number)).id for number in (1, 2)]
            rows = [await create_product(session, sku=sku, unit_price=PRICE, unit_cost=700) for sku in "ABC"]
            self.products = [row.id for row in rows]
            self.viewer = Viewer((await create_user(session, role=Role.ADMIN)).id, Role.ADMIN, 1)

    def teardown(self) -> None:
        self.wait(self.database.close())
        self.wait(execute(self.server_url, f'DROP DATABASE "{self.name}" WITH (FORCE)'))

    def wait(self, work: Awaitable[Answer]) -> Answer:
        async def run() -> Answer:
            return await work

        return self.runner.run(run())

    def do(self, change: Callable[[UnitOfWork], Awaitable[Answer]]) -> Answer:
        async def run() -> Answer:
            async with unit_of_work(self.database) as work:
                return await change(work)

        answer = self.wait(run())
        self.acts["done"] += 1
        return answer

    def version(self, table: str, key: int) -> int:
        async def read() -> Any:
            async with self.database.read() as session:
                return await session.scalar(text(f"SELECT version FROM {table} WHERE id = :key"), {"key": key})  # noqa: S608 - a name of ours

        return int(self.wait(read()))

    def refused(self, change: Callable[[UnitOfWork], Awaitable[Any]], short: Short | None = None) -> None:
        """What cannot be is refused, with everything that is short; the invariants see that nothing has changed."""
        with pytest.raises(ServiceError) as error:
            self.do(change)
        if short:
            assert isinstance(error.value, InsufficientStock)
            found = {(s.store_id, s.product_id): (s.requested, s.available) for s in error.value.shortages}
            assert found == short.shortages
        else:
            assert isinstance(error.value, Conflict)
        self.acts["short" if short else "refused"] += 1

    def chosen(self, choice: int, *statuses: str) -> int | None:
        """An invoice in one of these states that is no credit note."""
        found = [
            key
            for key, one in self.books.invoices.items()
            if one.status in statuses and one.credit_of is None and not one.is_imported
        ]
        return found[choice % len(found)] if found else None

    @rule(
        store=STORES,
        lines=st.lists(st.tuples(PRODUCTS, QUANTITIES, COSTS, EXPIRIES), min_size=1, max_size=3),
    )
    def order(self, store: int, lines: list[tuple[int, int, int, int | None]]) -> None:
        day = today() - dt.timedelta(days=40)
        wanted = [
            PurchaseLine(
                self.products[product], quantity, cost, None if ahead is None else today() + dt.timedelta(days=ahead)
            )
            for product, quantity, cost, ahead in lines
        ]
        wishes = [
            purchase_line.LineWish(line.product, line.quantity, units(line.unit_cost), line.expires_on)
            for line in wanted
        ]
        wish = purchase_change.PurchaseWish(self.stores[store], wishes, supplier_name="Acme", date=day)
        row = self.do(lambda work: purchase_change.create_purchase(work, wish, self.viewer))
        self.books.purchases[row.id] = Purchase(self.stores[store], wanted)

    def open_purchase(self, choice: int) -> int | None:
        found = [key for key, one in self.books.purchases.items() if one.status == "ORDERED"]
        return found[choice % len(found)] if found else None

    @precondition(lambda self: self.open_purchase(0) is not None)
    @rule(choice=CHOICE, line=CHOICE, part=CHOICE, cost=st.none() | COSTS, age=AGES)
    def receive(self, choice: int, line: int, part: int, cost: int | None, age: int) -> None:
        key = self.open_purchase(choice)
        assert key is not None
        purchase = self.books.purchases[key]
        numbers = [n for n, one in enumerate(purchase.lines, start=1) if one.received < one.quantity]
        number = numbers[line % len(numbers)]
        wanted = purchase.lines[number - 1]
        quantity = 1 + part % (wanted.quantity - wanted.received)
        expired = wanted.expires_on is not None and wanted.expires_on < today()
        day = today() - dt.timedelta(days=40 if expired else age)
        wish = purchase_receipt.ReceiptWish(number, quantity, None if cost is None else units(cost))
        version = self.version("purchase", key)
        self.do(lambda work: purchase_receipt.receive_purchase(work, key, version, [wish], day))
        unit_cost = wanted.unit_cost if cost is None else cost
        place = (purchase.store, wanted.product)
        wanted.lots.append((place, self.books.add(place, quantity, unit_cost, day, wanted.expires_on)))
        wanted.received += quantity
        if all(one.received == one.quantity for one in purchase.lines):
            purchase.status = "RECEIVED"

    @precondition(lambda self: self.books.purchases)
    @rule(choice=CHOICE)
    def void_purchase(self, choice: int) -> None:
        key = list(self.books.purchases)[choice % len(self.books.purchases)]
        purchase, version = self.books.purchases[key], self.version("purchase", key)

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return purchase_void.void_purchase(work, key, version, "wrong")

        lots = [lot for line in purchase.lines for _, lot in line.lots]
        if purchase.status == "VOID" or any(lot.remaining < lot.received for lot in lots):
            self.refused(change)
            return
        self.do(change)
        purchase.status = "VOID"
        for lot in lots:
            lot.remaining = 0

    @rule(
        store=STORES,
        lines=st.lists(st.tuples(PRODUCTS, QUANTITIES), min_size=1, max_size=3),
        issued=st.sampled_from([True, True, False]),
    )
    def draft(self, store: int, lines: list[tuple[int, int]], *, issued: bool) -> None:
        wishes = [LineWish(self.products[product], quantity) for product, quantity in lines]
        wish = invoice_draft.DraftWish(self.stores[store], lines=wishes)
        row = self.do(lambda work: invoice_draft.create_invoice(work, wish, self.viewer))
        kept = [Line(n, one.product_id, one.quantity, PRICE) for n, one in enumerate(wishes, start=1)]
        self.books.invoices[row.id] = Invoice(self.stores[store], kept)
        if issued:
            self.issue_now(row.id)

    @precondition(lambda self: self.chosen(0, "DRAFT") is not None)
    @rule(choice=CHOICE)
    def issue(self, choice: int) -> None:
        key = self.chosen(choice, "DRAFT")
        assert key is not None
        self.issue_now(key)

    def issue_now(self, key: int) -> None:
        invoice, version = self.books.invoices[key], self.version("invoice", key)

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return invoice_issue.issue_invoice(work, key, version, self.viewer)

        try:
            if invoice.lines:
                self.books.issue(invoice, today())
        except Short as short:
            self.refused(change, short)
            return
        if invoice.lines:
            self.do(change)
        else:
            self.refused(change)

    @precondition(lambda self: self.chosen(0, "DRAFT", "ISSUED") is not None)
    @rule(choice=CHOICE, line=CHOICE, product=st.none() | PRODUCTS, quantity=st.integers(0, 12))
    def set_lines(self, choice: int, line: int, product: int | None, quantity: int) -> None:
        key = self.chosen(choice, "DRAFT", "ISSUED")
        assert key is not None
        invoice, version = self.books.invoices[key], self.version("invoice", key)
        article = self.products[product or 0]
        if product is None and invoice.lines:
            article = invoice.lines[line % len(invoice.lines)].product

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return invoice_edit.set_invoice_lines(work, key, version, [LineWish(article, quantity)], self.viewer)

        leaves_nothing = not quantity and all(line.product == article for line in invoice.lines)
        if invoice.status == "ISSUED" and (self.books.is_credited(key) or leaves_nothing):
            self.refused(change)
            return
        try:
            self.books.set_line(invoice, article, quantity, PRICE, today())
        except Short as short:
            self.refused(change, short)
            return
        self.do(change)

    @precondition(lambda self: self.chosen(0, "ISSUED") is not None)
    @rule(choice=CHOICE)
    def pay(self, choice: int) -> None:
        key = self.chosen(choice, "ISSUED")
        assert key is not None
        version = self.version("invoice", key)
        self.do(lambda work: invoice_issue.pay_invoice(work, key, version, self.viewer))
        self.books.invoices[key].status = "PAID"

    @precondition(lambda self: self.chosen(0, "ISSUED", "PAID", "VOID") is not None)
    @rule(choice=CHOICE)
    def void(self, choice: int) -> None:
        key = self.chosen(choice, "ISSUED", "PAID", "VOID")
        assert key is not None
        invoice, version = self.books.invoices[key], self.version("invoice", key)

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return invoice_reversal.void_invoice(work, key, version, "wrong", self.viewer)

        if invoice.status != "ISSUED" or self.books.is_credited(key):
            self.refused(change)
            return
        self.do(change)
        self.books.void(invoice)

    @precondition(lambda self: self.chosen(0, "ISSUED", "PAID") is not None)
    @rule(choice=CHOICE, part=st.none() | CHOICE, restock=st.booleans())
    def credit(self, choice: int, part: int | None, *, restock: bool) -> None:
        key = self.chosen(choice, "ISSUED", "PAID")
        assert key is not None
        version = self.version("invoice", key)
        left = {line.number: line.quantity - line.credited for line in self.books.invoices[key].lines}
        left = {number: quantity for number, quantity in left.items() if quantity}
        wanted = left
        if part is not None and left:
            number = list(left)[part % len(left)]
            wanted = {number: 1 + part % left[number]}
        lines = None if part is None else list(wanted.items())
        wish = invoice_reversal.CreditWish("returned", restock, lines)

        def change(work: UnitOfWork) -> Awaitable[invoice_reversal.Credit]:
            return invoice_reversal.credit_invoice(work, key, version, wish, self.viewer)

        if not left:
            self.refused(change)
            return
        note = self.do(change).note
        self.books.invoices[note.id] = self.books.credit(key, wanted, restock=restock)

    @rule(source=STORES, wishes=st.lists(st.tuples(PRODUCTS, QUANTITIES), min_size=1, max_size=2))
    def transfer(self, source: int, wishes: list[tuple[int, int]]) -> None:
        here, there = self.stores[source], self.stores[1 - source]
        moved = [(self.products[product], quantity) for product, quantity in wishes]
        lines = [stock_transfer.TransferLine(product, quantity) for product, quantity in moved]

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return stock_transfer.transfer_stock(work, stock_transfer.TransferWish(here, there, lines))

        try:
            self.books.transfer(here, there, moved)
        except Short as short:
            self.refused(change, short)
            return
        self.do(change)

    @rule(store=STORES, product=PRODUCTS, quantity=st.integers(-12, 12).filter(bool), cost=st.none() | COSTS)
    def adjust(self, store: int, product: int, quantity: int, cost: int | None) -> None:
        key = (self.stores[store], self.products[product])
        given = None if cost is None or quantity < 0 else cost
        wish = stock_adjustment.AdjustWish(*key, quantity, "found or broken", None if given is None else units(given))

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return stock_adjustment.adjust_stock(work, wish)

        if quantity > 0:
            self.gain(key, quantity, given)
        else:
            try:
                self.books.check_enough([(key, -quantity)])
            except Short as short:
                self.refused(change, short)
                return
            self.books.take(key, -quantity)
        self.do(change)

    def gain(self, key: Key, quantity: int, cost: int | None) -> None:
        newest = self.books.newest_cost(key)
        known = 700 if newest is None else newest
        self.books.add(key, quantity, known if cost is None else cost, today())

    @rule(store=STORES, product=PRODUCTS, counted=st.integers(0, 20), stale=st.sampled_from([0, 0, 0, 1]))
    def count(self, store: int, product: int, counted: int, stale: int) -> None:
        key = (self.stores[store], self.products[product])
        there = self.books.on_hand(key)
        wish = stock_count.CountWish(key[0], [stock_count.CountLine(key[1], counted, there + stale)])

        def change(work: UnitOfWork) -> Awaitable[Any]:
            return stock_count.count_stock(work, wish)

        if stale:
            self.refused(change)
            return
        self.do(change)
        if counted > there:
            self.gain(key, counted - there, None)
        elif counted < there:
            self.books.take(key, there - counted)

    @invariant()
    def come_to_the_same(self) -> None:
        type(self).steps += 1
        self.wait(self.compare())

    async def compare(self) -> None:
        books, counted = self.books, [one for one in self.books.invoices.values() if one.is_counted]
        lines = [line for one in counted for line in one.lines]
        async with self.database.read() as session:
            levels = await session.execute(text("SELECT store_id, product_id, on_hand, value FROM stock_level"))
            assert {(row[0], row[1]): (row[2], row[3]) for row in levels if row[2]} == {
                key: (books.on_hand(key), books.value(key)) for key in books.lots if books.on_hand(key)
            }
            found = await session.execute(
                text(
                    "SELECT store_id, product_id, remaining, received, unit_cost, received_on, expires_on "
                    "FROM stock_lot ORDER BY id"
                )
            )
            lots: dict[Key, list[Any]] = {}
            for row in found:
                lots.setdefault((row[0], row[1]), []).append(tuple(row[2:]))
            assert lots == {key: [lot.facts for lot in of_key] for key, of_key in books.lots.items()}
            kept = await session.execute(text("SELECT invoice_id, line_number, quantity, cost FROM invoice_line"))
            assert {tuple(row) for row in kept} == {
                (key, line.number, line.quantity, line.cost)
                for key, one in books.invoices.items()
                for line in one.lines
            }
            sales = (await sales_report(session, SalesQuestion())).grand_total
            assert (sales.line_count, sales.quantity, sales.revenue, sales.cost) == (
                len(lines),
                sum(line.quantity for line in lines),
                sum(line.quantity * line.unit_price for line in lines),
                sum(line.cost for line in lines),
            )
            stock = (await stock_report(session, StockQuestion())).grand_total
            past = (await stock_report(session, StockQuestion(as_of=today()))).grand_total
            assert (
                (stock.units, stock.value)
                == (past.units, past.value)
                == (
                    sum(map(books.on_hand, books.lots)),
                    sum(map(books.value, books.lots)),
                )
            )
            check = await books_check(session)
        assert [(result.check.name, result.violations) for result in check.results if not result.is_held] == []
