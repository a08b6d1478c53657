"""The logins of the demonstration: one a role, with passwords that belong to the installation."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.demo import DemoLogin, create_demo_logins, load_demo, read_demo_logins, reset_demo_logins
from graphql_api.services.key import GivenKeys
from graphql_api.services.password import Passwords, checked_password
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.services.user import UserChange, locked_user, update_user
from tests.client import CHEAP, TEST_KEYS
from tests.conftest import Databases
from tests.factories import PASSWORD_HASH, create_session, create_user

TODAY = date(2025, 6, 12)
OTHER_KEYS = GivenKeys("another-key-of-the-tests-9876543210")


async def query(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(text(statement))]


@pytest.fixture(scope="module")
def demo_name(databases: Databases, template_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A demonstration of some 270 invoices, without logins."""
    storage = FileStorage(str(tmp_path_factory.mktemp("storage")))
    with databases.filled(template_name, lambda database: load_demo(database, storage, today=TODAY, lines=1_000)) as it:
        yield it


@pytest.fixture
def demo_url(databases: Databases, demo_name: str) -> Iterator[str]:
    with databases.cloned(demo_name) as name:
        yield databases.url(name)


@pytest.fixture
async def demo(demo_url: str) -> AsyncIterator[Database]:
    """A database with the demonstration."""
    database = Database(demo_url)
    yield database
    await database.close()


async def create(database: Database, keys: GivenKeys = TEST_KEYS) -> None:
    await create_demo_logins(database, keys, Passwords(CHEAP))


async def logins(database: Database, keys: GivenKeys = TEST_KEYS) -> dict[Role, DemoLogin]:
    return {login.role: login for login in await read_demo_logins(database, keys, Passwords(CHEAP))}


async def test_each_role_gets_a_login_whose_password_works(demo: Database) -> None:
    await create(demo)

    found = await logins(demo)
    hashes = dict(await query(demo, "SELECT email, password_hash FROM user_account"))
    assert set(found) == set(Role)
    for login in found.values():
        assert login.password is not None
        assert len(checked_password(login.password, email=login.email)) == 12
        assert await Passwords(CHEAP).verify(login.password, hashes[login.email])
    assert len({login.password for login in found.values()}) == len(Role)


async def test_passwords_differ_from_one_installation_to_another(demo: Database) -> None:
    await create(demo)

    assert {login.password for login in (await logins(demo, OTHER_KEYS)).values()} == {None}


async def test_every_role_finds_something_of_its_own(demo: Database) -> None:
    await create(demo)

    owned = await query(
        demo,
        "SELECT (SELECT count(*) FROM invoice i JOIN customer c ON c.id = i.customer_id "
        "JOIN user_account u ON u.id = c.user_id WHERE u.role = 'CUSTOMER'), (SELECT count(*) FROM invoice), "
        "(SELECT count(*) FROM product p JOIN user_account u ON u.id = p.created_by WHERE u.role = 'STAFF')",
    )
    invoices, all_invoices, products = owned[0]
    assert 0 < invoices < all_invoices / 20
    assert products == 12


async def test_each_account_is_in_the_audit_record_without_its_password(demo: Database) -> None:
    await create(demo)

    entries = await query(demo, "SELECT action, entity, after::text FROM audit_entry WHERE entity = 'User'")
    assert [(action, entity) for action, entity, _ in entries] == [("cli demo", "User")] * 4
    secrets = [login.password or "" for login in (await logins(demo)).values()]
    assert not any(secret in after or "argon2" in after for _, _, after in entries for secret in secrets)


async def test_two_processes_that_start_at_once_make_them_once(demo: Database, demo_url: str) -> None:
    other = Database(demo_url)
    await asyncio.gather(create(demo), create(other))
    await other.close()

    assert await query(demo, "SELECT count(*) FROM user_account") == [(4,)]
    assert await query(demo, "SELECT count(*) FROM customer") == [(1,)]


async def test_where_a_part_is_missing_that_part_is_made(demo: Database) -> None:
    async with demo.transaction() as session:
        await create_user(session, email="staff@demo.example", role=Role.STAFF)

    await create(demo)

    found = await logins(demo)
    assert set(found) == set(Role)
    assert [role for role, login in found.items() if login.password is None] == [Role.STAFF]


async def test_without_demonstration_data_there_are_none(database: Database) -> None:
    await create(database)

    assert await query(database, "SELECT count(*) FROM user_account") == [(0,)]
    assert await logins(database) == {}


async def test_a_login_that_was_closed_is_neither_shown_nor_made_again(demo: Database) -> None:
    await create(demo)
    async with unit_of_work(demo) as work:
        await update_user(work, (await logins(demo))[Role.STAFF].user_id, UserChange(is_active=False))

    await create(demo)

    assert Role.STAFF not in await logins(demo)


async def test_a_password_that_its_user_has_changed_is_not_shown_until_it_is_reset(demo: Database) -> None:
    # given a login with another password, and a session
    await create(demo)
    sales = (await logins(demo))[Role.SALESPERSON]
    async with demo.transaction() as session:
        user = await locked_user(session, sales.user_id)
        user.password_hash = PASSWORD_HASH
        await create_session(session, user)
    assert (await logins(demo))[Role.SALESPERSON].password is None

    # when the logins are reset
    await reset_demo_logins(demo, TEST_KEYS, Passwords(CHEAP))

    # then it has its own password again, and whoever had the other one is out; the others were left alone
    assert (await logins(demo))[Role.SALESPERSON].password == sales.password
    assert await query(demo, "SELECT ended_by FROM session") == [("PASSWORD_CHANGED",)]
    assert await query(demo, "SELECT count(*) FROM audit_entry WHERE entity = 'User'") == [(5,)]


async def test_after_a_change_of_keys_old_passwords_work_and_can_be_replaced(demo: Database) -> None:
    await create(demo)
    before = await logins(demo)

    assert await logins(demo) == before
    await reset_demo_logins(demo, OTHER_KEYS, Passwords(CHEAP))

    after = await logins(demo, OTHER_KEYS)
    assert all(login.password not in {None, before[role].password} for role, login in after.items())
