"""The report of low stock: what it says, in columns and as CSV, and who gets it."""

import csv
import datetime as dt
import io

import httpx
import pytest
from rich.cells import cell_len
from sqlalchemy import text

from graphql_api.config import Settings
from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services import low_stock_report
from graphql_api.services.throttle_rules import rules_of
from tests.factories import (
    create_county,
    create_place,
    create_product,
    create_stock,
    create_store,
    create_vendor,
)
from tests.transport.conftest import authorization, create_viewer

TEXT, CSV = "/reports/low-stock.txt", "/reports/low-stock.csv"

pytestmark = pytest.mark.usefixtures("not_at_midnight")


def day(days: int) -> dt.date:
    """So many days from today."""
    return now_utc().date() + dt.timedelta(days=days)


async def create_stock_of_two_stores(database: Database) -> None:
    """Two stores of which one is low on two products; lots that expire on several days."""
    async with database.transaction() as session:
        place = await create_place(session, city="AMES", zip_code="50010", county=await create_county(session))
        ames = await create_store(session, number=7, name="=Corner", place=place)
        boone = await create_store(session, number=8, name="متجر بون")
        vendor = await create_vendor(session, name='Acme, "Wines"')
        ale = await create_product(session, sku="A-1", name="Ale", vendor=vendor)
        sake = await create_product(session, sku="B-2", name="日本酒 大吟醸")
        gone = await create_product(session, sku="C-3", name="Gone", is_active=False)
        await create_stock(session, ames, ale, 3)
        await create_stock(session, ames, sake, 10)
        await create_stock(session, ames, gone, 1)
        await create_stock(session, boone, ale, 11)
        for days in (-2, 0, 30, 31):
            await create_stock(session, boone, sake, 20, expires_on=day(days))
        await session.execute(
            text("UPDATE low_stock_episode SET opened_at = now() - interval '5 days' WHERE product_id = :key"),
            {"key": ale.id},
        )
        await session.execute(
            text("UPDATE low_stock_episode SET acknowledged_at = now() WHERE product_id = :key"), {"key": sake.id}
        )


async def test_csv_says_what_is_low_and_what_expires(http: httpx.AsyncClient, database: Database) -> None:
    await create_stock_of_two_stores(database)

    response = await http.get(CSV)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="low-stock.csv"'
    assert response.headers["cache-control"] == "no-store"
    found = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["section"], row["store_number"], row["sku"], row["bottles"]) for row in found] == [
        ("LOW_STOCK", "7", "A-1", "3"),
        ("LOW_STOCK", "7", "B-2", "10"),
        ("EXPIRED", "8", "B-2", "20"),
        ("EXPIRING", "8", "B-2", "20"),
        ("EXPIRING", "8", "B-2", "20"),
    ]
    assert found[0] == {
        "section": "LOW_STOCK",
        "store_number": "7",
        "store": "'=Corner",
        "city": "AMES",
        "zip": "50010",
        "sku": "A-1",
        "product": "Ale",
        "suggested_vendor": 'Acme, "Wines"',
        "bottles": "3",
        "threshold": "10",
        "low_since": f"{day(-5)}",
        "acknowledged": "false",
        "expires_on": "",
        "days": "5",
    }
    assert (found[1]["product"], found[1]["suggested_vendor"], found[1]["acknowledged"]) == (
        "日本酒 大吟醸",
        "",
        "true",
    )
    assert [(row["expires_on"], row["days"], row["threshold"]) for row in found[2:]] == [
        (f"{day(-2)}", "2", ""),
        (f"{day(0)}", "0", ""),
        (f"{day(30)}", "30", ""),
    ]
    assert found[2]["store"] == "متجر بون"


async def test_text_stands_in_columns_whatever_the_writing(http: httpx.AsyncClient, database: Database) -> None:
    await create_stock_of_two_stores(database)

    response = await http.get(TEXT)

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    lines = response.text.splitlines()
    assert lines[0].startswith("Low stock of My company, ")
    assert "Store 7:  =Corner, AMES, 50010" in lines
    head, ale, sake = lines[lines.index("Store 7:  =Corner, AMES, 50010") + 1 :][:3]
    assert ale.split() == ["A-1", "Ale", "3", "10", f"{day(-5)}", "5", "Acme,", '"Wines"']
    assert sake.split() == ["B-2", "日本酒", "大吟醸", "10", "10", f"{day(0)}", "0", "yes"]
    ends = [cell_len(head[: head.index("Low since")]), *(cell_len(row[: row.index("20")]) for row in (ale, sake))]
    assert len(set(ends)) == 1, "the days are below each other"
    assert "Stock levels that are low: 2" in lines
    assert lines[-2:] == ["Lots that have expired: 1", "Lots that expire within 30 days: 2"]
    expired = lines[lines.index("Expired") + 2]
    assert expired.startswith(f"\u200e{day(-2)}")
    assert expired.endswith("\u20688 متجر بون\u2069")
    assert "Store 8:" not in response.text


async def test_the_days_ahead_are_the_callers(http: httpx.AsyncClient, database: Database) -> None:
    await create_stock_of_two_stores(database)

    counts = {days: (await http.get(CSV, params={"withinDays": days})).text.count("EXPIRING") for days in (0, 31)}

    assert counts == {0: 1, 31: 3}


@pytest.mark.parametrize("days", ["-1", "3651", "x", "", "1.5", "²", "9" * 20])
async def test_days_that_are_none_are_refused(http: httpx.AsyncClient, days: str) -> None:
    response = await http.get(CSV, params={"withinDays": days})

    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_USER_INPUT")


async def test_an_empty_report_says_so(http: httpx.AsyncClient) -> None:
    text_report, table = await http.get(TEXT), await http.get(CSV)

    assert "Nothing is low.\n" in text_report.text
    assert text_report.text.endswith("\nLots that have expired: 0\nLots that expire within 30 days: 0\n")
    assert len(table.text.splitlines()) == 1


async def test_whoever_supplied_a_product_without_a_vendor_last_is_suggested(
    http: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as session:
        store, product = await create_store(session), await create_product(session)
        await create_stock(session, store, product, 3)
        for number, (status, on, supplier) in enumerate(
            [
                ("RECEIVED", "2024-01-01", "Old"),
                ("ORDERED", "2024-03-01", "New"),
                ("VOID", "2024-04-01", "Void"),
            ]
        ):
            await session.execute(
                text(
                    "WITH p AS (INSERT INTO purchase (number, store_id, supplier_name, date, status) "
                    "VALUES (:number, :store, :supplier, :on, :status) RETURNING id) "
                    "INSERT INTO purchase_line (purchase_id, line_number, product_id, quantity, unit_cost) "
                    "SELECT id, 1, :product, 5, 100 FROM p"
                ),
                {
                    "number": f"P{number}",
                    "store": store.id,
                    "supplier": supplier,
                    "on": dt.date.fromisoformat(on),
                    "status": status,
                    "product": product.id,
                },
            )

    (row,) = csv.DictReader(io.StringIO((await http.get(CSV)).text))

    assert row["suggested_vendor"] == "New"


async def test_a_long_report_comes_whole(
    http: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(low_stock_report, "PART", 7)
    async with database.transaction() as session:
        store = await create_store(session)
        for number in range(120):
            product = await create_product(session, sku=f"S{number:03}", name=f"Ale {number:03} {'x' * 80}")
            await create_stock(session, store, product, 5, expires_on=day(number % 20))

    rows = list(csv.DictReader(io.StringIO((await http.get(CSV)).text)))
    shown = (await http.get(TEXT)).text

    assert [row["sku"] for row in rows[:120]] == [f"S{number:03}" for number in range(120)]
    assert len(rows) == 240
    assert shown.count(f"\nStore {store.number}:") == 1, "one headline"
    assert "Stock levels that are low: 120" in shown
    assert max(map(cell_len, shown.splitlines())) < 160


LINKS = "{ lowStockReport(withinDays: 31) { textUrl csvUrl } }"


async def test_links_open_without_a_header_each_for_its_own_file(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    await create_stock_of_two_stores(database)
    links = (await http.post("/graphql", json={"query": LINKS})).json()["data"]["lowStockReport"]

    opened = [await stranger.get(links[name]) for name in ("textUrl", "csvUrl")]
    crossed = await stranger.get(links["textUrl"].replace(".txt", ".csv"))

    assert [response.status_code for response in opened] == [200, 200]
    assert opened[1].text.count("EXPIRING") == 3, "the days are in the link"
    assert crossed.status_code == 401


@pytest.mark.parametrize("path", [TEXT, CSV])
async def test_strangers_and_customers_get_no_report(
    stranger: httpx.AsyncClient, settings: Settings, database: Database, path: str
) -> None:
    customer = authorization(settings, await create_viewer(database, Role.CUSTOMER))
    seller = authorization(settings, await create_viewer(database, Role.SALESPERSON))

    answers = [
        await stranger.get(path),
        await stranger.get(path, params={"ticket": "nonsense"}),
        await stranger.get(path, headers=customer),
        await stranger.get(path, headers=seller),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 403, 200]


async def test_it_is_made_so_often_and_no_more(http: httpx.AsyncClient) -> None:
    (rule,) = rules_of("lowStockFile")

    answers = [await http.get(CSV if number % 2 else TEXT) for number in range(rule.limit.amount + 1)]

    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
