"""Every root field, for everybody: what is expected stands here, and not in the table that the program reads."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from graphql import GraphQLField, GraphQLObjectType

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.context import Services
from graphql_api.schema.node import global_id
from graphql_api.schema.permissions import ANY_TYPE, FIELDS, INPUTS
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Viewer
from tests.client import Client, Response
from tests.factories import (
    Line,
    OrderLine,
    create_category,
    create_customer,
    create_import,
    create_invoice,
    create_product,
    create_purchase,
    create_stock,
    create_store,
    create_vendor,
)
from tests.schema.listening import listening_client
from tests.schema.minimal_documents import minimal_document
from tests.schema.people import ClientOf, create_viewer

PEOPLE: Mapping[str, Role | None] = {
    "A": Role.ADMIN,
    "S": Role.STAFF,
    "P": Role.SALESPERSON,
    "C": Role.CUSTOMER,
    "N": None,  # nobody has signed in
}
# Who may use each root field; whoever is not named may not.
EXPECTED: Mapping[str, Mapping[str, str]] = {
    "query": {
        "auditLog": "A",
        "booksCheck": "AS",
        "categories": "ASPC",
        "cities": "ASPC",
        "counties": "ASPC",
        "customer": "ASPC",
        "customers": "ASPC",
        "expiring": "ASP",
        "facets": "ASP",
        "import": "AS",
        "imports": "AS",
        "invitations": "A",
        "invoice": "ASPC",
        "invoices": "ASPC",
        "lowStock": "ASP",
        "lowStockReport": "ASP",
        "me": "ASPCN",
        "mySessions": "ASPC",
        "node": "ASPC",
        "notifications": "ASPC",
        "overview": "ASP",
        "product": "ASPC",
        "products": "ASPC",
        "purchase": "AS",
        "purchases": "AS",
        "reorderSuggestions": "AS",
        "salesReport": "ASP",
        "settings": "ASP",
        "stockReport": "ASP",
        "stockLevels": "ASP",
        "stockLots": "ASP",
        "stockMovements": "ASP",
        "store": "ASPC",
        "stores": "ASPC",
        "users": "A",
        "vendors": "ASPC",
        "viewer": "ASPCN",
    },
    "mutation": {
        "acceptInvitation": "ASPCN",
        "adjustStock": "AS",
        "addInvoiceLines": "ASP",
        "acknowledgeLowStock": "AS",
        "archiveCategory": "AS",
        "archiveCustomer": "ASP",
        "archiveProduct": "AS",
        "archiveStore": "AS",
        "archiveVendor": "AS",
        "cancelImport": "AS",
        "changePassword": "ASPC",
        "confirmImport": "AS",
        "countStock": "AS",
        "createCategory": "AS",
        "createCustomer": "ASP",
        "createNotification": "A",
        "createInvoice": "ASP",
        "creditInvoice": "AS",
        "createProduct": "AS",
        "createPurchase": "AS",
        "createStore": "AS",
        "createVendor": "AS",
        "deleteNotification": "ASPC",
        "deleteDraftInvoice": "ASP",
        "inviteUser": "A",
        "issueInvoice": "ASP",
        "login": "ASPCN",
        "logout": "ASPC",
        "logoutEverywhere": "ASPC",
        "markNotificationRead": "ASPC",
        "payInvoice": "ASP",
        "orderSuggested": "AS",
        "receivePurchase": "AS",
        "refreshToken": "ASPCN",
        "register": "ASPCN",
        "requestPasswordReset": "ASPCN",
        "resetPassword": "ASPCN",
        "revertImport": "AS",
        "revokeInvitation": "A",
        "revokeSession": "ASPC",
        "setProductImage": "AS",
        "setInvoiceLines": "ASP",
        "startImport": "AS",
        "updateCategory": "AS",
        "updateCustomer": "ASP",
        "updateInvoice": "ASP",
        "transferStock": "AS",
        "updateProduct": "AS",
        "updateProfile": "ASPC",
        "updatePurchase": "AS",
        "updateSettings": "A",
        "updateStore": "AS",
        "updateUser": "A",
        "updateVendor": "AS",
        "verifyEmail": "ASPCN",
        "verifyPasswordReset": "ASPCN",
        "voidInvoice": "AS",
        "voidPurchase": "AS",
    },
    "subscription": {
        "importProgress": "AS",
        "invoiceChanged": "ASPC",
        "lowStock": "ASP",
        "notificationReceived": "ASPC",
        "productChanged": "ASPC",
        "purchaseChanged": "AS",
        "salesReportLive": "ASP",
        "stockChanged": "ASP",
        "stockWatch": "ASP",
    },
}
# Who may use the guarded fields below the root, and a document that reaches each.
BELOW: Mapping[tuple[str, str], tuple[str, str]] = {
    ("Product", "unitCost"): ("ASP", "{ products { nodes { unitCost } } }"),
    ("Product", "lowStockThreshold"): ("ASP", "{ products { nodes { lowStockThreshold } } }"),
    ("Customer", "user"): ("A", "{ customers { nodes { user { id } } } }"),
    ("Customer", "auditTrail"): ("A", "{ customers { nodes { auditTrail { nodes { id } } } } }"),
    ("Store", "auditTrail"): ("A", "{ stores { nodes { auditTrail { nodes { id } } } } }"),
    ("Vendor", "auditTrail"): ("A", "{ vendors { nodes { auditTrail { nodes { id } } } } }"),
    ("Category", "auditTrail"): ("A", "{ categories { nodes { auditTrail { nodes { id } } } } }"),
    ("Product", "createdBy"): ("A", "{ products { nodes { createdBy { id } } } }"),
    ("Purchase", "createdBy"): ("A", "{ purchases { nodes { createdBy { id } } } }"),
    ("Purchase", "auditTrail"): ("A", "{ purchases { nodes { auditTrail { nodes { id } } } } }"),
    ("Product", "auditTrail"): ("A", "{ products { nodes { auditTrail { nodes { id } } } } }"),
    ("Invoice", "createdBy"): ("A", "{ invoices { nodes { createdBy { id } } } }"),
    ("Invoice", "auditTrail"): ("A", "{ invoices { nodes { auditTrail { nodes { id } } } } }"),
    # nobody has no account, and so nothing is refused
    ("User", "auditTrail"): ("AN", "{ me { auditTrail { nodes { id } } } }"),
    ("Invitation", "auditTrail"): ("A", "{ invitations { nodes { auditTrail { nodes { id } } } } }"),
    ("Import", "auditTrail"): ("A", "{ imports { nodes { auditTrail { nodes { id } } } } }"),
    ("LowStock", "acknowledgedBy"): ("A", "{ lowStock { nodes { acknowledgedBy { id } } } }"),
    ("Settings", "auditTrail"): ("A", "{ settings { auditTrail { nodes { id } } } }"),
    ("StockLevel", "value"): ("ASP", "{ stockLevels { nodes { value } } }"),
    ("StockLot", "unitCost"): ("ASP", "{ stockLots { nodes { unitCost } } }"),
    ("StockLot", "value"): ("ASP", "{ stockLots { nodes { value } } }"),
    ("LotUse", "cost"): ("ASP", "{ stockMovements { nodes { lots { cost } } } }"),
    ("StockMovement", "cost"): ("ASP", "{ stockMovements { nodes { cost } } }"),
    ("StockMovement", "purchase"): ("AS", "{ stockMovements { nodes { purchase { id } } } }"),
    ("StockMovement", "actor"): ("A", "{ stockMovements { nodes { actor { id } } } }"),
    ("StockChange", "actor"): ("A", "subscription { stockChanged { actor { id } } }"),
    ("InvoiceLine", "cost"): ("ASP", "{ invoices { nodes { lines { nodes { cost } } } } }"),
    ("InvoiceLine", "profit"): ("ASP", "{ invoices { nodes { lines { nodes { profit } } } } }"),
    ("InvoiceTotals", "cost"): ("ASP", "{ invoices { nodes { totals { cost } } } }"),
    ("InvoiceTotals", "profit"): ("ASP", "{ invoices { nodes { totals { profit } } } }"),
}
_PURCHASE, _IMPORT = global_id("Purchase", 1), global_id("Import", 1)
# Parts of inputs that tell what purchases and imports brought, for those who may see them.
OFFICE_PARTS: Mapping[tuple[str, str], str] = {
    ("StockLotWhere", "purchase"): f'{{ stockLots(where: {{purchase: {{eq: "{_PURCHASE}"}}}}) {{ totalCount }} }}',
    ("StockMovementWhere", "purchase"): (
        f'{{ stockMovements(where: {{not: {{purchase: {{eq: "{_PURCHASE}"}}}}}}) {{ totalCount }} }}'
    ),
    (
        "StockMovementWhere",
        "import",
    ): f'{{ stockMovements(where: {{import: {{in: ["{_IMPORT}"]}}}}) {{ totalCount }} }}',
}
# Parts of inputs that tell costs, with the path that a refusal names (none where the whole field is refused).
PARTS: Mapping[tuple[str, str], list[tuple[str, list[str]]]] = {
    ("ProductWhere", "unitCost"): [
        ('{ products(where: {unitCost: {gt: "1"}}) { totalCount } }', ["where", "unitCost"]),
        ("{ products(where: {unitCost: {}}) { totalCount } }", ["where", "unitCost"]),
        (
            '{ products(where: {or: [{}, {not: {and: [{unitCost: {eq: "1"}}]}}]}) { totalCount } }',
            ["where", "or", "1", "not", "and", "0", "unitCost"],
        ),
        (
            '{ invoices(where: {product: {unitCost: {lt: "1"}}}) { totalCount } }',
            ["where", "product", "unitCost"],
        ),
        (
            "{ invoices(where: {not: {product: {not: {unitCost: {isNull: true}}}}}) { totalCount } }",
            ["where", "not", "product", "not", "unitCost"],
        ),
    ],
    ("ProductOrderField", "UNIT_COST"): [
        ("{ products(orderBy: [{by: NAME}, {by: UNIT_COST}]) { totalCount } }", ["orderBy", "1", "by"]),
        ("{ products(orderBy: {by: UNIT_COST}) { totalCount } }", ["orderBy", "0", "by"]),
    ],
    ("StockLevelWhere", "value"): [('{ stockLevels(where: {value: {gt: "1"}}) { totalCount } }', [])],
    ("StockLevelOrderField", "VALUE"): [("{ stockLevels(orderBy: [{by: VALUE}]) { totalCount } }", [])],
    ("StockLotWhere", "unitCost"): [('{ stockLots(where: {unitCost: {gt: "1"}}) { totalCount } }', [])],
    ("SalesHaving", "cost"): [('{ salesReport(groupBy: [], having: {cost: {gt: "1"}}) { totalGroups } }', [])],
    ("SalesHaving", "profit"): [('{ salesReport(groupBy: [], having: {profit: {gt: "1"}}) { totalGroups } }', [])],
    ("SalesHaving", "margin"): [('{ salesReport(groupBy: [], having: {margin: {gt: "1"}}) { totalGroups } }', [])],
    ("StockMeasure", "VALUE"): [("{ stockReport(groupBy: [], orderBy: [{measure: VALUE}]) { totalGroups } }", [])],
    ("Measure", "COST"): [("{ salesReport(groupBy: [], orderBy: [{measure: COST}]) { totalGroups } }", [])],
    ("Measure", "PROFIT"): [("{ salesReport(groupBy: [], orderBy: [{measure: PROFIT}]) { totalGroups } }", [])],
    ("Measure", "MARGIN"): [("{ salesReport(groupBy: [], orderBy: [{measure: MARGIN}]) { totalGroups } }", [])],
}
MAY_SEE_COSTS = "ASP"
# What signing in answers to a wrong password or token, whoever asks.
WRONG_CREDENTIALS = {"login", "refreshToken"}


def root_fields(schema: ApiSchema) -> Iterator[tuple[str, str, GraphQLField]]:
    """Operation, name and definition of every root field."""
    core = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
    roots = {"query": core.query_type, "mutation": core.mutation_type, "subscription": core.subscription_type}
    for operation, root in roots.items():
        for name, root_field in root.fields.items() if root else ():
            yield operation, name, root_field


def refusals(response: Response) -> list[str]:
    """The codes in an answer that say that somebody may not do this, among the errors or in the payload."""
    payloads = [value for value in (response.data or {}).values() if isinstance(value, dict)]
    reported = [error["code"] for payload in payloads for error in payload.get("userErrors", [])]
    return [code for code in [*response.codes, *reported] if code in {"UNAUTHENTICATED", "FORBIDDEN"}]


def outcome(name: str, response: Response) -> str:
    """`allowed`, or the code of the refusal."""
    found = refusals(response)
    if name in WRONG_CREDENTIALS and not response.errors:
        return "allowed"
    return found[0] if found else "allowed"


def expected_outcome(person: str, allowed: str) -> str:
    if person in allowed:
        return "allowed"
    return "UNAUTHENTICATED" if person == "N" else "FORBIDDEN"


@pytest.fixture
def client_of(schema: ApiSchema, services: Services) -> ClientOf:
    """Makes clients of anybody, who can also subscribe."""
    return lambda viewer: listening_client(schema, services, viewer)


async def create_sales(database: Database, viewer: Viewer | None) -> None:
    """A product, an import, and an invoice that `viewer` sees in every role."""
    async with database.transaction() as session:
        customer = await create_customer(session)
        customer.user_id = viewer.user_id if viewer else None
        category, vendor = await create_category(session), await create_vendor(session)
        product = await create_product(session, category=category, vendor=vendor)
        await create_invoice(session, Line(product), customer=customer)
        await create_purchase(session, OrderLine(product))
        await create_stock(session, await create_store(session), product)
        await create_stock(session, await create_store(session), product, 1)
        await create_import(session)


async def create_person(database: Database, client_of: ClientOf, person: str) -> Client:
    role = PEOPLE[person]
    viewer = await create_viewer(database, role) if role else None
    await create_sales(database, viewer)
    return client_of(viewer)


def test_every_root_field_is_expected_and_every_expectation_has_its_field(schema: ApiSchema) -> None:
    found: dict[str, set[str]] = {operation: set() for operation in EXPECTED}
    for operation, name, _ in root_fields(schema):
        found[operation].add(name)

    assert found == {operation: set(fields) for operation, fields in EXPECTED.items()}


def test_the_walk_is_long(schema: ApiSchema) -> None:
    fields = len(list(root_fields(schema))) + len(BELOW) + sum(map(len, PARTS.values()))

    assert len(PEOPLE) * fields >= 300


@pytest.mark.parametrize("person", PEOPLE)
async def test_everybody_may_use_the_expected_root_fields_and_no_other(
    schema: ApiSchema, database: Database, client_of: ClientOf, person: str
) -> None:
    # given
    client = await create_person(database, client_of, person)
    documents = {
        (operation, name): minimal_document(operation, name, root_field)
        for operation, name, root_field in root_fields(schema)
    }

    # when
    answers = {
        (operation, name): await client.send(document.text, document.variables)
        for (operation, name), document in documents.items()
    }

    # then
    codes = Counter(code for answer in answers.values() for code in answer.codes)
    assert codes.keys() <= {"UNAUTHENTICATED", "FORBIDDEN", "BAD_USER_INPUT"}, "each document is valid and each answer"
    assert {place: outcome(place[1], answer) for place, answer in answers.items()} == {
        (operation, name): expected_outcome(person, allowed)
        for operation, fields in EXPECTED.items()
        for name, allowed in fields.items()
    }


def test_every_guarded_field_and_part_is_walked(schema: ApiSchema) -> None:
    types = schema._schema.type_map  # noqa: SLF001 - Strawberry has no public name for it
    objects = {name: kind for name, kind in types.items() if isinstance(kind, GraphQLObjectType)}
    everywhere = {name for type_name, name in FIELDS if type_name == ANY_TYPE}
    guarded = {key for key in FIELDS if key[0] != ANY_TYPE} | {
        (type_name, name) for type_name, kind in objects.items() for name in kind.fields if name in everywhere
    }

    assert set(BELOW) == guarded
    assert set(PARTS) | set(OFFICE_PARTS) == set(INPUTS)


@pytest.mark.parametrize("person", PEOPLE)
async def test_everybody_may_use_the_expected_fields_below_the_root(
    database: Database, client_of: ClientOf, person: str
) -> None:
    client = await create_person(database, client_of, person)

    found = {place: await client.send(document, {}) for place, (_, document) in BELOW.items()}

    assert {place: outcome("", response) for place, response in found.items()} == {
        place: expected_outcome(person, allowed) for place, (allowed, _) in BELOW.items()
    }


@pytest.mark.parametrize("person", PEOPLE)
async def test_costs_cannot_be_guessed_through_filters_and_orders(
    database: Database, client_of: ClientOf, person: str
) -> None:
    # given
    client = await create_person(database, client_of, person)
    cases = [case for cases in PARTS.values() for case in cases]

    # when
    found: list[tuple[str, Response, list[str]]] = [
        (document, await client.send(document, {}), path) for document, path in cases
    ]

    # then
    for document, response, path in found:
        assert outcome("", response) == expected_outcome(person, MAY_SEE_COSTS), document
        if person == "C":
            assert argument_path(response) == path, document


@pytest.mark.parametrize("person", PEOPLE)
async def test_purchases_and_imports_cannot_be_guessed_through_filters(
    database: Database, client_of: ClientOf, person: str
) -> None:
    client = await create_person(database, client_of, person)

    found = {document: outcome("", await client.send(document, {})) for document in OFFICE_PARTS.values()}

    assert found == dict.fromkeys(OFFICE_PARTS.values(), expected_outcome(person, "AS"))


def argument_path(response: Response) -> Any:
    return response.errors[0]["extensions"].get("argumentPath", [])


async def test_a_part_that_is_null_or_a_variable_is_judged_by_its_value(
    database: Database, client_of: ClientOf
) -> None:
    client = await create_person(database, client_of, "C")
    document = """query ($where: ProductWhere, $by: ProductOrderField!) {
        products(where: $where, orderBy: [{by: $by}]) { totalCount } }"""

    allowed = await client.execute_raw(document, where={"unitCost": None, "unitPrice": {"gt": 1}}, by="UNIT_PRICE")
    refused = await client.execute_raw(document, where={"not": {"unitCost": {"gt": 1}}}, by="NAME")
    ordered = await client.execute_raw(document, by="UNIT_COST")

    assert allowed.errors == []
    assert (refused.codes, argument_path(refused)) == (["FORBIDDEN"], ["where", "not", "unitCost"])
    assert (ordered.codes, argument_path(ordered)) == (["FORBIDDEN"], ["orderBy", "0", "by"])
