"""What the tests of invoices share: a store with stock, people, and the acts one after the other."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.services import invoice_draft, invoice_edit, invoice_issue, invoice_reversal
from graphql_api.services.audit import Act
from graphql_api.services.books import books_check
from graphql_api.services.errors import ServiceError
from graphql_api.services.invoice_draft import DraftWish
from graphql_api.services.invoice_issue import Rehearsal, Rehearsed
from graphql_api.services.invoice_line import LineWish
from graphql_api.services.invoice_reversal import Credit, CreditWish
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work
from tests.factories import create_product, create_session, create_stock, create_store, create_user

Answer = TypeVar("Answer")
# A line as tests look at it: product, quantity, price, discount, revenue and cost in cents.
Seen = tuple[int, int, int, int, int, int]


@dataclass
class InvoiceCase:
    """A store that sells, with three products at 9.00 that cost 6.00, ten bottles of each; everything is checked."""

    database: Database
    store: StoreRow = field(init=False)
    products: list[ProductRow] = field(init=False)
    viewers: dict[Role, Viewer] = field(init=False)

    async def fill(self) -> None:
        async with self.database.transaction() as session:
            self.store = await create_store(session, number=2633)
            self.products = [await create_product(session, sku=sku) for sku in ("ALE", "GIN", "RUM")]
            for product in self.products:
                await create_stock(session, self.store, product, 10)
            self.viewers = {}
            for role in (Role.ADMIN, Role.STAFF, Role.SALESPERSON):
                user = await create_user(session, role=role)
                self.viewers[role] = Viewer(user.id, role, (await create_session(session, user)).id)

    @property
    def staff(self) -> Viewer:
        return self.viewers[Role.STAFF]

    @property
    def salesperson(self) -> Viewer:
        return self.viewers[Role.SALESPERSON]

    def wish(self, place: int, quantity: int, price: str | None = None, discount: str | None = None) -> LineWish:
        """Bottles of the product at `place`, amounts in currency units."""
        unit_price, taken_off = (None if amount is None else Decimal(amount) for amount in (price, discount))
        return LineWish(self.products[place].id, quantity, unit_price, taken_off)

    async def act(self, change: Callable[[UnitOfWork], Awaitable[Answer]], viewer: Viewer | None = None) -> Answer:
        """Do something in a transaction of its own."""
        async with unit_of_work(self.database, Act("test", viewer or self.staff)) as work:
            return await change(work)

    async def draft(self, *lines: LineWish, viewer: Viewer | None = None, **wish: Any) -> InvoiceRow:
        wished = DraftWish(wish.pop("store_id", self.store.id), lines=lines, **wish)
        person = viewer or self.staff
        return await self.act(lambda work: invoice_draft.create_invoice(work, wished, person), person)

    async def update(self, invoice: InvoiceRow, *, viewer: Viewer | None = None, **patch: Any) -> InvoiceRow:
        person = viewer or self.staff
        return await self.act(
            lambda work: invoice_draft.update_invoice(work, invoice.id, invoice.version, patch, person), person
        )

    async def add(self, invoice: InvoiceRow, *lines: LineWish, viewer: Viewer | None = None) -> InvoiceRow:
        person = viewer or self.staff
        return await self.act(
            lambda work: invoice_edit.add_invoice_lines(work, invoice.id, invoice.version, lines, person), person
        )

    async def set(self, invoice: InvoiceRow, *lines: LineWish, viewer: Viewer | None = None) -> InvoiceRow:
        person = viewer or self.staff
        return await self.act(
            lambda work: invoice_edit.set_invoice_lines(work, invoice.id, invoice.version, lines, person), person
        )

    async def issue(self, invoice: InvoiceRow, *, viewer: Viewer | None = None) -> InvoiceRow:
        person = viewer or self.staff

        async def issue(work: UnitOfWork) -> InvoiceRow:
            return (await invoice_issue.issue_invoice(work, invoice.id, invoice.version, person)).invoice

        return await self.act(issue, person)

    async def issued(self, *lines: LineWish, **wish: Any) -> InvoiceRow:
        """An invoice that was issued from a draft with these lines."""
        return await self.issue(await self.draft(*lines, **wish))

    async def paid(self, *lines: LineWish, **wish: Any) -> InvoiceRow:
        """An invoice that was issued and paid."""
        return await self.pay(await self.issued(*lines, **wish))

    async def rehearse(self, invoice: InvoiceRow) -> Rehearsal:
        try:
            await self.act(lambda work: invoice_issue.rehearse_issue(work, invoice.id, invoice.version, self.staff))
        except Rehearsed as rehearsed:
            return rehearsed.rehearsal
        raise AssertionError("a rehearsal is always taken back")

    async def pay(self, invoice: InvoiceRow) -> InvoiceRow:
        return await self.act(lambda work: invoice_issue.pay_invoice(work, invoice.id, invoice.version, self.staff))

    async def void(self, invoice: InvoiceRow, reason: str = "mistake") -> InvoiceRow:
        return await self.act(
            lambda work: invoice_reversal.void_invoice(work, invoice.id, invoice.version, reason, self.staff)
        )

    async def credit(
        self, invoice: InvoiceRow, lines: list[tuple[int, int]] | None = None, *, restock: bool = True
    ) -> Credit:
        wish = CreditWish("broken", restock, lines)
        return await self.act(
            lambda work: invoice_reversal.credit_invoice(work, invoice.id, invoice.version, wish, self.staff)
        )

    async def delete(self, invoice: InvoiceRow) -> None:
        await self.act(lambda work: invoice_draft.delete_draft_invoice(work, invoice.id, invoice.version, self.staff))

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.read() as session:
            return list((await session.execute(text(statement), values)).all())

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.database.transaction() as session:
            await session.execute(text(statement), values)

    async def lines(self, invoice: InvoiceRow) -> dict[int, Seen]:
        """The lines of an invoice by number."""
        found = await self.rows(
            "SELECT line_number, product_id, quantity, unit_price, discount, revenue, cost FROM invoice_line "
            "WHERE invoice_id = :id ORDER BY 1",
            id=invoice.id,
        )
        places = {product.id: place for place, product in enumerate(self.products)}
        return {row[0]: (places[row[1]], *row[2:]) for row in found}

    async def on_hand(self) -> list[int]:
        """Bottles of each product in the store."""
        found = await self.rows("SELECT product_id, on_hand FROM stock_level WHERE store_id = :id", id=self.store.id)
        levels = {row[0]: row[1] for row in found}
        return [levels.get(product.id, 0) for product in self.products]

    async def causes(self) -> Counter[str]:
        """How many movements there are for each cause, without those of the stock the test began with."""
        return Counter(row[0] for row in await self.rows("SELECT cause FROM stock_movement WHERE invoice_id > 0"))

    async def contents(self) -> dict[str, list[str]]:
        """Every row of every table."""
        tables = await self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return {name: sorted(row[0] for row in await self.rows(f"SELECT t::text FROM {name} t")) for (name,) in tables}  # noqa: S608 - names from the catalogue

    async def check(self) -> None:
        """The books are balanced."""
        async with self.database.read() as session:
            books = await books_check(session)
        assert [violation for result in books.results for violation in result.violations] == []


async def refusal(doing: Awaitable[Any]) -> tuple[str, str, tuple[str, ...]]:
    """The kind, the sentence and the path of the error that something is refused with."""
    try:
        await doing
    except ServiceError as error:
        return type(error).__name__, error.message, error.path
    raise AssertionError("nothing was refused")
