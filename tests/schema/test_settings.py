from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from tests.client import Client
from tests.factories import create_invoice
from tests.schema.people import ClientOf, create_viewer

FIELDS = """
companyName companyAddress taxNumber currency taxRate lowStockThreshold sellsExpired accessTokenMinutes
refreshTokenDays version
"""
READ = "{ settings { id updatedAt " + FIELDS + " } }"
UPDATE = (
    "mutation ($input: UpdateSettingsInput!) { updateSettings(input: $input) { settings { "
    + FIELDS
    + " } userErrors { code message path } } }"
)
INVOICES = "{ invoices { nodes { number currency company { name address taxNumber } } } }"
NEW = {
    "companyName": "Ale Ltd",
    "companyAddress": "1 Main Street\nDes Moines",
    "taxNumber": "42-123",
    "currency": "EUR",
    "taxRate": "6.500",
    "lowStockThreshold": 3,
    "sellsExpired": True,
    "accessTokenMinutes": 5,
    "refreshTokenDays": 7,
}


async def update(client: Client, version: int, **changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.execute(UPDATE, input={"expectedVersion": version, **changes}))[
        "updateSettings"
    ]
    return answer


async def test_settings_are_changed_and_read_again(client: Client) -> None:
    changed = await update(client, 1, **NEW)
    read = (await client.execute(READ))["settings"]

    assert changed == {"settings": NEW | {"version": 2}, "userErrors": []}
    assert {name: read[name] for name in NEW} == NEW
    again = await client.execute("query ($id: ID!) { node(id: $id) { ... on Settings { version } } }", id=read["id"])
    assert again == {"node": {"version": 2}}


async def test_what_is_left_out_stays_and_null_removes(client: Client) -> None:
    await update(client, 1, **NEW)

    changed = await update(client, 2, companyAddress=None)

    assert changed["settings"] == NEW | {"companyAddress": None, "version": 3}


async def test_an_outdated_version_is_a_conflict(client: Client) -> None:
    await update(client, 1, companyName="First")

    (error,) = (await update(client, 1, companyName="Second"))["userErrors"]

    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "expectedVersion"])
    assert (await client.execute(READ))["settings"]["companyName"] == "First"


@pytest.mark.parametrize(("name", "value"), [("currency", "JPY"), ("taxRate", "101"), ("companyName", None)])
async def test_a_bad_value_is_told_with_its_path(client: Client, name: str, value: Any) -> None:
    answer = await update(client, 1, **{name: value})

    assert answer["settings"] is None
    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [("BAD_USER_INPUT", ["input", name])]


async def test_only_administrators_change_settings_and_customers_do_not_see_them(
    database: Database, client_of: ClientOf
) -> None:
    for role in (Role.STAFF, Role.SALESPERSON, Role.CUSTOMER):
        somebody = client_of(await create_viewer(database, role))
        refused = await somebody.execute_raw(UPDATE, input={"expectedVersion": 1, "companyName": "Mine"})
        assert refused.codes == ["FORBIDDEN"]
        assert (await somebody.execute_raw(READ)).codes == (["FORBIDDEN"] if role is Role.CUSTOMER else [])


async def test_invoices_show_company_and_currency_with_one_statement(client: Client, database: Database) -> None:
    async with database.transaction() as session:
        for _ in range(5):
            await create_invoice(session)
    await update(client, 1, **NEW)
    statements: list[str] = []
    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *found: statements.append(found[2]))

    nodes = (await client.execute(INVOICES))["invoices"]["nodes"]

    assert len(nodes) == 5
    company = {"name": "Ale Ltd", "address": "1 Main Street\nDes Moines", "taxNumber": "42-123"}
    assert all((node["currency"], node["company"]) == ("EUR", company) for node in nodes)
    assert len([statement for statement in statements if "FROM settings" in statement]) == 1


async def test_two_changes_in_one_document_see_each_other(database: Database, client_of: ClientOf) -> None:
    client = client_of(await create_viewer(database, Role.ADMIN))
    document = """mutation {
        first: updateSettings(input: {expectedVersion: 1, currency: "EUR"}) { settings { version } }
        second: updateSettings(input: {expectedVersion: 2, currency: "GBP"}) { settings { version } }
    }"""

    answer = await client.execute(document)

    assert [answer[name]["settings"]["version"] for name in ("first", "second")] == [2, 3]
    assert (await client.execute(READ))["settings"]["currency"] == "GBP"


async def test_the_trail_of_the_settings_tells_each_change(client: Client) -> None:
    for version, name in enumerate(("First", "Second"), start=1):
        await update(client, version, companyName=name)

    trail = (await client.execute("{ settings { auditTrail { totalCount nodes { action after } } } }"))["settings"]

    assert trail["auditTrail"]["totalCount"] == 2
    assert [node["after"]["companyName"] for node in trail["auditTrail"]["nodes"]] == ["Second", "First"]
