from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Language, Role
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import ROLES, Action, Unauthenticated
from graphql_api.services.translation import translate
from tests.client import Client, schema_client
from tests.factories import create_customer, create_invoice, create_product, create_user
from tests.schema.people import ClientOf, create_viewer

CAN = """query ($action: Action!, $on: ID) { viewer { can(action: $action, on: $on) { allowed reason } } }"""
ALL = (
    "{ viewer { user { id } role actions "
    + " ".join(f"{action.name}: can(action: {action.name}) {{ allowed reason }}" for action in Action)
    + " } }"
)


async def can(client: Client, action: str, on: str | None = None) -> dict[str, Any]:
    permission: dict[str, Any] = (await client.execute(CAN, action=action, on=on))["viewer"]["can"]
    return permission


@pytest.mark.parametrize("role", Role)
async def test_somebody_learns_what_the_role_allows(database: Database, client_of: ClientOf, role: Role) -> None:
    viewer = await create_viewer(database, role)

    data = (await client_of(viewer).execute(ALL))["viewer"]

    allowed = [action.name for action in Action if role in ROLES[action]]
    assert (data["user"], data["role"]) == ({"id": global_id("User", viewer.user_id)}, role.value)
    assert data["actions"] == allowed
    for action in Action:
        is_allowed = action.name in allowed
        reason = None if is_allowed else f"You may not {action.value}."
        assert data[action.name] == {"allowed": is_allowed, "reason": reason}


async def test_nobody_may_sign_in_and_nothing_else(client_of: ClientOf) -> None:
    data = (await client_of(None).execute(ALL))["viewer"]

    assert (data["user"], data["role"], data["actions"]) == (None, None, ["SIGN_IN"])
    assert data["SIGN_IN"] == {"allowed": True, "reason": None}
    assert data["IMPORT"] == {"allowed": False, "reason": "Sign in to load files and take them back."}
    assert [action.name for action in Action if data[action.name]["allowed"]] == ["SIGN_IN"]


async def test_a_token_that_was_not_taken_is_the_reason(schema: ApiSchema, services: Services) -> None:
    problem = Unauthenticated("The access token has expired.")
    context = Context(services, Origin("test-request"), sign_in_problem=problem)

    result = await schema.execute("{ viewer { can(action: IMPORT) { reason } } }", context_value=context)

    assert result.data == {"viewer": {"can": {"reason": "The access token has expired."}}}


async def test_a_product_may_be_edited_by_whoever_created_it(database: Database, client_of: ClientOf) -> None:
    # given
    viewer = await create_viewer(database, Role.STAFF)
    async with database.transaction() as session:
        owner = await create_user(session, role=Role.STAFF)
        others = global_id("Product", (await create_product(session, created_by=owner)).id)
        own = await create_product(session)
        own.created_by = viewer.user_id
    staff, admin = client_of(viewer), client_of(await create_viewer(database, Role.ADMIN))
    sales = client_of(await create_viewer(database, Role.SALESPERSON))

    # then
    allowed = {"allowed": True, "reason": None}
    assert await can(staff, "EDIT_PRODUCT", global_id("Product", own.id)) == allowed
    assert await can(admin, "EDIT_PRODUCT", others) == allowed
    assert await can(staff, "EDIT_PRODUCT", others) == {
        "allowed": False,
        "reason": "You may only edit products that you have created.",
    }
    assert await can(sales, "EDIT_PRODUCT", others) == {"allowed": False, "reason": "You may not edit products."}


async def test_what_is_not_visible_is_not_found(database: Database, client_of: ClientOf) -> None:
    # given
    viewer = await create_viewer(database, Role.CUSTOMER)
    async with database.transaction() as session:
        customer = await create_customer(session)
        customer.user_id = viewer.user_id
        own = global_id("Invoice", (await create_invoice(session, customer=customer)).id)
        other = global_id("Invoice", (await create_invoice(session)).id)
    client = client_of(viewer)

    # then
    not_found = {"allowed": False, "reason": "Nothing with this id was found."}
    assert await can(client, "READ_INVOICES", own) == {"allowed": True, "reason": None}
    assert await can(client, "READ_INVOICES", other) == not_found
    assert await can(client, "READ_INVOICES", global_id("Invoice", 10**17)) == not_found
    admin = client_of(await create_viewer(database, Role.ADMIN))
    assert await can(admin, "EDIT_PRODUCT", global_id("Product", 10**17)) == not_found


async def test_an_id_that_is_none_or_of_something_else_is_refused(database: Database, client_of: ClientOf) -> None:
    async with database.transaction() as session:
        invoice = global_id("Invoice", (await create_invoice(session)).id)
    client = client_of(await create_viewer(database, Role.ADMIN))

    for on in ("x", invoice):
        response = await client.execute_raw(CAN, action="EDIT_PRODUCT", on=on)

        assert response.codes == ["BAD_USER_INPUT"]
        assert response.errors[0]["extensions"]["argumentPath"] == ["on"]


async def test_the_reason_is_in_the_language_of_the_reader(schema: ApiSchema, services: Services) -> None:
    client = schema_client(schema, services, None, Origin("test-request", language=Language.AR))

    reason = (await can(client, "IMPORT"))["reason"]

    english = Unauthenticated("Sign in to {action}.", action=Action.IMPORT.value)
    assert reason == translate(english, Language.AR)
    assert reason != english.message
    assert str(Action.IMPORT.value) not in reason
