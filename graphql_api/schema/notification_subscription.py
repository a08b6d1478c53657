"""Notifications as their readers listen to them."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import cast

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import Event, NotificationReceived
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_cursor import event_cursor
from graphql_api.schema.event_stream import AT, CURSOR, AfterEvent, event_stream
from graphql_api.schema.notification import Notification, count_unread
from graphql_api.schema.scalars import Cursor
from graphql_api.services.event_filter import NOTIFICATION_FACTS
from graphql_api.services.policy import signed_in


@strawberry.type(description="Something has come into your list of notifications.")
class NotificationEvent:
    """Something has come into the viewer's list."""

    cursor: Cursor = strawberry.field(description=CURSOR)
    at: dt.datetime = strawberry.field(description=AT)
    notification: Notification = strawberry.field(description="What you are told.")

    @strawberry.field(description="How many of your notifications are unread now. Counted when you ask for it.")
    async def unread_count(self, info: Info) -> int:
        """How many are unread now."""
        return await count_unread(info)


async def _present(event: Event, context: Context) -> NotificationEvent | None:
    """What has come; nothing when its reader has deleted it since."""
    row = await context.loaders.notifications.load(cast("NotificationReceived", event.fact).entry)
    if row is None:
        return None
    cursor = await event_cursor(context, event.number)
    return NotificationEvent(cursor=cursor, at=event.recorded_at, notification=Notification.from_row(row))


@strawberry.type
class NotificationSubscription:
    """Root field that tells of notifications."""

    @strawberry.subscription(
        description=(
            "What comes into your own list of notifications, each once and in order, in the language that you ask for; "
            "what you have deleted meanwhile is left out. As in `subscription { notificationReceived { cursor "
            "unreadCount notification { severity title } } }`."
        )
    )
    async def notification_received(
        self, info: Info, after: AfterEvent = UNSET
    ) -> AsyncGenerator[NotificationEvent, None]:
        """What comes into the viewer's own list."""
        own = {"user": {"eq": signed_in(info.context.viewer).user_id}}
        stream = await event_stream(
            info.context,
            Topic.NOTIFICATION,
            _present,
            where=own,
            facts=NOTIFICATION_FACTS,
            after=after,
            is_personal=True,
        )
        return cast("AsyncGenerator[NotificationEvent, None]", stream)
