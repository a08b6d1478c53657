"""Stores: created, moved, changed, archived."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, text

from graphql_api.database.engine import Database
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.factories import Line, create_county, create_invoice, create_place, create_product, create_store
from tests.schema.edits import Editor, Statements, audit_entries, errors_of
from tests.schema.people import ClientOf, create_viewer
from tests.waiting import until_held_up

FIELDS = "number name address city zip county { name number } latitude longitude isActive version"
WISH = {
    "number": 7,
    "name": " North  Side ",
    "address": "1 Main Street\nSuite 2",
    "city": " des  moines ",
    "zip": "50309.0",
    "county": "Polk",
    "countyNumber": 77,
    "latitude": "41.58680049",
    "longitude": -93,
}


@pytest.fixture
async def stores(database: Database, client_of: ClientOf) -> Editor:
    """What a member of staff does with stores."""
    return Editor(client_of(await create_viewer(database, Role.STAFF)), "Store", FIELDS)


async def counted(database: Database, table: str) -> int:
    async with database.read() as session:
        return await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0  # noqa: S608 - a name of this test


async def test_a_store_is_created_at_its_place_in_canonical_form(database: Database, stores: Editor) -> None:
    answer = await stores.create(**WISH)

    store = answer["store"]
    node_id = store.pop("id")
    assert answer["userErrors"] == []
    assert store == {
        "number": 7,
        "name": "North Side",
        "address": "1 Main Street\nSuite 2",
        "city": "DES MOINES",
        "zip": "50309",
        "county": {"name": "POLK", "number": 77},
        "latitude": "41.586800",
        "longitude": "-93.000000",
        "isActive": True,
        "version": 1,
    }
    (entry,) = await audit_entries(database)
    assert global_id("Store", entry.entity_id or 0) == node_id
    assert entry.after is not None
    assert {name: entry.after[name] for name in ("number", "city", "county", "countyNumber", "zip")} == {
        "number": 7,
        "city": "DES MOINES",
        "county": "POLK",
        "countyNumber": 77,
        "zip": "50309",
    }


async def test_a_store_needs_only_number_and_name(stores: Editor) -> None:
    store = (await stores.create(number=1, name="Somewhere"))["store"]

    assert (store["city"], store["zip"], store["county"], store["latitude"]) == (None, None, None, None)


async def test_stores_share_a_place_that_is_there_already(database: Database, stores: Editor) -> None:
    # given a place as an import has made it
    async with database.transaction() as session:
        polk = await create_county(session, name="POLK", number=77)
        await create_place(session, city="DES MOINES", zip_code="50309", county=polk)

    # when
    await stores.created(**WISH)
    await stores.created(**{**WISH, "number": 8, "countyNumber": None})
    await stores.created(**{**WISH, "number": 9, "county": None})

    # then
    assert (await counted(database, "place"), await counted(database, "county")) == (1, 1)


async def test_a_name_alone_finds_the_lowest_number_that_bears_it(database: Database, stores: Editor) -> None:
    async with database.transaction() as session:
        for number in (9, 3):
            await create_county(session, name="LEE", number=number)

    store = (await stores.create(number=1, name="A", county="lee"))["store"]

    assert store["county"] == {"name": "LEE", "number": 3}


async def test_a_county_that_was_known_by_name_gets_its_number(database: Database, stores: Editor) -> None:
    await stores.created(number=1, name="A", county="Story")

    store = (await stores.create(number=2, name="B", county="Story", countyNumber=85))["store"]

    assert store["county"] == {"name": "STORY", "number": 85}
    assert await counted(database, "county") == 1


async def test_a_better_spelling_of_a_county_replaces_what_imports_left(database: Database, stores: Editor) -> None:
    async with database.transaction() as session:
        await create_county(session, name="POTTAWATTA", number=78)
        await create_county(session, name="#85", number=85)

    cut = await stores.create(number=1, name="A", county="Pottawattamie", countyNumber=78)
    unnamed = await stores.create(number=2, name="B", county="Story", countyNumber=85)

    assert cut["store"]["county"] == {"name": "POTTAWATTAMIE", "number": 78}
    assert unnamed["store"]["county"] == {"name": "STORY", "number": 85}


async def test_a_county_is_not_guessed(database: Database, stores: Editor) -> None:
    async with database.transaction() as session:
        await create_county(session, name="POLK", number=77)

    other_name = await stores.create(number=1, name="A", county="Linn", countyNumber=77)
    no_name = await stores.create(number=1, name="A", countyNumber=57)

    assert errors_of(other_name) == [("CONFLICT", ["input", "county"])]
    assert errors_of(no_name) == [("NOT_FOUND", ["input", "countyNumber"])]
    assert (await counted(database, "store"), await counted(database, "place")) == (0, 0)


async def test_ten_at_once_in_a_new_place_make_it_once(database: Database, stores: Editor) -> None:
    answers = await asyncio.gather(*(stores.create(**{**WISH, "number": turn + 1}) for turn in range(10)))

    assert [answer["userErrors"] for answer in answers] == [[]] * 10
    assert (await counted(database, "place"), await counted(database, "county")) == (1, 1)


async def test_a_county_that_somebody_else_makes_at_this_moment_is_a_conflict(
    database: Database, stores: Editor
) -> None:
    # given a county without its number, and somebody who is giving that number to another one
    await stores.created(number=1, name="A", county="Story")
    async with database.transaction() as session:
        await create_county(session, name="STORIE", number=85)

        # when
        creation = asyncio.create_task(stores.create(number=2, name="B", county="Story", countyNumber=85))
        await until_held_up(database)

    # then
    assert errors_of(await creation) == [("CONFLICT", ["input", "countyNumber"])]
    again = await stores.create(number=2, name="B", county="Story", countyNumber=85)
    assert errors_of(again) == [("CONFLICT", ["input", "county"])]


async def test_ten_at_once_with_one_number_make_one_store(database: Database, stores: Editor) -> None:
    answers = await asyncio.gather(*(stores.create(number=7, name=f"Of {turn}") for turn in range(10)))

    refusals = [errors_of(answer) for answer in answers if answer["userErrors"]]
    assert refusals == [[("CONFLICT", ["input", "number"])]] * 9
    assert await counted(database, "store") == 1


async def test_of_ten_changes_of_one_version_one_is_kept(stores: Editor) -> None:
    node_id = await stores.created(**WISH)

    answers = await asyncio.gather(*(stores.update(node_id, 1, city=f"City {turn}") for turn in range(10)))

    kept = [answer["store"]["city"] for answer in answers if answer["store"]]
    assert [errors_of(answer) for answer in answers if not answer["store"]] == [
        [("CONFLICT", ["input", "expectedVersion"])]
    ] * 9
    data = await stores.client.execute("{ store(number: 7) { city version } }")
    assert data["store"] == {"city": kept[0], "version": 2}


async def test_a_patch_leaves_the_rest_of_the_place(stores: Editor) -> None:
    node_id = await stores.created(**WISH)

    moved = (await stores.update(node_id, 1, city="Ames"))["store"]
    named = (await stores.update(node_id, 2, county="Story", zip="50010"))["store"]
    nowhere = (await stores.update(node_id, 3, county=None, city=None, zip=" "))["store"]

    assert (moved["city"], moved["zip"], moved["county"]["name"]) == ("AMES", "50309", "POLK")
    # the number of the old county does not stay with the name of the new one
    assert (named["city"], named["zip"], named["county"]) == ("AMES", "50010", {"name": "STORY", "number": None})
    assert (nowhere["city"], nowhere["zip"], nowhere["county"], nowhere["version"]) == (None, None, None, 4)


async def test_a_move_is_in_the_record_and_a_move_to_the_same_place_is_none(database: Database, stores: Editor) -> None:
    node_id = await stores.created(**WISH)

    await stores.update(node_id, 1, city="Ames")
    same = await stores.update(node_id, 2, city="AMES ", zip="50309")

    _, move, stay = await audit_entries(database)
    assert move.before is not None
    assert move.after is not None
    assert (move.before["city"], move.after["city"]) == ("DES MOINES", "AMES")
    assert (stay.before, stay.after, same["store"]["version"]) == ({}, {}, 2)


async def test_a_move_leaves_old_sales_where_they_were_made(database: Database, stores: Editor) -> None:
    # given a store with a sale
    node_id = await stores.created(**WISH)
    async with database.transaction() as session:
        store = (await session.scalars(select(StoreRow))).one()
        await create_invoice(session, Line(await create_product(session)), store=store, number="OLD")

    # when
    await stores.update(node_id, 1, city="Ames", county="Story", countyNumber=85)

    # then
    document = """{ invoice(number: "OLD") { lines { nodes { city county { name } } } }
        salesReport(groupBy: [{dimension: CITY}]) { rows { city { name } } } }"""
    data = await stores.client.execute(document)
    assert data["invoice"]["lines"]["nodes"] == [{"city": "DES MOINES", "county": {"name": "POLK"}}]
    assert data["salesReport"]["rows"] == [{"city": {"name": "DES MOINES"}}]


async def test_a_place_of_which_nothing_can_be_seen_is_none(stores: Editor) -> None:
    wish = {**WISH, "city": "\u200b", "zip": " \u2060 ", "county": "\u200d", "countyNumber": None}

    answer = await stores.create(**wish)

    assert answer["userErrors"] == []
    assert (answer["store"]["city"], answer["store"]["zip"], answer["store"]["county"]) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 0),
        ("number", None),
        ("name", ""),
        ("name", None),
        ("address", "x" * 501),
        ("city", "x" * 501),
        ("city", "a\x07b"),
        ("city", "a\u202eb"),
        ("county", "a\nb"),
        ("zip", "1\u20672"),
        ("zip", "x" * 21),
        ("county", "x" * 501),
        ("countyNumber", -1),
        ("latitude", "90.1"),
        ("longitude", "-180.1"),
        ("isActive", None),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_path(stores: Editor, name: str, value: Any) -> None:
    node_id = await stores.created(**WISH)

    answer = await stores.update(node_id, 1, **{name: value})

    assert (answer["store"], errors_of(answer)) == (None, [("BAD_USER_INPUT", ["input", name])])


async def test_a_position_is_whole_or_unknown(stores: Editor) -> None:
    node_id = await stores.created(**WISH)

    half = await stores.create(number=8, name="Half", latitude="41")
    less = await stores.update(node_id, 1, latitude=None)
    none = await stores.update(node_id, 1, latitude=None, longitude=None)

    assert errors_of(half) == [("BAD_USER_INPUT", ["input", "longitude"])]
    assert errors_of(less) == [("BAD_USER_INPUT", ["input", "latitude"])]
    assert (none["userErrors"], none["store"]["latitude"]) == ([], None)


async def test_an_archived_store_stays_readable_and_can_come_back(stores: Editor) -> None:
    node_id = await stores.created(**WISH)

    archived = await stores.archive(node_id)
    read = await stores.client.execute(
        "{ store(number: 7) { isActive } stores(where: {isActive: {eq: true}}) { totalCount } }"
    )
    back = await stores.update(node_id, 2, isActive=True)

    assert (archived["store"]["isActive"], archived["store"]["version"]) == (False, 2)
    assert read == {"store": {"isActive": False}, "stores": {"totalCount": 0}}
    assert back["store"]["isActive"] is True


async def test_an_unknown_store_is_not_found(stores: Editor) -> None:
    assert errors_of(await stores.update(global_id("Store", 10**17), 1)) == [("NOT_FOUND", ["input", "id"])]
    assert errors_of(await stores.archive(global_id("Vendor", 1))) == [("BAD_USER_INPUT", ["input", "id"])]


async def test_a_list_of_stores_costs_the_same_however_long(database: Database, stores: Editor) -> None:
    async with database.transaction() as session:
        for _ in range(20):
            await create_store(session)
    statements = Statements(database)

    data = await stores.client.execute("{ stores { nodes { name version city zip county { name } } } }")

    assert len(data["stores"]["nodes"]) == 20
    assert statements.selects == 3, statements.texts
