"""The record of who did what: one entry for each attempt to change something."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.audit import AuditOutcome
from graphql_api.database.engine import transaction_driver
from graphql_api.services.errors import ErrorCode
from graphql_api.services.policy import Viewer

MASK = "***"
# Somebody may type a password in the place of the address, hence a length, and the sign of an address.
MAX_EMAIL = 254
# A name with one of these anywhere in it means a secret …
SECRET_PARTS = ("password", "passphrase", "secret", "token", "credential")
# … and so does one with one of these among its words, as in `codeSalt` or `token_hash` …
SECRET_WORDS = frozenset({"hash", "salt", "code", "codes", "pin", "otp", "cookie", "authorization", "signature"})
# … unless it ends in what is only a time or a number about the secret, as in `access_token_minutes`,
PLAIN_ENDS = frozenset({"minutes", "hours", "days", "seconds", "at", "count", "attempts"})
# or is a code that everybody knows, as in `error_code`.
PLAIN_CODES = frozenset({"error", "reject", "status", "zip", "postal", "country", "currency", "language"})
UNDERSCORE = re.compile(r"_([a-z])")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True)
class Act:
    """An attempt: what is tried, by whom and from where.

    Args:
        action: the root field, such as `updateUser`, or the command, such as `cli create-admin`.
        actor: who tries; None for somebody who has not signed in, and for the operator of the program.
        address: where the request came from.
        request_id: names the request in the log.
    """

    action: str
    actor: Viewer | None = None
    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Change:
    """What an act did, to which thing; `before` and `after` hold the fields that matter."""

    entity: str
    entity_id: int | None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Aim:
    """What an act is about, before anybody knows whether that exists.

    Args:
        entity: the type that the id of the input names.
        entity_id: its key.
        email: the e-mail address of the input.
    """

    entity: str | None = None
    entity_id: int | None = None
    email: str | None = None


# By the driver: that is a fifth of the work of an expression, and every mutation does it.
APPEND = """
INSERT INTO audit_entry (actor_id, actor_role, session_id, action, address, request_id, outcome, error_code, entity,
                         entity_id, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def write_change(session: AsyncSession, act: Act, change: Change) -> None:
    """Write down what was done, in the transaction that does it."""
    before, after = masked(_spelled(change.before)), masked(_spelled(change.after))
    await _append(session, act, AuditOutcome.DONE, None, change.entity, change.entity_id, _json(before), _json(after))


async def write_refusal(session: AsyncSession, act: Act, code: ErrorCode, aim: Aim | None = None) -> None:
    """Write down what was refused, in a transaction of its own."""
    aim = aim or Aim()
    after = {"email": aim.email[:MAX_EMAIL]} if aim.email and "@" in aim.email else None
    await _append(session, act, AuditOutcome.REFUSED, code.value, aim.entity, aim.entity_id, None, _json(after))


def masked(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields as JSON, secrets replaced by asterisks at any depth, also inside of lists."""
    return None if fields is None else {name: _masked(name, value) for name, value in fields.items()}


def _spelled(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields by the names that clients know them by."""
    if fields is None:
        return None
    return {UNDERSCORE.sub(lambda found: found[1].upper(), name): value for name, value in fields.items()}


@lru_cache(maxsize=4_096)
def is_secret(name: str) -> bool:
    """Whether the value of a field of this name is never written down."""
    words = [word.lower() for word in WORD.findall(name)]
    if not words or words[-1] in PLAIN_ENDS:
        return False
    if any(part in name.lower().replace("_", "") for part in SECRET_PARTS):
        return True
    if words[-1] == "code" and PLAIN_CODES.intersection(words[-2:-1]):
        return False
    return not SECRET_WORDS.isdisjoint(words)


def _masked(name: str, value: Any) -> Any:
    """What is written down of a field; what stands in a list goes by the name of the list."""
    if value is not None and is_secret(name):
        return MASK
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, item) for item in value]
    plain = to_jsonable_python(value, bytes_mode="hex")
    # a row or another object with fields has become a mapping
    return _masked(name, plain) if isinstance(plain, dict | list) else plain


def _json(fields: Mapping[str, Any] | None) -> str | None:
    return None if fields is None else json.dumps(fields)


async def _append(session: AsyncSession, act: Act, outcome: AuditOutcome, *facts: object) -> None:
    """Add an entry; `facts` are the error code, entity and its id, and the fields before and after."""
    actor = act.actor
    whose = (actor.user_id, actor.role.value, actor.session_id) if actor else (None, None, None)
    connection = await transaction_driver(session)
    await connection.execute(APPEND, *whose, act.action, act.address, act.request_id, outcome.value, *facts)
