"""Sales reports on a few lines whose sums fit in the head."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.reports.dimensions import Dimension, TimeBucket
from graphql_api.reports.measures import Measure, SalesMeasures
from graphql_api.reports.period import DateRange, EarlierPeriod
from graphql_api.reports.planner import LINES, plan
from graphql_api.reports.question import OrderValue, ReportOrder, SalesQuestion
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.paging import PageRequest
from graphql_api.services.report import SalesReport, report_lines, sales_report
from tests.factories import (
    Line,
    create_category,
    create_county,
    create_invoice,
    create_place,
    create_product,
    create_store,
    create_vendor,
)

COUNTY = (Dimension.COUNTY,)
MONTH = (TimeBucket.MONTH,)
JANUARY, FEBRUARY, MARCH = date(2024, 1, 10), date(2024, 2, 10), date(2024, 3, 10)


async def ask(database: Database, question: SalesQuestion) -> SalesReport:
    async with database.read() as session:
        return await sales_report(session, question)


async def create_sales(database: Database) -> None:
    """Polk sells rum for 9.00 twice in January and once in March; nowhere sells gin for 5.00 in January."""
    async with database.transaction() as session:
        polk = await create_county(session, name="POLK", number=77)
        ames = await create_place(session, city="AMES", zip_code="50010", county=polk)
        unknown = await create_place(session, city=None, zip_code=None)
        here = await create_store(
            session, number=1, name="Hy-Vee", place=ames, latitude=Decimal("42.0"), longitude=Decimal("-93.6")
        )
        nowhere = await create_store(session, number=2, name="Casey's", place=unknown)
        category = await create_category(session, name="RUM", number=10)
        vendor = await create_vendor(session, name="ACME", number=5)
        rum = await create_product(session, sku="R", name="Old rum", category=category, vendor=vendor)
        gin = await create_product(session, sku="G", name="Dry gin", unit_price=500, unit_cost=600, volume_ml=None)
        await create_invoice(session, Line(rum, 2), store=here, date=JANUARY)
        await create_invoice(session, Line(rum, 1), store=here, date=MARCH)
        await create_invoice(session, Line(gin, 1), store=nowhere, date=JANUARY)


POLK_SUMS = SalesMeasures(line_count=2, quantity=3, revenue=2_700, cost=1_800, volume_ml=2_250)
UNKNOWN_SUMS = SalesMeasures(line_count=1, quantity=1, revenue=500, cost=600, volume_ml=0)


async def test_a_missing_county_is_a_group_of_its_own(database: Database) -> None:
    await create_sales(database)

    report = await ask(database, SalesQuestion(group_by=COUNTY))

    assert [(row.names, row.measures) for row in report.rows] == [(("POLK",), POLK_SUMS), ((None,), UNKNOWN_SUMS)]
    assert report.rows[1].values == (None,)
    assert report.grand_total == POLK_SUMS + UNKNOWN_SUMS
    assert [row.share for row in report.rows] == [Decimal("0.8438"), Decimal("0.1562")]


async def test_a_report_without_sales_has_no_rows_and_a_total_of_zero(database: Database) -> None:
    grouped = await ask(database, SalesQuestion(group_by=COUNTY, others=True))
    whole = await ask(database, SalesQuestion())

    assert (grouped.rows, grouped.total_groups, grouped.others) == ([], 0, SalesMeasures())
    assert [row.measures for row in whole.rows] == [SalesMeasures()]
    assert whole.rows[0].share is None


async def test_drafts_and_voided_invoices_never_count(database: Database) -> None:
    async with database.transaction() as session:
        product, store = await create_product(session), await create_store(session)
        for status, quantity in zip(InvoiceStatus, (1, 10, 100, 1_000), strict=True):
            await create_invoice(session, Line(product, quantity), store=store, status=status)
        await create_invoice(session, Line(await create_product(session)), status=InvoiceStatus.VOID)

    report = await ask(database, SalesQuestion(group_by=(Dimension.PRODUCT,)))

    assert list(InvoiceStatus) == ["DRAFT", "ISSUED", "PAID", "VOID"]
    assert [row.measures.quantity for row in report.rows] == [110]
    assert report.total_groups == 1


async def test_an_old_sale_stays_in_the_county_it_was_made_in(database: Database) -> None:
    async with database.transaction() as session:
        old = await create_place(session, county=await create_county(session, name="OLD"))
        new = await create_place(session, county=await create_county(session, name="NEW"))
        store, product = await create_store(session, place=old), await create_product(session)
        await create_invoice(session, Line(product), store=store)
        store.place_id = new.id
        session.add(store)
        await session.flush()
        await create_invoice(session, Line(product), store=store)

    report = await ask(database, SalesQuestion(group_by=(*COUNTY, Dimension.STORE)))

    assert sorted(row.names[0] or "" for row in report.rows) == ["NEW", "OLD"]


@pytest.mark.parametrize(
    ("where", "revenue"),
    [
        ({"county": {"eq": " polk "}}, 2_700),
        ({"county": {"isNull": True}}, 500),
        ({"countyNumber": {"eq": 77}}, 2_700),
        ({"city": {"in": ["ames"]}}, 2_700),
        ({"zip": {"startsWith": "500"}}, 2_700),
        ({"storeNumber": {"gt": 1}}, 500),
        ({"storeName": {"contains": "VEE"}}, 2_700),
        ({"near": {"latitude": Decimal(42), "longitude": Decimal("-93.7"), "kilometers": Decimal(10)}}, 2_700),
        ({"near": {"latitude": Decimal(42), "longitude": Decimal("-93.7"), "kilometers": Decimal(8)}}, 0),
        ({"categoryNumber": {"eq": 10}}, 2_700),
        ({"categoryName": {"isNull": True}}, 500),
        ({"vendorNumber": {"eq": 5}}, 2_700),
        ({"vendorName": {"eq": "ACME"}}, 2_700),
        ({"sku": {"eq": "G"}}, 500),
        ({"productName": {"contains": "GIN"}}, 500),
        ({"date": {"gte": JANUARY, "lt": MARCH}}, 2_300),
        ({"date": {"in": [MARCH]}}, 900),
        ({"or": [{"sku": {"eq": "G"}}, {"date": {"eq": MARCH}}]}, 1_400),
        ({"not": {"county": {"eq": "POLK"}}}, 500),
        ({"storeNumber": {"in": []}}, 0),
        ({}, 3_200),
    ],
)
async def test_each_filter_keeps_what_it_says(database: Database, where: dict[str, Any], revenue: int) -> None:
    await create_sales(database)

    report = await ask(database, SalesQuestion(where=where))

    assert report.grand_total.revenue == revenue


async def test_having_hides_groups_from_the_rows_and_not_from_the_total(database: Database) -> None:
    await create_sales(database)

    question = SalesQuestion(group_by=COUNTY, having={"profit": {"gt": Decimal("8.99")}}, others=True)
    report = await ask(database, question)

    assert [row.names for row in report.rows] == [("POLK",)]
    assert (report.total_groups, report.others) == (1, UNKNOWN_SUMS)
    assert report.grand_total == POLK_SUMS + UNKNOWN_SUMS


async def test_pages_follow_each_other_in_any_order(database: Database) -> None:
    await create_sales(database)
    orders = (ReportOrder(Measure.MARGIN), ReportOrder(Dimension.COUNTY, descending=False))
    question = SalesQuestion(group_by=(*COUNTY, *MONTH), order_by=orders, first=1)

    seen = []
    report = await ask(database, question)
    while report.has_next:
        seen.append(report.rows[0].values)
        report = await ask(database, replace(question, after=report.rows[0].cursor))
    seen.append(report.rows[0].values)

    whole = await ask(database, replace(question, first=10))
    assert seen == [row.values for row in whole.rows]
    assert len(seen) == 3


async def test_a_cursor_of_another_order_is_refused(database: Database) -> None:
    await create_sales(database)
    report = await ask(database, SalesQuestion(group_by=COUNTY, first=1))

    by_cost = SalesQuestion(group_by=COUNTY, order_by=(ReportOrder(Measure.COST),), after=report.rows[0].cursor)
    with pytest.raises(BadInput) as caught:
        await ask(database, by_cost)

    assert caught.value.path == ("after",)


async def test_the_previous_period_of_whole_months_is_whole_months(database: Database) -> None:
    await create_sales(database)
    march = {"date": {"gte": date(2024, 3, 1), "lt": date(2024, 4, 1)}}

    report = await ask(database, SalesQuestion(where=march, group_by=COUNTY, compare_to=EarlierPeriod.PREVIOUS_PERIOD))

    assert report.compared == DateRange(date(2024, 2, 1), date(2024, 2, 29))
    assert report.rows[0].before == SalesMeasures()


async def test_groups_that_sold_only_before_are_rows_of_zero(database: Database) -> None:
    await create_sales(database)
    march = {"date": {"gte": date(2024, 3, 1), "lte": date(2024, 3, 31)}}
    january = DateRange(date(2024, 1, 1), date(2024, 1, 31))

    report = await ask(database, SalesQuestion(where=march, group_by=COUNTY, compare_to=january))

    assert [(row.names[0], row.measures.revenue, row.before and row.before.revenue) for row in report.rows] == [
        ("POLK", 900, 1_800),
        (None, 0, 500),
    ]
    assert report.before_total is not None
    assert report.before_total.revenue == 2_300


async def test_months_stand_beside_the_same_months_of_the_year_before(database: Database) -> None:
    async with database.transaction() as session:
        product, store = await create_product(session, unit_price=100), await create_store(session)
        for day, quantity in ((date(2023, 2, 28), 1), (date(2024, 2, 29), 2), (date(2024, 3, 1), 4)):
            await create_invoice(session, Line(product, quantity), store=store, date=day)

    question = SalesQuestion(
        where={"date": {"gte": date(2024, 1, 1), "lte": date(2024, 12, 31)}},
        group_by=MONTH,
        compare_to=EarlierPeriod.PREVIOUS_YEAR,
    )
    report = await ask(database, question)

    assert [(row.values[0], row.measures.quantity, row.before and row.before.quantity) for row in report.rows] == [
        (date(2024, 2, 1), 2, 1),
        (date(2024, 3, 1), 4, 0),
    ]


async def test_what_grew_most_comes_first(database: Database) -> None:
    await create_sales(database)
    march = {"date": {"gte": date(2024, 3, 1), "lte": date(2024, 3, 31)}}
    question = SalesQuestion(
        where=march,
        group_by=COUNTY,
        compare_to=DateRange(date(2024, 1, 1), date(2024, 1, 31)),
        order_by=(ReportOrder(Measure.REVENUE, value=OrderValue.CHANGE),),
    )

    report = await ask(database, question)

    assert [row.names[0] for row in report.rows] == [None, "POLK"]


async def test_gaps_are_filled_for_every_combination_that_sold(database: Database) -> None:
    await create_sales(database)

    report = await ask(database, SalesQuestion(group_by=(*MONTH, *COUNTY), gap_fill=True))

    months = [(row.values[0], row.names[1], row.measures.line_count) for row in report.rows]
    assert months == [
        (date(2024, 1, 1), "POLK", 1),
        (date(2024, 1, 1), None, 1),
        (date(2024, 2, 1), "POLK", 0),
        (date(2024, 2, 1), None, 0),
        (date(2024, 3, 1), "POLK", 1),
        (date(2024, 3, 1), None, 0),
    ]


async def test_gaps_reach_to_the_ends_of_the_date_filter(database: Database) -> None:
    year = {"date": {"gte": date(2024, 1, 15), "lt": date(2025, 1, 1)}}

    report = await ask(database, SalesQuestion(where=year, group_by=(TimeBucket.QUARTER,), gap_fill=True))

    assert [row.values[0].isoformat()[:7] for row in report.rows if isinstance(row.values[0], date)] == [
        "2024-01",
        "2024-04",
        "2024-07",
        "2024-10",
    ]


async def test_filling_too_many_gaps_is_refused_with_the_way_out(database: Database) -> None:
    await create_sales(database)
    long = {"date": {"gte": date(1900, 1, 1)}}

    with pytest.raises(TooComplex, match="coarser") as caught:
        await ask(database, SalesQuestion(where=long, group_by=(TimeBucket.DAY,), gap_fill=True))

    assert caught.value.path == ("gapFill",)


@pytest.mark.parametrize("bucket", TimeBucket)
async def test_the_ends_of_the_calendar_are_days_as_any_other(database: Database, bucket: TimeBucket) -> None:
    await create_sales(database)

    for first, last in ((date(9999, 12, 1), date.max), (date.min, date(1, 1, 31))):
        dates = {"gte": first, "lte": last}
        report = await ask(database, SalesQuestion(where={"date": dates}, group_by=(bucket,), gap_fill=True))
        assert report.total_groups == {TimeBucket.DAY: 31, TimeBucket.WEEK: 5}.get(bucket, 1)

    for dates in ({"gte": date.min}, {"lte": date.max}, {"gte": date.min, "lte": date.max}):
        question = SalesQuestion(where={"date": dates}, group_by=(bucket,), gap_fill=True)
        if bucket is TimeBucket.YEAR:
            assert (await ask(database, question)).grand_total.line_count == 3
        elif bucket in {TimeBucket.DAY, TimeBucket.WEEK}:
            with pytest.raises(TooComplex, match="coarser"):
                await ask(database, question)


@pytest.mark.parametrize("bucket", TimeBucket)
async def test_periods_at_the_ends_of_the_calendar_can_be_compared(database: Database, bucket: TimeBucket) -> None:
    await create_sales(database)
    ranges = [
        DateRange(date.min, date(1, 12, 31)),
        DateRange(date(9999, 1, 1), date.max),
        DateRange(date.min, date.max),
    ]

    for present, compared in product(ranges, ranges):
        where = {"date": {"gte": present.first, "lte": present.last}}
        report = await ask(database, SalesQuestion(where=where, group_by=(bucket,), compare_to=compared))

        before = [row.before.line_count for row in report.rows if row.before]
        assert sum(before) == (3 if compared == ranges[-1] else 0)


async def test_weeks_begin_on_monday_even_over_the_end_of_a_year(database: Database) -> None:
    async with database.transaction() as session:
        product, store = await create_product(session), await create_store(session)
        for day in (date(2024, 12, 29), date(2024, 12, 30), date(2025, 1, 5), date(2025, 1, 6)):
            await create_invoice(session, Line(product), store=store, date=day)

    report = await ask(database, SalesQuestion(group_by=(TimeBucket.WEEK,)))

    assert [(row.values[0], row.measures.line_count) for row in report.rows] == [
        (date(2024, 12, 23), 1),
        (date(2024, 12, 30), 2),
        (date(2025, 1, 6), 1),
    ]


async def test_sums_stay_exact_beyond_what_a_float_can_hold(database: Database) -> None:
    async with database.transaction() as session:
        product, store = await create_product(session, unit_cost=0), await create_store(session)
        for extra in (0, 1):
            await create_invoice(session, Line(product, 1, unit_price=2**60 + extra), store=store)

    report = await ask(database, SalesQuestion(group_by=COUNTY))

    assert report.grand_total.revenue == 2**61 + 1
    assert report.rows[0].measures.value(Measure.REVENUE) == Decimal(2**61 + 1) / 100


async def test_a_group_leads_to_its_lines_page_by_page(database: Database) -> None:
    await create_sales(database)
    question = SalesQuestion(where={"sku": {"eq": "R"}}, group_by=(*COUNTY, TimeBucket.YEAR))
    row = (await ask(database, question)).rows[0]

    async with database.read() as session:
        first = await report_lines(session, question, row.values, PageRequest(first=1))
        second = await report_lines(session, question, row.values, PageRequest(first=1, after=first.cursors[0]))

    assert [(line.date, line.revenue) for line in (*first.rows, *second.rows)] == [(MARCH, 900), (JANUARY, 1_800)]
    assert (first.has_next, second.has_next) == (True, False)


async def test_the_lines_of_a_group_without_a_county_are_found_and_voided_ones_are_not(database: Database) -> None:
    await create_sales(database)
    async with database.transaction() as session:
        nowhere = await create_store(session, place=await create_place(session))
        await create_invoice(session, Line(await create_product(session)), store=nowhere, status=InvoiceStatus.VOID)

    async with database.read() as session:
        page = await report_lines(session, SalesQuestion(group_by=COUNTY), (None,), PageRequest())

    assert [line.revenue for line in page.rows] == [500]


@dataclass
class Counter:
    statements: int = 0


@asynccontextmanager
async def counted(database: Database) -> AsyncIterator[Counter]:
    counter = Counter()

    def count(*arguments: Any) -> None:
        counter.statements += not str(arguments[2]).startswith(("SET ", "SELECT set_config"))

    event.listen(database.engine.sync_engine, "before_cursor_execute", count)
    yield counter
    event.remove(database.engine.sync_engine, "before_cursor_execute", count)


@pytest.mark.parametrize(
    ("question", "statements"),
    [
        (SalesQuestion(group_by=(*COUNTY, *MONTH, Dimension.CATEGORY), others=True, gap_fill=True), 1),
        (SalesQuestion(where={"date": {"eq": MARCH}}, compare_to=EarlierPeriod.PREVIOUS_PERIOD), 1),
        (SalesQuestion(group_by=MONTH, compare_to=EarlierPeriod.PREVIOUS_YEAR), 2),
    ],
)
async def test_a_report_is_one_statement(database: Database, question: SalesQuestion, statements: int) -> None:
    await create_sales(database)

    async with counted(database) as counter:
        await ask(database, question)

    assert counter.statements == statements


def test_the_lines_can_answer_every_question() -> None:
    assert plan(SalesQuestion(group_by=tuple(Dimension), where={"near": {}, "date": {}})).source is LINES
