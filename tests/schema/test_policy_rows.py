"""Which invoices somebody sees: the same ones in lists, by id, by number, by node, in lines and behind reports."""

import datetime as dt
from dataclasses import dataclass

import pytest
from graphql import GraphQLInterfaceType
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.invitation import InvitationRow
from graphql_api.database.notification import NotificationRecipientRow, NotificationRow, Severity
from graphql_api.database.user import Role
from graphql_api.schema.loaders import Loaders
from graphql_api.schema.node import global_id
from graphql_api.schema.refetch import SOURCES
from graphql_api.schema.root import ApiSchema
from graphql_api.services.audit import Act, write_refusal
from graphql_api.services.document_line import LinesWanted
from graphql_api.services.errors import ErrorCode
from graphql_api.services.paging import PageRequest
from graphql_api.services.policy import Viewer
from tests.client import Client
from tests.factories import (
    Line,
    OrderLine,
    create_customer,
    create_import,
    create_invoice,
    create_product,
    create_purchase,
    create_session,
    create_stock,
    create_store,
    create_user,
)
from tests.schema.people import ClientOf, create_viewer

NUMBERS = "{ invoices(first: 100, orderBy: [{by: NUMBER}]) { totalCount nodes { number } edges { node { number } } } }"
BEHIND_A_REPORT = """{ salesReport(groupBy: [], first: 1) { grandTotal { lineCount }
    rows { lines(first: 100) { totalCount nodes { invoice { number } } } } } }"""
NODE = "query ($id: ID!) { node(id: $id) { __typename } }"
# Each leads to one invoice by what a client may know of it.
WAYS = {
    "by id": "query ($id: ID!) { invoice(id: $id) { number } }",
    "by number": "query ($number: String!) { invoice(number: $number) { number date } }",
    "by node": "query ($id: ID!) { node(id: $id) { __typename id } }",
    "by a filter of ids": "query ($id: ID!) { invoices(where: {id: {eq: $id}}) { totalCount nodes { id } } }",
    "by a filter of numbers": """query ($number: String!) {
        invoices(where: {number: {in: [$number]}}) { totalCount edges { node { number } } pageInfo { endCursor } } }""",
    "by its negation": """query ($number: String!) {
        invoices(where: {not: {not: {number: {eq: $number}}}}) { totalCount nodes { number } } }""",
    "by search": "query ($number: String!) { invoices(search: $number) { totalCount nodes { number } } }",
    "by permission": "query ($id: ID!) { viewer { can(action: READ_INVOICES, on: $id) { allowed reason } } }",
}


@dataclass(frozen=True)
class Shop:
    """Two customers with accounts, and the keys of all invoices by their numbers.

    The first customer has INV-1 and INV-2, the second INV-3, nobody INV-4.
    """

    first: Viewer
    second: Viewer
    keys: dict[str, int]

    def variables(self, number: str) -> dict[str, str]:
        """Id and number of an invoice; those of none when there is no such number."""
        return {"id": global_id("Invoice", self.keys.get(number, 10**17)), "number": number}


@pytest.fixture
async def shop(database: Database) -> Shop:
    keys: dict[str, int] = {}
    viewers: list[Viewer] = []
    async with database.transaction() as session:
        product = await create_product(session)
        for numbers in (("INV-1", "INV-2"), ("INV-3",)):
            user = await create_user(session, role=Role.CUSTOMER)
            customer = await create_customer(session, user=user)
            viewers.append(Viewer(user.id, Role.CUSTOMER, (await create_session(session, user)).id))
            for number in numbers:
                lines = (Line(product), Line(product))
                keys[number] = (await create_invoice(session, *lines, number=number, customer=customer)).id
        keys["INV-4"] = (await create_invoice(session, Line(product), number="INV-4")).id
    return Shop(viewers[0], viewers[1], keys)


async def seen(client: Client) -> list[str]:
    """The numbers of the invoices in the list."""
    data = (await client.execute(NUMBERS))["invoices"]
    numbers = [node["number"] for node in data["nodes"]]
    assert [edge["node"]["number"] for edge in data["edges"]] == numbers
    assert data["totalCount"] == len(numbers)
    return numbers


async def test_customers_see_their_own_invoices_and_the_company_all(
    shop: Shop, database: Database, client_of: ClientOf
) -> None:
    assert await seen(client_of(shop.first)) == ["INV-1", "INV-2"]
    assert await seen(client_of(shop.second)) == ["INV-3"]
    assert await seen(client_of(await create_viewer(database, Role.CUSTOMER))) == []
    for role in (Role.ADMIN, Role.STAFF, Role.SALESPERSON):
        assert await seen(client_of(await create_viewer(database, role))) == ["INV-1", "INV-2", "INV-3", "INV-4"]


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_not_visible_is_answered_as_what_does_not_exist(
    shop: Shop, client_of: ClientOf, way: str
) -> None:
    # given
    client = client_of(shop.first)

    # when
    own = await client.execute_raw(WAYS[way], **used(way, shop.variables("INV-1")))
    missing = await client.execute_raw(WAYS[way], **used(way, shop.variables("INV-9")))
    others = [await client.execute_raw(WAYS[way], **used(way, shop.variables(f"INV-{n}"))) for n in (3, 4)]

    # then
    assert own.errors == []
    assert own != missing
    assert others == [missing, missing]


def used(way: str, variables: dict[str, str]) -> dict[str, str]:
    """The variables that a document declares."""
    return {name: value for name, value in variables.items() if f"${name}:" in WAYS[way]}


@pytest.mark.parametrize("number", ["INV-3", "INV-9"])
async def test_lines_and_totals_are_those_of_visible_invoices(shop: Shop, client_of: ClientOf, number: str) -> None:
    document = """query ($number: String!) { invoice(number: $number) {
        totals { lineCount revenue } lines { totalCount nodes { lineNumber invoice { number } } } } }"""

    own = await client_of(shop.first).execute(document, number="INV-1")

    assert own["invoice"]["totals"]["lineCount"] == own["invoice"]["lines"]["totalCount"] == 2
    assert [line["invoice"]["number"] for line in own["invoice"]["lines"]["nodes"]] == ["INV-1", "INV-1"]
    assert await client_of(shop.first).execute(document, number=number) == {"invoice": None}


@pytest.mark.parametrize("number", ["INV-3", "INV-4"])
async def test_what_is_read_by_key_is_narrowed_too(shop: Shop, database: Database, number: str) -> None:
    """Nothing that hangs on an invoice can be had by its key alone, whatever leads there one day."""
    key = shop.keys[number]
    wanted = LinesWanted(key, PageRequest())
    for viewer, lines in ((shop.first, 0), (None, 0), (await create_viewer(database, Role.STAFF), None)):
        loaders = Loaders(database, viewer)

        row, totals, page = (
            await loaders.invoices.load(key),
            await loaders.invoice_totals.load(key),
            await loaders.invoice_lines.load(wanted),
        )

        assert (row is None) == (lines == 0)
        assert (totals.line_count == 0) == (lines == 0)
        assert (len(page.rows) == 0) == (lines == 0)


async def test_a_customer_may_not_look_into_orders_of_others_by_their_products(shop: Shop, client_of: ClientOf) -> None:
    data = await client_of(shop.second).execute(
        "{ invoices(where: {product: {name: {isNull: false}}}) { totalCount nodes { number } } }"
    )

    assert data["invoices"] == {"totalCount": 1, "nodes": [{"number": "INV-3"}]}


@pytest.mark.parametrize("role", Role)
async def test_a_report_adds_up_the_invoices_of_the_list(
    shop: Shop, database: Database, client_of: ClientOf, role: Role
) -> None:
    # given
    client = client_of(shop.first if role is Role.CUSTOMER else await create_viewer(database, role))

    # when
    report = await client.execute_raw(BEHIND_A_REPORT)

    # then
    if report.errors:
        assert (report.codes, role) == (["FORBIDDEN"], Role.CUSTOMER)
        return
    assert report.data is not None
    (row,) = report.data["salesReport"]["rows"]
    behind = {line["invoice"]["number"] for line in row["lines"]["nodes"]}
    assert behind == set(await seen(client))
    assert row["lines"]["totalCount"] == len(row["lines"]["nodes"])


STOCK_TABLES = {
    "LowStock": "low_stock_episode",
    "StockLevel": "stock_level",
    "StockLot": "stock_lot",
    "StockMovement": "stock_movement",
}


async def create_one_of_each(session: AsyncSession) -> dict[str, int]:
    """The key of one object of each type that not everybody may see."""
    job = await create_import(session)
    invitation = InvitationRow(
        email="new@example.com",
        role=Role.STAFF,
        code_hash=bytes(32),
        code_salt=b"salt",
        key_id="key",
        expires_at=now_utc() + dt.timedelta(days=1),
    )
    session.add(invitation)
    await write_refusal(session, Act("login"), ErrorCode.UNAUTHENTICATED)
    entry = await session.scalar(select(func.max(col(AuditEntryRow.id))))
    store, product = await create_store(session), await create_product(session)
    notification = NotificationRow(
        severity=Severity.INFO, title="Low", body="", created_by=(await create_user(session)).id
    )
    session.add(notification)
    await session.flush()
    told = NotificationRecipientRow(notification_id=notification.id, user_id=notification.created_by or 0)
    session.add(told)
    # few enough to be low
    await create_stock(session, store, product, 1)
    stock = {
        kind: await session.scalar(text(f"SELECT max(id) FROM {table}"))  # noqa: S608 - names of this test
        for kind, table in STOCK_TABLES.items()
    }
    return {
        **stock,
        "Customer": (await create_customer(session)).id,
        "Notification": told.id,
        "Purchase": (await create_purchase(session, OrderLine(product))).id,
        "User": (await create_user(session)).id,
        "Import": job.id,
        "Settings": 1,
        "Product": (await create_product(session)).id,
        "Invoice": (await create_invoice(session)).id,
        "AuditEntry": entry or 0,
        "Invitation": invitation.id,
    }


@pytest.mark.parametrize("role", [*Role, None])
async def test_an_object_is_found_by_its_id_by_those_who_may_see_it(
    database: Database, client_of: ClientOf, role: Role | None
) -> None:
    # given
    viewer = await create_viewer(database, role) if role else None
    async with database.transaction() as session:
        ids = await create_one_of_each(session)
    company = {Role.ADMIN, Role.STAFF, Role.SALESPERSON}
    expected = {
        "User": {Role.ADMIN},
        "Import": {Role.ADMIN, Role.STAFF},
        "Settings": company,
        "Product": set(Role),
        "Invoice": company,
        "AuditEntry": {Role.ADMIN},
        "Invitation": {Role.ADMIN},
        **dict.fromkeys(STOCK_TABLES, company),
        "Customer": company,
        "Notification": set(),
        "Purchase": {Role.ADMIN, Role.STAFF},
    }

    # when
    client = client_of(viewer)
    found = {kind: await client.execute_raw(NODE, id=global_id(kind, key)) for kind, key in ids.items()}
    missing = {kind: await client.execute_raw(NODE, id=global_id(kind, 10**17)) for kind in ids}

    # then
    assert found.keys() == expected.keys()
    for kind, response in found.items():
        if role in expected[kind]:
            assert response.data == {"node": {"__typename": kind}}, kind
        else:
            assert response == missing[kind], kind


async def test_everybody_finds_the_own_account_by_its_id(database: Database, client_of: ClientOf) -> None:
    for role in Role:
        viewer = await create_viewer(database, role)

        data = await client_of(viewer).execute(NODE, id=global_id("User", viewer.user_id))

        assert data == {"node": {"__typename": "User"}}


def test_every_type_with_an_id_can_be_found_by_it(schema: ApiSchema) -> None:
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    node = core.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)

    assert {kind.name for kind in core.get_possible_types(node)} == set(SOURCES)
