"""Customers: created, changed, archived, linked to accounts, and what each of them sees."""

import asyncio
import datetime as dt
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.node import global_id
from graphql_api.services.policy import Viewer
from tests.client import Client
from tests.factories import create_customer, create_invoice, create_session, create_store, create_user
from tests.schema.edits import Editor, Statements, audit_entries, errors_of
from tests.schema.people import ClientOf, create_viewer
from tests.services.account_case import ADDRESS, AccountCase

FIELDS = "name phone email address hasAccount isActive version"
WISH = {
    "name": "  Corner  Bar ",
    "phone": " +1  515 555 0100 ",
    "email": "Owner@Example.com",
    "address": "1 Main Street\nAmes",
}
LIST = """query ($where: CustomerWhere, $search: String, $orderBy: [CustomerOrder!]) {
    customers(where: $where, search: $search, orderBy: $orderBy) { nodes { name } } }"""


async def editor(database: Database, client_of: ClientOf, role: Role = Role.SALESPERSON) -> Editor:
    return Editor(client_of(await create_viewer(database, role)), "Customer", FIELDS)


@pytest.fixture
async def customers(database: Database, client_of: ClientOf) -> Editor:
    """What somebody in sales does with customers."""
    return await editor(database, client_of)


async def create_account(database: Database, role: Role = Role.CUSTOMER) -> tuple[UserRow, Viewer]:
    """An account, and whoever has signed in with it."""
    async with database.transaction() as session:
        user = await create_user(session, role=role)
        return user, Viewer(user.id, role, (await create_session(session, user)).id)


async def names(client: Client, **arguments: Any) -> list[str]:
    return [node["name"] for node in (await client.execute(LIST, **arguments))["customers"]["nodes"]]


async def test_a_customer_is_created_changed_archived_and_brought_back(database: Database, customers: Editor) -> None:
    created = await customers.create(**WISH)
    node_id = created["customer"]["id"]
    changed = await customers.update(node_id, 1, phone=None, address=" ", email=None, name="Bar")
    archived = await customers.archive(node_id, 2)
    back = await customers.update(node_id, 3, isActive=True)

    assert created["customer"] == {
        "id": node_id,
        "name": "Corner Bar",
        "phone": "+1 515 555 0100",
        "email": "owner@example.com",
        "address": "1 Main Street\nAmes",
        "hasAccount": False,
        "isActive": True,
        "version": 1,
    }
    assert {changed["customer"][name] for name in ("phone", "email", "address")} == {None}
    assert (archived["customer"]["isActive"], back["customer"]["isActive"]) == (False, True)
    create, update, *_ = await audit_entries(database)
    assert create.after is not None
    assert create.after["email"] == "owner@example.com"
    assert update.before == {
        "phone": "+1 515 555 0100",
        "address": "1 Main Street\nAmes",
        "email": "owner@example.com",
        "name": "Corner Bar",
    }
    assert update.after == {"phone": None, "address": None, "email": None, "name": "Bar"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", None),
        ("name", "x" * 201),
        ("name", "a\nb"),
        ("email", "nobody"),
        ("email", "a@b@c.com"),
        ("email", "a\nb@example.com"),
        ("phone", "call me"),
        ("phone", "12"),
        ("address", "x" * 501),
        ("isActive", None),
        ("userId", "x"),
        ("userId", global_id("Customer", 1)),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_path(customers: Editor, name: str, value: Any) -> None:
    node_id = await customers.created(**WISH)

    answer = await customers.update(node_id, 1, **{name: value})

    assert (answer["customer"], errors_of(answer)) == (None, [("BAD_USER_INPUT", ["input", name])])


async def test_of_ten_changes_of_one_version_one_is_kept(customers: Editor) -> None:
    node_id = await customers.created(**WISH)

    answers = await asyncio.gather(*(customers.update(node_id, 1, name=f"By {turn}") for turn in range(10)))

    (kept,) = [answer["customer"]["name"] for answer in answers if answer["customer"]]
    assert [errors_of(answer) for answer in answers if not answer["customer"]] == [
        [("CONFLICT", ["input", "expectedVersion"])]
    ] * 9
    assert await names(customers.client) == [kept]


async def test_customers_are_found_by_each_field(database: Database, customers: Editor) -> None:
    user, _ = await create_account(database)
    async with database.transaction() as session:
        await create_customer(session, name="Zum Anker", email="anker@example.com", user=user)
        await create_customer(session, name="Old Inn", email="z@example.com", is_active=False)
    await customers.created(name="Bar", phone="515 555 0100", email="Bar@Example.com", address="1 Main Street")
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({"name": {"contains": "ANK"}}, ["Zum Anker"]),
        ({"email": {"eq": "BAR@example.COM"}}, ["Bar"]),
        ({"phone": {"startsWith": "515"}}, ["Bar"]),
        ({"address": {"contains": "main"}}, ["Bar"]),
        ({"hasAccount": {"eq": True}}, ["Zum Anker"]),
        ({"hasAccount": {"eq": False}}, ["Bar", "Old Inn"]),
        ({"isActive": {"eq": False}}, ["Old Inn"]),
        ({"not": {"isActive": {"eq": False}}}, ["Bar", "Zum Anker"]),
        ({"phone": {"isNull": True}}, ["Old Inn", "Zum Anker"]),
    ]

    for where, found in expected:
        assert await names(customers.client, where=where) == found, where
    assert await names(customers.client, search="anker@") == ["Zum Anker"]
    assert await names(customers.client, search="555 01") == ["Bar"]
    assert await names(customers.client, search="%") == []
    by_email = await names(customers.client, orderBy=[{"by": "EMAIL", "direction": "DESC"}])
    assert by_email == ["Old Inn", "Bar", "Zum Anker"]
    assert (await names(customers.client, orderBy=[{"by": "CREATED_AT", "direction": "DESC"}]))[0] == "Bar"


SEEN = """query ($id: ID!, $node: ID!) {
    customer(id: $id) { name } node(id: $node) { ... on Customer { name } }
    customers { totalCount nodes { name invoices { totalCount nodes { number customerName: id } } } }
}"""


async def test_the_account_of_a_customer_sees_the_own_row_alone(database: Database, client_of: ClientOf) -> None:
    # given two customers with accounts and an invoice each, and one without
    user, viewer = await create_account(database)
    other_user, _ = await create_account(database)
    async with database.transaction() as session:
        own = await create_customer(session, name="Mine", user=user)
        other = await create_customer(session, name="Theirs", user=other_user)
        await create_customer(session, name="Nobody's")
        store = await create_store(session)
        for customer, number in ((own, "A-1"), (other, "B-1")):
            await create_invoice(session, store=store, customer=customer, number=number)
    client = client_of(viewer)
    own_id, other_id = global_id("Customer", own.id), global_id("Customer", other.id)

    # when
    mine = await client.execute(SEEN, id=own_id, node=own_id)
    theirs = await client.execute(SEEN, id=other_id, node=other_id)

    # then
    assert mine["customer"] == mine["node"] == {"name": "Mine"}
    assert theirs["customer"] is theirs["node"] is None
    (row,) = mine["customers"]["nodes"]
    assert mine["customers"]["totalCount"] == 1
    assert [invoice["number"] for invoice in row["invoices"]["nodes"]] == ["A-1"]
    for where in ({"name": {"eq": "Theirs"}}, {"not": {"name": {"eq": "Mine"}}}, {"id": {"eq": other_id}}):
        assert await names(client, where=where) == []
    assert await names(client, search="Theirs") == []


async def test_an_account_without_a_customer_sees_none(database: Database, client_of: ClientOf) -> None:
    async with database.transaction() as session:
        await create_customer(session)
    _, viewer = await create_account(database)

    assert await names(client_of(viewer)) == []


@pytest.mark.parametrize("verb", ["create", "update", "archive"])
async def test_customers_do_not_change_customers(database: Database, client_of: ClientOf, verb: str) -> None:
    user, viewer = await create_account(database)
    async with database.transaction() as session:
        own = await create_customer(session, name="Mine", user=user)
    client = client_of(viewer)
    aim = {} if verb == "create" else {"id": global_id("Customer", own.id), "expectedVersion": 1}
    wish = aim if verb == "archive" else {**aim, "name": "Changed"}

    response = await client.execute_raw(
        f"mutation ($input: {verb.capitalize()}CustomerInput!) {{ {verb}Customer(input: $input) {{ __typename }} }}",
        input=wish,
    )

    assert response.codes == ["FORBIDDEN"]
    assert await names(client) == ["Mine"]


@pytest.mark.parametrize("role", [Role.STAFF, Role.SALESPERSON])
async def test_only_administrators_link_accounts(database: Database, client_of: ClientOf, role: Role) -> None:
    # given
    user, _ = await create_account(database)
    account = global_id("User", user.id)
    edits, admin = await editor(database, client_of, role), await editor(database, client_of, Role.ADMIN)
    node_id = await edits.created(name="Bar")

    # when
    created = await edits.create(name="Inn", userId=account)
    linked = await edits.update(node_id, 1, userId=account)
    by_admin = await admin.update(node_id, 1, userId=account)
    unlinked = await edits.update(node_id, 2, userId=None)
    renamed = await edits.update(node_id, 2, userId=account, name="Tavern")

    # then
    for answer in (created, linked, unlinked):
        assert errors_of(answer) == [("FORBIDDEN", ["input", "userId"])]
    assert (by_admin["userErrors"], by_admin["customer"]["hasAccount"]) == ([], True)
    assert (renamed["userErrors"], renamed["customer"]["name"]) == ([], "Tavern")
    assert (await admin.update(node_id, 3, userId=None))["customer"]["hasAccount"] is False


@pytest.mark.parametrize("role", [Role.ADMIN, Role.STAFF, Role.SALESPERSON])
async def test_an_account_of_the_company_is_no_customer(database: Database, client_of: ClientOf, role: Role) -> None:
    user, _ = await create_account(database, role)
    admin = await editor(database, client_of, Role.ADMIN)

    answer = await admin.create(name="Bar", userId=global_id("User", user.id))
    nobody = await admin.create(name="Bar", userId=global_id("User", 10**17))

    assert errors_of(answer) == [("BAD_USER_INPUT", ["input", "userId"])]
    assert errors_of(nobody) == [("NOT_FOUND", ["input", "userId"])]


async def test_an_account_has_one_customer_also_when_two_are_linked_at_once(
    database: Database, client_of: ClientOf
) -> None:
    user, _ = await create_account(database)
    admin = await editor(database, client_of, Role.ADMIN)
    account = global_id("User", user.id)
    ids = [await admin.created(name=f"Bar {turn}") for turn in range(5)]

    answers = await asyncio.gather(*(admin.update(node_id, 1, userId=account) for node_id in ids))

    assert sorted(len(answer["userErrors"]) for answer in answers) == [0] + [1] * 4
    assert {(error, *path) for answer in answers for error, path in errors_of(answer)} == {
        ("CONFLICT", "input", "userId")
    }


async def test_administrators_see_whose_account_it_is(database: Database, client_of: ClientOf) -> None:
    user, _ = await create_account(database)
    async with database.transaction() as session:
        await create_customer(session, name="Bar", user=user)
        await create_customer(session, name="Inn")
    admin = client_of(await create_viewer(database, Role.ADMIN))

    data = await admin.execute("{ customers { nodes { user { email } } } }")

    assert data["customers"]["nodes"] == [{"user": {"email": user.email}}, {"user": None}]


async def test_who_registers_with_the_address_of_a_customer_is_not_linked(
    database: Database, customers: Editor
) -> None:
    # given a customer with an address that somebody of the company has typed
    await customers.created(name="Bar", email=ADDRESS)

    # when somebody proves to own it
    accounts = AccountCase(database)
    challenge = await accounts.register()
    await accounts.verify(challenge.token, await accounts.mailed_code())

    # then that is an account, and not the customer's
    assert await names(customers.client, where={"hasAccount": {"eq": False}}) == ["Bar"]


async def test_the_invoices_of_a_customer_come_in_pages_newest_first(database: Database, customers: Editor) -> None:
    # given
    async with database.transaction() as session:
        customer = await create_customer(session)
        other = await create_customer(session)
        store = await create_store(session)
        for day in range(1, 6):
            date = dt.date(2024, 1, day)
            await create_invoice(session, store=store, customer=customer, number=f"A-{day}", date=date)
        await create_invoice(session, store=store, customer=other, number="B-1")
    document = """query ($id: ID!, $after: Cursor) { customer(id: $id) { invoices(first: 2, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { number } } } }"""

    # when
    pages, after = [], None
    for _ in range(3):
        data = await customers.client.execute(document, id=global_id("Customer", customer.id), after=after)
        page = data["customer"]["invoices"]
        pages.append([node["number"] for node in page["nodes"]])
        after = page["pageInfo"]["endCursor"]

    # then
    assert pages == [["A-5", "A-4"], ["A-3", "A-2"], ["A-1"]]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (5, False)
    wrong = await customers.client.execute_raw(document, id=global_id("Customer", customer.id), after="nonsense")
    assert wrong.codes == ["BAD_USER_INPUT"]


async def test_a_list_of_customers_with_their_invoices_costs_the_same_however_long(
    database: Database, client_of: ClientOf
) -> None:
    async with database.transaction() as session:
        store = await create_store(session)
        for _ in range(20):
            customer = await create_customer(session, user=await create_user(session, role=Role.CUSTOMER))
            await create_invoice(session, store=store, customer=customer)
    admin = client_of(await create_viewer(database, Role.ADMIN))
    statements = Statements(database)

    document = "{ customers { nodes { name user { email } invoices(first: 3) { totalCount nodes { number } } } } }"
    data = await admin.execute(document)

    assert [len(node["invoices"]["nodes"]) for node in data["customers"]["nodes"]] == [1] * 20
    assert statements.selects == 4, statements.texts
