"""Generated sales and generated questions: the report must say what plain Python says, to the cent."""

import asyncio
import os
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.reports.dimensions import Dimension, GroupKey, TimeBucket
from graphql_api.reports.measures import Measure, SalesMeasures
from graphql_api.reports.period import DateRange, EarlierPeriod, earlier_period
from graphql_api.reports.question import OrderValue, ReportOrder, SalesQuestion
from graphql_api.services.report import ReportRow, SalesReport, sales_report
from graphql_api.services.sales_filter import split_dates
from tests import factories
from tests.services.report_oracle import Expected, Sale, answer, measured

# More by hand: REPORT_EXAMPLES=5000 pytest tests/services/test_report_property.py
EXAMPLES = int(os.environ.get("REPORT_EXAMPLES", "120"))
# Shrinking a failure takes minutes: done only when examples are asked for by hand.
PHASES = list(Phase) if "REPORT_EXAMPLES" in os.environ else [Phase.generate]
FIRST_DAY = date(2019, 11, 20)
DAYS = 130  # over a year's end, a 29 February and weeks that belong to the other year


@dataclass
class World:
    """The stores and products every example sells, with what filters and groups see of them."""

    stores: list[tuple[StoreRow, dict[str, Any], dict[Dimension, tuple[Any, Any]]]]
    products: list[tuple[ProductRow, dict[str, Any], dict[Dimension, tuple[Any, Any]]]]


async def create_world(session: AsyncSession) -> World:
    polk = await factories.create_county(session, name="POLK", number=77)
    lone = await factories.create_county(session, name="LONE", number=None)
    places = [
        ("AMES", "50010", polk),
        ("AMES", "50011", lone),
        ("BOONE", None, polk),
        (None, "50036", None),
        (None, None, None),
    ]
    stores = []
    for number, (city, zip_code, county) in enumerate(places, start=1):
        place = await factories.create_place(session, city=city, zip_code=zip_code, county=county)
        name = "TWIN" if number < 3 else f"STORE{number}"
        store = await factories.create_store(session, number=number, name=name, place=place)
        fields = {"storeNumber": number, "storeName": name, "city": city, "zip": zip_code}
        fields |= {"county": county and county.name, "countyNumber": county and county.number}
        groups: dict[Dimension, tuple[Any, Any]] = {
            Dimension.STORE: (store.id, name),
            Dimension.CITY: (city, city),
            Dimension.ZIP: (zip_code, zip_code),
            Dimension.COUNTY: (county.id, county.name) if county else (None, None),
        }
        stores.append((store, fields, groups))
    return World(stores, await create_products(session))


async def create_products(session: AsyncSession) -> Any:
    rum = await factories.create_category(session, name="RUM", number=10)
    gin = await factories.create_category(session, name="GIN", number=None)
    vendor = await factories.create_vendor(session, name="ACME", number=5)
    products = []
    for number, (category, maker, volume) in enumerate(
        [(rum, vendor, 750), (gin, None, None), (rum, None, 1000), (None, vendor, 50)]
    ):
        name = "SAME" if number < 2 else f"ITEM{number}"
        product = await factories.create_product(
            session, sku=f"S{number}", name=name, category=category, vendor=maker, volume_ml=volume
        )
        fields: dict[str, Any] = {"sku": f"S{number}", "productName": name, "vendorName": maker and maker.name}
        fields |= {"vendorNumber": maker and maker.number}
        fields |= {"categoryName": category and category.name, "categoryNumber": category and category.number}
        groups: dict[Dimension, tuple[Any, Any]] = {
            Dimension.PRODUCT: (product.id, name),
            Dimension.CATEGORY: (category.id, category.name) if category else (None, None),
            Dimension.VENDOR: (maker.id, maker.name) if maker else (None, None),
        }
        products.append((product, fields, groups))
    return products


DATES = st.integers(0, DAYS).map(lambda days: FIRST_DAY + timedelta(days=days))
LINES = st.tuples(
    st.integers(0, 4),  # store
    st.integers(0, 3),  # product
    DATES,
    st.integers(-3, 9),  # bottles
    st.integers(0, 2_000),  # price
    st.integers(-500, 9_000),  # cost
    st.sampled_from(["PAID", "PAID", "PAID", "ISSUED", "VOID", "DRAFT"]),
)
TEXTS = {
    "storeName": ["TWIN", "STORE3"],
    "city": ["ames", " Boone "],
    "zip": ["50010", "50036"],
    "county": ["polk", "LONE"],
    "categoryName": ["RUM", "GIN"],
    "vendorName": ["ACME"],
    "sku": ["S0", "S3"],
    "productName": ["SAME", "ITEM2"],
}
NUMBERS = {"storeNumber": [1, 2, 5], "countyNumber": [77], "categoryNumber": [10], "vendorNumber": [5]}


@st.composite
def leaf_filters(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from([*TEXTS, *NUMBERS]))
    choices = TEXTS.get(name) or NUMBERS[name]
    value = st.sampled_from(choices)
    operators: list[st.SearchStrategy[dict[str, Any]]] = [
        st.fixed_dictionaries({"eq": value}),
        st.fixed_dictionaries({"in": st.lists(value, max_size=2)}),
    ]
    if name not in {"storeNumber", "storeName", "sku", "productName"}:
        operators.append(st.fixed_dictionaries({"isNull": st.booleans()}))
    if name in TEXTS:
        part = st.sampled_from(["o", "S", "50", "%", "am"])
        operators += [
            st.fixed_dictionaries({"contains": part}),
            st.fixed_dictionaries({"startsWith": part}),
        ]
    else:
        operators.append(st.fixed_dictionaries({"gte": value, "lt": value}))
    return {name: draw(st.one_of(operators))}


FILTERS = st.recursive(
    leaf_filters(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda parts: {"and": parts}),
        st.lists(inner, max_size=2).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)
DATE_BOUNDS = st.fixed_dictionaries({}, optional={"gte": DATES, "gt": DATES, "lte": DATES, "lt": DATES})
HAVING: dict[str, tuple[Measure, Decimal, Any]] = {
    "revenue": (Measure.REVENUE, Decimal("50.00"), 5_000),
    "quantity": (Measure.QUANTITY, Decimal(4), 4),
    "margin": (Measure.MARGIN, Decimal("0.25"), Decimal("0.25")),
    "volumeLiters": (Measure.VOLUME_LITERS, Decimal("1.5"), 1_500),
}


@st.composite
def questions(draw: st.DrawFn) -> SalesQuestion:
    where: dict[str, Any] = dict(draw(st.one_of(st.just({}), FILTERS)))
    bounds = draw(DATE_BOUNDS)
    if bounds:
        where = {"and": [where, {"date": bounds}]} if draw(st.booleans()) else {**where, "date": bounds}
    dimensions = draw(st.lists(st.sampled_from(list(Dimension)), max_size=2, unique=True))
    bucket = draw(st.none() | st.sampled_from(list(TimeBucket)))
    groups: tuple[GroupKey, ...] = tuple(draw(st.permutations([*dimensions, *([bucket] if bucket else [])])))
    dates = split_dates(where)
    compare_to = None
    if dates.range is None or dates.range.days > 0:
        explicit = st.builds(lambda day, days: DateRange(day, day + timedelta(days)), DATES, st.integers(0, 60))
        names = [EarlierPeriod.PREVIOUS_YEAR] + [EarlierPeriod.PREVIOUS_PERIOD] * (dates.range is not None)
        compare_to = draw(st.none() | st.sampled_from(names) | explicit)
    return SalesQuestion(
        where=where,
        group_by=groups,
        having={name: {"gte": HAVING[name][1]} for name in draw(st.sets(st.sampled_from([*HAVING]), max_size=1))},
        order_by=tuple(draw(orders(groups, is_compared=compare_to is not None))),
        first=draw(st.sampled_from([1, 2, 3, 1000])),
        others=draw(st.booleans()),
        compare_to=compare_to,
        gap_fill=bucket is not None and len(groups) < 3 and draw(st.booleans()),
    )


@st.composite
def orders(draw: st.DrawFn, groups: Any, *, is_compared: bool) -> list[ReportOrder]:
    values = list(OrderValue) if is_compared else [OrderValue.CURRENT]
    measures = st.builds(ReportOrder, st.sampled_from(list(Measure)), st.booleans(), st.sampled_from(values))
    keys = st.builds(ReportOrder, st.sampled_from(groups), st.booleans()) if groups else st.nothing()
    return draw(st.lists(measures | keys, max_size=3, unique_by=lambda order: (order.by, order.value)))


async def insert_sales(session: AsyncSession, world: World, lines: list[Any]) -> list[Sale]:
    invoices, rows, sales = [], [], []
    for number, (store_index, product_index, day, quantity, price, cost, status) in enumerate(lines, start=1):
        store, store_fields, store_groups = world.stores[store_index]
        product, product_fields, product_groups = world.products[product_index]
        volume = None if product.volume_ml is None else quantity * product.volume_ml
        revenue = quantity * price
        invoices.append({"id": number, "number": f"I{number}", "store_id": store.id, "date": day, "status": status})
        rows.append(
            {
                "invoice_id": number,
                "line_number": 1,
                "store_id": store.id,
                "place_id": store.place_id,
                "product_id": product.id,
                "date": day,
                "quantity": quantity,
                "unit_price": price,
                "revenue": revenue,
                "cost": cost,
                "volume_ml": volume,
            }
        )
        sums = SalesMeasures(1, quantity, revenue, cost, volume or 0)
        fields = {**store_fields, **product_fields, "date": day}
        is_counted = status in {"PAID", "ISSUED"}
        sales.append(Sale(fields, {**store_groups, **product_groups}, day, sums, is_counted))
    if lines:
        await session.execute(insert(InvoiceRow), invoices)
        await session.execute(insert(InvoiceLineRow), rows)
    return sales


def has(question: SalesQuestion, sums: SalesMeasures) -> bool:
    for name in question.having:
        measure, _, least = HAVING[name]
        value = measured(measure, sums)
        if value is None or value < least:
            return False
    return True


def expect(sales: list[Sale], question: SalesQuestion) -> Expected:
    dates = split_dates(normalised(question).where)
    present = compared = None
    if question.compare_to is not None:
        present = present_days(sales, dates.first, dates.last)
        named = question.compare_to
        compared = named if isinstance(named, DateRange) else earlier_period(present, named)
    return answer(
        sales,
        normalised(question),
        having=lambda sums: has(question, sums),
        present=present,
        compared=compared,
        without_dates=dates.rest,
        bounds=(dates.first, dates.last),
    )


def present_days(sales: list[Sale], first: date | None, last: date | None) -> DateRange:
    days = [sale.day for sale in sales if sale.is_counted]
    if first:
        return DateRange(first, last or max([first, *days]))
    end = last or max(days, default=date(2000, 1, 1))
    return DateRange(min([end, *days]), end)


def normalised(question: SalesQuestion) -> SalesQuestion:
    """City names as the oracle compares them: without the spaces a client may send."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: clean(item) for name, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        return value.strip() if isinstance(value, str) else value

    return replace(question, where=clean(question.where))


async def all_pages(session: AsyncSession, question: SalesQuestion) -> tuple[list[ReportRow], list[SalesReport]]:
    rows: list[ReportRow] = []
    reports: list[SalesReport] = []
    after = None
    while True:
        report = await sales_report(session, replace(question, after=after))
        reports.append(report)
        rows += report.rows
        if not report.has_next:
            return rows, reports
        after = report.rows[-1].cursor


def check(rows: list[ReportRow], reports: list[SalesReport], expected: Expected, question: SalesQuestion) -> None:
    assert [(row.values, row.names, row.measures) for row in rows] == [
        (row.values, row.names, row.now) for row in expected.rows
    ]
    if question.compare_to:
        assert [row.before for row in rows] == [row.before for row in expected.rows]
    for report in reports:
        assert report.total_groups == len(expected.rows)
        assert report.grand_total == expected.now
        assert report.before_total == (expected.before if question.compare_to else None)
        assert len(report.rows) <= question.first
        if question.others:
            assert report.others is not None
            assert sum((row.measures for row in report.rows), report.others) == expected.now


def test_any_report_says_what_plain_python_says(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)

        async def prepare() -> World:
            async with database.transaction() as session:
                return await create_world(session)

        world = runner.run(prepare())

        async def ask(lines: list[Any], question: SalesQuestion) -> None:
            async with AsyncSession(database.engine) as session:  # rolled back at the end
                sales = await insert_sales(session, world, lines)
                check(*await all_pages(session, question), expect(sales, question), question)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=PHASES,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.lists(LINES, max_size=25), questions())
        def examine(lines: list[Any], question: SalesQuestion) -> None:
            runner.run(ask(lines, question))

        try:
            examine()
        finally:
            runner.run(database.close())
