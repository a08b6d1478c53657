"""Notifications that an administrator writes by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import any_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.notification import NotificationRow, Severity
from graphql_api.database.user import Role, UserRow
from graphql_api.services.checks import Check, one_line, optional_text
from graphql_api.services.errors import BadInput, NotFound
from graphql_api.services.notification import reach, reach_everybody
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array
from graphql_api.services.unit_of_work import UnitOfWork

MAX_TITLE = 200
MAX_BODY = 5_000


@dataclass(frozen=True)
class Wish:
    """A notification to be sent.

    Args:
        severity: how urgent it is.
        title: one line.
        body: any lines; may be empty.
        is_for_all: whether everybody gets it; then nobody is named.
        roles: whoever has one of these roles gets it.
        users: keys of accounts that get it as well.
    """

    severity: Severity
    title: str
    body: str = ""
    is_for_all: bool = False
    roles: Sequence[Role] = ()
    users: Sequence[int] = ()


async def create_notification(work: UnitOfWork, wish: Wish, viewer: Viewer) -> int:
    """Send a notification to people who can sign in; answers to how many.

    Raises:
        BadInput: a text cannot be used, nobody is named, or nobody would get it.
        NotFound: one of the accounts does not exist or cannot sign in.
    """
    title = _checked("title", one_line(MAX_TITLE), wish.title)
    body = _checked("body", optional_text(MAX_BODY), wish.body) or ""
    await _check_people(work.session, wish)
    row = NotificationRow(severity=wish.severity, title=title, body=body, created_by=viewer.user_id)
    work.session.add(row)
    await work.session.flush()
    entries = await _reach(work.session, row.id, wish)
    if not entries:
        raise BadInput("Nobody of these roles can sign in.", path=("roles",))
    work.record("Notification", None, after={**_facts(wish), "title": title, "body": body, "count": len(entries)})
    return len(entries)


async def _reach(session: AsyncSession, notification_id: int, wish: Wish) -> list[int]:
    if wish.is_for_all:
        return await reach_everybody(session, notification_id)
    return await reach(session, notification_id, roles=wish.roles, users=wish.users)


def _facts(wish: Wish) -> dict[str, object]:
    return {
        "severity": wish.severity,
        "everybody": wish.is_for_all,
        "roles": list(wish.roles),
        "users": list(wish.users),
    }


async def _check_people(session: AsyncSession, wish: Wish) -> None:
    is_naming = bool(wish.roles or wish.users)
    if wish.is_for_all and is_naming:
        raise BadInput("`everybody` needs no `roles` and `users`. Leave them out.", path=("everybody",))
    if not wish.is_for_all and not is_naming:
        raise BadInput("Say who is to get it: `everybody`, `roles` or `users`.", path=("everybody",))
    active = select(col(UserRow.id)).where(col(UserRow.id) == any_(id_array(wish.users)), col(UserRow.is_active))
    found = set(await session.scalars(active)) if wish.users else set()
    for position, key in enumerate(wish.users):
        if key not in found:
            raise NotFound("There is no account of this id that can sign in.", path=("users", str(position)))


def _checked(name: str, check: Check, value: str) -> Any:
    try:
        return check(value)
    except BadInput as error:
        raise error.below(name) from None
