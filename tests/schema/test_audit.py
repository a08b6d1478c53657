"""The audit record as administrators read it."""

from typing import Any

import pytest
from graphql import GraphQLObjectType
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.audit import Act, Change, write_change, write_refusal
from graphql_api.services.errors import ErrorCode
from graphql_api.services.policy import Viewer
from tests.client import Client
from tests.factories import create_product, create_user
from tests.schema.people import ClientOf, create_viewer

LOG = """
query ($where: AuditEntryWhere, $first: Int, $after: Cursor, $orderBy: [AuditEntryOrder!]) {
  auditLog(where: $where, first: $first, after: $after, orderBy: $orderBy) {
    totalCount
    nodes { requestId }
    pageInfo { hasNextPage endCursor }
  }
}
"""
ENTRY = """
{ auditLog { nodes {
  id at actor { email } actorRole sessionId action outcome errorCode entityType entityId before after address requestId
  hash
} } }
"""
TRAILS = """
query ($first: Int, $after: Cursor) {
  products { nodes { sku auditTrail(first: $first, after: $after) {
    totalCount nodes { action after actor { email } } pageInfo { hasNextPage endCursor }
  } } }
}
"""


class Log:
    """Writes entries into the record; the request id says which is which."""

    def __init__(self, database: Database, actors: list[UserRow]) -> None:
        self.database = database
        self.actors = actors

    async def write(
        self, name: str, actor: int | None = 0, *, about: tuple[str, int] = ("Product", 1), **act: Any
    ) -> None:
        async with self.database.transaction() as session:
            await write_change(session, self.act(name, actor, **act), Change(*about, {"name": "old"}, {"name": name}))

    async def refuse(self, name: str, code: ErrorCode, actor: int | None = None, **act: Any) -> None:
        async with self.database.transaction() as session:
            await write_refusal(session, self.act(name, actor, **act), code)

    def act(self, name: str, actor: int | None, action: str = "updateProduct", address: str = "192.0.2.1") -> Act:
        viewer = None if actor is None else Viewer(self.actors[actor].id, Role.STAFF, 70 + actor)
        return Act(action, viewer, address, name)


@pytest.fixture
async def log(database: Database) -> Log:
    async with database.transaction() as session:
        actors = [await create_user(session, email=f"user{number}@example.com") for number in range(2)]
    return Log(database, actors)


@pytest.fixture
async def filled(log: Log) -> Log:
    await log.write("a")
    await log.write("b", 1, about=("Product", 2))
    await log.write("c", None, about=("Invoice", 1), action="cli import", address="192.0.2.2")
    await log.refuse("d", ErrorCode.FORBIDDEN, 1, action="updateUser")
    await log.refuse("e", ErrorCode.UNAUTHENTICATED, address="192.0.2.2", action="login")
    return log


async def names(client: Client, where: Any = None, **arguments: Any) -> str:
    """The request ids of the answer, one letter each."""
    found = (await client.execute(LOG, where=where, **arguments))["auditLog"]
    return "".join(node["requestId"] for node in found["nodes"])


async def test_an_entry_is_shown_with_all_that_is_known(log: Log, client: Client) -> None:
    await log.write("a")

    (entry,) = (await client.execute(ENTRY))["auditLog"]["nodes"]

    assert entry["actor"] == {"email": "user0@example.com"}
    assert (entry["actorRole"], entry["sessionId"]) == ("STAFF", global_id("Session", 70))
    assert (entry["action"], entry["outcome"], entry["errorCode"]) == ("updateProduct", "DONE", None)
    assert (entry["entityType"], entry["entityId"]) == ("Product", global_id("Product", 1))
    assert (entry["before"], entry["after"]) == ({"name": "old"}, {"name": "a"})
    assert (entry["address"], entry["requestId"], len(entry["hash"])) == ("192.0.2.1", "a", 64)
    again = await client.execute("query ($id: ID!) { node(id: $id) { ... on AuditEntry { action } } }", id=entry["id"])
    assert again == {"node": {"action": "updateProduct"}}


async def test_a_refusal_says_why(log: Log, client: Client) -> None:
    await log.refuse("a", ErrorCode.UNAUTHENTICATED)

    (entry,) = (await client.execute(ENTRY))["auditLog"]["nodes"]

    assert (entry["outcome"], entry["errorCode"], entry["actor"]) == ("REFUSED", "UNAUTHENTICATED", None)
    assert (entry["entityType"], entry["entityId"], entry["before"], entry["after"]) == (None, None, None, None)


async def test_an_entry_outlives_its_actor(log: Log, client: Client, database: Database) -> None:
    await log.write("a")
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM user_account"))

    (entry,) = (await client.execute(ENTRY))["auditLog"]["nodes"]

    assert (entry["actor"], entry["actorRole"]) == (None, "STAFF")


@pytest.mark.usefixtures("filled")
async def test_the_newest_comes_first_unless_asked_otherwise(client: Client) -> None:
    assert await names(client) == "edcba"
    assert await names(client, orderBy=[{"by": "AT"}]) == "abcde"


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"action": {"eq": "updateUser"}}, "d"),
    ({"action": {"in": ["login", "cli import"]}}, "ec"),
    ({"action": {"eq": "UPDATEUSER"}}, ""),
    ({"outcome": {"eq": "REFUSED"}}, "ed"),
    ({"outcome": {"eq": "DONE"}}, "cba"),
    ({"errorCode": {"eq": "FORBIDDEN"}}, "d"),
    ({"errorCode": {"in": ["FORBIDDEN", "UNAUTHENTICATED"]}}, "ed"),
    ({"errorCode": {"isNull": True}}, "cba"),
    ({"entityType": {"eq": "Invoice"}}, "c"),
    ({"entityType": {"isNull": True}}, "ed"),
    ({"entity": {"eq": global_id("Product", 1)}}, "a"),
    ({"entity": {"in": [global_id("Product", 2), global_id("Invoice", 1)]}}, "cb"),
    ({"entity": {"in": []}}, ""),
    ({"not": {"entity": {"eq": global_id("Product", 1)}}}, "edcb"),
    ({"session": {"eq": global_id("Session", 71)}}, "db"),
    ({"address": {"eq": "192.0.2.2"}}, "ec"),
    ({"requestId": {"eq": "d"}}, "d"),
    ({"requestId": {"in": ["a", "e"]}}, "ea"),
    ({"at": {"gte": "2024-01-01T00:00:00Z"}}, "edcba"),
    ({"at": {"lt": "2024-01-01T00:00:00Z"}}, ""),
    ({"or": [{"action": {"eq": "login"}}, {"and": [{"entityType": {"eq": "Product"}}]}]}, "eba"),
]


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("where", "expected"), FILTERS)
async def test_entries_are_found_by_each_of_their_properties(
    client: Client, where: dict[str, Any], expected: str
) -> None:
    assert await names(client, where) == expected


async def test_entries_are_found_by_their_actor_and_their_time(filled: Log, client: Client) -> None:
    times = {node["requestId"]: node["at"] for node in (await client.execute(ENTRY))["auditLog"]["nodes"]}

    assert await names(client, {"actor": {"eq": global_id("User", filled.actors[1].id)}}) == "db"
    assert await names(client, {"at": {"gte": times["b"], "lt": times["e"]}}) == "dcb"
    assert await names(client, {"at": {"gt": times["b"], "lte": times["e"]}}) == "edc"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"entity": {"eq": "nonsense"}}, ["where", "entity", "eq"]),
        ({"or": [{"entity": {"in": ["nonsense"]}}]}, ["where", "or", "0", "entity", "in"]),
        ({"entity": {"eq": None}}, ["where", "entity", "eq"]),
        ({"actor": {"eq": global_id("Product", 1)}}, ["where", "actor", "eq"]),
    ],
)
async def test_an_impossible_filter_is_refused_with_its_path(client: Client, where: Any, path: list[str]) -> None:
    response = await client.execute_raw(LOG, where=where)

    (error,) = response.errors
    assert (error["extensions"]["code"], error["extensions"]["argumentPath"]) == ("BAD_USER_INPUT", path)


async def test_pages_follow_each_other_while_entries_are_added(log: Log, client: Client) -> None:
    for name in "abcde":
        await log.write(name)

    first = (await client.execute(LOG, first=2))["auditLog"]
    await log.write("f")
    rest = await names(client, first=10, after=first["pageInfo"]["endCursor"])

    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (5, True)
    assert "".join(node["requestId"] for node in first["nodes"]) + rest == "edcba"


async def test_only_administrators_read_the_record(log: Log, database: Database, client_of: ClientOf) -> None:
    await log.write("a")
    async with database.transaction() as session:
        await create_product(session)

    for role in Role:
        client = client_of(await create_viewer(database, role))
        expected = [] if role is Role.ADMIN else ["FORBIDDEN"]
        assert (await client.execute_raw(LOG)).codes == expected
        assert (await client.execute_raw(TRAILS)).codes == expected
        node = await client.execute("query ($id: ID!) { node(id: $id) { id } }", id=global_id("AuditEntry", 1))
        assert (node["node"] is not None) == (role is Role.ADMIN)


async def test_each_thing_has_its_own_trail(log: Log, client: Client, database: Database) -> None:
    async with database.transaction() as session:
        products = [await create_product(session, name=f"Product {number}") for number in range(3)]
    for number, name in ((0, "a"), (1, "b"), (0, "c"), (0, "d")):
        await log.write(name, about=("Product", products[number].id))
    await log.write("x", about=("Invoice", products[0].id))

    first = [node["auditTrail"] for node in (await client.execute(TRAILS, first=2))["products"]["nodes"]]
    after = first[0]["pageInfo"]["endCursor"]
    second = [node["auditTrail"] for node in (await client.execute(TRAILS, first=2, after=after))["products"]["nodes"]]

    assert [trail["totalCount"] for trail in first] == [3, 1, 0]
    assert [[node["after"]["name"] for node in trail["nodes"]] for trail in first] == [["d", "c"], ["b"], []]
    assert [trail["pageInfo"]["hasNextPage"] for trail in first] == [True, False, False]
    assert [[node["after"]["name"] for node in trail["nodes"]] for trail in second] == [["a"], ["b"], []]
    assert first[0]["nodes"][0]["actor"] == {"email": "user0@example.com"}


def test_what_is_changed_has_a_trail(schema: ApiSchema) -> None:
    types = schema._schema.type_map.items()  # noqa: SLF001 - Strawberry has no public name for it
    found = {name for name, kind in types if isinstance(kind, GraphQLObjectType) and "auditTrail" in kind.fields}

    assert found >= {"Import", "Invoice", "Product", "Settings", "User"}


@pytest.mark.parametrize("after", ["nonsense", "WzEsInNrdSIsWyJhIl1d"])
async def test_a_trail_refuses_the_cursor_of_another_list(client: Client, database: Database, after: str) -> None:
    async with database.transaction() as session:
        await create_product(session)

    response = await client.execute_raw(TRAILS, after=after)

    assert response.codes == ["BAD_USER_INPUT"]
    assert response.errors[0]["extensions"]["argumentPath"] == ["after"]
