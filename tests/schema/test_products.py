import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from graphql_api.database.product import ProductRow
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.client import ADMIN, Client
from tests.factories import create_category, create_invoice, create_product, create_vendor
from tests.schema.people import ClientOf, create_viewer

FIELDS = """sku name description pack volumeMl unitCost unitPrice lowStockThreshold isActive version canEdit
    category { name } vendor { name }"""
CREATE = f"""mutation ($input: CreateProductInput!) {{ createProduct(input: $input) {{
    product {{ id {FIELDS} }} userErrors {{ code path message }} }} }}"""
UPDATE = f"""mutation ($input: UpdateProductInput!) {{ updateProduct(input: $input) {{
    product {{ {FIELDS} }} userErrors {{ code path message }} }} }}"""
ARCHIVE = """mutation ($input: ArchiveProductInput!) { archiveProduct(input: $input) {
    product { isActive version } userErrors { code path } } }"""
MINE = "query ($where: ProductWhere) { products(where: $where, orderBy: [{by: SKU}]) { nodes { sku canEdit } } }"


async def staff_client(database: Database, client_of: ClientOf) -> Client:
    return client_of(await create_viewer(database, Role.STAFF))


async def created(client: Client, sku: str = "A-1", **values: Any) -> str:
    """The id of a new product."""
    data = await client.execute(CREATE, input={"sku": sku, "name": "Ale", **values})
    assert data["createProduct"]["userErrors"] == []
    return str(data["createProduct"]["product"]["id"])


async def changed(client: Client, node_id: str, version: int = 1, **patch: Any) -> dict[str, Any]:
    data = await client.execute(UPDATE, input={"id": node_id, "expectedVersion": version, **patch})
    answer: dict[str, Any] = data["updateProduct"]
    return answer


def errors_of(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


async def stored(database: Database) -> list[ProductRow]:
    async with database.read() as session:
        return list(await session.scalars(select(ProductRow).order_by(col(ProductRow.sku))))


async def entries(database: Database) -> list[AuditEntryRow]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id))))


async def test_a_product_is_created_with_all_it_can_have(database: Database, client_of: ClientOf) -> None:
    # given
    async with database.transaction() as session:
        category, vendor = await create_category(session, name="ALES"), await create_vendor(session, name="BREWER")
    viewer = await create_viewer(database, Role.STAFF)
    wish = {
        "sku": " A-1 ",
        "name": "  Ale ",
        "description": "Dark\nand strong",
        "categoryId": global_id("Category", category.id),
        "vendorId": global_id("Vendor", vendor.id),
        "pack": 12,
        "volumeMl": 500,
        "unitCost": "1.05",
        "unitPrice": "2.50",
        "lowStockThreshold": 24,
    }

    # when
    data = await client_of(viewer).execute(CREATE, input=wish)

    # then
    product = data["createProduct"]["product"]
    assert data["createProduct"]["userErrors"] == []
    product_id = product.pop("id")
    assert product == {
        "sku": "A-1",
        "name": "Ale",
        "description": "Dark\nand strong",
        "pack": 12,
        "volumeMl": 500,
        "unitCost": "1.05",
        "unitPrice": "2.50",
        "lowStockThreshold": 24,
        "isActive": True,
        "version": 1,
        "canEdit": True,
        "category": {"name": "ALES"},
        "vendor": {"name": "BREWER"},
    }
    (row,) = await stored(database)
    assert (row.created_by, row.unit_cost, global_id("Product", row.id)) == (viewer.user_id, 105, product_id)


async def test_each_change_is_in_the_audit_record(database: Database, client_of: ClientOf) -> None:
    viewer = await create_viewer(database, Role.STAFF)
    client = client_of(viewer)

    node_id = await created(client, unitCost="1.05")
    await changed(client, node_id, unitCost="1.10", name="Ale")
    await client.execute(ARCHIVE, input={"id": node_id, "expectedVersion": 2})

    create, update, archive = await entries(database)
    assert {entry.actor_id for entry in (create, update, archive)} == {viewer.user_id}
    assert {(entry.entity, entry.entity_id) for entry in (create, update, archive)} == {("Product", create.entity_id)}
    assert (create.action, create.before) == ("createProduct", None)
    assert create.after is not None
    assert create.after["unitCost"] == "1.05"
    assert (update.before, update.after) == ({"unitCost": "1.05"}, {"unitCost": "1.10"})
    assert (archive.before, archive.after) == ({"isActive": True}, {"isActive": False})


async def test_a_patch_tells_null_from_absent(database: Database, client_of: ClientOf) -> None:
    client = await staff_client(database, client_of)
    node_id = await created(client, description="Dark", pack=6, unitPrice="2.50", lowStockThreshold=3)

    kept = await changed(client, node_id, 1, name="Stout")
    emptied = await changed(client, node_id, 2, description=None, pack=None, unitPrice=None, lowStockThreshold=None)

    assert (kept["product"]["name"], kept["product"]["description"], kept["product"]["pack"]) == ("Stout", "Dark", 6)
    assert {emptied["product"][name] for name in ("description", "pack", "unitPrice", "lowStockThreshold")} == {None}
    assert emptied["product"]["name"] == "Stout"
    assert errors_of(await changed(client, node_id, 3, name=None)) == [("BAD_USER_INPUT", ["input", "name"])]
    assert errors_of(await changed(client, node_id, 3, isActive=None)) == [("BAD_USER_INPUT", ["input", "isActive"])]


async def test_a_patch_that_changes_nothing_makes_no_new_version(database: Database, client_of: ClientOf) -> None:
    client = await staff_client(database, client_of)
    node_id = await created(client)

    answer = await changed(client, node_id, 1, name=" Ale ")

    assert (answer["userErrors"], answer["product"]["version"]) == ([], 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sku", " "),
        ("sku", "x" * 65),
        ("sku", "a\nb"),
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\u2028b"),
        ("name", "\u200b"),
        ("name", "a\u202eb"),
        ("description", "x" * 10_001),
        ("pack", 0),
        ("pack", 10_001),
        ("pack", -1),
        ("volumeMl", -1),
        ("volumeMl", 2_147_483_647),
        ("lowStockThreshold", -1),
        ("lowStockThreshold", 1_000_001),
        ("unitCost", "-0.01"),
        ("unitCost", "0.001"),
        ("unitPrice", "99999999999999.00"),
        ("categoryId", "x"),
        ("categoryId", global_id("Vendor", 1)),
        ("vendorId", global_id("Category", 1)),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_path(
    database: Database, client_of: ClientOf, name: str, value: Any
) -> None:
    # given
    client = await staff_client(database, client_of)
    node_id = await created(client)

    # when
    create = await client.execute(CREATE, input={"sku": "B", "name": "Beer", name: value})
    update = await changed(client, node_id, **{name: value})

    # then
    for payload in (create["createProduct"], update):
        assert (payload["product"], errors_of(payload)) == (None, [("BAD_USER_INPUT", ["input", name])])
    assert [(row.sku, row.version) for row in await stored(database)] == [("A-1", 1)]


@pytest.mark.parametrize(("name", "kind"), [("categoryId", "Category"), ("vendorId", "Vendor")])
async def test_a_category_or_vendor_must_exist(database: Database, client_of: ClientOf, name: str, kind: str) -> None:
    client = await staff_client(database, client_of)
    node_id, nobody = await created(client), global_id(kind, 10**17)

    create = await client.execute(CREATE, input={"sku": "B", "name": "Beer", name: nobody})
    update = await changed(client, node_id, 1, **{name: nobody})

    assert errors_of(create["createProduct"]) == errors_of(update) == [("NOT_FOUND", ["input", name])]


async def test_a_sku_belongs_to_one_product(database: Database, client_of: ClientOf) -> None:
    client = await staff_client(database, client_of)
    await created(client, "A-1")
    other = await created(client, "A-2")

    create = await client.execute(CREATE, input={"sku": "A-1", "name": "Beer"})
    update = await changed(client, other, sku="A-1")

    assert errors_of(create["createProduct"]) == errors_of(update) == [("CONFLICT", ["input", "sku"])]


async def test_parallel_creations_of_one_sku_make_one_product(database: Database, client_of: ClientOf) -> None:
    client = await staff_client(database, client_of)

    answers = await asyncio.gather(*(client.execute(CREATE, input={"sku": "A", "name": "Ale"}) for _ in range(10)))

    refusals = [errors_of(answer["createProduct"]) for answer in answers]
    assert sorted(map(len, refusals)) == [0] + [1] * 9
    assert {error for errors in refusals for error, _ in errors} == {"CONFLICT"}
    assert len(await stored(database)) == 1


async def test_of_ten_parallel_updates_of_one_version_one_wins(database: Database, client_of: ClientOf) -> None:
    # given
    client = await staff_client(database, client_of)
    node_id = await created(client)

    # when
    answers = await asyncio.gather(*(changed(client, node_id, 1, name=f"Ale {number}") for number in range(10)))

    # then
    won = [answer["product"]["name"] for answer in answers if answer["product"]]
    lost = [errors_of(answer) for answer in answers if not answer["product"]]
    assert len(won) == 1
    assert lost == [[("CONFLICT", ["input", "expectedVersion"])]] * 9
    (row,) = await stored(database)
    assert (row.name, row.version) == (won[0], 2)


async def test_staff_edit_what_they_created_and_administrators_everything(
    database: Database, client_of: ClientOf
) -> None:
    # given
    owner, colleague = await staff_client(database, client_of), await staff_client(database, client_of)
    admin = client_of(await create_viewer(database, Role.ADMIN))
    node_id = await created(owner)

    # when
    by_colleague = await changed(colleague, node_id, name="Mine now")
    archived = await colleague.execute(ARCHIVE, input={"id": node_id, "expectedVersion": 1})
    by_owner = await changed(owner, node_id, 1, name="Stout")
    by_admin = await changed(admin, node_id, 2, name="Porter")

    # then
    assert errors_of(by_colleague) == errors_of(archived["archiveProduct"]) == [("FORBIDDEN", ["input", "id"])]
    assert (by_owner["userErrors"], by_admin["userErrors"]) == ([], [])
    assert [entry.outcome.value for entry in await entries(database)] == ["DONE", "REFUSED", "REFUSED", "DONE", "DONE"]


async def test_a_product_of_an_import_belongs_to_administrators(database: Database, client_of: ClientOf) -> None:
    async with database.transaction() as session:
        row = await create_product(session)
    staff, admin = await staff_client(database, client_of), client_of(await create_viewer(database, Role.ADMIN))

    assert errors_of(await changed(staff, global_id("Product", row.id), name="X")) == [("FORBIDDEN", ["input", "id"])]
    assert errors_of(await changed(admin, global_id("Product", row.id), name="X")) == []


async def test_an_unknown_product_is_not_found(database: Database, client_of: ClientOf) -> None:
    client = await staff_client(database, client_of)

    assert errors_of(await changed(client, global_id("Product", 10**17))) == [("NOT_FOUND", ["input", "id"])]
    assert errors_of(await changed(client, global_id("Store", 1))) == [("BAD_USER_INPUT", ["input", "id"])]


async def test_an_archived_product_stays_readable_and_can_come_back(database: Database, client_of: ClientOf) -> None:
    # given
    client = await staff_client(database, client_of)
    node_id = await created(client)

    # when
    data = await client.execute(ARCHIVE, input={"id": node_id, "expectedVersion": 1})

    # then
    assert data["archiveProduct"] == {"product": {"isActive": False, "version": 2}, "userErrors": []}
    read = await client.execute(
        "query ($id: ID!) { product(id: $id) { isActive } products { totalCount } }", id=node_id
    )
    assert read == {"product": {"isActive": False}, "products": {"totalCount": 1}}
    assert (await changed(client, node_id, 2, isActive=True))["product"]["isActive"] is True


async def test_mine_are_those_i_have_created(database: Database, client_of: ClientOf) -> None:
    # given
    async with database.transaction() as session:
        imported = await create_product(session, sku="C-3")
        await create_invoice(session)
    owner, colleague = await staff_client(database, client_of), await staff_client(database, client_of)
    await created(owner, "A-1")
    await created(colleague, "B-2")

    async def found(client: Client, **where: Any) -> list[str]:
        data = await client.execute(MINE, where=where)
        return [node["sku"] for node in data["products"]["nodes"]]

    # then
    assert await found(owner, mine=True) == ["A-1"]
    assert await found(colleague, mine=True) == ["B-2"]
    assert await found(owner, mine=False) == ["B-2", imported.sku]
    assert await found(owner, mine=None) == ["A-1", "B-2", imported.sku]
    assert await found(owner, **{"not": {"mine": True}}) == ["B-2", imported.sku]
    assert await found(owner, **{"or": [{"mine": True}, {"sku": {"eq": imported.sku}}]}) == ["A-1", imported.sku]
    literal = await owner.execute("{ products(where: {mine: true}) { totalCount nodes { sku canEdit } } }")
    assert literal == {"products": {"totalCount": 1, "nodes": [{"sku": "A-1", "canEdit": True}]}}
    nested = await owner.execute("{ invoices(where: {product: {mine: true}}) { totalCount } }")
    assert nested == {"invoices": {"totalCount": 0}}


async def test_can_edit_tells_what_a_change_would_answer(database: Database, client_of: ClientOf) -> None:
    owner, colleague = await staff_client(database, client_of), await staff_client(database, client_of)
    node_id = await created(owner)
    document = "query ($id: ID!) { product(id: $id) { canEdit } }"

    async def can_edit(client: Client) -> bool:
        return bool((await client.execute(document, id=node_id))["product"]["canEdit"])

    assert await can_edit(owner)
    assert not await can_edit(colleague)
    for role, expected in ((Role.ADMIN, True), (Role.SALESPERSON, False), (Role.CUSTOMER, False)):
        assert await can_edit(client_of(await create_viewer(database, role))) is expected


async def test_whose_account_is_gone_creates_nothing(database: Database, client: Client) -> None:
    data = await client.execute(CREATE, input={"sku": "A", "name": f"Of account {ADMIN.user_id}, which nobody made"})

    assert [error["code"] for error in data["createProduct"]["userErrors"]] == ["UNAUTHENTICATED"]
    assert await stored(database) == []
