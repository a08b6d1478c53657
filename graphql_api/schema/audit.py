"""The record of who did what."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Annotated, Any, cast

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON
from strawberry.types.lazy_type import LazyType

from graphql_api.database.audit import AuditEntryRow, AuditOutcome
from graphql_api.database.user import Role
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction, ErrorCode, describe
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    AT_LEAST,
    AT_MOST,
    EQUAL,
    GREATER,
    LESS,
    NONE_OF,
    ONE_OF,
    UNKNOWN,
    IdFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id, parse_global_id
from graphql_api.schema.paging import After, Connection, FirstAlone, connect, list_field, page_request
from graphql_api.services.audit_log import AUDIT_LOG, FIELDS, EntityKey, TrailWanted
from graphql_api.services.filters import Operators

describe(
    AuditOutcome,
    "How an attempt ended.",
    {"DONE": "It was done.", "REFUSED": "It was refused, and nothing was changed; see `errorCode`."},
)
# What an entry speaks of has a trail of its own, so each of the two modules would have to be read first.
USER: LazyType[Any, Any] = LazyType("User", "graphql_api.schema.user")


@strawberry.type(
    description=(
        "One attempt to change something, as it was written down in the transaction of the change. Entries are never "
        "changed or deleted; each is chained to the one before it by its hash."
    )
)
class AuditEntry(Node):
    """One attempt to change something."""

    at: dt.datetime = strawberry.field(description="When the transaction of the attempt began.")
    actor_role: Role | None = strawberry.field(description="The role the actor had then.")
    session_id: strawberry.ID | None = strawberry.field(description="The session the actor used.")
    action: str = strawberry.field(
        description="What was tried: a mutation such as `updateUser`, or a command such as `cli create-admin`."
    )
    outcome: AuditOutcome = strawberry.field(description="How it ended.")
    error_code: ErrorCode | None = strawberry.field(description="Why it was refused; null when it was done.")
    entity_type: str | None = strawberry.field(description="The type of what was changed, such as `Product`.")
    entity_id: strawberry.ID | None = strawberry.field(
        description="The id of what was changed; it stays when the thing itself is gone."
    )
    before: JSON | None = strawberry.field(
        description='Its fields before; null when there were none. Secrets are written as "***".'
    )
    after: JSON | None = strawberry.field(description="Its fields afterwards, in the same form.")
    address: str | None = strawberry.field(description="The network address that the request came from.")
    request_id: str | None = strawberry.field(description="Names the request, as in the header X-Request-Id.")
    hash: str = strawberry.field(
        description="SHA-256 of this entry and the hash before it in its chain, in hexadecimal digits."
    )
    actor_id: strawberry.Private[int | None]

    @classmethod
    def from_row(cls, row: AuditEntryRow) -> "AuditEntry":
        """The entry as clients see it."""
        has_entity = row.entity is not None and row.entity_id is not None
        return cls(
            id=global_id("AuditEntry", row.id),
            at=row.at,
            actor_role=row.actor_role,
            session_id=None if row.session_id is None else global_id("Session", row.session_id),
            action=row.action,
            outcome=row.outcome,
            error_code=None if row.error_code is None else ErrorCode(row.error_code),
            entity_type=row.entity,
            entity_id=global_id(row.entity or "", row.entity_id or 0) if has_entity else None,
            before=cast("JSON | None", row.before),
            after=cast("JSON | None", row.after),
            address=row.address,
            request_id=row.request_id,
            hash=row.hash.hex(),
            actor_id=row.actor_id,
        )

    @strawberry.field(
        description=(
            "Who tried; null for somebody who had not signed in, for an operator at the command line, and for an "
            "account that is gone."
        )
    )
    async def actor(self, info: Info) -> Annotated["User", strawberry.lazy("graphql_api.schema.user")] | None:  # type: ignore[name-defined]  # noqa: F821 - Strawberry finds the name
        """Who tried."""
        row = None if self.actor_id is None else await info.context.loaders.users.load(self.actor_id)
        return USER.resolve_type().from_row(row) if row else None


@strawberry.input(description="A text that must be exactly this one.")
class ExactFilter:
    """A text that must be exactly this one."""

    eq: str | None = operator(EQUAL)
    in_: list[str] | None = operator(ONE_OF, name="in")
    is_null: bool | None = operator(UNKNOWN)


@strawberry.input(description='Conditions on an instant, as in {gte: "2024-03-15T00:00:00Z"}; all must hold.')
class InstantFilter:
    """Conditions on an instant."""

    gt: dt.datetime | None = operator(GREATER)
    gte: dt.datetime | None = operator(AT_LEAST)
    lt: dt.datetime | None = operator(LESS)
    lte: dt.datetime | None = operator(AT_MOST)


@strawberry.input(description="Conditions on how an attempt ended.")
class AuditOutcomeFilter:
    """Conditions on how an attempt ended."""

    eq: AuditOutcome | None = operator(EQUAL)


@strawberry.input(description="Conditions on why an attempt was refused.")
class ErrorCodeFilter:
    """Conditions on why an attempt was refused."""

    eq: ErrorCode | None = operator(EQUAL)
    in_: list[ErrorCode] | None = operator(ONE_OF, name="in")
    is_null: bool | None = operator(UNKNOWN)


@strawberry.input(description="Which entries; all given conditions must hold.")
class AuditEntryWhere:
    """Which entries."""

    id: IdFilter | None = id_filter("AuditEntry", "The id of the entry.")
    at: InstantFilter | None = operator("When it was.")
    actor: IdFilter | None = id_filter("User", "Who tried.")
    session: IdFilter | None = id_filter("Session", "The session the actor used.")
    action: ExactFilter | None = operator("What was tried, such as `updateUser`.")
    outcome: AuditOutcomeFilter | None = operator("How it ended.")
    error_code: ErrorCodeFilter | None = operator("Why it was refused.")
    entity_type: ExactFilter | None = operator("The type of what was changed, such as `Product`.")
    entity: IdFilter | None = operator("The id of what was changed, of any type.")
    address: ExactFilter | None = operator("The network address it came from.")
    request_id: ExactFilter | None = operator("The request it belongs to.")
    and_: list["AuditEntryWhere"] | None = operator(ALL_OF, name="and")
    or_: list["AuditEntryWhere"] | None = operator(ANY_OF, name="or")
    not_: "AuditEntryWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What entries can be sorted by.")
class AuditEntryOrderField(Enum):
    """What entries can be sorted by."""

    AT = strawberry.enum_value("AT", description="When it was.")


@strawberry.input(description="One key of the order of entries.")
class AuditEntryOrder:
    """One key of the order of entries."""

    by: AuditEntryOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


def _about(operators: Operators) -> Any:
    """The service's filter of the thing an entry is about, for ids as clients have them."""
    return FIELDS["entity"]({name: _entity_keys(value, name) for name, value in operators.items()})


def _entity_keys(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [EntityKey(*parse_global_id(item, name)) for item in value]
    return None if value is None else EntityKey(*parse_global_id(value, name))


LISTED = replace(AUDIT_LOG, fields=cast("Mapping[str, Any]", {**FIELDS, "entity": _about}))


def audit_trail_field() -> Any:
    """A field of a type with an `id`: what was done to the object, newest first. It needs the right READ_AUDIT."""

    async def resolve(
        root: strawberry.Parent[Any], info: Info, first: FirstAlone = UNSET, after: After = UNSET
    ) -> Connection[AuditEntry]:
        loaders = info.context.loaders
        about = EntityKey(*parse_global_id(root.id))
        page = await loaders.audit_trails.load(TrailWanted(about, page_request(first, after)))

        async def count() -> int:
            return await loaders.audit_trail_counts.load(about)

        return connect(page, AuditEntry.from_row, count)

    return strawberry.field(
        resolver=resolve, description="What was done to it, newest first, from the audit record. For administrators."
    )


@strawberry.type
class AuditQuery:
    """Root field of the audit record."""

    audit_log: Connection[AuditEntry] = list_field(
        LISTED,
        AuditEntry.from_row,
        where=AuditEntryWhere,
        order=AuditEntryOrder,
        what="entries",
        searched="actions and request ids, which must be the same",
        description="The record of who did what or tried to, newest first unless `orderBy` says otherwise.",
    )
