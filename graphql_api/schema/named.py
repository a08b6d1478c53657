"""What vendors and categories have in common: a name, and a number where the source gave one."""

from typing import Any

import strawberry

from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.editing import (
    VERSION,
    edit_field,
    given_values,
    is_active_field,
    needed,
    optional,
    patched,
    version_field,
)
from graphql_api.schema.filters import BooleanFilter, IntFilter, StringFilter, operator
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.services.editing import Noun
from graphql_api.services.named import create_named, update_named
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import UnitOfWork

NAME = "The name: 1 to 200 characters."
NUMBER = "The number, unique where there is one: 0 to 2,147,483,647. Without one, the name must be unique."


@strawberry.type
class Named(Node):
    """Something with a name and a number."""

    number: int | None = strawberry.field(description="Its number, where the source gave one.")
    name: str = strawberry.field(description="Its name.")
    is_active: bool = strawberry.field(description="Whether products can get it; those that have it keep it.")
    version: int = version_field()
    audit_trail = audit_trail_field()

    @classmethod
    def from_row(cls, row: Any) -> Any:
        """The row as clients see it."""
        node_id = global_id(cls.__name__, row.id)
        return cls(id=node_id, number=row.number, name=row.name, is_active=row.is_active, version=row.version)


@strawberry.input
class NamedWhere:
    """Conditions on a name and a number."""

    number: IntFilter | None = operator("The number.")
    name: StringFilter | None = operator("The name.")
    is_active: BooleanFilter | None = operator("Whether products can get it.")


@strawberry.input
class CreateNamed:
    """A new name."""

    name: str = strawberry.field(description=NAME)
    number: int | None = optional(NUMBER)


@strawberry.input
class UpdateNamed:
    """What to change of a name."""

    id: strawberry.ID = strawberry.field(description="The id of what is changed.")
    expected_version: int = strawberry.field(description=VERSION)
    name: str | None = needed(NAME)
    number: int | None = patched(NUMBER)
    is_active: bool | None = is_active_field("Whether products can get it.")


@strawberry.input
class Archive:
    """Something that is not used any more."""

    id: strawberry.ID = strawberry.field(description="The id of what is archived.")
    expected_version: int = strawberry.field(description=VERSION)


def create_field(noun: Noun[Any], payload: Any, wish: type, description: str) -> Any:
    """The mutation that creates a row."""

    async def create(work: UnitOfWork, wish: CreateNamed, _viewer: Viewer) -> Any:
        return await create_named(work, noun, given_values(wish))

    return edit_field(payload, wish, "What to create.", create, description)


def update_field(noun: Noun[Any], payload: Any, wish: type, description: str) -> Any:
    """The mutation that changes a row."""

    async def update(work: UnitOfWork, wish: UpdateNamed, _viewer: Viewer) -> Any:
        return await update_named(work, noun, key_of(wish.id, noun.name), wish.expected_version, given_values(wish))

    return edit_field(payload, wish, "Which one, and what to change.", update, description)


def archive_field(noun: Noun[Any], payload: Any, wish: type, description: str) -> Any:
    """The mutation that archives a row."""

    async def archive(work: UnitOfWork, wish: Archive, _viewer: Viewer) -> Any:
        patch = {"isActive": False}
        return await update_named(work, noun, key_of(wish.id, noun.name), wish.expected_version, patch)

    return edit_field(payload, wish, "Which one.", archive, description)
