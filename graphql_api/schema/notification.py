"""Notifications: the viewer's own list."""

import datetime as dt
from collections.abc import Awaitable, Callable
from enum import Enum

import strawberry
from strawberry import UNSET

from graphql_api.database.notification import Severity
from graphql_api.schema.audit import InstantFilter
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    EQUAL,
    NONE_OF,
    ONE_OF,
    BooleanFilter,
    IdFilter,
    id_filter,
    operator,
    to_where,
)
from graphql_api.schema.node import Node, global_id
from graphql_api.schema.paging import (
    After,
    Before,
    Connection,
    First,
    Last,
    connect,
    optional_argument,
    page_request,
    sorts,
)
from graphql_api.services import notification
from graphql_api.services.listing import ListQuery
from graphql_api.services.notification import NOTIFICATIONS, Notice


@strawberry.type(
    description="Something you are told. Everybody has a list of the own; others neither see nor change it."
)
class Notification(Node):
    """A notification in the viewer's list."""

    severity: Severity = strawberry.field(description="How urgent it is.")
    created_at: dt.datetime = strawberry.field(description="When it was made.")
    read_at: dt.datetime | None = strawberry.field(description="When you marked it as read; null until then.")
    is_read: bool = strawberry.field(description="Whether you marked it as read.")
    is_from_person: bool = strawberry.field(
        description="Whether an administrator has written it; otherwise the program has, in the language you ask for."
    )
    notice: strawberry.Private[Notice]

    @classmethod
    def from_row(cls, row: Notice) -> "Notification":
        """The notification as its reader sees it."""
        return cls(
            id=global_id("Notification", row.entry.id),
            severity=row.content.severity,
            created_at=row.content.created_at,
            read_at=row.entry.read_at,
            is_read=row.entry.read_at is not None,
            is_from_person=row.content.created_by is not None,
            notice=row,
        )

    @strawberry.field(
        description="What it is about, on one line; in the language of `Accept-Language` unless a person wrote it."
    )
    def title(self, info: Info) -> str:
        """What it is about."""
        return notification.worded(self.notice.content, info.context.origin.language)[0]

    @strawberry.field(
        description="The whole of it as plain text, in the same language; may have several lines or none."
    )
    def body(self, info: Info) -> str:
        """The whole of it."""
        return notification.worded(self.notice.content, info.context.origin.language)[1]


@strawberry.type(description="One page of your notifications.")
class NotificationConnection(Connection[Notification]):
    """One page of the viewer's notifications."""

    count_unread: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(
        description="How many of your notifications are unread, whatever `where` says. Counted when you ask for it."
    )
    async def unread_count(self) -> int:
        """How many are unread."""
        return await self.count_unread()


@strawberry.input(description="Conditions on how urgent a notification is.")
class SeverityFilter:
    """Conditions on how urgent a notification is."""

    eq: Severity | None = operator(EQUAL)
    in_: list[Severity] | None = operator(ONE_OF, name="in")


@strawberry.input(description="Which notifications; all given conditions must hold.")
class NotificationWhere:
    """Which notifications."""

    id: IdFilter | None = id_filter("Notification", "The id.")
    severity: SeverityFilter | None = operator("How urgent it is.")
    is_read: BooleanFilter | None = operator("Whether you marked it as read.")
    created_at: InstantFilter | None = operator("When it was made.")
    and_: list["NotificationWhere"] | None = operator(ALL_OF, name="and")
    or_: list["NotificationWhere"] | None = operator(ANY_OF, name="or")
    not_: "NotificationWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What notifications can be sorted by.")
class NotificationOrderField(Enum):
    """What notifications can be sorted by."""

    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When it came into the list.")


@strawberry.input(description="One key of the order of notifications.")
class NotificationOrder:
    """One key of the order of notifications."""

    by: NotificationOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


WhereArgument = optional_argument(NotificationWhere, "Only notifications that match this filter.")
OrderArgument = optional_argument(list[NotificationOrder], "Sort keys, the first one decides. At most 5.")


async def count_unread(info: Info) -> int:
    """How many of the viewer's notifications are unread."""
    async with info.context.database.read() as session:
        return await notification.count_unread(session, info.context.viewer)


@strawberry.type
class NotificationQuery:
    """Root field of notifications."""

    @strawberry.field(description="Your own notifications, the newest first unless `orderBy` says otherwise.")
    async def notifications(  # noqa: PLR0913, PLR0917 - the arguments of the GraphQL field
        self,
        info: Info,
        where: WhereArgument = UNSET,  # type: ignore[valid-type]  # made by a function
        order_by: OrderArgument = UNSET,  # type: ignore[valid-type]  # as above
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> NotificationConnection:
        """The viewer's own notifications."""
        context = info.context
        page_wanted = page_request(first, after, last, before)
        query = ListQuery(to_where(where), order=sorts(order_by or None), page=page_wanted, viewer=context.viewer)
        async with context.database.read() as session:
            page = await notification.own_notifications(session, query)

        async def count() -> int:
            async with context.database.read() as session:
                return await NOTIFICATIONS.count(session, query)

        found = connect(page, Notification.from_row, count)
        return NotificationConnection(
            nodes=found.nodes, page=page, count=count, count_unread=lambda: count_unread(info)
        )
