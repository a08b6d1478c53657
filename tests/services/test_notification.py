"""Notifications: told once of each topic, in the reader's language, read by each for himself."""

import asyncio

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.notification import NotificationRow, Severity
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services import notification
from graphql_api.services.listing import ListQuery
from graphql_api.services.notification import Notice, notify, own_notifications, worded
from graphql_api.services.policy import Viewer
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import create_user
from tests.services.low_stock_case import rows, told

TITLE = Sentence("Low stock of {product}", product="Ale")
BODY = Sentence(
    "{store} has {on_hand} bottles of {product}. They count as low at {threshold}.",
    store="Corner",
    on_hand=3,
    product="Ale",
    threshold=10,
)


async def create_people(database: Database) -> dict[Role, UserRow]:
    async with database.transaction() as session:
        people = {role: await create_user(session, role=role) for role in Role}
        await create_user(session, role=Role.STAFF, is_active=False)
    return people


async def tell(database: Database, *, topic: str | None = None, roles: tuple[Role, ...] = (Role.ADMIN,)) -> list[int]:
    async with unit_of_work(database) as work:
        return await notify(work, severity=Severity.WARNING, title=TITLE, body=BODY, topic=topic, roles=roles)


async def list_of(database: Database, user: UserRow) -> list[Notice]:
    async with database.read() as session:
        page = await own_notifications(session, ListQuery(viewer=Viewer(user.id, user.role, 1)))
    return list(page.rows)


async def test_roles_and_accounts_add_up_and_only_who_can_sign_in_is_told(database: Database) -> None:
    people = await create_people(database)

    async with unit_of_work(database) as work:
        entries = await notify(
            work,
            severity=Severity.INFO,
            title=TITLE,
            body=BODY,
            roles=[Role.STAFF, Role.ADMIN],
            users=[people[Role.STAFF].id, people[Role.CUSTOMER].id],
        )

    assert len(entries) == 3
    assert [len(await list_of(database, people[role])) for role in Role] == [1, 1, 0, 1]


async def test_a_topic_is_told_once_also_by_two_at_once(database: Database) -> None:
    await create_people(database)

    answers = await asyncio.gather(*(tell(database, topic="books") for _ in range(4)))
    later = await tell(database, topic="books")
    other = await tell(database, topic="other")

    assert sorted(map(len, answers)) == [0, 0, 0, 1]
    assert (later, len(other)) == ([], 1)
    assert await told(database) == [("books", 1), ("other", 1)]


async def test_what_has_no_topic_is_told_each_time(database: Database) -> None:
    await create_people(database)

    assert [len(await tell(database)) for _ in range(2)] == [1, 1]


async def test_what_is_told_is_in_the_language_of_the_reader(database: Database) -> None:
    people = await create_people(database)
    await tell(database)

    (notice,) = await list_of(database, people[Role.ADMIN])

    assert worded(notice.content, Language.EN) == (
        "Low stock of Ale",
        "Corner has 3 bottles of Ale. They count as low at 10.",
    )
    title, body = worded(notice.content, Language.AR)
    assert title == "مخزون منخفض من Ale"
    assert "Corner" in body
    assert "3" in body


@pytest.mark.parametrize("title", ["Low stock", "{product} {0.__class__} %(x)s", "Sign in again {"])
def test_what_a_person_has_written_is_shown_as_it_is(title: str) -> None:
    content = NotificationRow(title=title, body="", created_by=1)

    assert worded(content, Language.AR) == (title, "")


async def test_the_newest_comes_first(database: Database) -> None:
    people = await create_people(database)
    entries = [(await tell(database))[0] for _ in range(3)]

    assert [notice.entry.id for notice in await list_of(database, people[Role.ADMIN])] == entries[::-1]


async def test_reading_all_changes_the_own_list_alone(database: Database) -> None:
    people = await create_people(database)
    for _ in range(3):
        await tell(database, roles=(Role.ADMIN, Role.STAFF))
    admin, staff = (Viewer(people[role].id, role, 1) for role in (Role.ADMIN, Role.STAFF))

    async with unit_of_work(database) as work:
        first = await notification.mark_read(work, admin, None)
    times = await rows(database, "SELECT read_at FROM notification_recipient WHERE read_at IS NOT NULL ORDER BY id")
    async with unit_of_work(database) as work:
        second = await notification.mark_read(work, admin, None)

    assert (first, second) == (3, 0)
    kept = await rows(database, "SELECT read_at FROM notification_recipient WHERE read_at IS NOT NULL ORDER BY id")
    assert kept == times, "what was read keeps its time"
    async with database.read() as session:
        assert await notification.count_unread(session, admin) == 0
        assert await notification.count_unread(session, staff) == 3
        assert await notification.count_unread(session, None) == 0
