"""Invitations: an administrator lets somebody in, in a role; the code in the mail opens the door once."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import ColumnElement, and_, case, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.invitation import InvitationRow
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services.account import Registration, checked_user
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.key import Key, KeyRing
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.mail.message import Mail, MailKind, enqueue_mail
from graphql_api.services.password import Passwords
from graphql_api.services.place import resembles
from graphql_api.services.reading import rows_by_id
from graphql_api.services.secret import code_from, is_same, normalized_code
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import canonical_email, folded_email, insert_user, user_at, user_by_id

CODE_LENGTH = 10
LIFETIME = timedelta(days=7)
SALT_BYTES = 16
# First key of the two-part advisory lock on an address; the second is a hash of it.
ADDRESS_LOCK = 7_303
LOCK_ADDRESS = text("SELECT pg_advisory_xact_lock(:lock, hashtext(:email))")

_row = InvitationRow
_unanswered: ColumnElement[bool] = and_(col(_row.accepted_at).is_(None), col(_row.revoked_at).is_(None))
_open: ColumnElement[bool] = and_(_unanswered, col(_row.expires_at) > func.now())


class InvitationStatus(Enum):
    """What has become of an invitation."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"


def status_of(row: InvitationRow, now: datetime) -> InvitationStatus:
    """What has become of an invitation at an instant."""
    if row.accepted_at is not None:
        return InvitationStatus.ACCEPTED
    if row.revoked_at is not None:
        return InvitationStatus.REVOKED
    return InvitationStatus.OPEN if row.expires_at > now else InvitationStatus.EXPIRED


_status: ColumnElement[str] = case(
    (col(_row.accepted_at).is_not(None), InvitationStatus.ACCEPTED.value),
    (col(_row.revoked_at).is_not(None), InvitationStatus.REVOKED.value),
    (col(_row.expires_at) > func.now(), InvitationStatus.OPEN.value),
    else_=InvitationStatus.EXPIRED.value,
)
FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(_row.id)),
    "email": column_filter(col(_row.email), folded_email),
    "role": column_filter(col(_row.role)),
    "status": column_filter(_status, lambda status: status.value),
}
INVITATIONS: Listing[InvitationRow] = Listing(
    statement=select(_row),
    key=col(_row.id),
    fields=FIELDS,
    # ids are given in the order of creation
    sorts={"CREATED_AT": col(_row.id)},
    default=[Sort("CREATED_AT", is_descending=True)],
    search=lambda text: resembles(col(_row.email), text),
)


async def invitations_by_id(session: AsyncSession, ids: Sequence[int]) -> list[InvitationRow | None]:
    """The invitations with these ids, in the order of the ids."""
    return await rows_by_id(session, _row, ids)


@dataclass(frozen=True)
class IssuedInvitation:
    """A new invitation, and its code, which is never readable again."""

    row: InvitationRow
    code: str = field(repr=False)


async def invite(
    work: UnitOfWork, keys: KeyRing, *, email: str, role: Role, invited_by: int | None
) -> IssuedInvitation:
    """Invite an address in a role for seven days; a mail brings the code. An earlier open invitation is revoked.

    Args:
        work: the transaction.
        keys: make the code.
        email: as it was typed.
        role: that the account will have; not CUSTOMER.
        invited_by: the administrator's account; None for the operator of the program.

    Raises:
        BadInput: it is no address, or customers are to be invited.
        Conflict: the address has an account.
    """
    email = canonical_email(email)
    if role is Role.CUSTOMER:
        raise BadInput("Customers need no invitation: they register. Choose another role.", path=("role",))
    # two invitations of one address at once take turns
    await work.session.execute(LOCK_ADDRESS, {"lock": ADDRESS_LOCK, "email": email})
    # revoking waits for whoever accepts at this moment, so it comes before the look at the accounts
    replaced = await _revoke_open(work.session, email)
    if await user_at(work.session, email) is not None:
        raise Conflict(
            "There is an account with this address. Change its role with `updateUser` instead.", path=("email",)
        )
    key, salt = keys.current, secrets.token_bytes(SALT_BYTES)
    code = _code(key, salt)
    statement = insert(_row).values(
        email=email,
        role=role,
        code_hash=_code_hash(key, salt, code),
        code_salt=salt,
        key_id=key.id,
        invited_by=invited_by,
        expires_at=func.now() + LIFETIME,
    )
    row = (await work.session.scalars(statement.returning(_row))).one()
    await enqueue_mail(work, MailKind.INVITATION, row.id)
    work.record("Invitation", row.id, after={**_facts(row), "replaces": replaced})
    return IssuedInvitation(row, code)


async def _revoke_open(session: AsyncSession, email: str) -> int | None:
    """Revoke what the address has, also when it has expired; its id."""
    wanted = (col(_row.email) == email, _unanswered)
    return await session.scalar(update(_row).where(*wanted).values(revoked_at=func.now()).returning(col(_row.id)))


def _code(key: Key, salt: bytes) -> str:
    """The code of an invitation: made again for the mail, so that no job holds it."""
    return code_from(key.derive("invitation", salt), CODE_LENGTH)


def _code_hash(key: Key, salt: bytes, code: str) -> bytes:
    return key.derive("hash of invitation", salt, code.encode("utf-8", "replace"))


def _facts(row: InvitationRow) -> dict[str, object]:
    """What the audit record keeps of an invitation."""
    names = ("email", "role", "expires_at", "accepted_at", "revoked_at", "user_id")
    return {name: getattr(row, name) for name in names}


async def revoke_invitation(work: UnitOfWork, invitation_id: int) -> InvitationRow:
    """Make the code of an invitation worthless; revoking it again changes nothing.

    Raises:
        NotFound: there is no such invitation.
        Conflict: it was accepted.
    """
    row = await work.session.scalar(select(_row).where(col(_row.id) == invitation_id).with_for_update())
    if row is None:
        raise NotFound("There is no invitation of this id.", path=("id",))
    if row.accepted_at is not None:
        raise Conflict("This invitation was accepted. Deactivate the account with `updateUser` instead.", path=("id",))
    before = _facts(row)
    if row.revoked_at is None:
        row.revoked_at = await work.session.scalar(select(func.now()))
        await work.session.flush()
    work.record("Invitation", row.id, before=before, after=_facts(row))
    return row


@dataclass(frozen=True)
class Acceptance:
    """An answer to an invitation, as it was typed. The role is that of the invitation."""

    code: str = field(repr=False)
    registration: Registration


async def accept_invitation(
    work: UnitOfWork, database: Database, keys: KeyRing, passwords: Passwords, answer: Acceptance
) -> UserRow:
    """Make the account an address was invited to have; `account.enter` then signs it in.

    Args:
        work: the transaction; nothing has been asked of it yet, so that it does not wait for the hashing.
        database: where the invitation is looked up before.
        keys: made the code.
        passwords: hash.
        answer: the code, and the account.

    Raises:
        BadInput: the code is not (or not any more) that of an invitation of this address, or the account cannot be so.
        Conflict: the address has got an account meanwhile.
    """
    # before the password is hashed, which costs more than whoever has no code may cause
    async with database.read() as session:
        invitation = await _invitation_of(session, keys, answer)
    wanted = await checked_user(passwords, answer.registration, invitation.role)
    still_open = select(_row).where(col(_row.id) == invitation.id, _open).with_for_update()
    row = await work.session.scalar(still_open)
    if row is None:
        raise _refusal()
    user = await insert_user(work.session, wanted)
    if user is None:
        raise Conflict(
            "This address has an account by now. Sign in; an administrator can change its role.", path=("email",)
        )
    accepted = {"accepted_at": func.now(), "user_id": user.id}
    await work.session.execute(update(_row).where(col(_row.id) == row.id).values(accepted))
    return user


async def _invitation_of(session: AsyncSession, keys: KeyRing, answer: Acceptance) -> InvitationRow:
    """The open invitation that the address and the code belong to."""
    email = canonical_email(answer.registration.email)
    row = await session.scalar(select(_row).where(col(_row.email) == email, _open))
    key = keys.find(row.key_id) if row else None
    # an address without an invitation takes as long
    salt, expected = (row.code_salt, row.code_hash) if row else (bytes(SALT_BYTES), bytes(32))
    given = _code_hash(key or keys.current, salt, normalized_code(answer.code))
    if not is_same(expected, given) or row is None or key is None:
        raise _refusal()
    return row


def _refusal() -> BadInput:
    return BadInput(
        "There is no open invitation of this address with this code. Check both, or ask for a new invitation.",
        path=("code",),
    )


async def prepare_invitation_mail(work: UnitOfWork, key: int, keys: KeyRing) -> Mail | None:
    """The mail that brings an invitation, in the language of who invites. `key` is that of the invitation."""
    row = await work.session.scalar(select(_row).where(col(_row.id) == key, _open))
    secret = keys.find(row.key_id) if row else None
    if row is None or secret is None:
        return None
    inviter = await user_by_id(work.session, row.invited_by) if row.invited_by else None
    values = {"code": _code(secret, row.code_salt), "role": row.role, "expires_at": row.expires_at}
    return Mail(MailKind.INVITATION, row.email, inviter.language if inviter else Language.EN, values)
