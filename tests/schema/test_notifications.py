"""Notifications as clients see them: everybody has a list of the own."""

from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.notification import Severity
from graphql_api.database.user import Language, Role
from graphql_api.schema.context import Origin, Services
from graphql_api.schema.node import global_id
from graphql_api.schema.root import ApiSchema
from graphql_api.services.notification import notify
from graphql_api.services.policy import Viewer
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import Client, schema_client
from tests.factories import create_user
from tests.schema.people import ClientOf, create_viewer

LIST = """query ($where: NotificationWhere, $first: Int, $after: Cursor, $orderBy: [NotificationOrder!]) {
  notifications(where: $where, first: $first, after: $after, orderBy: $orderBy) {
    nodes { id severity title body isRead readAt isFromPerson createdAt }
    totalCount unreadCount pageInfo { hasNextPage endCursor } } }"""
READ = """mutation ($input: MarkNotificationReadInput!) { markNotificationRead(input: $input) {
  count unreadCount userErrors { code message path } } }"""
DELETE = """mutation ($input: DeleteNotificationInput!) { deleteNotification(input: $input) {
  count unreadCount userErrors { code message path } } }"""
CREATE = """mutation ($input: CreateNotificationInput!) { createNotification(input: $input) {
  recipientCount userErrors { code message path } } }"""


async def tell(database: Database, *roles: Role, severity: Severity = Severity.WARNING) -> None:
    async with unit_of_work(database) as work:
        title = Sentence("Low stock of {product}", product="Ale")
        await notify(work, severity=severity, title=title, body=Sentence("Low stock"), roles=roles)


async def listed(client: Client, **variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await client.execute(LIST, **variables))["notifications"]
    return found


async def test_everybody_sees_the_own_list_alone(database: Database, client_of: ClientOf) -> None:
    admin, other, staff = [await create_viewer(database, role) for role in (Role.ADMIN, Role.ADMIN, Role.STAFF)]
    await tell(database, Role.ADMIN)

    lists = [await listed(client_of(viewer)) for viewer in (admin, other, staff)]

    assert [(found["totalCount"], found["unreadCount"]) for found in lists] == [(1, 1), (1, 1), (0, 0)]
    mine, theirs = lists[0]["nodes"][0], lists[1]["nodes"][0]
    assert mine["id"] != theirs["id"]
    assert (mine["severity"], mine["title"], mine["body"]) == ("WARNING", "Low stock of Ale", "Low stock")
    assert (mine["isRead"], mine["readAt"], mine["isFromPerson"]) == (False, None, False)
    # nor by an id that somebody has told
    node = "query ($id: ID!) { node(id: $id) { id ... on Notification { title } } }"
    assert (await client_of(admin).execute(node, id=mine["id"]))["node"]["title"] == "Low stock of Ale"
    assert (await client_of(other).execute(node, id=mine["id"]))["node"] is None
    assert (await client_of(staff).execute(node, id=mine["id"]))["node"] is None


async def test_reading_one_several_and_all(database: Database, client_of: ClientOf) -> None:
    viewer, other = [await create_viewer(database, Role.ADMIN) for _ in range(2)]
    for _ in range(4):
        await tell(database, Role.ADMIN)
    client = client_of(viewer)
    ids = [node["id"] for node in (await listed(client))["nodes"]]

    one = (await client.execute(READ, input={"ids": ids[:1]}))["markNotificationRead"]
    two = (await client.execute(READ, input={"ids": ids[:3]}))["markNotificationRead"]
    rest = (await client.execute(READ, input={"all": True}))["markNotificationRead"]

    assert [(step["count"], step["unreadCount"]) for step in (one, two, rest)] == [(1, 3), (2, 1), (1, 0)]
    found = await listed(client)
    assert all(node["isRead"] and node["readAt"] for node in found["nodes"])
    assert (await listed(client_of(other)))["unreadCount"] == 4


async def test_the_list_is_filtered_and_paged(database: Database, client_of: ClientOf) -> None:
    client = client_of(await create_viewer(database, Role.ADMIN))
    for severity in (Severity.INFO, Severity.ERROR, Severity.INFO, Severity.WARNING):
        await tell(database, Role.ADMIN, severity=severity)
    everything = [node["id"] for node in (await listed(client))["nodes"]]
    await client.execute(READ, input={"ids": everything[:1]})

    info = await listed(client, where={"severity": {"eq": "INFO"}})
    unread = await listed(client, where={"isRead": {"eq": False}})
    read = await listed(client, where={"isRead": {"eq": True}})
    urgent = await listed(client, where={"severity": {"in": ["WARNING", "ERROR"]}, "not": {"isRead": {"eq": True}}})
    recent = await listed(client, where={"createdAt": {"gt": "2000-01-01T00:00:00Z"}})
    first = await listed(client, first=3)
    last = await listed(client, first=3, after=first["pageInfo"]["endCursor"])
    oldest = await listed(client, orderBy=[{"by": "CREATED_AT", "direction": "ASC"}])

    assert [len(found["nodes"]) for found in (info, unread, read, urgent, recent)] == [2, 3, 1, 1, 4]
    assert {found["unreadCount"] for found in (info, unread, read)} == {3}, "whatever the filter"
    assert [node["id"] for node in first["nodes"] + last["nodes"]] == everything
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"], last["pageInfo"]["hasNextPage"]) == (4, True, False)
    assert [node["id"] for node in oldest["nodes"]] == everything[::-1]


async def test_deleting_takes_out_of_the_own_list_alone(database: Database, client_of: ClientOf) -> None:
    viewer, other = [await create_viewer(database, Role.ADMIN) for _ in range(2)]
    for _ in range(2):
        await tell(database, Role.ADMIN)
    client = client_of(viewer)
    ids = [node["id"] for node in (await listed(client))["nodes"]]

    answer = (await client.execute(DELETE, input={"ids": ids[:1]}))["deleteNotification"]

    assert answer == {"count": 1, "unreadCount": 1, "userErrors": []}
    assert [node["id"] for node in (await listed(client))["nodes"]] == ids[1:]
    assert (await listed(client_of(other)))["totalCount"] == 2


@pytest.mark.parametrize(("document", "name"), [(READ, "markNotificationRead"), (DELETE, "deleteNotification")])
async def test_what_is_not_in_the_own_list_cannot_be_changed(
    database: Database, client_of: ClientOf, document: str, name: str
) -> None:
    # given an id of mine, and one of somebody else's
    viewer, other = [await create_viewer(database, Role.ADMIN) for _ in range(2)]
    await tell(database, Role.ADMIN)
    mine, theirs = [(await listed(client_of(who)))["nodes"][0]["id"] for who in (viewer, other)]

    # when
    answer = (await client_of(viewer).execute(document, input={"ids": [mine, theirs]}))[name]

    # then
    (error,) = answer["userErrors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["input", "ids", "1"])
    assert [(await listed(client_of(who)))["unreadCount"] for who in (viewer, other)] == [1, 1]


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({}, ["input", "ids"]),
        ({"ids": [], "all": True}, ["input", "ids"]),
        ({"ids": []}, ["input", "ids"]),
        ({"ids": [global_id("Notification", 1)] * 101}, ["input", "ids"]),
        ({"ids": [global_id("Notification", 1), global_id("Store", 1)]}, ["input", "ids", "1"]),
        ({"ids": ["nonsense"]}, ["input", "ids", "0"]),
    ],
)
async def test_a_wrong_choice_is_named(client: Client, wish: dict[str, Any], path: list[str]) -> None:
    (error,) = (await client.execute(READ, input=wish))["markNotificationRead"]["userErrors"]

    assert (error["code"], error["path"]) == ("BAD_USER_INPUT", path)


async def test_readers_get_the_language_they_ask_for(database: Database, schema: ApiSchema, services: Services) -> None:
    viewer = await create_viewer(database, Role.ADMIN)
    await tell(database, Role.ADMIN)
    arabic = schema_client(schema, services, viewer, Origin("r", language=Language.AR))

    (node,) = (await listed(arabic))["nodes"]

    assert node["title"] == "مخزون منخفض من Ale"


async def create_audience(database: Database) -> dict[str, Viewer]:
    async with database.transaction() as session:
        await create_user(session, role=Role.STAFF, is_active=False)
    return {role.value: await create_viewer(database, role) for role in Role}


@pytest.mark.parametrize(
    ("audience", "readers"),
    [
        ({"everybody": True}, ["ADMIN", "STAFF", "SALESPERSON", "CUSTOMER"]),
        ({"roles": ["STAFF", "CUSTOMER"]}, ["STAFF", "CUSTOMER"]),
        ({"users": ["SALESPERSON"]}, ["SALESPERSON"]),
        ({"roles": ["STAFF"], "users": ["STAFF", "ADMIN"]}, ["ADMIN", "STAFF"]),
    ],
)
async def test_an_administrator_writes_to_all_to_roles_and_to_people(
    database: Database, client_of: ClientOf, audience: dict[str, Any], readers: list[str]
) -> None:
    people = await create_audience(database)
    named = [global_id("User", people[role].user_id) for role in audience.get("users", [])]
    wish = {**audience, "users": named or None, "title": "  Closed {today}  ", "body": "a\r\nb", "severity": "ERROR"}

    answer = (await client_of(people["ADMIN"]).execute(CREATE, input=wish))["createNotification"]

    assert answer == {"recipientCount": len(readers), "userErrors": []}
    for role, viewer in people.items():
        nodes = (await listed(client_of(viewer)))["nodes"]
        said = [(node["severity"], node["title"], node["body"], node["isFromPerson"]) for node in nodes]
        assert said == ([("ERROR", "Closed {today}", "a\nb", True)] if role in readers else [])


@pytest.mark.parametrize(
    ("wish", "code", "path"),
    [
        ({}, "BAD_USER_INPUT", ["everybody"]),
        ({"everybody": True, "roles": ["STAFF"]}, "BAD_USER_INPUT", ["everybody"]),
        ({"roles": ["CUSTOMER"]}, "BAD_USER_INPUT", ["roles"]),
        ({"users": [global_id("User", 999_999)]}, "NOT_FOUND", ["users", "0"]),
        ({"users": [global_id("Store", 1)]}, "BAD_USER_INPUT", ["users", "0"]),
        ({"everybody": True, "title": " \u200b "}, "BAD_USER_INPUT", ["title"]),
        ({"everybody": True, "title": "x" * 201}, "BAD_USER_INPUT", ["title"]),
        ({"everybody": True, "title": "a\nb"}, "BAD_USER_INPUT", ["title"]),
        ({"everybody": True, "body": "x" * 5_001}, "BAD_USER_INPUT", ["body"]),
        ({"everybody": True, "body": "a\u202eb"}, "BAD_USER_INPUT", ["body"]),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_nothing_is_kept(
    database: Database, client_of: ClientOf, wish: dict[str, Any], code: str, path: list[str]
) -> None:
    client = client_of(await create_viewer(database, Role.ADMIN))

    answer = (await client.execute(CREATE, input={"title": "Closed", **wish}))["createNotification"]

    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [(code, ["input", *path])]
    assert answer["recipientCount"] == 0
    assert (await listed(client))["totalCount"] == 0


async def test_an_account_that_is_closed_cannot_be_written_to(database: Database, client_of: ClientOf) -> None:
    client = client_of(await create_viewer(database, Role.ADMIN))
    async with database.transaction() as session:
        closed = await create_user(session, is_active=False)

    wish = {"title": "Closed", "users": [global_id("User", closed.id)]}
    answer = (await client.execute(CREATE, input=wish))["createNotification"]

    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [
        ("NOT_FOUND", ["input", "users", "0"])
    ]


@pytest.mark.parametrize("role", [Role.STAFF, Role.SALESPERSON, Role.CUSTOMER])
async def test_nobody_else_writes_notifications(database: Database, client_of: ClientOf, role: Role) -> None:
    client = client_of(await create_viewer(database, role))

    answer = await client.execute_raw(CREATE, input={"title": "Closed", "everybody": True})

    assert answer.codes == ["FORBIDDEN"]
