"""What invoices written here do to sales reports: from the draft to the credit note, by customer and salesperson."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.reports.dimensions import Dimension
from graphql_api.reports.question import SalesQuestion
from graphql_api.services.errors import BadInput
from graphql_api.services.facet import FacetField, facets
from graphql_api.services.invoice_draft import DraftWish, create_invoice
from graphql_api.services.invoice_edit import set_invoice_lines
from graphql_api.services.invoice_issue import issue_invoice
from graphql_api.services.invoice_line import LineWish
from graphql_api.services.invoice_reversal import CreditWish, credit_invoice, void_invoice
from graphql_api.services.overview import sales_overview
from graphql_api.services.policy import Viewer
from graphql_api.services.report import sales_report
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work
from tests.factories import create_customer, create_product, create_stock, create_store, create_user

Answer = TypeVar("Answer")
NOTHING = (0, 0, 0, 0)


class Till:
    """A store with 10 bottles that had cost 5.00 and 10 that had cost 7.00; each sells for 9.00."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def open(self) -> "Till":
        async with self.database.transaction() as session:
            store, product = await create_store(session), await create_product(session, unit_price=900, unit_cost=1)
            day = dt.date(2024, 1, 1)
            await create_stock(session, store, product, 10, unit_cost=500, received_on=day)
            await create_stock(session, store, product, 10, unit_cost=700, received_on=day + dt.timedelta(days=1))
            self.store, self.product = store.id, product.id
            self.customers = [(await create_customer(session)).id for _ in range(2)]
            users = [await create_user(session, role=Role.SALESPERSON) for _ in range(2)]
            self.sellers = [Viewer(user.id, Role.SALESPERSON, 1) for user in users]
            self.admin = Viewer((await create_user(session)).id, Role.ADMIN, 1)
        return self

    async def do(self, change: Callable[[UnitOfWork], Awaitable[Answer]]) -> Answer:
        async with unit_of_work(self.database) as work:
            return await change(work)

    async def draft(self, quantity: int, *, customer: int | None = None, seller: int = 0) -> int:
        wish = DraftWish(
            self.store,
            customer_id=None if customer is None else self.customers[customer],
            lines=[LineWish(self.product, quantity)],
        )
        return (await self.do(lambda work: create_invoice(work, wish, self.sellers[seller]))).id

    async def sell(self, quantity: int, *, customer: int | None = None, seller: int = 0) -> int:
        key = await self.draft(quantity, customer=customer, seller=seller)
        await self.do(lambda work: issue_invoice(work, key, 1, self.sellers[seller]))
        return key

    async def sold(self, **where: Any) -> tuple[int, int, int, int]:
        """Lines, bottles, revenue and profit."""
        async with self.database.read() as session:
            report = await sales_report(session, SalesQuestion(where=where, group_by=(Dimension.STORE,)))
        total = report.grand_total
        assert total == sum((row.measures for row in report.rows), type(total)())
        return total.line_count, total.quantity, total.revenue, total.profit


@pytest.fixture
async def till(database: Database) -> Till:
    return await Till(database).open()


async def test_a_draft_sells_nothing_until_it_is_issued_at_the_cost_of_its_bottles(till: Till) -> None:
    key = await till.draft(12)
    assert await till.sold() == NOTHING

    await till.do(lambda work: issue_invoice(work, key, 1, till.admin))

    # ten at 5.00, two at 7.00; the product's own cost of 0.01 is no matter
    assert await till.sold() == (1, 12, 10_800, 10_800 - 6_400)


async def test_a_line_that_is_lowered_keeps_the_cost_of_what_it_holds(till: Till) -> None:
    key = await till.sell(12)

    await till.do(lambda work: set_invoice_lines(work, key, 2, [LineWish(till.product, 11)], till.admin))

    assert await till.sold() == (1, 11, 9_900, 9_900 - 5_700)


async def test_a_voided_invoice_has_sold_nothing(till: Till) -> None:
    key = await till.sell(12)

    await till.do(lambda work: void_invoice(work, key, 2, "wrong customer", till.admin))

    assert await till.sold() == NOTHING


@pytest.mark.parametrize(("restock", "profit"), [(True, 9_000 - 5_000), (False, 9_000 - 6_400)])
async def test_a_credit_note_counts_negative(till: Till, *, restock: bool, profit: int) -> None:
    key = await till.sell(12)

    await till.do(lambda work: credit_invoice(work, key, 2, CreditWish("broken", restock, [(1, 2)]), till.admin))

    # what comes back last is what had cost 7.00; what does not come back stays paid for
    assert await till.sold() == (2, 10, 9_000, profit)


async def test_sales_of_a_customer_and_of_a_salesperson(till: Till) -> None:
    await till.sell(1, customer=0, seller=0)
    key = await till.sell(2, customer=0, seller=1)
    await till.sell(4, customer=1, seller=1)
    await till.sell(8)
    await till.draft(5, customer=0)
    one, two = till.customers

    def bottles(sold: tuple[int, int, int, int]) -> int:
        return sold[1]

    assert bottles(await till.sold(customer={"eq": one})) == 3
    assert bottles(await till.sold(customer={"in": [one, two]})) == 7
    assert bottles(await till.sold(customer={"in": []})) == 0
    assert bottles(await till.sold(salesperson={"eq": till.sellers[1].user_id})) == 6
    assert bottles(await till.sold(customer={"eq": one}, salesperson={"eq": till.sellers[1].user_id})) == 2
    assert bottles(await till.sold(**{"not": {"customer": {"eq": one}}})) == 12
    # a credit note is of the customer of its invoice
    await till.do(lambda work: credit_invoice(work, key, 2, CreditWish("back", restock=True), till.admin))
    assert bottles(await till.sold(customer={"eq": one})) == 1


async def test_facets_and_overview_know_customers_and_salespeople(till: Till, database: Database) -> None:
    await till.sell(1, customer=0, seller=0)
    await till.sell(2, customer=1, seller=1)
    async with database.read() as session:
        where = {"salesperson": {"eq": till.sellers[1].user_id}}
        overview = await sales_overview(session, where)
        stores = await facets(session, FacetField.STORE_NUMBER, where={"customer": {"eq": till.customers[0]}})

    assert (overview.sales.quantity, overview.sales_staff) == (2, 2)
    assert [facet.count for facet in stores] == [1]


async def test_an_operator_that_customers_do_not_have_is_refused(till: Till) -> None:
    with pytest.raises(BadInput) as refused:
        await till.sold(customer={"near": 1})
    assert refused.value.path == ("where", "customer", "near")
