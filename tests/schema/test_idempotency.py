"""A mutation that is sent again with the same key is answered again and done once; nothing secret is kept of it."""

import asyncio
import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLOutputType, get_named_type, is_leaf_type, is_required_argument

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.permissions import ANY_TYPE, FIELDS
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.upload import UploadedFile
from graphql_api.services.idempotency import forget_old_keys
from graphql_api.services.key import GivenKeys
from graphql_api.services.policy import Viewer
from tests.client import Client, Response, schema_client
from tests.sales_files import sale, sales_csv
from tests.schema.mutation_examples import EXAMPLES
from tests.schema.mutation_walk import SECRET_FIELDS, Attempt, World, mutations
from tests.services.account_case import AccountCase

KEY = "5f0c3b3e-9d0b-4a57-8d3f-1f6c2f6f3a11"
OTHER_KEYS = GivenKeys("another-secret-key-of-the-tests-0123456789")
CREATE = """
mutation ($sku: String!, $name: String!) {
  createProduct(input: {sku: $sku, name: $name, unitPrice: "9.90"}) {
    product { id sku name unitPrice version } userErrors { code message path }
  }
}
"""
LOGIN = """
mutation ($email: String!, $password: String!) {
  login(input: {email: $email, password: $password}) { accessToken refreshToken userErrors { code } }
}
"""
REFRESH = (
    "mutation ($token: String!) { refreshToken(input: {refreshToken: $token}) { refreshToken userErrors { code } } }"
)
START = "mutation ($file: Upload!) { startImport(input: {file: $file}) { import { id sha256 } userErrors { code } } }"


@pytest.fixture
async def world(database: Database, services: Services, schema: ApiSchema) -> World:
    world = World(database, AccountCase(database), services, schema)
    await world.fill()
    return world


def selection(kind: GraphQLOutputType, depth: int = 3) -> str:
    """Every field below a payload that needs no argument, as deep as it is worth it."""
    named = get_named_type(kind)
    assert isinstance(named, GraphQLObjectType)
    fields = []
    for name, found in named.fields.items():
        below = get_named_type(found.type)
        # a link is made anew whenever somebody asks; and what needs more rights is not for all who ask
        if name.lower().endswith("url") or {(named.name, name), (ANY_TYPE, name)} & FIELDS.keys():
            continue
        if any(is_required_argument(argument) for argument in found.args.values()):
            continue
        if is_leaf_type(below):
            fields.append(name)
        elif depth > 1 and isinstance(below, GraphQLObjectType):
            fields.append(f"{name} {selection(below, depth - 1)}")
    return f"{{ __typename {' '.join(fields)} }}"


def document(world: World, name: str, attempt: Attempt) -> tuple[str, dict[str, Any]]:
    root_field = world.field(name)
    fields = selection(root_field.type).removesuffix("}") + " userErrors { code message path } }"
    if attempt.input is None:
        return f"mutation {{ {name} {fields} }}", {}
    head = f"mutation ($input: {root_field.args['input'].type})"
    return f"{head} {{ {name}(input: $input) {fields} }}", {"input": attempt.input}


async def send_keyed(
    world: World,
    viewer: Viewer | None,
    text: str,
    key: str = KEY,
    **variables: Any,
) -> Response:
    client = schema_client(world.schema, world.services, viewer, Origin("keyed"), key)
    return await client.execute_raw(text, **variables)


async def rows(world: World, table: str) -> int:
    return int(await world.scalar(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a name from this file


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_mutation_is_answered_again_and_done_once_and_nothing_secret_is_kept(
    world: World, name: str
) -> None:
    attempt = await EXAMPLES[name](world)
    text, variables = document(world, name, attempt)

    first = await send_keyed(world, attempt.viewer, text, **variables)
    after, entries = await world.contents(), await world.entries()
    again = await send_keyed(world, attempt.viewer, text, **variables)

    assert (first.errors, (first.data or {})[name]["userErrors"]) == ([], [])
    assert (again.data, again.errors) == (first.data, [])
    assert await world.contents() == after
    assert await world.entries() == entries
    assert await rows(world, "idempotency_key") == 1

    payload, kept = (first.data or {})[name], json.dumps(after)
    secrets = {*attempt.secrets, *(payload[field] for field in SECRET_FIELDS & payload.keys())} - {None}
    assert [secret for secret in secrets if any(form in kept for form in forms_of(secret))] == []


def forms_of(secret: str) -> list[str]:
    """A text as it stands in a table, and as it stands in bytes."""
    raw = secret.encode()
    return [secret, raw.hex(), base64.b64encode(raw).decode().rstrip("=")[:-1]]


async def test_a_payload_is_not_a_mere_copy_of_what_is_there_now(world: World) -> None:
    first = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")
    await world.accounts.execute("UPDATE product SET name = 'Stout', version = 2")

    again = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")

    assert again.data == first.data
    assert first.data is not None
    assert first.data["createProduct"]["product"]["name"] == "Ale"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (CREATE, {"sku": "A-1", "name": "Stout"}),
        (CREATE, {"sku": "A-2", "name": "Ale"}),
        ('mutation { archiveProduct(input: {id: "x", expectedVersion: 1}) { userErrors { code message path } } }', {}),
    ],
    ids=["another value", "another value of another field", "another mutation"],
)
async def test_other_input_with_the_same_key_is_refused(
    world: World,
    text: str,
    variables: dict[str, str],
) -> None:
    await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")

    refused = await send_keyed(world, world.admin, text, **variables)

    assert refused.data is not None
    ((error,),) = [payload["userErrors"] for payload in refused.data.values()]
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert "createProduct" in error["message"]
    assert await rows(world, "product") == 1


async def test_the_spelling_of_the_same_input_does_not_matter(world: World) -> None:
    literal = (
        'mutation { again: createProduct(input: {unitPrice: "9.90", name: "Ale", sku: "A-1"}) { product { id } } }'
    )

    first = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")
    again = await send_keyed(world, world.admin, literal)

    assert first.data
    assert again.data == {"again": {"product": {"id": first.data["createProduct"]["product"]["id"]}}}


async def test_null_is_other_input_than_nothing(world: World) -> None:
    key = await world.product()
    text = "mutation ($i: UpdateProductInput!) { updateProduct(input: $i) { product { id } userErrors { code } } }"
    wish = {"id": global_id("Product", key), "expectedVersion": 1, "name": "Ale"}
    await send_keyed(world, world.admin, text, i=wish)

    refused = await send_keyed(world, world.admin, text, i={**wish, "description": None})

    assert refused.data == {"updateProduct": {"product": None, "userErrors": [{"code": "IDEMPOTENCY_KEY_REUSED"}]}}


async def test_everybody_has_keys_of_the_own(world: World) -> None:
    one = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")
    other = await send_keyed(world, world.staff, CREATE, sku="A-2", name="Stout")

    assert [answer.data and answer.data["createProduct"]["userErrors"] for answer in (one, other)] == [[], []]
    scopes = await world.accounts.rows("SELECT scope FROM idempotency_key ORDER BY scope")
    assert {scope for (scope,) in scopes} == {f"user:{world.admin.user_id}", f"user:{world.staff.user_id}"}


async def test_the_mutations_of_a_document_are_told_apart_by_their_place(world: World) -> None:
    both = """
    mutation ($second: String!) {
      a: createProduct(input: {sku: "A-1", name: "Ale"}) { product { id } userErrors { code } }
      b: createProduct(input: {sku: $second, name: "Ale"}) { product { id } userErrors { code } }
    }
    """
    first = await send_keyed(world, world.admin, both, second="A-1")
    assert first.data
    assert [first.data[name]["userErrors"] for name in "ab"] == [[], [{"code": "CONFLICT"}]]

    again = await send_keyed(world, world.admin, both, second="A-1")
    await world.accounts.execute("DELETE FROM product")
    mended = await send_keyed(world, world.admin, both, second="A-1")

    assert again.data == first.data
    assert mended.data
    assert mended.data["a"] == first.data["a"]
    assert mended.data["b"]["userErrors"] == []
    assert await rows(world, "idempotency_key") == 2


async def test_a_refusal_may_be_tried_again_with_its_key(world: World) -> None:
    await send_keyed(world, world.admin, CREATE, "another key", sku="A-1", name="Ale")

    refused = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Stout")
    await world.accounts.execute("UPDATE product SET sku = 'A-2'")
    done = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Stout")

    assert refused.data
    assert done.data
    assert [error["code"] for error in refused.data["createProduct"]["userErrors"]] == ["CONFLICT"]
    assert done.data["createProduct"]["userErrors"] == []


async def test_a_refusal_that_has_an_effect_leaves_no_key(world: World) -> None:
    tokens = await world.session()
    token = tokens.refresh.text
    await send_keyed(world, None, REFRESH, "first use", token=token)
    await world.accounts.execute("UPDATE refresh_token SET used_at = used_at - interval '1 minute'")

    stolen = await send_keyed(world, None, REFRESH, "second use", token=token)

    assert stolen.data == {"refreshToken": {"refreshToken": None, "userErrors": [{"code": "UNAUTHENTICATED"}]}}
    session = tokens.viewer.session_id
    assert await world.scalar(f"SELECT ended_by FROM session WHERE id = {session}") == "TOKEN_REUSED"  # noqa: S608 - a number
    assert await world.accounts.rows("SELECT key FROM idempotency_key") == [("first use",)]


async def test_an_upload_is_known_by_its_content_and_stored_once(world: World, tmp_path: Path) -> None:
    def upload(name: str, line: str) -> UploadedFile:
        return UploadedFile(name, io.BytesIO(sales_csv([sale(line)])))

    first = await send_keyed(world, world.staff, START, file=upload("sales.csv", "a"))
    again = await send_keyed(world, world.staff, START, file=upload("copy.csv", "a"))
    other = await send_keyed(world, world.staff, START, file=upload("sales.csv", "b"))

    assert again.data == first.data
    assert other.data
    assert other.data["startImport"]["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED"}]
    assert len(list((tmp_path / "storage/imports").iterdir())) == 1


async def test_what_a_replaced_key_has_sealed_can_be_opened(world: World) -> None:
    first = await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")
    rotated = GivenKeys("another-secret-key-of-the-tests-0123456789", ["a-secret-key-of-the-tests-0123456789"])
    renewed = replace(world, services=replace(world.services, keys=rotated))

    assert await send_keyed(renewed, world.admin, CREATE, sku="A-1", name="Ale") == first
    refused = await send_keyed(renewed, world.admin, CREATE, sku="A-1", name="Stout")
    assert refused.data
    assert [error["code"] for error in refused.data["createProduct"]["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]


@pytest.mark.parametrize(
    "damage",
    [
        "SELECT 1",
        "UPDATE idempotency_key SET payload = set_byte(payload, 40, (get_byte(payload, 40) + 1) % 256)",
        "UPDATE idempotency_key SET payload = substr(payload, 1, 20)",
        "UPDATE idempotency_key SET payload = ''",
        "UPDATE idempotency_key SET payload = NULL",
    ],
    ids=["key forgotten", "changed", "cut off", "empty", "missing"],
)
async def test_an_answer_that_cannot_be_opened_says_so_and_nothing_is_done_twice(
    world: World,
    damage: str,
) -> None:
    await send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale")
    await world.accounts.execute(damage)
    keys = OTHER_KEYS if damage == "SELECT 1" else world.services.keys
    later = replace(world, services=replace(world.services, keys=keys))

    answer = await send_keyed(later, world.admin, CREATE, sku="A-1", name="Ale")

    assert answer.data
    (error,) = answer.data["createProduct"]["userErrors"]
    assert error["code"] == "CONFLICT"
    assert "carried out before" in error["message"]
    assert await rows(world, "product") == 1


async def test_keys_are_forgotten_after_a_day(world: World, database: Database) -> None:
    await send_keyed(world, world.admin, CREATE, "old", sku="A-1", name="Ale")
    await send_keyed(world, world.admin, CREATE, "young", sku="A-2", name="Ale")
    for key, hours in (("old", 25), ("young", 23)):
        await world.accounts.execute(
            f"UPDATE idempotency_key SET created_at = now() - interval '{hours} hours' WHERE key = '{key}'"  # noqa: S608 - of this test
        )

    assert await forget_old_keys(database) == 1

    assert await world.accounts.rows("SELECT key FROM idempotency_key") == [("young",)]
    assert await forget_old_keys(database) == 0


async def test_who_is_refused_a_mutation_uses_up_no_key(world: World) -> None:
    refused = await send_keyed(world, world.viewers[Role.CUSTOMER], CREATE, sku="A-1", name="Ale")

    assert refused.codes == ["FORBIDDEN"]
    assert await rows(world, "idempotency_key") == 0


async def test_a_right_that_is_lost_is_asked_of_a_repetition_too(world: World) -> None:
    await send_keyed(world, world.staff, CREATE, sku="A-1", name="Ale")
    demoted = replace(world.staff, role=Role.CUSTOMER)

    assert (await send_keyed(world, demoted, CREATE, sku="A-1", name="Ale")).codes == ["FORBIDDEN"]


async def test_parallel_repetitions_have_one_effect(world: World) -> None:
    answers = await asyncio.gather(*[send_keyed(world, world.admin, CREATE, sku="A-1", name="Ale") for _ in range(20)])

    assert all(answer == answers[0] for answer in answers)
    assert answers[0].errors == []
    assert await rows(world, "product") == 1
    assert len(await world.entries()) == 1


async def test_the_smallest_pool_carries_many_keyed_requests(
    world: World,
    schema: ApiSchema,
    database_url: str,
    services: Services,
) -> None:
    """Signing in asks for a second connection while the transaction of the claim holds one."""
    small = Database(database_url, pool_size=1)
    email = world.users[Role.STAFF].email

    async def sign_in(key: str) -> Response:
        client: Client = schema_client(schema, crowded, None, Origin("crowd"), key)
        return await client.execute_raw(LOGIN, email=email, password="violet harbour lantern")  # noqa: S106 - as in the factories

    try:
        crowded = replace(services, database=small)
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*[sign_in(f"key {number % 5}") for number in range(9)])
    finally:
        await small.close()

    assert [answer.errors for answer in answers] == [[]] * 9
    assert len({answer.data and answer.data["login"]["refreshToken"] for answer in answers}) == 5


def test_the_walk_sees_every_mutation(schema: ApiSchema) -> None:
    assert mutations(schema).fields.keys() == EXAMPLES.keys()


def test_a_selection_reaches_below_the_payload(schema: ApiSchema) -> None:
    text = selection(mutations(schema).fields["createProduct"].type)
    assert "product {" in text
    assert "unitPrice" in text
