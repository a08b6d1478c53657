"""Everything that can happen to what sales reports show, add up or are filtered by, one change at a time."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import text

from graphql_api.database.import_job import ImportMode
from graphql_api.database.invoice import InvoiceRow
from graphql_api.database.user import Role
from graphql_api.services import customer_change, invoice_draft, product_change, store_change
from graphql_api.services.category import CATEGORY
from graphql_api.services.errors import ServiceError
from graphql_api.services.named import update_named
from graphql_api.services.policy import Viewer
from graphql_api.services.vendor import VENDOR
from tests.factories import create_customer, create_session, create_stock, create_user
from tests.sales_files import sale, sales_csv
from tests.services.import_case import ImportCase
from tests.services.invoice_case import InvoiceCase
from tests.services.test_report_property import FIRST_DAY, World, create_world

# Names that questions ask for, and one that they do not.
NAMES = ("TWIN", "RUM", "ACME", "SAME", "POLK", "OTHER")
# What is changed is among the rows that were there from the beginning, which have been sold.
EARLIEST = 2
LINE_COLUMNS = "invoice_id, line_number, store_id, place_id, product_id, date, quantity, unit_price, revenue, cost"


@dataclass
class Shop:
    """Stores that trade, and are changed meanwhile. Each change takes two numbers that choose what it is about."""

    case: InvoiceCase
    imports: ImportCase
    stores: list[int] = field(default_factory=list)
    products: list[int] = field(default_factory=list)
    customers: list[int] = field(default_factory=list)
    invoices: list[int] = field(default_factory=list)
    loaded: list[int] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    fresh: "count[int]" = field(default_factory=lambda: count(1))

    async def open(self) -> None:
        """Make the world of generated reports, with stock and people."""
        async with self.case.database.transaction() as session:
            world: World = await create_world(session)
            self.case.store = world.stores[0][0]
            self.case.products = [product for product, _, _ in world.products]
            for store, _, _ in world.stores:
                for product in self.case.products:
                    await create_stock(session, store, product, 10_000)
            self.stores = [store.id for store, _, _ in world.stores]
            self.products = [product.id for product in self.case.products]
            self.customers = [(await create_customer(session)).id for _ in range(2)]
            self.case.viewers = {}
            for role in (Role.ADMIN, Role.STAFF, Role.SALESPERSON):
                user = await create_user(session, role=role)
                self.case.viewers[role] = Viewer(user.id, role, (await create_session(session, user)).id)

    @property
    def admin(self) -> Viewer:
        return self.case.viewers[Role.ADMIN]

    async def change(self, name: str, one: int, two: int) -> None:
        """Do it, unless the services refuse it, as they do with an invoice in another state."""
        with suppress(ServiceError):
            await CHANGES[name](self, one, two)

    async def sell(self, one: int, two: int) -> None:
        await self.issue(await self._draft(one, two))

    async def begin(self, one: int, two: int) -> None:
        await self._draft(one, two)

    async def _draft(self, one: int, two: int) -> InvoiceRow:
        wishes = [self.case.wish(one % 4, 1 + two % 5), self.case.wish(two % 4, 1 + one % 3, price=f"{two}.50")]
        invoice = await self.case.draft(
            *wishes,
            store_id=self.stores[two % 5],
            date=FIRST_DAY + dt.timedelta(days=one * 3),
            customer_id=self.customers[one % 2] if two % 3 else None,
            viewer=self.admin,
        )
        self.invoices.append(invoice.id)
        return invoice

    async def issue(self, invoice: InvoiceRow) -> None:
        await self.case.issue(invoice, viewer=self.admin)

    async def invoice(self, one: int) -> InvoiceRow:
        """One of the invoices there are, as it is now."""
        if not self.invoices:
            return await self._draft(one, one)
        async with self.case.database.read() as session:
            found = await session.get(InvoiceRow, self.invoices[one % len(self.invoices)])
        return found or await self._draft(one, one)

    async def edit(self, table: str, key: int, patch: Mapping[str, Any]) -> None:
        """Change a row through the service that changes such rows."""
        ((version,),) = await self.case.rows(f"SELECT version FROM {table} WHERE id = :key", key=key)  # noqa: S608 - names of our own
        await self.case.act(lambda work: EDITS[table](work, key, version, patch, self.admin), self.admin)

    async def any_key(self, table: str, one: int) -> int:
        rows = await self.case.rows(f"SELECT id FROM {table} ORDER BY id LIMIT {EARLIEST}")  # noqa: S608 - names of our own
        return int(rows[one % len(rows)][0])

    async def load(self, one: int, two: int) -> None:
        """A file of two lines that names a store and a product of ours otherwise than we do."""
        rows = [
            sale(
                f"INV-{one:06d}{line:05d}",
                date=(FIRST_DAY + dt.timedelta(days=two)).isoformat(),
                store_number=str(1 + two % 7),
                store_name=NAMES[one % 6],
                county="POLK",
                county_number="77",
                city="AMES",
                item_number=f"S{one % 6}",
                item_description=NAMES[two % 6],
                bottles_sold=str(1 + two % 4),
                sale_dollars=f"{(1 + two % 4) * 14.25:.2f}",
            )
            for line in (1, 2)
        ]
        self.loaded.append((await self.imports.load(sales_csv(rows), mode=ImportMode.UPSERT)).id)

    async def take_back(self, one: int, two: int) -> None:
        if not self.loaded:
            await self.load(one, two)
        await self.imports.revert(self.loaded.pop())

    async def execute(self, statement: str, **values: Any) -> None:
        """By hand, past all services."""
        await self.case.execute(statement, **values)

    async def insert_lines(self, one: int, two: int) -> None:
        """An invoice that no service knows of."""
        number = next(self.fresh)
        await self.execute(
            "INSERT INTO invoice (number, store_id, date, status) VALUES (:number, :store, :day, 'PAID')",
            number=f"BY-HAND-{number}",
            store=self.stores[one % 5],
            day=FIRST_DAY + dt.timedelta(days=two),
        )
        await self.execute(
            f"INSERT INTO invoice_line ({LINE_COLUMNS}) SELECT i.id, 1, i.store_id, s.place_id, :product, "  # noqa: S608 - names of our own
            "i.date, 2, 900, 1800, 1200 FROM invoice i JOIN store s ON s.id = i.store_id WHERE i.number = :number",
            number=f"BY-HAND-{number}",
            product=self.products[two % 4],
        )
        self.by_hand.append(f"BY-HAND-{number}")

    async def delete_lines(self, one: int, two: int) -> None:
        if not self.by_hand:
            await self.insert_lines(one, two)
        await self.execute(
            "DELETE FROM invoice_line WHERE invoice_id = (SELECT id FROM invoice WHERE number = :number)",
            number=self.by_hand.pop(),
        )


Change = Callable[[Shop, int, int], Awaitable[object]]
EDITS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "store": lambda work, key, version, patch, _viewer: store_change.update_store(work, key, version, patch),
    "product": product_change.update_product,
    "category": lambda work, key, version, patch, _viewer: update_named(work, CATEGORY, key, version, patch),
    "vendor": lambda work, key, version, patch, _viewer: update_named(work, VENDOR, key, version, patch),
    "customer": customer_change.update_customer,
}


async def _add(shop: Shop, one: int, two: int) -> None:
    await shop.case.add(await shop.invoice(one), shop.case.wish(two % 4, 2), viewer=shop.admin)


async def _set(shop: Shop, one: int, two: int) -> None:
    await shop.case.set(await shop.invoice(one), shop.case.wish(two % 4, two % 6), viewer=shop.admin)


async def _redate(shop: Shop, one: int, two: int) -> None:
    patch = {"date": FIRST_DAY + dt.timedelta(days=two), "customerId": shop.customers[two % 2]}
    await shop.case.update(await shop.invoice(one), viewer=shop.admin, **patch)


async def _issue(shop: Shop, one: int, _two: int) -> None:
    await shop.issue(await shop.invoice(one))


async def _pay(shop: Shop, one: int, _two: int) -> None:
    await shop.case.pay(await shop.invoice(one))


async def _void(shop: Shop, one: int, _two: int) -> None:
    await shop.case.void(await shop.invoice(one))


async def _credit(shop: Shop, one: int, two: int) -> None:
    await shop.case.credit(await shop.invoice(one), [(1, 1)] if two % 2 else None)


async def _delete(shop: Shop, one: int, _two: int) -> None:
    row = await shop.invoice(one)
    await shop.case.act(lambda work: invoice_draft.delete_draft_invoice(work, row.id, row.version, shop.admin))


async def _move_store(shop: Shop, one: int, two: int) -> None:
    place = {"city": ("Boone", "Ames", "Elsewhere")[two % 3], "zip": "50010", "county": ("POLK", "LONE")[two % 2]}
    await shop.edit("store", shop.stores[one % 5], place)


async def _move_product(shop: Shop, one: int, two: int) -> None:
    category = await shop.any_key("category", two) if two % 4 else None
    vendor = await shop.any_key("vendor", two) if two % 3 else None
    await shop.edit("product", shop.products[one % 4], {"categoryId": category, "vendorId": vendor})


def _rename(table: str) -> Change:
    async def rename(shop: Shop, one: int, two: int) -> None:
        await shop.edit(table, await shop.any_key(table, one), {"name": NAMES[two % 6]})

    return rename


def _by_hand(statement: str, table: str) -> Change:
    async def execute(shop: Shop, one: int, two: int) -> None:
        key = await shop.any_key(table, one)
        values = {"key": key, "name": f"{NAMES[two % 6]} {next(shop.fresh)}", "number": 10_000 + next(shop.fresh)}
        await shop.execute(statement, **{name: value for name, value in values.items() if f":{name}" in statement})

    return execute


CHANGES: Mapping[str, Change] = {
    "sell": Shop.sell,
    "begin a draft": Shop.begin,
    "add lines": _add,
    "set lines": _set,
    "give another date and customer": _redate,
    "issue": _issue,
    "pay": _pay,
    "void": _void,
    "credit": _credit,
    "delete a draft": _delete,
    "load a file": Shop.load,
    "take a file back": Shop.take_back,
    "move a store": _move_store,
    "move a product": _move_product,
    "rename a store": _rename("store"),
    "rename a product": _rename("product"),
    "rename a category": _rename("category"),
    "rename a vendor": _rename("vendor"),
    "rename a customer": _rename("customer"),
    "number a category by hand": _by_hand("UPDATE category SET number = :number WHERE id = :key", "category"),
    "number a county by hand": _by_hand("UPDATE county SET number = :number WHERE id = :key", "county"),
    "rename a county by hand": _by_hand("UPDATE county SET name = :name WHERE id = :key", "county"),
    "rename a city by hand": _by_hand("UPDATE place SET city = upper(:name) WHERE id = :key", "place"),
    "write a line by hand": Shop.insert_lines,
    "delete lines by hand": Shop.delete_lines,
    "pay another price by hand": _by_hand(
        "UPDATE invoice_line SET unit_price = unit_price + 1, revenue = revenue + quantity WHERE invoice_id = :key",
        "invoice",
    ),
    "give an invoice away by hand": _by_hand(
        "UPDATE invoice SET created_by = NULL, customer_id = NULL WHERE id = :key", "invoice"
    ),
}
# What no report of sums shows.
UNSEEN = frozenset({
    "begin a draft", "add lines", "give another date and customer", "delete a draft", "pay", "rename a customer",
    "set lines",
})  # fmt: skip


async def sales_events(shop: Shop) -> int:
    """How many times anything has said that sales have changed."""
    async with shop.case.database.read() as session:
        return int((await session.execute(text("SELECT count(*) FROM outbox WHERE topic = 'SALES'"))).scalar_one())
