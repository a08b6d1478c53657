"""The record of who did what: one entry for each attempt to change something."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.audit import AuditEntryRow, AuditOutcome
from graphql_api.services.errors import ErrorCode
from graphql_api.services.policy import Viewer

MASK = "***"
# Whatever has one of these in its name is never written down.
SECRET = ("password", "token", "secret", "hash", "salt", "code")


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


async def write_change(session: AsyncSession, act: Act, change: Change) -> None:
    """Write down what was done, in the transaction that does it."""
    await _write(
        session,
        act,
        outcome=AuditOutcome.DONE,
        entity=change.entity,
        entity_id=change.entity_id,
        before=masked(change.before),
        after=masked(change.after),
    )


async def write_refusal(session: AsyncSession, act: Act, code: ErrorCode) -> None:
    """Write down what was refused, in a transaction of its own."""
    await _write(session, act, outcome=AuditOutcome.REFUSED, error_code=code.value)


def masked(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields as JSON, secrets replaced by asterisks at any depth."""
    if fields is None:
        return None
    return {name: _masked(name, value) for name, value in fields.items()}


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return masked(value)
    if value is not None and any(word in name.lower() for word in SECRET):
        return MASK
    return to_jsonable_python(value)


async def _write(session: AsyncSession, act: Act, **values: Any) -> None:
    actor = act.actor
    statement = insert(AuditEntryRow).values(
        actor_id=actor.user_id if actor else None,
        actor_role=actor.role if actor else None,
        session_id=actor.session_id if actor else None,
        action=act.action,
        address=act.address,
        request_id=act.request_id,
        **values,
    )
    await session.execute(statement)
