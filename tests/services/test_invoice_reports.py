"""What reports make of invoices: drafts and voids count nowhere, credit notes count negative on their own day."""

import datetime as dt

import pytest

from graphql_api.database.engine import Database
from graphql_api.reports.dimensions import Dimension, TimeBucket
from graphql_api.reports.question import SalesQuestion
from graphql_api.services import invoice_reversal
from graphql_api.services.invoice_reversal import CreditWish
from graphql_api.services.overview import sales_overview
from graphql_api.services.paging import PageRequest
from graphql_api.services.report import SalesReport, report_lines, sales_report
from tests.services.invoice_case import InvoiceCase

SOLD, TAKEN_BACK = dt.date(2024, 3, 10), dt.date(2024, 4, 20)


@pytest.fixture
async def case(database: Database) -> InvoiceCase:
    case = InvoiceCase(database)
    await case.fill()
    return case


async def ask(case: InvoiceCase, *groups: Dimension | TimeBucket) -> SalesReport:
    async with case.database.read() as session:
        return await sales_report(session, SalesQuestion(group_by=groups))


async def sold(case: InvoiceCase) -> tuple[int, int, int, int]:
    """Lines, bottles, revenue and cost of everything."""
    total = (await ask(case)).grand_total
    return total.line_count, total.quantity, total.revenue, total.cost


async def test_an_invoice_counts_from_its_issue_to_its_voiding(case: InvoiceCase) -> None:
    found = []
    invoice = await case.draft(case.wish(0, 2), case.wish(1, 1))
    found.append(await sold(case))
    await case.rehearse(invoice)
    found.append(await sold(case))
    invoice = await case.issue(invoice)
    found.append(await sold(case))
    invoice = await case.set(invoice, case.wish(0, 1))
    found.append(await sold(case))
    await case.void(invoice)
    found.append(await sold(case))

    assert found == [(0, 0, 0, 0), (0, 0, 0, 0), (2, 3, 2_700, 1_800), (2, 2, 1_800, 1_200), (0, 0, 0, 0)]


async def test_a_paid_invoice_counts_and_its_credit_counts_negative_on_its_own_day(case: InvoiceCase) -> None:
    invoice = await case.paid(case.wish(0, 3), case.wish(1, 1), date=SOLD)
    wish = CreditWish("broken", restock=True, lines=[(1, 2)], date=TAKEN_BACK)

    await case.act(lambda work: invoice_reversal.credit_invoice(work, invoice.id, invoice.version, wish, case.staff))

    assert await sold(case) == (3, 2, 1_800, 1_200)
    by_month = {row.values: row.measures for row in (await ask(case, TimeBucket.MONTH)).rows}
    assert {day: (sums.quantity, sums.revenue, sums.cost) for (day,), sums in by_month.items()} == {
        dt.date(2024, 3, 1): (4, 3_600, 2_400),
        dt.date(2024, 4, 1): (-2, -1_800, -1_200),
    }
    by_product = {row.names: row.measures.revenue for row in (await ask(case, Dimension.PRODUCT)).rows}
    assert by_product == {("Product ALE",): 900, ("Product GIN",): 900}


async def test_what_is_lost_costs_all_the_same(case: InvoiceCase) -> None:
    invoice = await case.paid(case.wish(0, 3))

    await case.credit(invoice, restock=False)

    assert await sold(case) == (2, 0, 0, 1_800), "nothing was earned, and the bottles are gone"


async def test_the_lines_behind_a_row_are_those_that_count(case: InvoiceCase) -> None:
    await case.draft(case.wish(0, 1))
    await case.void(await case.issued(case.wish(0, 2)))
    invoice = await case.issued(case.wish(0, 3))
    note = (await case.credit(invoice, [(1, 1)])).note

    async with case.database.read() as session:
        question = SalesQuestion(group_by=(Dimension.STORE,))
        page = await report_lines(session, question, [case.store.id], PageRequest(first=10))
        overview = await sales_overview(session)

    assert [(line.invoice_id, line.quantity) for line in page.rows] == [(note.id, -1), (invoice.id, 3)]
    assert (overview.sales.quantity, overview.sales.revenue, overview.products_selling) == (2, 1_800, 1)
