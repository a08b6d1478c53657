"""Signing in and out, and the sessions of whoever asks."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry

from graphql_api.database.session import SessionRow
from graphql_api.schema.context import Context, Info
from graphql_api.schema.errors import UserError, user_errors
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import global_id, key_of
from graphql_api.schema.user import User
from graphql_api.services import login, session
from graphql_api.services.policy import Unauthenticated, Viewer, signed_in
from graphql_api.services.session import Device, Tokens
from graphql_api.services.unit_of_work import UnitOfWork


@strawberry.type(description="A sign-in of yours on one device that has not ended.")
class Session:
    """A sign-in on one device."""

    id: strawberry.ID = strawberry.field(description="Pass it to `revokeSession`.")
    address: str | None = strawberry.field(description="The network address that the sign-in came from.")
    user_agent: str | None = strawberry.field(description="What the client called itself then.")
    created_at: dt.datetime = strawberry.field(description="When you signed in.")
    last_used_at: dt.datetime = strawberry.field(description="When its tokens were last renewed.")
    expires_at: dt.datetime = strawberry.field(description="When it ends unless its tokens are renewed before.")
    is_current: bool = strawberry.field(description="Whether it is the one you ask with.")

    @classmethod
    def from_row(cls, row: SessionRow, viewer: Viewer) -> "Session":
        """The session as its owner sees it."""
        return cls(
            id=global_id("Session", row.id),
            address=row.address,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            is_current=row.id == viewer.session_id,
        )


@strawberry.type(
    description=(
        "Somebody signed in, or why not. Send the access token with each request as `Authorization: Bearer …`; keep "
        "the refresh token where nobody else can read it."
    )
)
class SessionPayload:
    """Somebody signed in, or why not."""

    user: User | None = strawberry.field(
        default=None, description="Who has signed in; null when there are `userErrors`, like all else here."
    )
    access_token: str | None = strawberry.field(
        default=None, description="Proves who you are, for 15 minutes at most; a JSON Web Token."
    )
    access_token_expires_at: dt.datetime | None = strawberry.field(
        default=None, description="When to call `refreshToken` at the latest, by the clock of the server."
    )
    refresh_token: str | None = strawberry.field(
        default=None, description="Gets the next tokens, once: each `refreshToken` answers with a new one. Opaque."
    )
    refresh_token_expires_at: dt.datetime | None = strawberry.field(
        default=None, description="When the session ends unless it is renewed before."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nobody was signed in; empty when somebody was."
    )

    @classmethod
    def from_tokens(cls, tokens: Tokens) -> "SessionPayload":
        """The tokens as whoever signs in gets them."""
        return cls(
            user=User.from_row(tokens.user),
            access_token=tokens.access.text,
            access_token_expires_at=tokens.access.expires_at,
            refresh_token=tokens.refresh.text,
            refresh_token_expires_at=tokens.refresh.expires_at,
        )


@strawberry.type(description="How many sessions have ended, or why none has.")
class EndSessionPayload:
    """How many sessions have ended, or why none has."""

    ended_count: int = strawberry.field(default=0, description="How many sessions have ended.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why none has ended; empty when it was done."
    )


@strawberry.input(description="What to sign in with.")
class LoginInput:
    """What to sign in with."""

    email: str = strawberry.field(description="The address of the account, in any case.")
    password: str = strawberry.field(description="The password, at most 128 characters.")


@strawberry.input(description="What to renew a session with.")
class RefreshTokenInput:
    """What to renew a session with."""

    refresh_token: str = strawberry.field(
        description="The newest refresh token of the session. A lost answer can be asked for again within 10 seconds."
    )


@strawberry.input(description="A session to end.")
class RevokeSessionInput:
    """A session to end."""

    id: strawberry.ID = strawberry.field(description="The id that `mySessions` gave.")


LoginArgument = Annotated[LoginInput, strawberry.argument(description="Address and password.")]
RefreshArgument = Annotated[RefreshTokenInput, strawberry.argument(description="The refresh token.")]
RevokeArgument = Annotated[RevokeSessionInput, strawberry.argument(description="Which session.")]


def refused_session(errors: list[UserError]) -> SessionPayload:
    """The answer when nobody was signed in."""
    return SessionPayload(user_errors=errors)


def device_of(context: Context) -> Device:
    """Where a session is opened."""
    return Device(context.origin.address, context.origin.user_agent)


async def _end(info: Info, change: Callable[[UnitOfWork, Viewer], Awaitable[int]]) -> EndSessionPayload:
    """End sessions of whoever asks in one transaction."""

    async def run(work: UnitOfWork) -> EndSessionPayload:
        return EndSessionPayload(ended_count=await change(work, signed_in(info.context.viewer)))

    return await attempt(info, lambda errors: EndSessionPayload(user_errors=errors), run)


@strawberry.type
class SessionQuery:
    """Queries of sessions."""

    @strawberry.field(description="Your sessions that have not ended, at most 50; the one used last comes first.")
    async def my_sessions(self, info: Info) -> list[Session]:
        """The sessions of whoever asks."""
        viewer = signed_in(info.context.viewer)
        async with info.context.database.read() as reading:
            rows = await session.own_sessions(reading, viewer.user_id)
        return [Session.from_row(row, viewer) for row in rows]


@strawberry.type
class SessionMutation:
    """Mutations of sessions."""

    @strawberry.mutation(
        description=(
            "Sign in. The answer is the same whether the address or the password is wrong. Of more than 50 sessions "
            "the one that was not used for the longest time ends."
        )
    )
    async def login(self, info: Info, input: LoginArgument) -> SessionPayload:  # noqa: A002 - the GraphQL name
        """Sign in."""
        context = info.context

        async def run(work: UnitOfWork) -> SessionPayload:
            credentials = login.Credentials(input.email, input.password)
            proven = await login.prove_user(context.database, context.services.passwords, credentials)
            tokens = await login.login(work, proven, device_of(context), context.services.authentication.tokens)
            return SessionPayload.from_tokens(tokens)

        return await attempt(info, refused_session, run)

    @strawberry.mutation(
        description=(
            "New tokens for a session. Each refresh token works once; using one again later than 10 seconds after "
            "its first use ends the session, because somebody else may have it."
        )
    )
    async def refresh_token(self, info: Info, input: RefreshArgument) -> SessionPayload:  # noqa: A002 - as above
        """New tokens for a session."""
        context = info.context

        async def run(work: UnitOfWork) -> SessionPayload:
            token = input.refresh_token
            answer = await session.refresh_session(work, token, context.services.authentication.tokens)
            # a refusal that ends the session is an answer, not an exception, because it has to be committed
            if isinstance(answer, Unauthenticated):
                return refused_session(user_errors(answer, context.origin.language))
            return SessionPayload.from_tokens(answer)

        return await attempt(info, refused_session, run)

    @strawberry.mutation(description="Sign out: the session ends at once, and its tokens with it.")
    async def logout(self, info: Info) -> EndSessionPayload:
        """Sign out."""
        return await _end(info, session.logout)

    @strawberry.mutation(description="Sign out on all devices, this one included.")
    async def logout_everywhere(self, info: Info) -> EndSessionPayload:
        """Sign out on all devices."""
        return await _end(info, session.logout_everywhere)

    @strawberry.mutation(description="End one of your sessions, such as that of a lost device; at once.")
    async def revoke_session(self, info: Info, input: RevokeArgument) -> EndSessionPayload:  # noqa: A002 - as above
        """End one of your sessions."""

        async def revoke(work: UnitOfWork, viewer: Viewer) -> int:
            return await session.revoke_session(work, viewer, key_of(input.id, "Session"))

        return await _end(info, revoke)
