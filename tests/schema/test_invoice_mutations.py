"""Invoices from a client's point of view: the whole life of one, what is refused and where, and trying out."""

from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.node import global_id
from graphql_api.services.policy import Viewer
from tests.client import Client
from tests.factories import create_customer, create_session, create_user
from tests.schema.people import ClientOf
from tests.services.invoice_case import InvoiceCase

ERRORS = """userErrors { __typename code message path
    ... on InsufficientStock { shortages { product { sku } store { number } requested available } } }"""
INVOICE = """id number status version date note discount taxRate tax total currency customerName issuedAt paidAt
    voidedAt voidReason salesperson store { number } customer { name } company { name } totals { revenue cost profit }
    lines(first: 100) { nodes { lineNumber product { sku } quantity unitPrice discount revenue cost } }
    creditOf { number } credits { number total }"""


@pytest.fixture
async def case(database: Database) -> InvoiceCase:
    case = InvoiceCase(database)
    await case.fill()
    await case.execute("UPDATE settings SET tax_rate = 10, company_name = 'Acme'")
    return case


@pytest.fixture
def client(case: InvoiceCase, client_of: ClientOf) -> Client:
    return client_of(case.staff)


async def do(client: Client, name: str, selection: str = f"invoice {{ {INVOICE} }}", **wish: Any) -> dict[str, Any]:
    """What a mutation answers."""
    kind = name[0].upper() + name[1:]
    document = f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ {selection} {ERRORS} }} }}"
    answer: dict[str, Any] = (await client.execute(document, input=wish))[name]
    return answer


async def done(client: Client, name: str, **wish: Any) -> dict[str, Any]:
    """The invoice that a mutation answers with."""
    answer = await do(client, name, **wish)
    assert answer["userErrors"] == []
    invoice: dict[str, Any] = answer["invoice"]
    return invoice


def line(case: InvoiceCase, place: int, quantity: int, **others: str) -> dict[str, Any]:
    return {"productId": global_id("Product", case.products[place].id), "quantity": quantity, **others}


def aim(invoice: dict[str, Any]) -> dict[str, Any]:
    """Which invoice, as mutations want to know it."""
    return {"id": invoice["id"], "expectedVersion": invoice["version"]}


async def draft(case: InvoiceCase, client: Client, *lines: dict[str, Any], **wish: Any) -> dict[str, Any]:
    return await done(client, "createInvoice", storeId=global_id("Store", case.store.id), lines=list(lines), **wish)


async def test_the_life_of_an_invoice(case: InvoiceCase, client: Client) -> None:
    async with case.database.transaction() as session:
        customer = await create_customer(session, name="Mona")

    # a draft has no number and no cost; tax is what it would be today
    invoice = await draft(
        case, client, line(case, 0, 2), customerId=global_id("Customer", customer.id), date="2024-03-15"
    )
    assert (invoice["number"], invoice["status"], invoice["date"]) == (None, "DRAFT", "2024-03-15")
    assert (invoice["tax"], invoice["total"], invoice["totals"]["cost"]) == ("1.80", "19.80", "0.00")
    assert (invoice["company"]["name"], invoice["customer"]["name"], invoice["customerName"]) == ("Acme", "Mona", None)
    assert invoice["salesperson"].startswith("User")

    invoice = await done(client, "updateInvoice", **aim(invoice), note="Fragile", discount="0.01")
    invoice = await done(client, "addInvoiceLines", **aim(invoice), lines=[line(case, 1, 1, unitPrice="5")])
    invoice = await done(client, "setInvoiceLines", **aim(invoice), lines=[line(case, 0, 1), line(case, 2, 1)])
    assert [(node["product"]["sku"], node["quantity"], node["revenue"]) for node in invoice["lines"]["nodes"]] == [
        ("ALE", 1, "8.99"),
        ("GIN", 1, "5.00"),
        ("RUM", 1, "9.00"),
    ]

    invoice = await done(client, "issueInvoice", **aim(invoice))
    assert (invoice["number"], invoice["status"], invoice["customerName"]) == ("2633-000001", "ISSUED", "Mona")
    assert (invoice["totals"], invoice["tax"], invoice["total"], invoice["taxRate"]) == (
        {"revenue": "22.99", "cost": "18.00", "profit": "4.99"},
        "2.30",
        "25.29",
        "10.000",
    )
    assert invoice["issuedAt"]

    # what the company is called later does not change it
    await case.execute("UPDATE settings SET company_name = 'Other', currency = 'EUR', tax_rate = 50")
    invoice = await done(client, "payInvoice", **aim(invoice))
    assert (invoice["status"], invoice["company"]["name"], invoice["currency"]) == ("PAID", "Acme", "USD")
    assert (invoice["tax"], invoice["taxRate"]) == ("2.30", "10.000")

    answer = await do(
        client, "creditInvoice", f"creditNote {{ {INVOICE} }} invoice {{ {INVOICE} }}", **aim(invoice),
        reason="Broken", restock=True,
    )  # fmt: skip
    note = answer["creditNote"]
    assert (note["number"], note["total"], note["creditOf"]) == ("2633-C000001", "-25.29", {"number": "2633-000001"})
    assert answer["invoice"]["credits"] == [{"number": "2633-C000001", "total": "-25.29"}]
    assert await case.on_hand() == [10, 10, 10]
    await case.check()


async def test_a_voided_invoice_says_why(case: InvoiceCase, client: Client) -> None:
    invoice = await done(client, "issueInvoice", **aim(await draft(case, client, line(case, 0, 1))))

    invoice = await done(client, "voidInvoice", **aim(invoice), reason="Wrong customer")

    assert (invoice["status"], invoice["voidReason"], invoice["number"]) == ("VOID", "Wrong customer", "2633-000001")
    assert invoice["voidedAt"]


async def test_a_draft_is_thrown_away(case: InvoiceCase, client: Client) -> None:
    invoice = await draft(case, client, line(case, 0, 1))

    answer = await do(client, "deleteDraftInvoice", "deletedId", **aim(invoice))

    assert answer == {"deletedId": invoice["id"], "userErrors": []}
    assert await client.execute("query ($id: ID!) { invoice(id: $id) { id } }", id=invoice["id"]) == {"invoice": None}


@pytest.mark.parametrize("is_dry", [True, False])
async def test_all_that_is_short_is_named(case: InvoiceCase, client: Client, is_dry: bool) -> None:  # noqa: FBT001 - a case
    invoice = await draft(case, client, line(case, 0, 6), line(case, 0, 5), line(case, 1, 1), line(case, 2, 12))

    answer = await do(client, "issueInvoice", "invoice { id } preview { total }", **aim(invoice), dryRun=is_dry)

    (error,) = answer.pop("userErrors")
    assert answer == {"invoice": None, "preview": None}
    assert (error["__typename"], error["code"], error["path"]) == ("InsufficientStock", "CONFLICT", ["input"])
    assert sorted(error["shortages"], key=lambda short: str(short["product"]["sku"])) == [
        {"product": {"sku": "ALE"}, "store": {"number": 2633}, "requested": 11, "available": 10},
        {"product": {"sku": "RUM"}, "store": {"number": 2633}, "requested": 12, "available": 10},
    ]


async def test_a_dry_run_shows_what_would_be_and_changes_nothing(case: InvoiceCase, client: Client) -> None:
    # given
    invoice = await draft(case, client, line(case, 0, 2), line(case, 1, 1, unitPrice="5.00", discount="0.50"))
    before = await case.contents()

    # when
    answer = await do(
        client,
        "issueInvoice",
        """invoice { number status version } preview { currency taxRate revenue tax total cost profit
           lines { lineNumber product { sku } quantity unitPrice discount revenue cost profit stockLeft } }""",
        **aim(invoice),
        dryRun=True,
    )

    # then
    assert answer["userErrors"] == []
    assert answer["invoice"] == {"number": None, "status": "DRAFT", "version": 1}
    lines = answer["preview"].pop("lines")
    assert answer["preview"] == {
        "currency": "USD",
        "taxRate": "10.000",
        "revenue": "22.50",
        "tax": "2.25",
        "total": "24.75",
        "cost": "18.00",
        "profit": "4.50",
    }
    assert [(one["product"]["sku"], one["stockLeft"], one["profit"]) for one in lines] == [
        ("ALE", 8, "6.00"),
        ("GIN", 9, "-1.50"),
    ]
    assert await case.contents() == before, "not even an entry in the audit record"
    assert (await done(client, "issueInvoice", **aim(invoice)))["number"] == "2633-000001"


WRONG_ID = global_id("County", 1)


@pytest.mark.parametrize(
    ("name", "wish", "code", "path"),
    [
        ("createInvoice", {"storeId": WRONG_ID}, "BAD_USER_INPUT", ["storeId"]),
        ("createInvoice", {"customerId": WRONG_ID}, "BAD_USER_INPUT", ["customerId"]),
        (
            "createInvoice",
            {"lines": [{"productId": WRONG_ID, "quantity": 1}]},
            "BAD_USER_INPUT",
            ["lines", "0", "productId"],
        ),
        ("updateInvoice", {"id": WRONG_ID}, "BAD_USER_INPUT", ["id"]),
        ("updateInvoice", {"id": global_id("Invoice", 999)}, "NOT_FOUND", ["id"]),
        ("updateInvoice", {"expectedVersion": 7}, "CONFLICT", ["expectedVersion"]),
        ("updateInvoice", {"customerId": WRONG_ID}, "BAD_USER_INPUT", ["customerId"]),
        (
            "addInvoiceLines",
            {"lines": [{"productId": WRONG_ID, "quantity": 1}]},
            "BAD_USER_INPUT",
            ["lines", "0", "productId"],
        ),
        ("addInvoiceLines", {"lines": []}, "BAD_USER_INPUT", ["lines"]),
        ("setInvoiceLines", {"lines": []}, "BAD_USER_INPUT", ["lines"]),
        ("issueInvoice", {"expectedVersion": 7}, "CONFLICT", ["expectedVersion"]),
        ("issueInvoice", {}, "CONFLICT", ["id"]),
        ("payInvoice", {}, "CONFLICT", ["id"]),
        ("voidInvoice", {"reason": "x"}, "CONFLICT", ["id"]),
        ("creditInvoice", {"reason": "x", "restock": True}, "CONFLICT", ["id"]),
        ("deleteDraftInvoice", {"id": WRONG_ID}, "BAD_USER_INPUT", ["id"]),
    ],
)
async def test_an_error_names_the_path_to_its_input(  # noqa: PLR0913, PLR0917 - two fixtures and a case
    case: InvoiceCase, client: Client, name: str, wish: dict[str, Any], code: str, path: list[str]
) -> None:
    empty = await draft(case, client)
    usual = {"storeId": global_id("Store", case.store.id)} if name == "createInvoice" else aim(empty)

    answer = await do(client, name, "__typename", **{**usual, **wish})

    (error,) = answer["userErrors"]
    assert (error["code"], error["path"]) == (code, ["input", *path])
    assert error["__typename"] == "InputError"


async def test_customers_see_their_own_invoices_once_they_are_issued(case: InvoiceCase, client_of: ClientOf) -> None:
    async with case.database.transaction() as session:
        user = await create_user(session, role=Role.CUSTOMER)
        own = await create_customer(session, user=user)
        viewer = Viewer(user.id, Role.CUSTOMER, (await create_session(session, user)).id)
    begun = await case.draft(case.wish(0, 1), customer_id=own.id)
    await case.issued(case.wish(0, 1), customer_id=own.id)
    await case.credit(await case.issued(case.wish(0, 1), customer_id=own.id))
    await case.issued(case.wish(0, 1))
    customer = client_of(viewer)
    document = """query ($id: ID!) { invoice(id: $id) { id } node(id: $id) { id }
        invoices(orderBy: [{by: NUMBER}]) {
            totalCount nodes { number customer { name } credits { number } tax total } } }"""

    data = await customer.execute(document, id=global_id("Invoice", begun.id))

    assert (data["invoice"], data["node"]) == (None, None)
    assert [node["number"] for node in data["invoices"]["nodes"]] == ["2633-000001", "2633-000002", "2633-C000001"]
    assert data["invoices"]["totalCount"] == 3
    assert data["invoices"]["nodes"][1]["credits"] == [{"number": "2633-C000001"}]
    refused = await customer.execute_raw("{ invoices { nodes { totals { cost } } } }")
    assert set(refused.codes) == {"FORBIDDEN"}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"customer": {"name": {"eq": "Mona"}}}, {1}),
        ({"hasCustomer": {"eq": True}}, {1}),
        ({"hasCustomer": {"eq": False}}, {2, 3, 4}),
        ({"isCreditNote": {"eq": True}}, {4}),
        ({"isCreditNote": {"eq": False}}, {1, 2, 3}),
        ({"salesperson": {"eq": "Sally"}}, {3}),
        ({"salesperson": {"isNull": True}}, set()),
        ({"mine": True}, {1, 2, 4}),
        ({"mine": False}, {3}),
        ({"status": {"eq": "DRAFT"}}, {1}),
    ],
)
async def test_invoices_are_found_by_whom_they_are_for_and_from(
    case: InvoiceCase, client: Client, where: dict[str, Any], found: set[int]
) -> None:
    # given: a draft for Mona, an invoice, one of Sally's, and a credit note
    await case.execute("UPDATE user_account SET name = 'Sally' WHERE id = :id", id=case.salesperson.user_id)
    async with case.database.transaction() as session:
        mona = await create_customer(session, name="Mona")
    first = await case.draft(case.wish(0, 1), customer_id=mona.id)
    second = await case.issued(case.wish(0, 1))
    third = await case.issue(await case.draft(case.wish(0, 1), viewer=case.salesperson), viewer=case.salesperson)
    fourth = (await case.credit(second)).note
    places = {global_id("Invoice", row.id): place for place, row in enumerate((first, second, third, fourth), start=1)}

    data = await client.execute(
        "query ($where: InvoiceWhere!) { invoices(where: $where) { nodes { id } } }", where=where
    )

    assert {places[node["id"]] for node in data["invoices"]["nodes"]} == found


# What somebody would do with an invoice of another; lines by the places of their products.
FOREIGN: dict[str, dict[str, Any]] = {
    "updateInvoice": {"note": "mine now"},
    "addInvoiceLines": {"lines": [1]},
    "setInvoiceLines": {"lines": [0]},
    "issueInvoice": {},
    "issueInvoice dry": {"dryRun": True},
    "payInvoice": {},
    "voidInvoice": {"reason": "x"},
    "creditInvoice": {"reason": "x", "restock": True},
    "deleteDraftInvoice": {},
}


@pytest.mark.parametrize("is_issued", [False, True])
@pytest.mark.parametrize("act", FOREIGN)
async def test_salespeople_do_nothing_with_invoices_of_others(
    case: InvoiceCase,
    client_of: ClientOf,
    act: str,
    is_issued: bool,  # noqa: FBT001 - a case
) -> None:
    # given an invoice that somebody else has written
    foreign = await (case.issued if is_issued else case.draft)(case.wish(0, 1))
    before = await case.rows("SELECT i::text, (SELECT sum(on_hand) FROM stock_level) FROM invoice i")
    name, wish = act.split(maxsplit=1)[0], dict(FOREIGN[act])
    if "lines" in wish:
        wish["lines"] = [line(case, place, 3) for place in wish["lines"]]
    document = f"""mutation ($input: {name[0].upper()}{name[1:]}Input!) {{
        {name}(input: $input) {{ __typename userErrors {{ code path message }} }} }}"""

    # when
    aimed = {"id": global_id("Invoice", foreign.id), "expectedVersion": foreign.version, **wish}
    answer = await client_of(case.salesperson).execute_raw(document, input=aimed)

    # then
    payload = (answer.data or {}).get(name) or {"userErrors": []}
    assert [*answer.codes, *(error["code"] for error in payload["userErrors"])] == ["FORBIDDEN"]
    assert await case.rows("SELECT i::text, (SELECT sum(on_hand) FROM stock_level) FROM invoice i") == before


async def test_whoever_asks_learns_what_may_be_changed(case: InvoiceCase, client_of: ClientOf) -> None:
    own = await case.draft(case.wish(0, 1), viewer=case.salesperson)
    foreign = await case.draft(case.wish(0, 1))
    document = "query ($id: ID!) { viewer { can(action: WRITE_INVOICES, on: $id) { allowed reason } } }"
    salesperson = client_of(case.salesperson)

    mine = await salesperson.execute(document, id=global_id("Invoice", own.id))
    others = await salesperson.execute(document, id=global_id("Invoice", foreign.id))
    wrong = await salesperson.execute_raw(document, id=global_id("Product", case.products[0].id))

    assert mine["viewer"]["can"] == {"allowed": True, "reason": None}
    assert others["viewer"]["can"]["allowed"] is False
    assert "created" in others["viewer"]["can"]["reason"]
    assert wrong.codes == ["BAD_USER_INPUT"]
