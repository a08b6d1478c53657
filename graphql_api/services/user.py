"""Accounts as administrators see them: find, list, change. Addresses and names are brought to one form here."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.invitation import InvitationRow
from graphql_api.database.session import SessionEnd
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.noticeboard import NoticeKind
from graphql_api.services.place import resembles
from graphql_api.services.plain_text import has_control, is_blank
from graphql_api.services.reading import rows_by_id
from graphql_api.services.session import end_sessions
from graphql_api.services.unit_of_work import UnitOfWork

MAX_NAME = 200
MAX_EMAIL = 254


def canonical_email(text: str, path: tuple[str, ...] = ("email",)) -> str:
    """The one form of an address that accounts are found by: NFC and lower case.

    Raises:
        BadInput: it is no address that mail could be sent to over the internet.
    """
    text = text.strip()
    try:
        # whether the domain takes mail shows when the mail is sent; `.test` is for trying things out
        address = validate_email(
            text[: MAX_EMAIL + 1], check_deliverability=False, test_environment=True, strict=True
        ).normalized
    except EmailNotValidError:
        raise BadInput("This is not an e-mail address. Write it as in name@example.com.", path=path) from None
    return folded_email(address)


def folded_email(text: str) -> str:
    """A text in the letters of a stored address: NFC and lower case. It need not be a whole address."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())


def checked_name(text: str, path: tuple[str, ...] = ("name",)) -> str:
    """The name of a person in NFC with single spaces; any script and emoji will do.

    Raises:
        BadInput: nothing of it can be seen, it is longer than 200 characters, or it holds control characters.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if has_control(text):
        raise BadInput("A name is one line without control characters. Remove them.", path=path)
    name = " ".join(text.split())
    if len(name) > MAX_NAME:
        raise BadInput("A name has at most {most} characters.", path=path, most=MAX_NAME)
    if is_blank(name):
        raise BadInput("Give a name.", path=path)
    return name


FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(UserRow.id)),
    "email": column_filter(col(UserRow.email), folded_email),
    "name": column_filter(col(UserRow.name)),
    "role": column_filter(col(UserRow.role)),
    "isActive": column_filter(col(UserRow.is_active)),
}
USERS: Listing[UserRow] = Listing(
    statement=select(UserRow),
    key=col(UserRow.id),
    fields=FIELDS,
    sorts={"NAME": col(UserRow.name), "EMAIL": col(UserRow.email)},
    default=[Sort("NAME")],
    search=lambda text: or_(resembles(col(UserRow.name), text), resembles(col(UserRow.email), text)),
)


async def users_by_id(session: AsyncSession, ids: Sequence[int]) -> list[UserRow | None]:
    """The accounts with these ids, in the order of the ids."""
    return await rows_by_id(session, UserRow, ids)


async def user_by_id(session: AsyncSession, user_id: int) -> UserRow | None:
    """The account of this id."""
    return await session.scalar(select(UserRow).where(col(UserRow.id) == user_id))


async def user_by_email(session: AsyncSession, email: str) -> UserRow | None:
    """The account of this address.

    Raises:
        BadInput: it is no address.
    """
    return await user_at(session, canonical_email(email))


async def user_at(session: AsyncSession, address: str) -> UserRow | None:
    """The account of an address that has its stored form already."""
    return await session.scalar(select(UserRow).where(col(UserRow.email) == address))


async def locked_user(session: AsyncSession, user_id: int) -> UserRow:
    """The account of this id as it is now; nobody else changes it before this transaction ends.

    Raises:
        NotFound: there is none.
    """
    return _existing(await _locked(session, user_id), user_id)


@dataclass(frozen=True)
class NewUser:
    """An account to be made. The address and the name have their stored form already."""

    email: str
    name: str
    password_hash: str
    role: Role
    language: Language = Language.EN


async def insert_user(session: AsyncSession, user: NewUser) -> UserRow | None:
    """Make an account; None when the address has one, also when another transaction makes it at this moment."""
    values = {name: getattr(user, name) for name in NewUser.__dataclass_fields__}
    statement = insert(UserRow).values(**values).on_conflict_do_nothing(index_elements=["email"])
    return await session.scalar(statement.returning(UserRow))


def user_facts(user: UserRow) -> dict[str, object]:
    """What the audit record keeps of an account."""
    names = ("email", "name", "role", "language", "is_active", "version")
    return {name: getattr(user, name) for name in names}


@dataclass(frozen=True)
class UserChange:
    """What an administrator changes of an account; None leaves it as it is."""

    name: str | None = None
    role: Role | None = None
    is_active: bool | None = None

    @property
    def may_take_rights(self) -> bool:
        """Whether an administrator would be none any more."""
        return self.is_active is False or self.role not in {None, Role.ADMIN}


async def update_user(
    work: UnitOfWork, user_id: int, change: UserChange, *, expected_version: int | None = None
) -> UserRow:
    """Change an account. A new role counts at once, in all sessions; deactivation ends them.

    Open invitations of an administrator who is to be none any more are revoked.

    Args:
        work: the transaction.
        user_id: whose account.
        change: what is to be different.
        expected_version: the version that the change was decided on; None for whatever version there is.

    Raises:
        BadInput: the name cannot be used.
        NotFound: there is no such account.
        Conflict: the account has changed since, or nobody would be left to administrate.
    """
    users = await _locked(work.session, user_id, with_admins=change.may_take_rights)
    user = _existing(users, user_id)
    _check_version(user, expected_version)
    before, was_admin = user_facts(user), _is_active_admin(user)
    _apply(user, change)
    if was_admin and not any(_is_active_admin(each) for each in users):
        raise Conflict(
            "This is the last active administrator. Make somebody else an administrator first.",
            path=("isActive",) if change.is_active is False else ("role",),
        )
    await finish_change(work, user, before)
    if was_admin and not _is_active_admin(user):
        await _withdraw_invitations(work.session, user.id)
    if before["is_active"] and not user.is_active:
        await end_sessions(work, user.id, SessionEnd.DEACTIVATED)
    return user


async def _withdraw_invitations(session: AsyncSession, user_id: int) -> None:
    """Revoke what an administrator has promised who is none any more."""
    open_ones = (col(InvitationRow.accepted_at).is_(None), col(InvitationRow.revoked_at).is_(None))
    theirs = update(InvitationRow).where(col(InvitationRow.invited_by) == user_id, *open_ones)
    await session.execute(theirs.values(revoked_at=func.now()))


def _apply(user: UserRow, change: UserChange) -> None:
    if change.name is not None:
        user.name = checked_name(change.name)
    if change.role is not None:
        user.role = change.role
    if change.is_active is not None:
        user.is_active = change.is_active


def _is_active_admin(user: UserRow) -> bool:
    return user.role is Role.ADMIN and user.is_active


def _check_version(user: UserRow, expected: int | None) -> None:
    if expected is not None and expected != user.version:
        raise Conflict(
            "This account has changed since you read it: its version is {version} now. Read it again, then decide.",
            path=("expectedVersion",),
            version=user.version,
        )


async def finish_change(work: UnitOfWork, user: UserRow, before: Mapping[str, object]) -> None:
    """Count the version up when something is different, tell who remembers it, and record it."""
    if user_facts(user) != before:
        user.version += 1
        await work.session.flush()
        await work.announce(NoticeKind.USER, user.id)
    work.record("User", user.id, before=before, after=user_facts(user))


async def _locked(session: AsyncSession, user_id: int, *, with_admins: bool = False) -> Sequence[UserRow]:
    """This account, and all that administrate now; always locked by id, so that no two wait for each other."""
    wanted = col(UserRow.id) == user_id
    if with_admins:
        # written as the index on active administrators has it
        wanted = or_(wanted, (col(UserRow.role) == Role.ADMIN) & col(UserRow.is_active))
    # sessions may refer to the account meanwhile: only its key must not change for them
    statement = select(UserRow).where(wanted).order_by(col(UserRow.id)).with_for_update(key_share=True)
    return (await session.scalars(statement.execution_options(populate_existing=True))).all()


def _existing(users: Sequence[UserRow], user_id: int) -> UserRow:
    for user in users:
        if user.id == user_id:
            return user
    raise NotFound("There is no account of this id.", path=("id",))
