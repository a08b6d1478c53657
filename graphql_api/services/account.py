"""What somebody does with the own account: register, change it, change or recover the password.

No answer tells whether an address has an account: neither `register` nor `request_password_reset` looks. The worker
does, when it writes the mail.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database
from graphql_api.database.one_time_code import CodePurpose
from graphql_api.database.session import SessionEnd
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.key import KeyRing
from graphql_api.services.mail.message import Mail, MailKind, enqueue_mail
from graphql_api.services.one_time_code import (
    LIFETIME,
    Challenge,
    Guess,
    checked_row,
    end_codes,
    make_code,
    mark_used,
    mark_verified,
    open_challenge,
    open_row,
    refusal,
    verified_row,
)
from graphql_api.services.password import Passwords, checked_password
from graphql_api.services.policy import Viewer
from graphql_api.services.session import Device, Tokens, end_sessions, open_session
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import (
    NewUser,
    canonical_email,
    checked_name,
    finish_change,
    insert_user,
    locked_user,
    user_at,
    user_by_id,
    user_facts,
)

CODE_MINUTES = int(LIFETIME.total_seconds()) // 60


@dataclass(frozen=True)
class Registration:
    """An account that somebody wants, as it was typed. There is no role to ask for."""

    email: str
    name: str
    password: str = field(repr=False)
    language: Language = Language.EN


@dataclass(frozen=True)
class ProfileChange:
    """What somebody changes of the own account; None leaves it as it is."""

    name: str | None = None
    language: Language | None = None


async def checked_user(passwords: Passwords, wish: Registration, role: Role) -> NewUser:
    """An account as it is stored, its password hashed, which takes a while: no transaction should wait for it.

    Raises:
        BadInput: for the address, the name or the password, with the path to it.
    """
    email, name = canonical_email(wish.email), checked_name(wish.name)
    password = checked_password(wish.password, email=email, name=name)
    return NewUser(email, name, await passwords.hash(password), role, wish.language)


async def create_account(work: UnitOfWork, passwords: Passwords, wish: Registration, role: Role) -> UserRow:
    """Make an account without a proof of its address: for whoever operates the program.

    Raises:
        BadInput: as `checked_user` does.
        Conflict: the address has an account.
    """
    user = await insert_user(work.session, await checked_user(passwords, wish, role))
    if user is None:
        raise Conflict("There is an account with this address. Change that one instead.", path=("email",))
    work.record("User", user.id, after=user_facts(user))
    return user


async def register(work: UnitOfWork, passwords: Passwords, wish: Registration) -> Challenge:
    """Note a wish for an account, which `verify_email` makes; a mail with a code goes to the address.

    Raises:
        BadInput: as `checked_user` does.
    """
    user = await checked_user(passwords, wish, Role.CUSTOMER)
    pending = {"name": user.name, "language": user.language.value, "password_hash": user.password_hash}
    challenge = await open_challenge(work.session, CodePurpose.VERIFY_EMAIL, user.email, pending)
    await enqueue_mail(work, MailKind.VERIFY_EMAIL, challenge.code_id)
    work.record("User", None, after={"email": user.email, "name": user.name, "language": user.language})
    return challenge


async def verify_email(work: UnitOfWork, keys: KeyRing, guess: Guess) -> UserRow:
    """Make the account that was registered, role CUSTOMER; `enter` then signs it in.

    Raises:
        BadInput: the code is not valid for this token.
        Conflict: the address has got an account meanwhile.
    """
    row = await checked_row(work.session, keys, guess)
    pending = row.pending
    wish = NewUser(row.email, pending["name"], pending["password_hash"], Role.CUSTOMER, Language(pending["language"]))
    user = await insert_user(work.session, wish)
    if user is None:
        raise Conflict("This address has an account by now. Sign in, or reset its password.", path=("token",))
    await mark_used(work.session, row)
    return user


async def enter(work: UnitOfWork, user: UserRow, device: Device, access_tokens: AccessTokens) -> Tokens:
    """Sign in an account that was made in this transaction, which its new owner is recorded to have made."""
    tokens = await open_session(work, user, device, access_tokens)
    work.record("User", user.id, after=user_facts(user), actor=tokens.viewer)
    return tokens


async def update_profile(work: UnitOfWork, user_id: int, change: ProfileChange) -> UserRow:
    """Change the own name or language.

    Raises:
        BadInput: the name cannot be used.
    """
    user = await locked_user(work.session, user_id)
    before = user_facts(user)
    user.name = user.name if change.name is None else checked_name(change.name)
    user.language = change.language or user.language
    await finish_change(work, user, before)
    return user


@dataclass(frozen=True)
class PasswordChange:
    """An own password that somebody wants changed, as it was typed."""

    old: str = field(repr=False)
    new: str = field(repr=False)


async def change_password(
    work: UnitOfWork, database: Database, passwords: Passwords, viewer: Viewer, change: PasswordChange
) -> UserRow:
    """Change the own password; all sessions but this one end, and a mail says so.

    Args:
        work: the transaction; nothing has been asked of it yet, so that it does not wait for the hashing.
        database: where the old password is read before.
        passwords: hash and check.
        viewer: whose password, in which session.
        change: the old and the new one.

    Raises:
        BadInput: the old password is wrong, or the new one does not meet the policy.
        Conflict: the password was changed at the same time.
    """
    async with database.read() as session:
        user = await user_by_id(session, viewer.user_id)
    if not await passwords.verify(change.old, user.password_hash if user else None) or user is None:
        raise BadInput("This is not your present password.", path=("oldPassword",))
    password = checked_password(change.new, email=user.email, name=user.name, path=("newPassword",))
    if await passwords.verify(password, user.password_hash):
        raise BadInput("This is your present password. Choose another one.", path=("newPassword",))
    new_hash = await passwords.hash(password)
    locked = await locked_user(work.session, user.id)
    if locked.password_hash != user.password_hash:
        raise Conflict("Your password was changed at the same time. Try again.", path=("oldPassword",))
    await _set_password(work, locked, new_hash, keep=viewer.session_id)
    return locked


async def request_password_reset(work: UnitOfWork, email: str) -> Challenge:
    """Note that somebody wants a new password; a mail with a code goes to the address if it has an active account.

    Raises:
        BadInput: it is no address.
    """
    email = canonical_email(email)
    challenge = await open_challenge(work.session, CodePurpose.RESET_PASSWORD, email)
    await enqueue_mail(work, MailKind.RESET_PASSWORD, challenge.code_id)
    work.record("User", None, after={"email": email})
    return challenge


async def verify_password_reset(work: UnitOfWork, keys: KeyRing, guess: Guess) -> datetime:
    """Check the code of a reset: until the answered instant (UTC) its token may set a password, once.

    Raises:
        BadInput: the code is not valid for this token.
    """
    row = await checked_row(work.session, keys, guess)
    user = await user_at(work.session, row.email)
    if user is None or not user.is_active:
        raise refusal()
    expires_at = await mark_verified(work.session, row)
    work.record("User", user.id, after={"email": user.email})
    return expires_at


async def reset_password(
    work: UnitOfWork, database: Database, passwords: Passwords, token: str, new_password: str
) -> UserRow:
    """Set a new password in place of a forgotten one; all sessions end, and a mail says so.

    Args:
        work: the transaction; nothing has been asked of it yet, so that it does not wait for the hashing.
        database: where the reset is looked up before.
        passwords: hash.
        token: of a reset whose code was right.
        new_password: as it was typed.

    Raises:
        BadInput: the token is not good for it (any more), or the password does not meet the policy.
    """
    async with database.read() as session:
        user = await _user_of_reset(session, token)
    password = checked_password(new_password, email=user.email, name=user.name, path=("newPassword",))
    new_hash = await passwords.hash(password)
    locked = await locked_user(work.session, user.id)
    row = await verified_row(work.session, CodePurpose.RESET_PASSWORD, token, locked=True)
    if row is None or not locked.is_active:
        raise _closed_reset()
    await mark_used(work.session, row)
    await _set_password(work, locked, new_hash)
    return locked


async def _user_of_reset(session: AsyncSession, token: str) -> UserRow:
    row = await verified_row(session, CodePurpose.RESET_PASSWORD, token)
    user = await user_at(session, row.email) if row else None
    if user is None or not user.is_active:
        raise _closed_reset()
    return user


def _closed_reset() -> BadInput:
    return BadInput(
        "This password reset is not open any more, or its code was not entered. Begin again.", path=("token",)
    )


async def _set_password(work: UnitOfWork, user: UserRow, password_hash: str, keep: int | None = None) -> None:
    """Replace the password of a locked account, and end whatever the old one has led to."""
    user.password_hash = password_hash
    await end_codes(work.session, CodePurpose.RESET_PASSWORD, user.email)
    await end_sessions(work, user.id, SessionEnd.PASSWORD_CHANGED, keep=keep)
    await enqueue_mail(work, MailKind.PASSWORD_CHANGED, user.id)
    work.record("User", user.id, before={"email": user.email}, after={"email": user.email, "password": "new"})


async def prepare_verification_mail(work: UnitOfWork, key: int, keys: KeyRing) -> Mail | None:
    """The mail of a registration: a code, or that there is an account already. `key` is that of the wish."""
    row = await open_row(work.session, key, CodePurpose.VERIFY_EMAIL)
    if row is None:
        return None
    user = await user_at(work.session, row.email)
    if user is None:
        values = {"name": row.pending["name"], "code": make_code(row, keys), "minutes": CODE_MINUTES}
        return Mail(MailKind.VERIFY_EMAIL, row.email, Language(row.pending["language"]), values)
    return Mail(MailKind.ALREADY_REGISTERED, user.email, user.language, {"name": user.name}) if user.is_active else None


async def prepare_reset_mail(work: UnitOfWork, key: int, keys: KeyRing) -> Mail | None:
    """The mail with the code of a password reset, for an active account. `key` is that of the wish."""
    row = await open_row(work.session, key, CodePurpose.RESET_PASSWORD)
    user = await user_at(work.session, row.email) if row else None
    if row is None or user is None or not user.is_active:
        return None
    values = {"name": user.name, "code": make_code(row, keys), "minutes": CODE_MINUTES}
    return Mail(MailKind.RESET_PASSWORD, user.email, user.language, values)


async def prepare_password_changed_mail(work: UnitOfWork, key: int, keys: KeyRing) -> Mail | None:
    """The notice that the password was changed. `key` is that of the account."""
    del keys
    user = await user_by_id(work.session, key)
    return Mail(MailKind.PASSWORD_CHANGED, user.email, user.language, {"name": user.name}) if user else None
