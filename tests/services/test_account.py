import asyncio
from collections.abc import Awaitable

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.one_time_code import CodePurpose
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services import account
from graphql_api.services.account import PasswordChange, ProfileChange, Registration
from graphql_api.services.errors import BadInput, Conflict, ErrorCode
from graphql_api.services.mail.message import Mail, MailKind
from graphql_api.services.one_time_code import count_guess
from graphql_api.services.policy import Viewer
from graphql_api.services.session import Device, Tokens
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import UnitOfWork
from tests.client import TEST_KEYS
from tests.factories import PASSWORD, create_user
from tests.services.account_case import ADDRESS, SECRET, WRONG, AccountCase, create_signed_in, refusal_of

NEW = "thirteen green bicycles"
USER = "SELECT email, name, role, language, is_active FROM user_account ORDER BY id"
SESSIONS = "SELECT ended_by FROM session ORDER BY id"


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


async def password_of(case: AccountCase, email: str = ADDRESS) -> str:
    ((password_hash,),) = await case.rows("SELECT password_hash FROM user_account WHERE email = :email", email=email)
    return str(password_hash)


async def test_there_is_no_account_before_the_address_is_proven(case: AccountCase) -> None:
    challenge = await case.register(" Mona@EXAMPLE.com", " Mona  Lisa ")
    (mail,) = await case.mails()

    assert await case.rows(USER) == []
    assert mail == Mail(
        MailKind.VERIFY_EMAIL,
        ADDRESS,
        Language.EN,
        {"name": "Mona Lisa", "code": mail.values["code"], "minutes": 10},
    )

    await case.verify(challenge.token, mail.values["code"])

    assert await case.rows(USER) == [(ADDRESS, "Mona Lisa", "CUSTOMER", "en", True)]
    assert await case.passwords.verify(SECRET, await password_of(case))


async def test_who_proves_an_address_is_signed_in_and_recorded(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    async def enter(work: UnitOfWork) -> Tokens:
        guess = await count_guess(case.database, CodePurpose.VERIFY_EMAIL, challenge.token, code)
        user = await account.verify_email(work, TEST_KEYS, guess)
        return await account.enter(work, user, Device("192.0.2.7", "Tests"), AccessTokens(TEST_KEYS))

    tokens = await case.act(enter)

    assert tokens.viewer == Viewer(tokens.user.id, Role.CUSTOMER, tokens.viewer.session_id)
    entry = "SELECT actor_id, session_id, entity_id, before, after FROM audit_entry ORDER BY id DESC LIMIT 1"
    ((actor, session, entity, before, after),) = await case.rows(entry)
    assert (actor, session, entity, before) == (tokens.user.id, tokens.viewer.session_id, tokens.user.id, None)
    assert (after["email"], after["role"]) == (ADDRESS, "CUSTOMER")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"email": "mona"}, "email"),
        ({"email": ""}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Mona\x07"}, "name"),
        ({"password": ""}, "password"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"password": "x" * 5000}, "password"),
        ({"password": "mona@example.com"}, "password"),
        ({"email": "nabucodonosor@example.com", "password": "Nabucodonosor"}, "password"),
        ({"name": "Bartholomew Smith", "password": "Bartholomew Smith"}, "password"),
    ],
)
async def test_a_registration_that_cannot_be_leaves_nothing(
    case: AccountCase, fields: dict[str, str], path: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await case.register(**fields)

    assert refused.value.path == (path,)
    assert await case.rows("SELECT id FROM one_time_code") == []
    assert await case.mails() == []


@pytest.mark.parametrize("is_active", [True, False])
async def test_a_known_address_gets_a_mail_without_a_code(case: AccountCase, is_active: bool) -> None:  # noqa: FBT001 - a parameter of the test
    async with case.database.transaction() as session:
        await create_user(session, email=ADDRESS, name="Mona", language=Language.AR, is_active=is_active)

    await case.register(name="Somebody else")

    notice = Mail(MailKind.ALREADY_REGISTERED, ADDRESS, Language.AR, {"name": "Mona"})
    assert await case.mails() == ([notice] if is_active else [])
    assert await case.rows("SELECT code_hash FROM one_time_code") == [(None,)]


async def test_of_two_registrations_of_one_address_the_first_proof_wins(case: AccountCase) -> None:
    first, second = await case.register(name="First"), await case.register(name="Second")
    codes = [mail.values["code"] for mail in await case.mails()]

    outcomes = await asyncio.gather(
        case.verify(first.token, codes[0]), case.verify(second.token, codes[1]), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, int)] == [Conflict]
    assert len(await case.rows(USER)) == 1


async def test_a_mail_for_a_wish_that_is_over_is_not_sent(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        await create_user(session, email="old@example.com")
    registration, reset = await case.register(), await case.request_reset("old@example.com")
    await case.execute("UPDATE one_time_code SET expires_at = now()")

    assert await case.mails() == []
    assert await case.write_mail(MailKind.VERIFY_EMAIL, registration.code_id) is None
    assert await case.write_mail(MailKind.RESET_PASSWORD, reset.code_id) is None
    assert await case.write_mail(MailKind.RESET_PASSWORD, registration.code_id) is None
    assert await case.write_mail(MailKind.PASSWORD_CHANGED, 10**12) is None


async def test_an_operator_makes_an_account_without_proof(case: AccountCase) -> None:
    wish = Registration("Boss@example.com", "Boss", SECRET, Language.AR)
    user = await case.act(lambda work: account.create_account(work, case.passwords, wish, Role.ADMIN))

    assert await case.rows(USER) == [("boss@example.com", "Boss", "ADMIN", "ar", True)]
    with pytest.raises(Conflict) as refused:
        await case.act(lambda work: account.create_account(work, case.passwords, wish, Role.ADMIN))
    assert refused.value.path == ("email",)
    ((entity_id, after),) = await case.rows("SELECT entity_id, after FROM audit_entry")
    assert entity_id == user.id
    assert "argon2" not in str(after)


async def test_the_own_profile_is_changed_in_part(case: AccountCase) -> None:
    user, _ = await create_signed_in(case)

    await case.act(lambda work: account.update_profile(work, user.id, ProfileChange(name=" Lisa ")))
    await case.act(lambda work: account.update_profile(work, user.id, ProfileChange(language=Language.AR)))
    await case.act(lambda work: account.update_profile(work, user.id, ProfileChange()))

    assert (await case.rows(USER))[0] == (ADDRESS, "Lisa", "STAFF", "ar", True)
    assert (await case.rows("SELECT version FROM user_account WHERE email = :email", email=ADDRESS)) == [(3,)]
    with pytest.raises(BadInput):
        await case.act(lambda work: account.update_profile(work, user.id, ProfileChange(name=" ")))


def change_password(case: AccountCase, viewer: Viewer, old: str, new: str) -> Awaitable[UserRow]:
    change = PasswordChange(old, new)
    return case.act(lambda work: account.change_password(work, case.database, case.passwords, viewer, change), viewer)


async def test_a_changed_password_ends_the_other_sessions_and_is_told_by_mail(case: AccountCase) -> None:
    user, viewer = await create_signed_in(case)

    await change_password(case, viewer, PASSWORD, NEW)

    assert await case.rows(SESSIONS) == [(None,), ("PASSWORD_CHANGED",), ("PASSWORD_CHANGED",), (None,)]
    assert await case.passwords.verify(NEW, await password_of(case))
    assert not await case.passwords.verify(PASSWORD, await password_of(case))
    assert await case.mails() == [Mail(MailKind.PASSWORD_CHANGED, ADDRESS, Language.EN, {"name": user.name})]
    ((entity_id, after),) = await case.rows("SELECT entity_id, after FROM audit_entry")
    assert (entity_id, after["password"]) == (user.id, "***")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (NEW, NEW, "oldPassword"),
        ("", NEW, "oldPassword"),
        ("x" * 100_000, NEW, "oldPassword"),
        ("\ud800", NEW, "oldPassword"),
        (PASSWORD, "", "newPassword"),
        (PASSWORD, "password123", "newPassword"),
        (PASSWORD, ADDRESS, "newPassword"),
        (PASSWORD, PASSWORD, "newPassword"),
    ],
)
async def test_a_password_that_cannot_be_changed_stays(case: AccountCase, old: str, new: str, path: str) -> None:
    _, viewer = await create_signed_in(case)
    before = await password_of(case)

    with pytest.raises(BadInput) as refused:
        await change_password(case, viewer, old, new)

    assert refused.value.path == (path,)
    assert await password_of(case) == before
    assert {end for (end,) in await case.rows(SESSIONS)} == {None}
    assert await case.mails() == []


async def test_of_two_changes_of_one_password_at_once_one_is_kept(case: AccountCase) -> None:
    _, viewer = await create_signed_in(case)
    wanted = [NEW, "forty purple umbrellas"]

    outcomes = await asyncio.gather(
        *(change_password(case, viewer, PASSWORD, new) for new in wanted), return_exceptions=True
    )

    kept = [new for new, outcome in zip(wanted, outcomes, strict=True) if isinstance(outcome, UserRow)]
    assert len(kept) == 1
    assert await case.passwords.verify(kept[0], await password_of(case))
    assert {type(outcome) for outcome in outcomes} <= {UserRow, Conflict, BadInput}


async def test_a_forgotten_password_is_reset_in_three_steps(case: AccountCase) -> None:
    user, _ = await create_signed_in(case)

    challenge = await case.request_reset(" MONA@example.com")
    (mail,) = await case.mails()
    assert mail == Mail(
        MailKind.RESET_PASSWORD, ADDRESS, Language.EN, {"name": "Mona", "code": mail.values["code"], "minutes": 10}
    )
    await case.verify_reset(challenge.token, mail.values["code"])
    await case.reset(challenge.token, NEW)

    assert await case.passwords.verify(NEW, await password_of(case))
    assert await case.rows(SESSIONS) == [("PASSWORD_CHANGED",)] * 3 + [(None,)]
    assert [told.kind for told in await case.mails()] == [MailKind.PASSWORD_CHANGED]
    entries = await case.rows("SELECT entity, entity_id, after FROM audit_entry ORDER BY id")
    assert [(entity, key) for entity, key, _ in entries] == [("User", None), ("User", user.id), ("User", user.id)]
    assert entries[-1][2]["password"] == "***"  # noqa: S105 - the mask


async def test_a_reset_takes_its_steps_in_order_and_each_once(case: AccountCase) -> None:
    await create_signed_in(case)
    challenge = await case.request_reset()
    code = await case.mailed_code()

    assert await refusal_of(case.reset(challenge.token, NEW))
    await case.verify_reset(challenge.token, code)
    assert await refusal_of(case.verify_reset(challenge.token, code))
    weak = await refusal_of(case.reset(challenge.token, "password123"))
    assert weak is not None
    assert weak.path == ("newPassword",)
    await case.reset(challenge.token, NEW)
    assert await refusal_of(case.reset(challenge.token, "forty purple umbrellas"))

    assert await case.passwords.verify(NEW, await password_of(case))


async def test_twenty_resets_with_one_token_are_one(case: AccountCase) -> None:
    await create_signed_in(case)
    challenge = await case.request_reset()
    await case.verify_reset(challenge.token, await case.mailed_code())

    resets = (refusal_of(case.reset(challenge.token, f"{NEW} {number}")) for number in range(20))
    refusals = await asyncio.gather(*resets)

    assert sum(refusal is None for refusal in refusals) == 1
    assert len(await case.mails()) == 1


async def test_a_new_password_ends_all_open_resets(case: AccountCase) -> None:
    _, viewer = await create_signed_in(case)
    first, second = await case.request_reset(), await case.request_reset()
    codes = [mail.values["code"] for mail in await case.mails()]
    await case.verify_reset(first.token, codes[0])

    await change_password(case, viewer, PASSWORD, NEW)

    assert await refusal_of(case.reset(first.token, SECRET))
    assert await refusal_of(case.verify_reset(second.token, codes[1]))
    assert await case.passwords.verify(NEW, await password_of(case))


async def test_a_reset_and_a_change_of_the_same_password_do_not_wait_in_a_circle(case: AccountCase) -> None:
    _, viewer = await create_signed_in(case)
    challenge = await case.request_reset()
    await case.verify_reset(challenge.token, await case.mailed_code())

    refusals = await asyncio.gather(
        refusal_of(case.reset(challenge.token, NEW)), refusal_of(change_password(case, viewer, PASSWORD, SECRET))
    )

    assert sum(refusal is None for refusal in refusals) == 1


@pytest.mark.parametrize("state", ["unknown", "inactive"])
async def test_who_has_no_active_account_gets_a_token_and_no_mail(case: AccountCase, state: str) -> None:
    if state == "inactive":
        async with case.database.transaction() as session:
            await create_user(session, email=ADDRESS, is_active=False)

    challenge = await case.request_reset()

    assert challenge.token
    assert await case.mails() == []
    assert await refusal_of(case.verify_reset(challenge.token, WRONG))
    assert await refusal_of(case.reset(challenge.token, NEW))


@pytest.mark.parametrize("after", ["request", "verification"])
async def test_an_account_that_is_deactivated_meanwhile_keeps_its_password(case: AccountCase, after: str) -> None:
    await create_signed_in(case)
    challenge = await case.request_reset()
    code = await case.mailed_code()
    if after == "verification":
        await case.verify_reset(challenge.token, code)

    await case.execute("UPDATE user_account SET is_active = false")

    if after == "request":
        assert await refusal_of(case.verify_reset(challenge.token, code))
    assert await refusal_of(case.reset(challenge.token, NEW))
    assert await case.passwords.verify(PASSWORD, await password_of(case))


@pytest.mark.parametrize("token", ["", "\ud800", "\x00", "x" * 10_000, "T" * 43])
async def test_a_made_up_token_resets_nothing(case: AccountCase, token: str) -> None:
    refusal = await refusal_of(case.reset(token, NEW))

    assert refusal is not None
    assert (refusal.code, refusal.path) == (ErrorCode.BAD_USER_INPUT, ("token",))


async def test_a_verified_reset_expires(case: AccountCase) -> None:
    await create_signed_in(case)
    challenge = await case.request_reset()
    await case.verify_reset(challenge.token, await case.mailed_code())
    await case.execute("UPDATE one_time_code SET expires_at = now()")

    assert await refusal_of(case.reset(challenge.token, NEW))
