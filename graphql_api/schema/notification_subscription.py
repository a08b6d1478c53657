"""Notifications as their readers listen to them."""

from collections.abc import AsyncGenerator

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.events.catalogue import NotificationReceived
from graphql_api.schema.context import Context, Info
from graphql_api.schema.event_stream import AfterEvent, LoggedEvent, LoggedFields, event_stream
from graphql_api.schema.notification import Notification, count_unread
from graphql_api.services.event_filter import NOTIFICATION_FACTS
from graphql_api.services.policy import signed_in


@strawberry.type(description="Something has come into your list of notifications.")
class NotificationEvent(LoggedEvent):
    """Something has come into the viewer's list."""

    notification: Notification = strawberry.field(description="What you are told.")

    @strawberry.field(description="How many of your notifications are unread now. Counted when you ask for it.")
    async def unread_count(self, info: Info) -> int:
        """How many are unread now."""
        return await count_unread(info)


async def _present(fact: NotificationReceived, logged: LoggedFields, context: Context) -> NotificationEvent | None:
    """What has come; nothing when its reader has deleted it since."""
    row = await context.loaders.notifications.load(fact.entry)
    return NotificationEvent(**logged, notification=Notification.from_row(row)) if row else None


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
        # asking who it is makes the stream the viewer's alone, see `watch_subscriptions`
        own = {"user": {"eq": signed_in(info.context.viewer).user_id}}
        return await event_stream(
            info.context, Topic.NOTIFICATION, _present, where=own, facts=NOTIFICATION_FACTS, after=after
        )
