"""Signing in with a password."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import update
from sqlmodel import col

from graphql_api.database.engine import Database
from graphql_api.database.user import UserRow
from graphql_api.services.password import Passwords
from graphql_api.services.policy import Unauthenticated
from graphql_api.services.session import Device, Tokens, open_session
from graphql_api.services.token import AccessTokens
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import canonical_email, locked_user, user_at

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """What somebody signs in with, as it was typed."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class ProvenUser:
    """An account whose password somebody knows.

    Args:
        user: as it was when the password was checked.
        is_hash_of_it: whether another hash is one of the same password.
        new_hash: is to replace one made with other parameters.
    """

    user: UserRow
    is_hash_of_it: Callable[[str], Awaitable[bool]] = field(repr=False)
    new_hash: str | None = field(default=None, repr=False)


async def prove_user(database: Database, passwords: Passwords, credentials: Credentials) -> ProvenUser:
    """The account that the credentials belong to; no connection is held while the password is checked.

    Whether nobody has the address, the account is not active or the password is another one: answer and cost are
    the same.

    Raises:
        BadInput: what stands for the address is none.
        Unauthenticated: address and password do not belong together.
    """
    address = canonical_email(credentials.email)
    async with database.read() as session:
        user = await user_at(session, address)
    is_right = await passwords.verify(credentials.password, user.password_hash if user else None)
    if user is None or not is_right or not user.is_active:
        raise Unauthenticated("The e-mail address or the password is wrong.")
    is_hash_of_it = partial(passwords.verify, credentials.password)
    if not passwords.is_outdated(user.password_hash):
        return ProvenUser(user, is_hash_of_it)
    return ProvenUser(user, is_hash_of_it, await passwords.hash(credentials.password))


async def login(work: UnitOfWork, proven: ProvenUser, device: Device, access_tokens: AccessTokens) -> Tokens:
    """Open a session for somebody who has just proven the password.

    Raises:
        Unauthenticated: the password or the account has changed since.
    """
    user = await locked_user(work.session, proven.user.id)
    # somebody who signed in at the same moment may have renewed the hash, and the password is still the same
    is_as_proven = user.password_hash == proven.user.password_hash
    if not user.is_active or not (is_as_proven or await proven.is_hash_of_it(user.password_hash)):
        raise Unauthenticated("The e-mail address or the password is wrong.")
    if is_as_proven and proven.new_hash is not None:
        renewed = update(UserRow).where(col(UserRow.id) == user.id).values(password_hash=proven.new_hash)
        await work.session.execute(renewed)
        logger.info("The password hash of account %s was renewed with the parameters of today", user.id)
    tokens = await open_session(work, user, device, access_tokens)
    after = {"user_id": user.id, "address": device.address, "user_agent": device.user_agent}
    work.record("Session", tokens.viewer.session_id, after=after, actor=tokens.viewer)
    return tokens
