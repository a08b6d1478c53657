"""Vendors and categories: created, changed, archived."""

import asyncio
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.factories import create_category, create_product, create_vendor
from tests.schema.edits import Editor, audit_entries, errors_of
from tests.schema.people import ClientOf, create_viewer

NOUNS = ["Vendor", "Category"]
LISTS = {"Vendor": "vendors", "Category": "categories"}
FIELDS = "number name isActive version"


async def editor(database: Database, client_of: ClientOf, noun: str, role: Role = Role.STAFF) -> Editor:
    return Editor(client_of(await create_viewer(database, role)), noun, FIELDS)


@pytest.mark.parametrize("noun", NOUNS)
async def test_one_is_created_changed_archived_and_brought_back(
    database: Database, client_of: ClientOf, noun: str
) -> None:
    edits = await editor(database, client_of, noun)

    node_id = await edits.created(name="  First  one ", number=7)
    changed = await edits.update(node_id, 1, name="Second", number=8)
    numberless = await edits.update(node_id, 2, number=None)
    archived = await edits.archive(node_id, 3)
    back = await edits.update(node_id, 4, isActive=True)

    field = edits.field
    assert changed[field] == {"id": node_id, "number": 8, "name": "Second", "isActive": True, "version": 2}
    assert numberless[field]["number"] is None
    assert (archived[field]["isActive"], back[field]["isActive"], back[field]["version"]) == (False, True, 5)
    create, update, *_ = await audit_entries(database)
    assert (create.entity, create.after) == (noun, {"number": 7, "name": "First one", "isActive": True})
    assert update.before == {"name": "First one", "number": 7}
    assert update.after == {"name": "Second", "number": 8}


@pytest.mark.parametrize("noun", NOUNS)
async def test_ten_at_once_with_one_number_make_one(database: Database, client_of: ClientOf, noun: str) -> None:
    edits = await editor(database, client_of, noun)

    answers = await asyncio.gather(*(edits.create(name=f"Of {turn}", number=7) for turn in range(10)))

    assert sorted(len(answer["userErrors"]) for answer in answers) == [0] + [1] * 9
    assert {error for answer in answers for error, _ in errors_of(answer)} == {"CONFLICT"}
    assert {tuple(path) for answer in answers for _, path in errors_of(answer)} == {("input", "number")}
    data = await edits.client.execute(f"{{ {LISTS[noun]} {{ totalCount }} }}")
    assert data[LISTS[noun]]["totalCount"] == 1


@pytest.mark.parametrize("noun", NOUNS)
async def test_two_without_a_number_cannot_share_a_name(database: Database, client_of: ClientOf, noun: str) -> None:
    edits = await editor(database, client_of, noun)
    await edits.created(name="Same")

    again = await edits.create(name="Same")
    numbered = await edits.create(name="Same", number=1)

    assert errors_of(again) == [("CONFLICT", ["input", "name"])]
    assert errors_of(numbered) == []


@pytest.mark.parametrize("noun", NOUNS)
async def test_of_ten_changes_of_one_version_one_is_kept(database: Database, client_of: ClientOf, noun: str) -> None:
    edits = await editor(database, client_of, noun)
    node_id = await edits.created(name="First")

    answers = await asyncio.gather(*(edits.update(node_id, 1, name=f"By {turn}") for turn in range(10)))

    kept = [answer[edits.field] for answer in answers if answer[edits.field]]
    lost = [errors_of(answer) for answer in answers if not answer[edits.field]]
    assert lost == [[("CONFLICT", ["input", "expectedVersion"])]] * 9
    (row,) = kept
    data = await edits.client.execute(f"{{ {LISTS[noun]} {{ nodes {{ id {FIELDS} }} }} }}")
    assert data[LISTS[noun]]["nodes"] == [row]


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("name", " "), ("name", "x" * 201), ("name", "a\nb"), ("name", None), ("number", -1), ("isActive", None)],
)
async def test_what_cannot_be_kept_is_refused_with_its_path(
    database: Database, client_of: ClientOf, noun: str, name: str, value: Any
) -> None:
    edits = await editor(database, client_of, noun)
    node_id = await edits.created(name="First")

    answer = await edits.update(node_id, 1, **{name: value})

    assert (answer[edits.field], errors_of(answer)) == (None, [("BAD_USER_INPUT", ["input", name])])


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_is_not_there_is_not_found(database: Database, client_of: ClientOf, noun: str) -> None:
    edits = await editor(database, client_of, noun)

    assert errors_of(await edits.update(global_id(noun, 10**17), 1, name="X")) == [("NOT_FOUND", ["input", "id"])]
    assert errors_of(await edits.archive(global_id("Store", 1))) == [("BAD_USER_INPUT", ["input", "id"])]


@pytest.mark.parametrize("noun", NOUNS)
async def test_archived_ones_are_found_by_that(database: Database, client_of: ClientOf, noun: str) -> None:
    edits = await editor(database, client_of, noun, Role.ADMIN)
    await edits.archive(await edits.created(name="Old"))
    await edits.created(name="New")
    document = f"query ($where: {noun}Where) {{ {LISTS[noun]}(where: $where) {{ nodes {{ name }} }} }}"

    async def found(**where: Any) -> list[str]:
        data = await edits.client.execute(document, where=where)
        return [node["name"] for node in data[LISTS[noun]]["nodes"]]

    assert await found(isActive={"eq": False}) == ["Old"]
    assert await found(isActive={"eq": True}) == ["New"]
    assert await found() == ["New", "Old"]


@pytest.mark.parametrize("noun", NOUNS)
async def test_products_cannot_get_what_is_archived_but_keep_it(
    database: Database, client_of: ClientOf, noun: str
) -> None:
    # given a product of something that was archived afterwards
    viewer = await create_viewer(database, Role.ADMIN)
    async with database.transaction() as session:
        make = create_vendor if noun == "Vendor" else create_category
        row = await make(session)
        product = await create_product(session, **{noun.lower(): row})  # type: ignore[arg-type]  # one of the two
        other = await create_product(session)
    node_id, name = global_id(noun, row.id), f"{noun.lower()}Id"
    await Editor(client_of(viewer), noun, FIELDS).archive(node_id)
    products = Editor(client_of(viewer), "Product", f"name {noun.lower()} {{ id }}")

    # when
    created = await products.create(sku="A", name="Ale", **{name: node_id})
    moved = await products.update(global_id("Product", other.id), 1, **{name: node_id})
    renamed = await products.update(global_id("Product", product.id), 1, name="Stout", **{name: node_id})

    # then
    assert errors_of(created) == errors_of(moved) == [("CONFLICT", ["input", name])]
    assert renamed["product"] == {
        "id": global_id("Product", product.id),
        "name": "Stout",
        noun.lower(): {"id": node_id},
    }


@pytest.mark.parametrize("noun", NOUNS)
async def test_the_trail_and_the_node_of_one(database: Database, client_of: ClientOf, noun: str) -> None:
    edits = await editor(database, client_of, noun, Role.ADMIN)
    node_id = await edits.created(name="First")
    await edits.update(node_id, 1, name="Second")
    document = (
        f"query ($id: ID!) {{ node(id: $id) {{ ... on {noun} {{ name auditTrail {{ nodes {{ action }} }} }} }} }}"
    )

    node = (await edits.client.execute(document, id=node_id))["node"]

    assert node == {
        "name": "Second",
        "auditTrail": {"nodes": [{"action": f"update{noun}"}, {"action": f"create{noun}"}]},
    }
