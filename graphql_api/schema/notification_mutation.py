"""What can be done with notifications: read, deleted, and written to others."""

from typing import Annotated

import strawberry

from graphql_api.database.notification import Severity
from graphql_api.database.user import Role
from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import keys_of
from graphql_api.services import notification
from graphql_api.services.errors import BadInput
from graphql_api.services.notification_message import Wish, create_notification
from graphql_api.services.policy import signed_in
from graphql_api.services.unit_of_work import UnitOfWork

ERRORS = "Why it could not be done; empty when it was."


@strawberry.input(description="Which of your notifications to mark as read: `ids`, or `all`.")
class MarkNotificationReadInput:
    """Which notifications to mark as read."""

    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Their ids, 1 to 100. When one is not in your list, none is marked."
    )
    all: bool = strawberry.field(default=False, description="true marks all that are unread, instead of `ids`.")


@strawberry.input(description="Which of your notifications to delete.")
class DeleteNotificationInput:
    """Which notifications to delete."""

    ids: list[strawberry.ID] = strawberry.field(
        description="Their ids, 1 to 100. When one is not in your list, none is deleted."
    )


@strawberry.type(description="What came of it: how many notifications have changed, or why none has.")
class NotificationChangePayload:
    """What came of it."""

    count: int = strawberry.field(
        default=0, description="How many were changed; those that were so before do not count."
    )
    unread_count: int = strawberry.field(default=0, description="How many of your notifications are unread now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


@strawberry.input(
    description=(
        "A notification to people who can sign in. Say who gets it: `everybody`, or `roles` and `users`, which add up."
    )
)
class CreateNotificationInput:
    """A notification to people."""

    title: str = strawberry.field(
        description="What it is about: one line of 1 to 200 characters, shown as you write it."
    )
    body: str = strawberry.field(default="", description="The whole of it as plain text, at most 5,000 characters.")
    severity: Severity = strawberry.field(default=Severity.INFO, description="How urgent it is.")
    everybody: bool = strawberry.field(default=False, description="true sends it to everybody who can sign in.")
    roles: list[Role] | None = strawberry.field(default=None, description="Everybody with one of these roles.")
    users: list[strawberry.ID] | None = strawberry.field(
        default=None, description="The ids of up to 100 accounts, which must be active."
    )


@strawberry.type(description="What came of it: how many people got it, or why nobody did.")
class CreateNotificationPayload:
    """What came of it."""

    recipient_count: int = strawberry.field(default=0, description="How many people have it in their list now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=ERRORS)


MarkArgument = Annotated[MarkNotificationReadInput, strawberry.argument(description="Which ones.")]
DeleteArgument = Annotated[DeleteNotificationInput, strawberry.argument(description="Which ones.")]
CreateArgument = Annotated[CreateNotificationInput, strawberry.argument(description="What to say, and to whom.")]


def _wanted(wish: MarkNotificationReadInput) -> list[int] | None:
    """The keys to be marked; None for all."""
    if wish.all is (wish.ids is not None):
        raise BadInput("Give either `ids` or `all: true`.", path=("ids",))
    return None if wish.ids is None else keys_of(wish.ids, "Notification")


def _refused(errors: list[UserError]) -> NotificationChangePayload:
    return NotificationChangePayload(user_errors=errors)


async def _changed(info: Info, work: UnitOfWork, count: int) -> NotificationChangePayload:
    unread = await notification.count_unread(work.session, info.context.viewer)
    return NotificationChangePayload(count=count, unread_count=unread)


@strawberry.type
class NotificationMutation:
    """Mutations of notifications."""

    @strawberry.mutation(description="Mark some or all of your notifications as read.")
    async def mark_notification_read(self, info: Info, input: MarkArgument) -> NotificationChangePayload:  # noqa: A002 - the GraphQL name
        """Mark notifications as read."""

        async def run(work: UnitOfWork) -> NotificationChangePayload:
            count = await notification.mark_read(work, signed_in(info.context.viewer), _wanted(input))
            return await _changed(info, work, count)

        return await attempt(info, _refused, run)

    @strawberry.mutation(description="Delete notifications from your list; other people keep theirs.")
    async def delete_notification(self, info: Info, input: DeleteArgument) -> NotificationChangePayload:  # noqa: A002 - as above
        """Delete notifications from the own list."""

        async def run(work: UnitOfWork) -> NotificationChangePayload:
            keys = keys_of(input.ids, "Notification")
            count = await notification.delete_notifications(work, signed_in(info.context.viewer), keys)
            return await _changed(info, work, count)

        return await attempt(info, _refused, run)

    @strawberry.mutation(description="Send a notification to people, in your words.")
    async def create_notification(self, info: Info, input: CreateArgument) -> CreateNotificationPayload:  # noqa: A002 - as above
        """Send a notification."""

        async def run(work: UnitOfWork) -> CreateNotificationPayload:
            count = await create_notification(work, _wish(input), signed_in(info.context.viewer))
            return CreateNotificationPayload(recipient_count=count)

        return await attempt(info, lambda errors: CreateNotificationPayload(user_errors=errors), run)


def _wish(given: CreateNotificationInput) -> Wish:
    return Wish(
        severity=given.severity,
        title=given.title,
        body=given.body,
        is_for_all=given.everybody,
        roles=given.roles or (),
        users=keys_of(given.users, "User", "users") if given.users else (),
    )
