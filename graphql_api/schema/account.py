"""The own account: register, prove the address, change the profile, change or recover the password."""

import datetime as dt
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.one_time_code import CodePurpose
from graphql_api.database.user import Language
from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.session import SessionPayload, device_of, refused_session
from graphql_api.schema.user import User, UserPayload, given, refused_user
from graphql_api.services import account
from graphql_api.services.account import PasswordChange, ProfileChange, Registration
from graphql_api.services.one_time_code import count_guess
from graphql_api.services.policy import signed_in
from graphql_api.services.unit_of_work import UnitOfWork

WHY_NOT = "Why it could not be done; empty when it was."
EQUAL_ANSWER = "The answer does not tell whether the address has an account."
NEW_PASSWORD = "10 to 128 characters, not well known and not made of your own name or address."  # noqa: S105 - a rule
CODE = "The code of 8 characters from the mail; case, spaces and hyphens do not matter. It may be tried 5 times."


@strawberry.input(description="An account that you want.")
class RegisterInput:
    """An account that somebody wants."""

    email: str = strawberry.field(description="Your address; a code is sent there.")
    name: str = strawberry.field(description="Your name, 1 to 200 characters.")
    password: str = strawberry.field(description=f"The password you want: {NEW_PASSWORD}")
    language: Language | None = strawberry.field(
        default=None, description="What mails to you are written in; the language of this request when left out."
    )


@strawberry.type(description="A token that completes what you asked for, together with the code from the mail.")
class RegisterPayload:
    """What came of it."""

    token: str | None = strawberry.field(
        default=None, description="Keep it, and pass it to `verifyEmail`; null when there are `userErrors`."
    )
    expires_at: dt.datetime | None = strawberry.field(
        default=None, description="Until when token and code are good: 10 minutes."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=WHY_NOT)


@strawberry.input(description="The proof that you read the mail of your address.")
class VerifyEmailInput:
    """The proof that somebody reads the mail of an address."""

    token: str = strawberry.field(description="As `register` gave it.")
    code: str = strawberry.field(description=CODE)


@strawberry.input(description="What to change of your account; what is left out stays as it is.")
class UpdateProfileInput:
    """What to change of the own account."""

    name: str | None = strawberry.field(default=UNSET, description="Your name, 1 to 200 characters.")
    language: Language | None = strawberry.field(default=UNSET, description="What mails to you are written in.")


@strawberry.input(description="Your present password, and the one you want instead.")
class ChangePasswordInput:
    """The present password, and the one wanted instead."""

    old_password: str = strawberry.field(description="Your present password.")
    new_password: str = strawberry.field(description=f"The password you want: {NEW_PASSWORD}")


@strawberry.input(description="The account whose password is forgotten.")
class RequestPasswordResetInput:
    """The account whose password is forgotten."""

    email: str = strawberry.field(description="The address of the account; a code is sent there.")


@strawberry.type(description="A token that completes the reset, together with the code from the mail.")
class RequestPasswordResetPayload:
    """What came of it."""

    token: str | None = strawberry.field(
        default=None, description="Keep it, and pass it to `verifyPasswordReset`; null when there are `userErrors`."
    )
    expires_at: dt.datetime | None = strawberry.field(
        default=None, description="Until when token and code are good: 10 minutes."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=WHY_NOT)


@strawberry.input(description="The proof that you read the mail of the account.")
class VerifyPasswordResetInput:
    """The proof that somebody reads the mail of the account."""

    token: str = strawberry.field(description="As `requestPasswordReset` gave it.")
    code: str = strawberry.field(description=CODE)


@strawberry.type(description="Whether the code was right.")
class VerifyPasswordResetPayload:
    """What came of it."""

    expires_at: dt.datetime | None = strawberry.field(
        default=None,
        description="Until when the token may be passed to `resetPassword`, once; null when there are `userErrors`.",
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=WHY_NOT)


@strawberry.input(description="The new password.")
class ResetPasswordInput:
    """The new password."""

    token: str = strawberry.field(description="The token whose code `verifyPasswordReset` has accepted.")
    new_password: str = strawberry.field(description=f"The password you want: {NEW_PASSWORD}")


@strawberry.type(description="Whether the password was set.")
class ResetPasswordPayload:
    """What came of it."""

    is_reset: bool = strawberry.field(
        default=False, description="Whether the password was set and all sessions have ended: sign in now."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=WHY_NOT)


RegisterArgument = Annotated[RegisterInput, strawberry.argument(description="The account you want.")]
VerifyArgument = Annotated[VerifyEmailInput, strawberry.argument(description="Your token and the code.")]
ProfileArgument = Annotated[UpdateProfileInput, strawberry.argument(description="What to change.")]
PasswordArgument = Annotated[ChangePasswordInput, strawberry.argument(description="The old and the new password.")]
ForgottenArgument = Annotated[RequestPasswordResetInput, strawberry.argument(description="Whose password.")]
VerifyResetArgument = Annotated[VerifyPasswordResetInput, strawberry.argument(description="Your token and the code.")]
ResetArgument = Annotated[ResetPasswordInput, strawberry.argument(description="Your token and the new password.")]


@strawberry.type
class AccountMutation:
    """Mutations of the own account."""

    @strawberry.mutation(
        description=(
            "Ask for an account, role CUSTOMER. A mail with a code goes to the address; `verifyEmail` then makes the "
            f"account. Until then there is none. {EQUAL_ANSWER}"
        )
    )
    async def register(self, info: Info, input: RegisterArgument) -> RegisterPayload:  # noqa: A002 - the GraphQL name
        """Ask for an account."""
        context = info.context

        async def run(work: UnitOfWork) -> RegisterPayload:
            wish = Registration(input.email, input.name, input.password, input.language or context.origin.language)
            issued = await account.register(work, context.services.passwords, wish)
            return RegisterPayload(token=issued.token, expires_at=issued.expires_at)

        return await attempt(info, lambda errors: RegisterPayload(user_errors=errors), run)

    @strawberry.mutation(description="Make the account you have registered, with the code from the mail, and sign in.")
    async def verify_email(self, info: Info, input: VerifyArgument) -> SessionPayload:  # noqa: A002 - as above
        """Make the registered account."""
        context = info.context

        async def run(work: UnitOfWork) -> SessionPayload:
            guess = await count_guess(context.database, CodePurpose.VERIFY_EMAIL, input.token, input.code)
            row = await account.verify_email(work, context.services.keys, guess)
            tokens = await account.enter(work, row, device_of(context), context.services.authentication.tokens)
            return SessionPayload.from_tokens(tokens)

        return await attempt(info, refused_session, run)

    @strawberry.mutation(description="Change your name or language.")
    async def update_profile(self, info: Info, input: ProfileArgument) -> UserPayload:  # noqa: A002 - as above
        """Change the own name or language."""

        async def run(work: UnitOfWork) -> UserPayload:
            change = ProfileChange(given(input.name, "name"), given(input.language, "language"))
            row = await account.update_profile(work, signed_in(info.context.viewer).user_id, change)
            return UserPayload(user=User.from_row(row))

        return await attempt(info, refused_user, run)

    @strawberry.mutation(
        description="Change your password. Your other sessions end, this one stays, and a mail tells you so."
    )
    async def change_password(self, info: Info, input: PasswordArgument) -> UserPayload:  # noqa: A002 - as above
        """Change the own password."""
        context = info.context

        async def run(work: UnitOfWork) -> UserPayload:
            change = PasswordChange(input.old_password, input.new_password)
            row = await account.change_password(
                work, context.database, context.services.passwords, signed_in(context.viewer), change
            )
            return UserPayload(user=User.from_row(row))

        return await attempt(info, refused_user, run)

    @strawberry.mutation(
        description=(
            "First step to a new password: a mail with a code goes to the address, if it has an active account. "
            f"{EQUAL_ANSWER}"
        )
    )
    async def request_password_reset(
        self,
        info: Info,
        input: ForgottenArgument,  # noqa: A002 - the GraphQL name
    ) -> RequestPasswordResetPayload:
        """Ask for a new password."""

        async def run(work: UnitOfWork) -> RequestPasswordResetPayload:
            issued = await account.request_password_reset(work, input.email)
            return RequestPasswordResetPayload(token=issued.token, expires_at=issued.expires_at)

        return await attempt(info, lambda errors: RequestPasswordResetPayload(user_errors=errors), run)

    @strawberry.mutation(
        description="Second step: the code from the mail. Its token may then set a password, once within 10 minutes."
    )
    async def verify_password_reset(
        self,
        info: Info,
        input: VerifyResetArgument,  # noqa: A002 - the GraphQL name
    ) -> VerifyPasswordResetPayload:
        """Check the code of a reset."""
        context = info.context

        async def run(work: UnitOfWork) -> VerifyPasswordResetPayload:
            guess = await count_guess(context.database, CodePurpose.RESET_PASSWORD, input.token, input.code)
            expires_at = await account.verify_password_reset(work, context.services.keys, guess)
            return VerifyPasswordResetPayload(expires_at=expires_at)

        return await attempt(info, lambda errors: VerifyPasswordResetPayload(user_errors=errors), run)

    @strawberry.mutation(
        description="Third step: set the new password. All sessions of the account end, and a mail tells its owner so."
    )
    async def reset_password(self, info: Info, input: ResetArgument) -> ResetPasswordPayload:  # noqa: A002 - as above
        """Set a new password."""
        context = info.context

        async def run(work: UnitOfWork) -> ResetPasswordPayload:
            await account.reset_password(
                work, context.database, context.services.passwords, input.token, input.new_password
            )
            return ResetPasswordPayload(is_reset=True)

        return await attempt(info, lambda errors: ResetPasswordPayload(user_errors=errors), run)
