"""Time typical sales reports against the same questions in hand-written SQL, in one run on one database.

    python -m benchmarks.report_latency postgresql://user@host/database [--runs 20]

The report also sorts, names and pages its groups and adds the grand total; the SQL only sums and sorts.
"""

import argparse
import asyncio
import platform
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from time import perf_counter

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.reports.dimensions import Dimension, TimeBucket
from graphql_api.reports.period import EarlierPeriod
from graphql_api.reports.question import SalesQuestion
from graphql_api.services.facet import FacetField, facets
from graphql_api.services.overview import sales_overview
from graphql_api.services.report import sales_report

SUMS = "count(*), sum(l.quantity), sum(l.revenue), sum(l.cost), sum(l.volume_ml)"
PLACE = "invoice_line l JOIN place p ON p.id = l.place_id"
PRODUCT = "JOIN product d ON d.id = l.product_id"
SPRING = {"gte": date(2019, 2, 10), "lte": date(2019, 3, 20)}


@dataclass(frozen=True)
class Case:
    """A report and the SQL that sums the same; the SQL is empty where nobody would write one statement."""

    name: str
    question: SalesQuestion
    sql: str = ""


def _sql(groups: str, source: str = "invoice_line l", where: str = "true", first: int = 50) -> str:
    grouped = f"SELECT {groups}, {SUMS} FROM {source} WHERE {where} GROUP BY {groups}"  # noqa: S608 - constants
    return f"{grouped} ORDER BY sum(l.revenue) DESC LIMIT {first}"


CASES = (
    Case("county, top 10", SalesQuestion(group_by=(Dimension.COUNTY,), first=10), _sql("p.county_id", PLACE, first=10)),
    Case("city", SalesQuestion(group_by=(Dimension.CITY,)), _sql("p.city", PLACE)),
    Case("zip", SalesQuestion(group_by=(Dimension.ZIP,)), _sql("p.zip_code", PLACE)),
    Case("store", SalesQuestion(group_by=(Dimension.STORE,)), _sql("l.store_id")),
    Case("product", SalesQuestion(group_by=(Dimension.PRODUCT,)), _sql("l.product_id")),
    Case("month", SalesQuestion(group_by=(TimeBucket.MONTH,)), _sql("date_trunc('month', l.date)")),
    Case(
        "county, month, category",
        SalesQuestion(group_by=(Dimension.COUNTY, TimeBucket.MONTH, Dimension.CATEGORY)),
        _sql("p.county_id, date_trunc('month', l.date), d.category_id", f"{PLACE} {PRODUCT}"),
    ),
    Case(
        "county, stores named hy-vee",
        SalesQuestion(where={"storeName": {"contains": "hy-vee"}}, group_by=(Dimension.COUNTY,)),
        _sql("p.county_id", f"{PLACE} JOIN store s ON s.id = l.store_id", "s.name ILIKE '%hy-vee%'"),
    ),
    Case(
        "county, one category, six weeks",
        SalesQuestion(where={"categoryName": {"eq": "WHITE RUM"}, "date": SPRING}, group_by=(Dimension.COUNTY,)),
        _sql(
            "p.county_id",
            f"{PLACE} {PRODUCT} JOIN category c ON c.id = d.category_id",
            f"c.name = 'WHITE RUM' AND l.date BETWEEN '{SPRING['gte']}' AND '{SPRING['lte']}'",
        ),
    ),
    Case(
        "county, compared with the period before",
        SalesQuestion(where={"date": SPRING}, group_by=(Dimension.COUNTY,), compare_to=EarlierPeriod.PREVIOUS_PERIOD),
    ),
    Case("grand total", SalesQuestion(), f"SELECT {SUMS} FROM invoice_line l"),  # noqa: S608 - constants
)


async def _times(run: Callable[[], Awaitable[object]], runs: int) -> list[float]:
    await run()  # connections, plans and caches
    times = []
    for _ in range(runs):
        started = perf_counter()
        await run()
        times.append((perf_counter() - started) * 1000)
    return sorted(times)


def _percentiles(times: list[float]) -> tuple[str, str]:
    last = len(times) - 1
    return f"{times[round(last * 0.5)]:.1f}", f"{times[round(last * 0.95)]:.1f}"


async def _measure(database: Database, runs: int) -> Table:
    table = Table("question", "report p50", "p95", "SQL p50", "p95", title=f"milliseconds, {runs} runs")

    async def ask(question: SalesQuestion) -> None:
        async with database.read() as session:
            await sales_report(session, question)

    async def execute(sql: str) -> None:
        async with database.read() as session:
            (await session.execute(text(sql))).all()

    for case in CASES:
        report = await _times(lambda case=case: ask(case.question), runs)  # type: ignore[misc] # bound at once
        plain = await _times(lambda case=case: execute(case.sql), runs) if case.sql else None  # type: ignore[misc] # as above
        table.add_row(case.name, *_percentiles(report), *(_percentiles(plain) if plain else ("", "")))
    for name, field, search in (
        ("facet: all counties", FacetField.COUNTY, None),
        ("facet: stores, hy", FacetField.STORE_NAME, "hy"),
        ("facet: products, rum", FacetField.PRODUCT_NAME, "rum"),
    ):
        times = await _times(lambda field=field, search=search: _facets(database, field, search), runs)  # type: ignore[misc] # as above
        table.add_row(name, *_percentiles(times), "", "")
    table.add_row("overview", *_percentiles(await _times(lambda: _overview(database), runs)), "", "")
    return table


async def _facets(database: Database, field: FacetField, search: str | None) -> None:
    async with database.read() as session:
        await facets(session, field, search=search)


async def _overview(database: Database) -> None:
    async with database.read() as session:
        await sales_overview(session)


async def measure_reports(database_url: str, runs: int) -> None:
    """Measure and print."""
    database = Database(database_url)
    try:
        async with database.read() as session:
            lines = await session.scalar(text("SELECT count(*) FROM invoice_line"))
        console = Console()
        console.print(f"{lines:,} lines on {platform.machine()}, {platform.system()} {platform.release()}")
        console.print(await _measure(database, runs))
    finally:
        await database.close()


def main() -> None:
    """Measure a database that exists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database_url")
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    asyncio.run(measure_reports(arguments.database_url, arguments.runs))


if __name__ == "__main__":
    main()
