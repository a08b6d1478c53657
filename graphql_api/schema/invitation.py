"""Invitations: who was let in, in which role."""

import datetime as dt
from enum import Enum
from typing import Annotated

import strawberry

from graphql_api.database.base import now_utc
from graphql_api.database.invitation import InvitationRow
from graphql_api.database.user import Language, Role
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction, describe
from graphql_api.schema.errors import UserError
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    EQUAL,
    NONE_OF,
    ONE_OF,
    IdFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import Connection, list_field
from graphql_api.schema.session import SessionPayload, device_of, refused_session
from graphql_api.schema.user import RoleFilter, User, load_user
from graphql_api.services import invitation
from graphql_api.services.account import Registration, enter
from graphql_api.services.invitation import Acceptance, InvitationStatus, status_of
from graphql_api.services.unit_of_work import UnitOfWork

describe(
    InvitationStatus,
    "What has become of an invitation.",
    {
        "OPEN": "Can be accepted.",
        "ACCEPTED": "Has become an account; see `user`.",
        "REVOKED": "Was taken back, or replaced by a newer one.",
        "EXPIRED": "Was not accepted within seven days.",
    },
)


@strawberry.type(description="An administrator's word that an address may have an account in a role; good for 7 days.")
class Invitation(Node):
    """An invitation."""

    email: str = strawberry.field(description="The address it is for, in lower case.")
    role: Role = strawberry.field(description="The role that the account has from the start.")
    status: InvitationStatus = strawberry.field(description="What has become of it.")
    created_at: dt.datetime = strawberry.field(description="When it was made.")
    expires_at: dt.datetime = strawberry.field(description="Until when it can be accepted.")
    accepted_at: dt.datetime | None = strawberry.field(description="When it was accepted; null if it was not.")
    revoked_at: dt.datetime | None = strawberry.field(description="When it was taken back; null if it was not.")
    audit_trail = audit_trail_field()
    inviter_id: strawberry.Private[int | None]
    user_id: strawberry.Private[int | None]

    @classmethod
    def from_row(cls, row: InvitationRow) -> "Invitation":
        """The invitation as clients see it."""
        return cls(
            id=global_id("Invitation", row.id),
            email=row.email,
            role=row.role,
            status=status_of(row, now_utc()),
            created_at=row.created_at,
            expires_at=row.expires_at,
            accepted_at=row.accepted_at,
            revoked_at=row.revoked_at,
            inviter_id=row.invited_by,
            user_id=row.user_id,
        )

    @strawberry.field(description="Who invites; null when it was made at the command line.")
    async def invited_by(self, info: Info) -> User | None:
        """Who invites."""
        return await load_user(info, self.inviter_id)

    @strawberry.field(description="The account that came of it; null when it was not accepted.")
    async def user(self, info: Info) -> User | None:
        """The account that came of it."""
        return await load_user(info, self.user_id)


@strawberry.input(description="Conditions on what has become of an invitation.")
class InvitationStatusFilter:
    """Conditions on what has become of an invitation."""

    eq: InvitationStatus | None = operator(EQUAL)
    in_: list[InvitationStatus] | None = operator(ONE_OF, name="in")


@strawberry.input(description="Which invitations; all given conditions must hold.")
class InvitationWhere:
    """Which invitations."""

    id: IdFilter | None = id_filter("Invitation", "The id.")
    email: StringFilter | None = operator("The address, in any case.")
    role: RoleFilter | None = operator("The role.")
    status: InvitationStatusFilter | None = operator("What has become of it.")
    and_: list["InvitationWhere"] | None = operator(ALL_OF, name="and")
    or_: list["InvitationWhere"] | None = operator(ANY_OF, name="or")
    not_: "InvitationWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What invitations can be sorted by.")
class InvitationOrderField(Enum):
    """What invitations can be sorted by."""

    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When it was made.")


@strawberry.input(description="One key of the order of invitations.")
class InvitationOrder:
    """One key of the order of invitations."""

    by: InvitationOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.input(description="Whom to invite.")
class InviteUserInput:
    """Whom to invite."""

    email: str = strawberry.field(description="The address; it has no account yet.")
    role: Role = strawberry.field(description="The role of the account: ADMIN, STAFF or SALESPERSON.")


@strawberry.type(description="What came of it: the invitation and its code, or why not.")
class InviteUserPayload:
    """What came of it."""

    invitation: Invitation | None = strawberry.field(
        default=None, description="The new invitation; null when there are `userErrors`."
    )
    code: str | None = strawberry.field(
        default=None,
        description="The code of 10 characters that is also in the mail. It is shown this once and never again.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done; empty when it was."
    )


@strawberry.input(description="An invitation to take back.")
class RevokeInvitationInput:
    """An invitation to take back."""

    id: strawberry.ID = strawberry.field(description="The id of the invitation.")


@strawberry.type(description="What came of it: the invitation, or why not.")
class RevokeInvitationPayload:
    """What came of it."""

    invitation: Invitation | None = strawberry.field(
        default=None, description="The invitation as it is now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done; empty when it was."
    )


@strawberry.input(description="The answer to an invitation. The account gets the role of the invitation.")
class AcceptInvitationInput:
    """The answer to an invitation."""

    email: str = strawberry.field(description="The address that was invited.")
    code: str = strawberry.field(description="The code from the mail; case, spaces and hyphens do not matter.")
    name: str = strawberry.field(description="The name of the person, 1 to 200 characters.")
    password: str = strawberry.field(description="The password of the account: 10 to 128 characters, none well known.")
    language: Language | None = strawberry.field(
        default=None, description="What mails are written in; that of this request when left out."
    )


@strawberry.type
class InvitationQuery:
    """Root fields of invitations."""

    invitations: Connection[Invitation] = list_field(
        invitation.INVITATIONS,
        Invitation.from_row,
        where=InvitationWhere,
        order=InvitationOrder,
        what="invitations",
        searched="addresses",
        description="Invitations, the newest first unless `orderBy` says otherwise.",
    )


InviteArgument = Annotated[InviteUserInput, strawberry.argument(description="Whom, and in which role.")]
RevokeArgument = Annotated[RevokeInvitationInput, strawberry.argument(description="Which invitation.")]
AcceptArgument = Annotated[AcceptInvitationInput, strawberry.argument(description="The code, and the account.")]


@strawberry.type
class InvitationMutation:
    """Mutations of invitations."""

    @strawberry.mutation(
        description=(
            "Invite somebody by mail to have an account in a role. The code is good for 7 days and once. Inviting "
            "the same address again replaces the invitation."
        )
    )
    async def invite_user(self, info: Info, input: InviteArgument) -> InviteUserPayload:  # noqa: A002 - the GraphQL name
        """Invite somebody."""
        context = info.context

        async def run(work: UnitOfWork) -> InviteUserPayload:
            inviter = context.viewer.user_id if context.viewer else None
            issued = await invitation.invite(
                work, context.services.keys, email=input.email, role=input.role, invited_by=inviter
            )
            return InviteUserPayload(invitation=Invitation.from_row(issued.row), code=issued.code)

        return await attempt(info, lambda errors: InviteUserPayload(user_errors=errors), run)

    @strawberry.mutation(description="Take an invitation back: its code is worthless from now on.")
    async def revoke_invitation(
        self,
        info: Info,
        input: RevokeArgument,  # noqa: A002 - the GraphQL name
    ) -> RevokeInvitationPayload:
        """Take an invitation back."""

        async def run(work: UnitOfWork) -> RevokeInvitationPayload:
            row = await invitation.revoke_invitation(work, key_of(input.id, "Invitation"))
            return RevokeInvitationPayload(invitation=Invitation.from_row(row))

        return await attempt(info, lambda errors: RevokeInvitationPayload(user_errors=errors), run)

    @strawberry.mutation(description="Make the account that you were invited to have, and sign in.")
    async def accept_invitation(self, info: Info, input: AcceptArgument) -> SessionPayload:  # noqa: A002 - as above
        """Make the account that somebody was invited to have."""
        context, services = info.context, info.context.services

        async def run(work: UnitOfWork) -> SessionPayload:
            registration = Registration(
                input.email, input.name, input.password, input.language or context.origin.language
            )
            answer = Acceptance(input.code, registration)
            row = await invitation.accept_invitation(work, context.database, services.keys, services.passwords, answer)
            tokens = await enter(work, row, device_of(context), services.authentication.tokens)
            return SessionPayload.from_tokens(tokens)

        return await attempt(info, refused_session, run)
