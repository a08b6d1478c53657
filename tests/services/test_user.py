import asyncio
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.errors import BadInput, Conflict, NotFound, ServiceError
from graphql_api.services.listing import ListQuery
from graphql_api.services.noticeboard import Notice
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import (
    MAX_NAME,
    USERS,
    UserChange,
    canonical_email,
    checked_name,
    update_user,
    user_by_email,
    users_by_id,
)
from tests.factories import create_session, create_user
from tests.services.account_case import AccountCase, refusal_of

STATE = "SELECT name, role, is_active, version FROM user_account WHERE id = :id"
ADMINS = "SELECT count(*) FROM user_account WHERE role = 'ADMIN' AND is_active"


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


Change = Callable[..., Awaitable[None]]


@pytest.fixture
def change(case: AccountCase) -> Change:
    async def run(user_id: int, version: int | None = None, **fields: Any) -> None:
        await case.act(lambda work: update_user(work, user_id, UserChange(**fields), expected_version=version))

    return run


@pytest.mark.parametrize(
    ("given_as", "stored_as"),
    [
        ("mona@example.com", "mona@example.com"),
        ("  Mona.Lisa@EXAMPLE.com ", "mona.lisa@example.com"),
        ("mona@shop.test", "mona@shop.test"),
        ("mona+list@shop.example", "mona+list@shop.example"),
        ("JO\u0308RG@example.com", "j\u00f6rg@example.com"),
        ("a@B\u00dcCHER.example", "a@b\u00fccher.example"),
        ("a@xn--bcher-kva.example", "a@b\u00fccher.example"),
        ("\u0645\u0646\u0649@example.com", "\u0645\u0646\u0649@example.com"),
    ],
)
def test_an_address_has_one_form(given_as: str, stored_as: str) -> None:
    assert canonical_email(given_as) == stored_as
    assert canonical_email(stored_as) == stored_as


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "mona",
        "mona@",
        "@example.com",
        "mona@localhost",
        "mona@example",
        "mona@@example.com",
        "mona lisa@example.com",
        "Mona <mona@example.com>",
        "mona@[127.0.0.1]",
        "mona@example.com\r\nBcc: all@example.com",
        "mona@exam\x00ple.com",
        '"mona"@example.com',
        "a" * 65 + "@example.com",
        "mona@" + "a" * 250 + ".com",
        "m" * 100_000,
        "mona\ud800@example.com",
        "mo\u202ena@example.com",
    ],
)
def test_what_is_no_address_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadInput, match="not an e-mail address") as refused:
        canonical_email(text, path=("user", "email"))
    assert refused.value.path == ("user", "email")


@given(st.emails())
def test_the_form_of_an_address_is_its_own_form(email: str) -> None:
    try:
        stored = canonical_email(email)
    except BadInput:
        return
    assert canonical_email(stored) == stored
    assert canonical_email(email.swapcase()) == stored
    assert unicodedata.is_normalized("NFC", stored)


@pytest.mark.parametrize(
    ("given_as", "stored_as"),
    [
        ("Mona", "Mona"),
        ("  Mona \u00a0 Lisa ", "Mona Lisa"),
        ("Jo\u0308rg", "J\u00f6rg"),
        (
            "\u0645\u0646\u0649 \u0627\u0644\u0634\u0627\u0630\u0644\u064a",
            "\u0645\u0646\u0649 \u0627\u0644\u0634\u0627\u0630\u0644\u064a",
        ),
        ("\u05de\u05d5\u05e0\u05d4\u200f", "\u05de\u05d5\u05e0\u05d4\u200f"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("Mona \U0001f469\u200d\U0001f4bb \U0001fae8", "Mona \U0001f469\u200d\U0001f4bb \U0001fae8"),
        ("O'Neil-Stra\u00dfe, Jr.", "O'Neil-Stra\u00dfe, Jr."),
        ("x" * MAX_NAME, "x" * MAX_NAME),
    ],
)
def test_a_name_may_be_of_any_script(given_as: str, stored_as: str) -> None:
    assert checked_name(given_as) == stored_as
    assert checked_name(stored_as) == stored_as


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t ",
        "\u200b\u200d",
        "\u00a0",
        "x" * (MAX_NAME + 1),
        "Mona\nLisa",
        "Mona\tLisa",
        "Mona\x1b[31m",
        "Mona\x00",
        "Mona\u2028Lisa",
        "Mona\ud800",
        "Mona \u202easiL",
        "Mona \u2066Lisa",
    ],
)
def test_a_name_is_one_visible_line(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        checked_name(text, path=("user", "name"))
    assert refused.value.path == ("user", "name")


async def test_accounts_are_found_by_id_and_by_address_in_any_spelling(database: Database) -> None:
    async with database.transaction() as session:
        mona = await create_user(session, email="mona@example.com")
        other = await create_user(session)

    async with database.read() as session:
        found = await users_by_id(session, [other.id, 10**12, mona.id])
        by_address = await user_by_email(session, " MONA@Example.COM")
        nobody = await user_by_email(session, "nobody@example.com")
        with pytest.raises(BadInput):
            await user_by_email(session, "nobody")

    assert [row and row.id for row in found] == [other.id, None, mona.id]
    assert by_address is not None
    assert by_address.id == mona.id
    assert nobody is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ListQuery(), ["Anna", "Mona", "Zoe"]),
        (ListQuery(search="on"), ["Mona"]),
        (ListQuery(search="Z@"), ["Zoe"]),
        (ListQuery(search="%"), []),
        (ListQuery(where={"role": {"eq": Role.STAFF}}), ["Mona", "Zoe"]),
        (ListQuery(where={"role": {"in": [Role.ADMIN, Role.CUSTOMER]}}), ["Anna"]),
        (ListQuery(where={"isActive": {"eq": False}}), ["Zoe"]),
        (ListQuery(where={"email": {"eq": " MO@example.COM"}}), ["Mona"]),
        (ListQuery(where={"name": {"startsWith": "a"}}), ["Anna"]),
    ],
)
async def test_accounts_are_listed(database: Database, query: ListQuery, expected: list[str]) -> None:
    async with database.transaction() as session:
        await create_user(session, name="Zoe", email="z@example.com", role=Role.STAFF, is_active=False)
        await create_user(session, name="Anna", email="a@example.com")
        await create_user(session, name="Mona", email="mo@example.com", role=Role.STAFF)

    async with database.read() as session:
        page = await USERS.page(session, query)
        count = await USERS.count(session, query)

    assert [user.name for user in page.rows] == expected
    assert count == len(expected)


async def test_a_change_is_kept_counted_recorded_and_announced(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        await create_user(session)
        user = await create_user(session, name="Mona", role=Role.STAFF)
    announced: list[Notice] = []

    async def promote(work: UnitOfWork) -> None:
        await update_user(work, user.id, UserChange(name=" Mona  Lisa", role=Role.SALESPERSON), expected_version=1)
        announced.extend(work.announced)

    await case.act(promote)

    assert await case.rows(STATE, id=user.id) == [("Mona Lisa", "SALESPERSON", True, 2)]
    assert len(announced) == 1
    ((entity, before, after),) = await case.rows("SELECT entity, before, after FROM audit_entry")
    assert entity == "User"
    assert (before["role"], before["name"], before["version"]) == ("STAFF", "Mona", 1)
    assert (after["role"], after["name"], after["version"]) == ("SALESPERSON", "Mona Lisa", 2)
    assert "argon2" not in str((before, after))


async def test_nothing_different_is_no_new_version(case: AccountCase, change: Change) -> None:
    async with case.database.transaction() as session:
        user = await create_user(session, name="Mona")

    await change(user.id, version=1, name="Mona", role=Role.ADMIN, is_active=True)
    await change(user.id)

    assert await case.rows(STATE, id=user.id) == [("Mona", "ADMIN", True, 1)]


async def test_a_change_decided_on_an_old_version_is_refused(case: AccountCase, change: Change) -> None:
    async with case.database.transaction() as session:
        user = await create_user(session, name="Mona", role=Role.STAFF)
    await change(user.id, version=1, name="Mona Lisa")

    with pytest.raises(Conflict, match="its version is 2 now") as refused:
        await change(user.id, version=1, role=Role.ADMIN)

    assert refused.value.path == ("expectedVersion",)
    assert await case.rows(STATE, id=user.id) == [("Mona Lisa", "STAFF", True, 2)]


async def test_an_account_that_is_not_there_is_not_found(change: Change) -> None:
    for fields in ({}, {"role": Role.STAFF}, {"is_active": False}):
        with pytest.raises(NotFound):
            await change(10**12, **fields)


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"role": Role.STAFF}, "role"), ({"is_active": False}, "isActive"), ({"name": ""}, "name")],
)
async def test_the_last_administrator_stays_one(
    case: AccountCase, change: Change, fields: dict[str, Any], path: str
) -> None:
    async with case.database.transaction() as session:
        admin = await create_user(session, name="Mona")
        await create_user(session, is_active=False)
        await create_user(session, role=Role.STAFF)

    with pytest.raises(ServiceError) as refused:
        await change(admin.id, **fields)

    assert refused.value.path == (path,)
    assert await case.rows(STATE, id=admin.id) == [("Mona", "ADMIN", True, 1)]


@pytest.mark.parametrize("fields", [{"role": Role.SALESPERSON}, {"is_active": False}])
async def test_without_any_administrator_others_can_still_be_changed(
    case: AccountCase, change: Change, fields: dict[str, Any]
) -> None:
    async with case.database.transaction() as session:
        await create_user(session, is_active=False)
        staff = await create_user(session, name="Mona", role=Role.STAFF)

    await change(staff.id, **fields)

    [(_, role, is_active, _)] = await case.rows(STATE, id=staff.id)
    assert (role, is_active) == (fields.get("role", Role.STAFF).value, fields.get("is_active", True))


async def test_an_inactive_administrator_may_lose_the_role(case: AccountCase, change: Change) -> None:
    async with case.database.transaction() as session:
        await create_user(session)
        retired = await create_user(session, name="Mona", is_active=False)

    await change(retired.id, role=Role.CUSTOMER)

    assert await case.rows(STATE, id=retired.id) == [("Mona", "CUSTOMER", False, 2)]


@pytest.mark.parametrize("fields", [{"role": Role.STAFF}, {"is_active": False}])
async def test_two_administrators_who_remove_each_other_leave_one(
    case: AccountCase, change: Change, fields: dict[str, Any]
) -> None:
    for _ in range(10):
        await case.execute("UPDATE user_account SET role = 'STAFF'")
        async with case.database.transaction() as session:
            admins = [await create_user(session) for _ in range(2)]

        refusals = await asyncio.gather(*(refusal_of(change(admin.id, **fields)) for admin in admins))

        assert [type(refusal) for refusal in refusals if refusal] == [Conflict]
        assert await case.rows(ADMINS) == [(1,)]


async def test_all_administrators_at_once_leave_one_and_nobody_waits_in_a_circle(
    case: AccountCase, change: Change
) -> None:
    async with case.database.transaction() as session:
        admins = [await create_user(session) for _ in range(8)]

    losses: list[dict[str, Any]] = [{"role": Role.STAFF}, {"is_active": False}]
    attempts = (refusal_of(change(admin.id, **losses[number % 2])) for number, admin in enumerate(admins))
    refusals = [refusal for refusal in await asyncio.gather(*attempts) if refusal]

    assert [refusal.message for refusal in refusals] == [
        "This is the last active administrator. Make somebody else an administrator first."
    ]
    assert await case.rows(ADMINS) == [(1,)]


async def test_deactivation_ends_all_sessions_and_is_announced(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        await create_user(session)
        user = await create_user(session, role=Role.SALESPERSON)
        for _ in range(3):
            await create_session(session, user)
        neighbour = await create_session(session, await create_user(session))
    announced: list[Notice] = []

    async def deactivate(work: UnitOfWork) -> None:
        await update_user(work, user.id, UserChange(is_active=False))
        announced.extend(work.announced)

    await case.act(deactivate)

    ends = "SELECT id, ended_by FROM session WHERE revoked_at IS NOT NULL"
    assert {end for _, end in await case.rows(ends)} == {"DEACTIVATED"}
    assert len(await case.rows(ends)) == 3
    assert neighbour.id not in {key for key, _ in await case.rows(ends)}
    assert announced
