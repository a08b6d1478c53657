"""Notifications: what people are told, and the list that each of them has of it.

What the program says is kept as sentences with values, so that each reader gets it in the own language; what a person
has written (`created_by`) is shown as it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, any_, delete, false, func, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.notification import NotificationRecipientRow, NotificationRow, Severity
from graphql_api.database.user import Language, Role, UserRow
from graphql_api.services.errors import NotFound
from graphql_api.services.filters import FilterField, column_filter, presence_filter, related_filter
from graphql_api.services.listing import Listing, ListQuery, Sort
from graphql_api.services.paging import Page
from graphql_api.services.policy import Viewer
from graphql_api.services.reading import id_array, rows_by_id
from graphql_api.services.translation import Message, translate
from graphql_api.services.unit_of_work import UnitOfWork

_Entry = NotificationRecipientRow


@dataclass(frozen=True)
class Notice:
    """A notification in somebody's list.

    Args:
        entry: whose list, and whether it was read.
        content: what it says.
    """

    entry: NotificationRecipientRow
    content: NotificationRow


@dataclass(frozen=True, slots=True)
class _Kept:
    """A sentence as it was kept."""

    template: str
    values: Mapping[str, object]


def worded(content: NotificationRow, language: Language) -> tuple[str, str]:
    """Title and body of a notification in the reader's language."""
    if content.created_by is not None:
        return content.title, content.body
    title, body = (translate(_Kept(text, content.values), language) for text in (content.title, content.body))
    return title, body


async def notify(  # noqa: PLR0913 - everything that makes one notification differ from another
    work: UnitOfWork,
    *,
    severity: Severity,
    title: Message,
    body: Message,
    topic: str | None = None,
    values: Mapping[str, Any] | None = None,
    roles: Collection[Role] = (),
    users: Collection[int] = (),
) -> list[int]:
    """Tell people something in the name of the program.

    Args:
        work: the transaction.
        severity: how urgent it is.
        title: one short sentence, such as `Sentence("Low stock of {product}", product=name)`; a literal, with values
            that JSON can hold.
        body: the whole of it, likewise; it shares its values with the title.
        topic: what it is about: whoever tells of the same topic again is not heard. None: of nothing told before.
        values: further values to be kept with it.
        roles: everybody with one of these roles who can sign in.
        users: accounts to be told as well, if they can sign in.

    Returns:
        The keys of the entries in people's lists; none when the topic was told before.
    """
    kept = {**title.values, **body.values, **(values or {})}
    content = {"severity": severity, "topic": topic, "title": title.template, "body": body.template, "values": kept}
    statement = insert(NotificationRow).values(**content).on_conflict_do_nothing(index_elements=["topic"])
    notification_id = await work.session.scalar(statement.returning(col(NotificationRow.id)))
    if notification_id is None:
        return []
    return await _reach(work.session, notification_id, or_(false(), has_role(roles), _is_one_of(users)))


async def reach_everybody(session: AsyncSession, notification_id: int) -> list[int]:
    """Put a notification into the list of everybody who can sign in."""
    return await _reach(session, notification_id, true())


async def reach(
    session: AsyncSession, notification_id: int, *, roles: Collection[Role], users: Collection[int]
) -> list[int]:
    """Put a notification into the lists of these people, as far as they can sign in; answers the entries' keys."""
    return await _reach(session, notification_id, or_(has_role(roles), _is_one_of(users)))


def has_role(roles: Collection[Role]) -> ColumnElement[bool]:
    """The condition that an account has one of these roles."""
    return col(UserRow.role).in_(roles)


def _is_one_of(users: Collection[int]) -> ColumnElement[bool]:
    return col(UserRow.id) == any_(id_array(list(users)))


async def _reach(session: AsyncSession, notification_id: int, wanted: ColumnElement[bool]) -> list[int]:
    people = (
        select(literal(notification_id, BigInteger), col(UserRow.id))
        .where(col(UserRow.is_active), wanted)
        .order_by(col(UserRow.id))
    )
    statement = insert(_Entry).from_select(["notification_id", "user_id"], people).on_conflict_do_nothing()
    return list(await session.scalars(statement.returning(col(_Entry.id))))


def _own(viewer: Viewer | None) -> ColumnElement[bool]:
    return false() if viewer is None else col(_Entry.user_id) == viewer.user_id


_contents = select(col(NotificationRow.id))
FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(_Entry.id)),
    "isRead": presence_filter(col(_Entry.read_at)),
    "severity": related_filter(col(_Entry.notification_id), _contents, column_filter(col(NotificationRow.severity))),
    "createdAt": related_filter(col(_Entry.notification_id), _contents, column_filter(col(NotificationRow.created_at))),
}
NOTIFICATIONS: Listing[NotificationRecipientRow] = Listing(
    statement=select(_Entry),
    key=col(_Entry.id),
    fields=FIELDS,
    # ids grow with time
    sorts={"CREATED_AT": col(_Entry.id)},
    default=[Sort("CREATED_AT", is_descending=True)],
    search=lambda _text: true(),
    visible=_own,
)


async def own_notifications(session: AsyncSession, query: ListQuery) -> Page[Notice]:
    """A page of the viewer's own list, the newest first.

    Raises:
        BadInput: for an impossible filter, page size or cursor, with the path to it.
    """
    page = await NOTIFICATIONS.page(session, query)
    return Page(await _with_contents(session, page.rows), page.cursors, page.has_next, page.has_previous)


async def count_unread(session: AsyncSession, viewer: Viewer | None) -> int:
    """How many in the viewer's list were not read yet."""
    unread = select(func.count()).select_from(_Entry).where(_own(viewer), col(_Entry.read_at).is_(None))
    return await session.scalar(unread) or 0


async def notifications_by_id(
    session: AsyncSession, ids: Sequence[int], *, viewer: Viewer | None
) -> list[Notice | None]:
    """The notifications with these ids, in the order of the ids; None where the viewer's list has none."""
    entries = (await session.scalars(select(_Entry).where(col(_Entry.id) == any_(id_array(ids)), _own(viewer)))).all()
    found = {notice.entry.id: notice for notice in await _with_contents(session, entries)}
    return [found.get(key) for key in ids]


async def _with_contents(session: AsyncSession, entries: Sequence[NotificationRecipientRow]) -> list[Notice]:
    contents = await rows_by_id(session, NotificationRow, [entry.notification_id for entry in entries])
    return [Notice(entry, content) for entry, content in zip(entries, contents, strict=True) if content is not None]


async def mark_read(work: UnitOfWork, viewer: Viewer, keys: Sequence[int] | None) -> int:
    """Mark notifications of the viewer's list as read; those that are keep their time.

    Args:
        work: the transaction.
        viewer: whose list.
        keys: which; None for all.

    Returns:
        How many were not read before.

    Raises:
        NotFound: one of them is not in the list; nothing is changed.
    """
    wanted = [_own(viewer), *await _chosen(work.session, viewer, keys)]
    unread = update(_Entry).where(*wanted, col(_Entry.read_at).is_(None))
    marked = list(await work.session.scalars(unread.values(read_at=func.now()).returning(col(_Entry.id))))
    work.record("Notification", _only(keys), after={"isRead": True, "count": len(marked)})
    return len(marked)


async def delete_notifications(work: UnitOfWork, viewer: Viewer, keys: Sequence[int]) -> int:
    """Take notifications out of the viewer's list; other people keep theirs. Answers how many.

    Raises:
        NotFound: one of them is not in the list; nothing is changed.
    """
    wanted = [_own(viewer), *await _chosen(work.session, viewer, keys)]
    gone = list(await work.session.scalars(delete(_Entry).where(*wanted).returning(col(_Entry.id))))
    work.record("Notification", _only(keys), after={"isDeleted": True, "count": len(gone)})
    return len(gone)


async def _chosen(session: AsyncSession, viewer: Viewer, keys: Sequence[int] | None) -> list[ColumnElement[bool]]:
    if keys is None:
        return []
    wanted = col(_Entry.id) == any_(id_array(keys))
    # locked by id, so that two who change the same ones do not wait for each other
    own = select(col(_Entry.id)).where(_own(viewer), wanted).order_by(col(_Entry.id)).with_for_update()
    found = set(await session.scalars(own))
    for position, key in enumerate(keys):
        if key not in found:
            raise NotFound("There is no such notification in your list.", path=("ids", str(position)))
    return [wanted]


def _only(keys: Sequence[int] | None) -> int | None:
    return keys[0] if keys is not None and len(keys) == 1 else None
