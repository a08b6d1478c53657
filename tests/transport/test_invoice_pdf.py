"""Where the printed invoice is to be had, and by whom."""

import hashlib

import httpx
from starlette.applications import Starlette

from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from tests.factories import Line, create_customer, create_invoice, create_product, create_user
from tests.transport.conftest import authorization, client_of, create_viewer

QUERY = "query ($id: ID!) { invoice(id: $id) { pdf { url sha256 } } }"


async def create_printed(database: Database, *, for_user: int | None = None) -> str:
    async with database.transaction() as session:
        customer = await create_customer(session)
        customer.user_id = for_user
        invoice = await create_invoice(session, Line(await create_product(session)), number="1/../2", customer=customer)
        return global_id("Invoice", invoice.id)


async def test_the_link_leads_to_the_bytes_of_the_hash(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    # given
    invoice_id = await create_printed(database)
    answer = await http.post("/graphql", json={"query": QUERY, "variables": {"id": invoice_id}})
    pdf = answer.json()["data"]["invoice"]["pdf"]

    # when a browser follows the link
    response = await stranger.get(pdf["url"])

    # then
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["content-disposition"] == 'inline; filename="invoice-1_.._2.pdf"'
    assert hashlib.sha256(response.content).hexdigest() == pdf["sha256"]
    assert response.headers["etag"] == f'"{pdf["sha256"]}"'
    again = await http.get(f"/invoices/{invoice_id}.pdf", headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_it_is_for_those_who_may_see_the_invoice(
    app: Starlette, stranger: httpx.AsyncClient, http: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    # given a customer and another one
    owner, other = await create_viewer(database, Role.CUSTOMER), await create_viewer(database, Role.CUSTOMER)
    invoice_id = await create_printed(database, for_user=owner.user_id)
    address = f"/invoices/{invoice_id}.pdf"

    # when
    async with client_of(app, authorization(settings, owner)) as client:
        own = await client.get(address)
    async with client_of(app, authorization(settings, other)) as client:
        foreign = await client.get(address)

    # then
    assert own.status_code == 200
    assert foreign.status_code == 404
    assert (await stranger.get(address)).status_code == 401
    assert (await http.get("/invoices/nonsense.pdf")).status_code == 404
    assert (await http.get(f"/invoices/{global_id('Product', 1)}.pdf")).status_code == 404


async def test_a_link_is_good_for_its_own_invoice_alone(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    invoice_id = await create_printed(database)
    answer = await http.post("/graphql", json={"query": QUERY, "variables": {"id": invoice_id}})
    link = answer.json()["data"]["invoice"]["pdf"]["url"]
    async with database.transaction() as session:
        await create_user(session)
        another = global_id("Invoice", (await create_invoice(session)).id)

    assert (await stranger.get(link.replace(invoice_id, another))).status_code == 401
