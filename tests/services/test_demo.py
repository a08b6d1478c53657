import asyncio
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.demo import DemoSummary, load_demo
from graphql_api.demo.sales import sales_file
from graphql_api.services.import_run import RUN_LOCK
from graphql_api.services.storage import FileStorage
from tests.conftest import Databases

TODAY = date(2025, 6, 12)


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(str(tmp_path / "storage"))


async def query(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(text(statement))]


def content(today: date, lines: int = 4_000) -> bytes:
    return b"".join(sales_file(today, lines))


def rows(today: date, lines: int = 4_000) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(today, lines).decode())))


@dataclass
class Demo:
    """A demonstration of four thousand lines, to be looked at."""

    folder: Path
    summary: DemoSummary | None = None
    url: str = ""

    @property
    def loaded(self) -> DemoSummary:
        assert self.summary
        return self.summary

    async def query(self, statement: str) -> list[tuple[Any, ...]]:
        database = Database(self.url)
        try:
            return await query(database, statement)
        finally:
            await database.close()


@pytest.fixture(scope="module")
def demo(databases: Databases, template_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"))

    async def load(database: Database) -> None:
        storage = FileStorage(str(demo.folder / "storage"))
        demo.summary = await load_demo(database, storage, today=TODAY, lines=4_000)

    with databases.filled(template_name, load) as name:
        demo.url = databases.url(name)
        yield demo


async def test_the_demo_fills_an_empty_database(demo: Demo) -> None:
    summary = demo.loaded
    assert (summary.stores, summary.products) == (40, 120)
    assert 3_500 < summary.lines < 4_500
    sizes = await demo.query(
        "SELECT (SELECT count(*) FROM county), (SELECT count(*) FROM category), (SELECT count(*) FROM vendor), "
        "(SELECT count(*) FROM store s JOIN place p ON p.id = s.place_id WHERE p.county_id IS NULL)",
    )
    assert sizes == [(12, 10, 15, 1)]


async def test_every_line_is_accepted_and_shows_as_an_import(demo: Demo) -> None:
    lines = demo.loaded.lines
    jobs = await demo.query(
        "SELECT rows_read, rows_inserted, rows_updated, rows_unchanged, rows_rejected FROM import_job ORDER BY id"
    )
    assert len(jobs) == 2
    assert jobs[0] == (lines, lines, 0, 0, 0)


async def test_the_sales_are_paid_and_end_yesterday(demo: Demo) -> None:
    dates = await demo.query("SELECT min(date), max(date) FROM invoice_line")
    assert await demo.query("SELECT DISTINCT status FROM invoice") == [("PAID",)]
    assert dates[0][0] - (TODAY - timedelta(days=730)) < timedelta(days=7)
    assert dates[0][1] == TODAY - timedelta(days=1)


async def test_the_books_have_returns_discounts_profit_and_volume(demo: Demo) -> None:
    shares = await demo.query(
        "SELECT count(*) FILTER (WHERE quantity < 0), count(*) FILTER (WHERE discount <> 0), "
        "count(*) FILTER (WHERE volume_ml IS NULL), sum(revenue) > sum(cost) FROM invoice_line",
    )
    returns, discounts, without_volume, is_profitable = shares[0]
    assert 5 < returns < 100
    assert 100 < discounts < 500
    assert (without_volume, is_profitable) == (0, True)


async def test_there_is_stock_some_of_it_short_and_some_about_to_expire(demo: Demo) -> None:
    assert await demo.query("SELECT sum(on_hand)::bigint FROM stock_level") == [(demo.loaded.bottles,)]
    assert await demo.query("SELECT rows_rejected, status FROM import_job WHERE kind = 'PURCHASES'") == [
        (0, "COMPLETED")
    ]
    soon = TODAY + timedelta(days=30)
    ((short,),) = await demo.query("SELECT count(*) FROM low_stock_episode")
    expiries = await demo.query("SELECT expires_on FROM stock_lot WHERE expires_on IS NOT NULL")
    assert 20 < short < 300
    assert sum(TODAY <= day <= soon for (day,) in expiries) > 20


async def test_loading_again_changes_nothing(database: Database, storage: FileStorage) -> None:
    await load_demo(database, storage, today=TODAY, lines=200)
    before = await query(database, "SELECT count(*), sum(revenue) FROM invoice_line")
    again = await load_demo(database, storage, today=TODAY + timedelta(days=1), lines=200)
    assert again == DemoSummary(0, 0, 0, 0)
    assert await query(database, "SELECT count(*), sum(revenue) FROM invoice_line") == before


async def test_two_processes_that_start_at_once_load_it_once(
    database: Database, database_url: str, storage: FileStorage
) -> None:
    other = Database(database_url)
    first, second = await asyncio.gather(
        load_demo(database, storage, today=TODAY, lines=200), load_demo(other, storage, today=TODAY, lines=200)
    )
    await other.close()
    assert await query(database, "SELECT count(*) FROM import_job") == [(2,)]
    assert min(first.lines, second.lines) == 0
    assert await query(database, "SELECT count(*) FROM invoice_line") == [(first.lines + second.lines,)]


async def test_a_worker_that_took_the_job_first_is_waited_for(database: Database, storage: FileStorage) -> None:
    first_import = 1
    async with database.dedicated() as worker:
        await worker.execute("SELECT pg_advisory_lock($1, $2)", RUN_LOCK, first_import)
        loading = asyncio.create_task(load_demo(database, storage, today=TODAY, lines=100))
        done, _ = await asyncio.wait([loading], timeout=0.5)
        assert not done
        await worker.execute("SELECT pg_advisory_unlock($1, $2)", RUN_LOCK, first_import)
    assert (await loading).lines > 0
    assert await query(database, "SELECT id, status FROM import_job ORDER BY id") == [
        (first_import, "COMPLETED"),
        (2, "COMPLETED"),
    ]


def test_the_same_day_gives_the_same_file() -> None:
    assert content(TODAY) == content(TODAY)
    assert content(TODAY) != content(TODAY + timedelta(days=1))


def test_sales_follow_the_season_the_week_and_growth() -> None:
    sold = rows(TODAY, 40_000)
    days = [date.fromisoformat(row["Date"]) for row in sold]
    by_month = Counter(day.month for day in days)
    by_weekday = Counter(day.weekday() for day in days)
    middle = TODAY - timedelta(days=365)
    assert by_month[12] > 1.3 * by_month[2]
    assert by_weekday[4] > 1.3 * by_weekday[0] > 2 * by_weekday[6]
    assert sum(day >= middle for day in days) > 1.08 * sum(day < middle for day in days)


def test_no_product_is_twice_on_an_invoice() -> None:
    pairs = [(row["Invoice/Item Number"][:-5], row["Item Number"]) for row in rows(TODAY)]
    assert len(set(pairs)) == len(pairs)


def test_a_large_city_has_several_zip_codes() -> None:
    places = {(row["City"], row["Zip Code"]) for row in rows(TODAY)}
    cities = Counter(city for city, _ in places)
    assert max(cities.values()) > 1
    assert len({zip_code for _, zip_code in places}) == len(places)
