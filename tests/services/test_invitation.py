import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database
from graphql_api.database.invitation import InvitationRow
from graphql_api.database.user import Language, Role
from graphql_api.services import invitation
from graphql_api.services.account import Registration
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.invitation import (
    CODE_LENGTH,
    INVITATIONS,
    Acceptance,
    InvitationStatus,
    IssuedInvitation,
    status_of,
)
from graphql_api.services.key import GivenKeys
from graphql_api.services.listing import ListQuery
from graphql_api.services.mail.message import Mail, MailKind
from graphql_api.services.secret import SAFE_ALPHABET
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import UserChange, update_user
from tests.client import TEST_KEYS
from tests.factories import create_user
from tests.services.account_case import ADDRESS, SECRET, WRONG, AccountCase, refusal_of

USERS = "SELECT email, name, role FROM user_account"
STATES = "SELECT accepted_at IS NOT NULL, revoked_at IS NOT NULL FROM invitation ORDER BY id"


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


async def invite(
    case: AccountCase, email: str = ADDRESS, role: Role = Role.STAFF, invited_by: int | None = None
) -> IssuedInvitation:
    return await case.act(
        lambda work: invitation.invite(work, TEST_KEYS, email=email, role=role, invited_by=invited_by)
    )


async def accept(case: AccountCase, code: str, keys: Any = TEST_KEYS, **fields: Any) -> int:
    """Accept an invitation; the key of the account."""
    registration = Registration(**{"email": ADDRESS, "name": "Mona", "password": SECRET, **fields})

    async def run(work: UnitOfWork) -> int:
        answer = Acceptance(code, registration)
        user = await invitation.accept_invitation(work, case.database, keys, case.passwords, answer)
        work.record("User", user.id)
        return user.id

    return await case.act(run)


async def test_an_invitation_becomes_an_account_in_its_role(case: AccountCase) -> None:
    issued = await invite(case, " Mona@EXAMPLE.com", Role.SALESPERSON)
    user_id = await accept(case, issued.code, email=" MONA@example.com", name=" Mona  Lisa ")

    assert await case.rows(USERS) == [(ADDRESS, "Mona Lisa", "SALESPERSON")]
    assert await case.rows("SELECT user_id FROM invitation WHERE accepted_at IS NOT NULL") == [(user_id,)]


async def test_the_code_is_long_safe_good_for_seven_days_and_kept_nowhere(case: AccountCase) -> None:
    issued = await invite(case)

    assert len(issued.code) == CODE_LENGTH == 10
    assert set(issued.code) <= set(SAFE_ALPHABET)
    left = issued.row.expires_at - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7, seconds=5)
    kept = await case.rows("SELECT i::text FROM invitation i")
    kept += await case.rows("SELECT e::text FROM audit_entry e")
    kept += await case.rows("SELECT convert_from(payload, 'UTF8') FROM jobs.pgqueuer")
    assert len(kept) == 3
    assert issued.code not in str(kept)


async def test_the_mail_has_the_same_code_each_time_it_is_written(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        admin = await create_user(session, language=Language.AR)
    issued = await invite(case, invited_by=admin.id)

    (mail,) = await case.mails()

    values = {"code": issued.code, "role": Role.STAFF, "expires_at": issued.row.expires_at}
    assert mail == Mail(MailKind.INVITATION, ADDRESS, Language.AR, values)
    assert await case.write_mail(MailKind.INVITATION, issued.row.id) == mail


@pytest.mark.parametrize(
    ("email", "role", "path"),
    [("mona", Role.STAFF, "email"), ("", Role.STAFF, "email"), (ADDRESS, Role.CUSTOMER, "role")],
)
async def test_who_cannot_be_invited_is_not(case: AccountCase, email: str, role: Role, path: str) -> None:
    with pytest.raises(BadInput) as refused:
        await invite(case, email, role)

    assert refused.value.path == (path,)
    assert await case.rows(STATES) == []
    assert await case.mails() == []


async def test_who_has_an_account_gets_another_role_instead(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        await create_user(session, email=ADDRESS, is_active=False)

    with pytest.raises(Conflict, match="Change its role") as refused:
        await invite(case, "MONA@example.com")

    assert refused.value.path == ("email",)


async def test_inviting_again_replaces_the_invitation(case: AccountCase) -> None:
    first = await invite(case)
    second = await invite(case, role=Role.ADMIN)

    assert await case.rows(STATES) == [(False, True), (False, False)]
    assert [mail.values["code"] for mail in await case.mails()] == [second.code]
    assert await refusal_of(accept(case, first.code))
    await accept(case, second.code)
    assert await case.rows(USERS) == [(ADDRESS, "Mona", "ADMIN")]


async def test_many_invitations_of_one_address_at_once_leave_one_open(case: AccountCase) -> None:
    await asyncio.gather(*(invite(case) for _ in range(8)))

    assert sorted(await case.rows(STATES)) == [(False, False)] + [(False, True)] * 7


async def test_a_revoked_invitation_lets_nobody_in(case: AccountCase) -> None:
    issued = await invite(case)
    for _ in range(2):
        row = await case.act(lambda work: invitation.revoke_invitation(work, issued.row.id))
        assert row.revoked_at is not None

    assert await refusal_of(accept(case, issued.code))
    assert await case.mails() == []
    entries = await case.rows("SELECT before, after FROM audit_entry ORDER BY id OFFSET 1")
    assert [(before["revokedAt"], bool(after["revokedAt"])) for before, after in entries[:1]] == [(None, True)]
    with pytest.raises(NotFound):
        await case.act(lambda work: invitation.revoke_invitation(work, 10**12))


@pytest.mark.parametrize("change", [UserChange(role=Role.STAFF), UserChange(is_active=False)])
async def test_who_is_no_administrator_any_more_invites_nobody(case: AccountCase, change: UserChange) -> None:
    # given an administrator with an open invitation, and another one
    async with case.database.transaction() as session:
        inviter = await create_user(session, role=Role.ADMIN)
        other = await create_user(session, role=Role.ADMIN)
    withdrawn = await invite(case, invited_by=inviter.id)
    kept = await invite(case, "kept@example.com", invited_by=other.id)

    # when
    await case.act(lambda work: update_user(work, inviter.id, change))

    # then
    refused = await refusal_of(accept(case, withdrawn.code))
    assert refused is not None
    assert refused.path == ("code",)
    assert await accept(case, kept.code, email="kept@example.com")


async def test_an_accepted_invitation_cannot_be_revoked(case: AccountCase) -> None:
    issued = await invite(case)
    await accept(case, issued.code)

    with pytest.raises(Conflict, match="Deactivate the account"):
        await case.act(lambda work: invitation.revoke_invitation(work, issued.row.id))


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE invitation SET expires_at = now()",
        "UPDATE invitation SET revoked_at = now()",
        "UPDATE invitation SET email = 'other@example.com'",
        "UPDATE invitation SET key_id = 'gone'",
        "DELETE FROM invitation",
    ],
)
async def test_a_code_that_is_not_good_any_more_is_refused_as_a_wrong_one_is(case: AccountCase, fault: str) -> None:
    issued = await invite(case)
    wrong = await refusal_of(accept(case, WRONG))

    await case.execute(fault)
    refusal = await refusal_of(accept(case, issued.code))

    assert wrong is not None
    assert refusal is not None
    assert (refusal.code, refusal.message, refusal.path) == (wrong.code, wrong.message, ("code",))
    assert await case.rows(USERS) == []


async def test_an_invitation_is_for_its_address_alone_and_once(case: AccountCase) -> None:
    issued, other = await invite(case), await invite(case, "other@example.com")

    assert await refusal_of(accept(case, issued.code, email="other@example.com"))
    assert await refusal_of(accept(case, other.code))
    await accept(case, f"{issued.code[:5].lower()} - {issued.code[5:]}")
    again = await refusal_of(accept(case, issued.code))

    assert again is not None
    assert again.path == ("code",)
    assert await case.rows(USERS) == [(ADDRESS, "Mona", "STAFF")]


@pytest.mark.parametrize("code", ["", " - ", "\x00", "\ud800", "8" * 100_000, "\u0645\u0646\u0649"])
async def test_any_text_may_be_entered_as_a_code(case: AccountCase, code: str) -> None:
    await invite(case)

    refusal = await refusal_of(accept(case, code))

    assert refusal is not None
    assert refusal.path == ("code",)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"email": "mona"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Mona\nLisa"}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"password": "x" * 5000}, "password"),
        ({"password": ADDRESS}, "password"),
    ],
)
async def test_an_acceptance_that_cannot_be_leaves_the_invitation_open(
    case: AccountCase, fields: dict[str, str], path: str
) -> None:
    issued = await invite(case)

    refusal = await refusal_of(accept(case, issued.code, **fields))

    assert isinstance(refusal, BadInput)
    assert refusal.path == (path,)
    await accept(case, issued.code)


async def test_twenty_who_accept_at_once_get_one_account(case: AccountCase) -> None:
    issued = await invite(case)

    refusals = await asyncio.gather(*(refusal_of(accept(case, issued.code)) for _ in range(20)))

    assert sum(refusal is None for refusal in refusals) == 1
    assert {(type(refusal), refusal.path) for refusal in refusals if refusal} == {(BadInput, ("code",))}
    assert len(await case.rows(USERS)) == 1


async def test_an_acceptance_and_a_revocation_at_once_have_one_winner(case: AccountCase) -> None:
    for number in range(5):
        address = f"mona{number}@example.com"
        issued = await invite(case, address)

        await asyncio.gather(
            refusal_of(accept(case, issued.code, email=address)),
            refusal_of(case.act(lambda work, key=issued.row.id: invitation.revoke_invitation(work, key))),  # type: ignore[misc]  # mypy does not infer lambdas with defaults
        )

        accepted, revoked = (await case.rows(STATES))[-1]
        users = await case.rows("SELECT id FROM user_account WHERE email = :email", email=address)
        assert (accepted, revoked, len(users)) in {(True, False, 1), (False, True, 0)}


async def test_who_registers_meanwhile_is_told_so(case: AccountCase) -> None:
    issued = await invite(case)
    challenge = await case.register()
    code = next(mail.values["code"] for mail in await case.mails() if mail.kind is MailKind.VERIFY_EMAIL)
    await case.verify(challenge.token, code)

    refusal = await refusal_of(accept(case, issued.code))

    assert isinstance(refusal, Conflict)
    assert await case.rows(USERS) == [(ADDRESS, "Mona", "CUSTOMER")]
    assert await case.rows(STATES) == [(False, False)]


async def test_an_invitation_outlives_a_change_of_the_key_as_long_as_the_old_one_is_kept(case: AccountCase) -> None:
    issued = await invite(case)
    new = "another-secret-key-of-the-tests-98765"

    assert await refusal_of(accept(case, issued.code, GivenKeys(new)))
    await accept(case, issued.code, GivenKeys(new, ["a-secret-key-of-the-tests-0123456789"]))


async def test_invitations_are_listed_by_what_has_become_of_them(case: AccountCase) -> None:
    names = ["open", "accepted", "revoked", "expired"]
    issued = {name: await invite(case, f"{name}@example.com", Role.ADMIN) for name in names}
    await accept(case, issued["accepted"].code, email="accepted@example.com")
    await case.act(lambda work: invitation.revoke_invitation(work, issued["revoked"].row.id))
    await case.execute("UPDATE invitation SET expires_at = now() WHERE email LIKE 'expired%'")

    async def listed(**query: Any) -> list[InvitationRow]:
        async with case.database.read() as session:
            return list((await INVITATIONS.page(session, ListQuery(**query))).rows)

    assert [row.email.partition("@")[0] for row in await listed()] == names[::-1]
    assert [status_of(row, now_utc()).value.lower() for row in await listed()] == names[::-1]
    for status in InvitationStatus:
        (row,) = await listed(where={"status": {"eq": status}})
        assert row.email == f"{status.value.lower()}@example.com"
    both = {"in": [InvitationStatus.OPEN, InvitationStatus.EXPIRED]}
    assert len(await listed(where={"status": both})) == 2
    assert len(await listed(where={"not": {"status": both}})) == 2
    assert len(await listed(where={"role": {"eq": Role.STAFF}})) == 0
    assert len(await listed(where={"email": {"eq": "OPEN@example.com"}})) == 1
    await invite(case, "hélène@example.com", Role.STAFF)
    assert len(await listed(where={"email": {"eq": "HE\u0301LE\u0300NE@example.com"}})) == 1
    assert len(await listed(search="voked")) == 1
