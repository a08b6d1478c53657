"""Accounts: who can sign in, in which role."""

import datetime as dt
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graphql_api.database.user import Language, Role, UserRow
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.errors import UserError
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    EQUAL,
    NONE_OF,
    ONE_OF,
    BooleanFilter,
    IdFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import Connection, list_field
from graphql_api.services import user
from graphql_api.services.errors import BadInput
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import UserChange


@strawberry.type(
    description="An account: somebody who can sign in. Everybody sees the own one, administrators see all."
)
class User(Node):
    """An account."""

    email: str = strawberry.field(description="The address to sign in with, in lower case; unique and proven.")
    name: str = strawberry.field(description="The name of the person, at most 200 characters.")
    role: Role = strawberry.field(description="What the person is to the company.")
    language: Language = strawberry.field(description="What mails to the person are written in.")
    is_active: bool = strawberry.field(description="Whether the person can sign in.")
    email_verified_at: dt.datetime = strawberry.field(description="When the address was proven.")
    created_at: dt.datetime = strawberry.field(description="When the account was made.")
    version: int = strawberry.field(description="Counts its changes; pass it as `expectedVersion` to change it.")
    audit_trail = audit_trail_field()

    @classmethod
    def from_row(cls, row: UserRow) -> "User":
        """The account as clients see it."""
        return cls(
            id=global_id("User", row.id),
            email=row.email,
            name=row.name,
            role=row.role,
            language=row.language,
            is_active=row.is_active,
            email_verified_at=row.email_verified_at,
            created_at=row.created_at,
            version=row.version,
        )


@strawberry.input(description="Conditions on a role.")
class RoleFilter:
    """Conditions on a role."""

    eq: Role | None = operator(EQUAL)
    in_: list[Role] | None = operator(ONE_OF, name="in")


@strawberry.input(description="Which accounts; all given conditions must hold.")
class UserWhere:
    """Which accounts."""

    id: IdFilter | None = id_filter("User", "The id.")
    email: StringFilter | None = operator("The address, in any case.")
    name: StringFilter | None = operator("The name.")
    role: RoleFilter | None = operator("The role.")
    is_active: BooleanFilter | None = operator("Whether the person can sign in.")
    and_: list["UserWhere"] | None = operator(ALL_OF, name="and")
    or_: list["UserWhere"] | None = operator(ANY_OF, name="or")
    not_: "UserWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What accounts can be sorted by.")
class UserOrderField(Enum):
    """What accounts can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    EMAIL = strawberry.enum_value("EMAIL", description="The address, character by character.")


@strawberry.input(description="One key of the order of accounts.")
class UserOrder:
    """One key of the order of accounts."""

    by: UserOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.input(description="What to change of an account; what is left out stays as it is.")
class UpdateUserInput:
    """What to change of an account."""

    id: strawberry.ID = strawberry.field(description="The id of the account.")
    expected_version: int = strawberry.field(
        description="The `version` you have read. If it is another by now, nothing changes and the answer is CONFLICT."
    )
    name: str | None = strawberry.field(default=UNSET, description="The name, 1 to 200 characters.")
    role: Role | None = strawberry.field(
        default=UNSET, description="The role; it counts at once, in all sessions. One active ADMIN must remain."
    )
    is_active: bool | None = strawberry.field(
        default=UNSET, description="false ends all sessions and keeps the person from signing in; true allows it again."
    )


@strawberry.type(description="What came of it: the account, or why not.")
class UserPayload:
    """What came of it."""

    user: User | None = strawberry.field(
        default=None, description="The account as it is now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done; empty when it was."
    )


def refused_user(errors: list[UserError]) -> UserPayload:
    """The payload of a refusal."""
    return UserPayload(user_errors=errors)


def given(value: Any, name: str) -> Any:
    """A field of a patch: None when it was left out.

    Raises:
        BadInput: it is null, which none of these fields can be.
    """
    if value is None:
        raise BadInput("`{field}` must not be null; leave it out to keep it as it is.", path=(name,), field=name)
    return None if value is UNSET else value


async def load_user(info: Info, user_id: int | None) -> User | None:
    """The account with this key, batched; None without a key."""
    row = None if user_id is None else await info.context.loaders.users.load(user_id)
    return User.from_row(row) if row else None


@strawberry.type
class UserQuery:
    """Root fields of accounts."""

    users: Connection[User] = list_field(
        user.USERS,
        User.from_row,
        where=UserWhere,
        order=UserOrder,
        what="accounts",
        searched="names and addresses",
        description="Accounts, by name unless `orderBy` says otherwise.",
    )

    @strawberry.field(description="Your own account; null when you have not signed in.")
    async def me(self, info: Info) -> User | None:
        """The own account."""
        context = info.context
        if context.sign_in_problem is not None:
            raise context.sign_in_problem
        return await load_user(info, context.viewer.user_id if context.viewer else None)


UpdateUserArgument = Annotated[UpdateUserInput, strawberry.argument(description="Which account, and what to change.")]


@strawberry.type
class UserMutation:
    """Mutations of accounts by administrators."""

    @strawberry.mutation(
        description=(
            "Change the role or name of an account, deactivate it or activate it again. When the answer is there, "
            "every process knows."
        )
    )
    async def update_user(self, info: Info, input: UpdateUserArgument) -> UserPayload:  # noqa: A002 - the GraphQL name
        """Change an account."""

        async def run(work: UnitOfWork) -> UserPayload:
            change = UserChange(
                name=given(input.name, "name"),
                role=given(input.role, "role"),
                is_active=given(input.is_active, "isActive"),
            )
            row = await user.update_user(
                work, key_of(input.id, "User"), change, expected_version=input.expected_version
            )
            return UserPayload(user=User.from_row(row))

        return await attempt(info, refused_user, run)
