from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.purchase import PurchaseRow, PurchaseStatus
from graphql_api.database.user import Role
from graphql_api.services.document_line import LinesWanted
from graphql_api.services.listing import ListQuery, Sort
from graphql_api.services.paging import PageRequest
from graphql_api.services.policy import Forbidden, Viewer
from graphql_api.services.purchase import (
    PURCHASES,
    Totals,
    is_found,
    lines_by_purchase,
    purchase_by_number,
    purchases_by_id,
    totals_by_purchase,
)
from tests.client import ADMIN
from tests.days import in_days
from tests.factories import (
    SOME_DAY,
    OrderLine,
    create_county,
    create_place,
    create_product,
    create_purchase,
    create_store,
    create_user,
    create_vendor,
)


async def numbers(database: Database, **query: Any) -> list[str]:
    async with database.read() as session:
        page = await PURCHASES.page(session, ListQuery(**{"viewer": ADMIN, **query}))
    return [row.number for row in page.rows]


async def create_three(database: Database) -> tuple[str, Viewer]:
    """Purchases P-1 (of a vendor, in Ames), P-2 (of a name, received) and P-3 (void); the id of P-1 and its writer."""
    async with database.transaction() as session:
        user = await create_user(session)
        polk = await create_county(session, name="STORY", number=85)
        ames = await create_place(session, city="AMES", zip_code="50010", county=polk)
        store = await create_store(session, number=11, name="North", place=ames)
        vendor = await create_vendor(session, name="Old Brewery", number=7)
        ale = await create_product(session, sku="ALE")
        first = await create_purchase(
            session, OrderLine(ale), OrderLine(ale), store=store, vendor=vendor, number="P-1", created_by=user
        )
        await create_purchase(
            session,
            OrderLine(await create_product(session)),
            supplier_name="Monks 100%",
            number="P-2",
            date=in_days(0),
            status=PurchaseStatus.RECEIVED,
        )
        await create_purchase(session, number="P-3", date=in_days(-1), status=PurchaseStatus.VOID)
    return str(first.id), Viewer(user.id, Role.ADMIN, 1)


async def test_purchases_are_filtered_by_each_field(database: Database) -> None:
    key, writer = await create_three(database)
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["P-2", "P-3", "P-1"]),
        ({"id": {"eq": int(key)}}, ["P-1"]),
        ({"number": {"in": ["P-1", "P-9"]}}, ["P-1"]),
        ({"store": {"number": {"eq": 11}}}, ["P-1"]),
        ({"store": {"name": {"contains": "nor"}}}, ["P-1"]),
        ({"store": {"city": {"eq": "ames"}}}, ["P-1"]),
        ({"store": {"county": {"eq": "Story"}}}, ["P-1"]),
        ({"store": {"zip": {"startsWith": "5001"}}}, ["P-1"]),
        ({"vendor": {"number": {"eq": 7}}}, ["P-1"]),
        ({"vendor": {"name": {"startsWith": "old"}}}, ["P-1"]),
        ({"supplierName": {"contains": "100%"}}, ["P-2"]),
        ({"supplierName": {"isNull": True}}, ["P-1"]),
        ({"status": {"eq": PurchaseStatus.RECEIVED}}, ["P-2"]),
        ({"status": {"in": [PurchaseStatus.VOID, PurchaseStatus.ORDERED]}}, ["P-3", "P-1"]),
        ({"date": {"lte": SOME_DAY}}, ["P-1"]),
        ({"product": {"sku": {"eq": "ALE"}}}, ["P-1"]),
        ({"createdBy": {"eq": writer.user_id}}, ["P-1"]),
        ({"not": {"product": {"sku": {"eq": "ALE"}}}}, ["P-2", "P-3"]),
        ({"or": [{"number": {"eq": "P-3"}}, {"status": {"eq": PurchaseStatus.ORDERED}}]}, ["P-3", "P-1"]),
    ]

    found = [await numbers(database, where=where, viewer=writer) for where, _ in expected]

    assert found == [wanted for _, wanted in expected]


async def test_only_those_who_see_accounts_look_for_what_others_wrote(database: Database) -> None:
    _, writer = await create_three(database)
    staff = Viewer(writer.user_id, Role.STAFF, 1)
    others = {"createdBy": {"in": [staff.user_id, staff.user_id + 1]}}

    assert await numbers(database, where={"createdBy": {"eq": staff.user_id}}, viewer=staff) == ["P-1"]
    assert await numbers(database, where=others) == ["P-1"]
    with pytest.raises(Forbidden):
        await numbers(database, where=others, viewer=staff)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("P-1", ["P-1"]), ("P-", []), ("brew", ["P-1"]), ("100%", ["P-2"]), ("%", ["P-2"]), ("nobody", [])],
)
async def test_a_search_finds_numbers_vendors_and_suppliers(database: Database, words: str, wanted: list[str]) -> None:
    await create_three(database)

    assert await numbers(database, search=words) == wanted


async def test_purchases_are_sorted(database: Database) -> None:
    await create_three(database)

    assert await numbers(database, order=[Sort("DATE")]) == ["P-1", "P-3", "P-2"]
    assert await numbers(database, order=[Sort("NUMBER", is_descending=True)]) == ["P-3", "P-2", "P-1"]


async def plan(database: Database, query: ListQuery) -> str:
    dialect = database.engine.dialect
    statement = PURCHASES.page_statement(query).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(await session.scalars(text(f"EXPLAIN {statement}".replace(":", r"\:"))))


async def test_an_index_serves_the_default_order_and_both_ends(database: Database) -> None:
    for request in (PageRequest(first=10), PageRequest(last=10)):
        explained = await plan(database, ListQuery(page=request))
        assert "Index Scan" in explained
        assert "Sort" not in explained


async def test_a_search_can_be_answered_from_indexes_alone(database: Database) -> None:
    statement = select(col(PurchaseRow.id)).where(is_found("brewery"))
    compiled = statement.compile(dialect=database.engine.dialect, compile_kwargs={"literal_binds": True})

    async with database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        connection = await session.connection()
        explained = str((await connection.exec_driver_sql(f"EXPLAIN {compiled}")).all())

    for index in ("uq_purchase_number", "ix_purchase_vendor_id", "ix_purchase_supplier_name_trigram"):
        assert f"Index Scan on {index}" in explained


async def test_purchases_their_lines_and_totals_are_read_together(database: Database) -> None:
    # given
    async with database.transaction() as session:
        ale = await create_product(session)
        lines = [OrderLine(ale, 10, 150), OrderLine(ale, 1, 7), OrderLine(ale, 2, 0)]
        first, second = await create_purchase(session, *lines), await create_purchase(session)

    # when
    async with database.read() as session:
        totals = await totals_by_purchase(session, [second.id, first.id, 10**15])
        rows = await purchases_by_id(session, [second.id, 10**15, first.id])
        wanted = [
            LinesWanted(first.id, PageRequest(first=2)),
            LinesWanted(second.id, PageRequest(first=2)),
            LinesWanted(first.id, PageRequest(last=2)),
            LinesWanted(first.id, PageRequest(first=1, after="x")),
        ]
        pages = await lines_by_purchase(session, wanted)
        by_number = await purchase_by_number(session, first.number)

    # then
    assert totals == [Totals(), Totals(13, 0, 1_507, 0, 3), Totals()]
    assert [row and row.id for row in rows] == [second.id, None, first.id]
    assert by_number is not None
    assert by_number.id == first.id
    start, nothing, end, damaged = pages
    assert not isinstance(start, BaseException)
    assert not isinstance(nothing, BaseException)
    assert not isinstance(end, BaseException)
    assert [line.line_number for line in start.rows] == [1, 2]
    assert (start.has_next, nothing.rows, [line.line_number for line in end.rows]) == (True, [], [2, 3])
    assert isinstance(damaged, BaseException)
