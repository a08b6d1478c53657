"""What the inputs and mutations of all editable nouns share."""

from collections.abc import Awaitable, Callable, Hashable
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, cast

import strawberry
from strawberry import UNSET
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.utils.str_converters import to_camel_case

from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import Payload, attempt
from graphql_api.schema.node import key_of
from graphql_api.services.policy import Viewer, signed_in
from graphql_api.services.unit_of_work import UnitOfWork

PATCH = " Leave it out to keep it as it is; null makes it unknown."
NEEDED = " Leave it out to keep it as it is."
VERSION = "The `version` you have read. When it is another by now, nothing is changed and the answer is CONFLICT."
USER_ERRORS = "Why it could not be done; empty when it was."
NODE = "node"
# These say which row is meant rather than what it is to be.
AIM = frozenset({"id", "expectedVersion"})

Answer = TypeVar("Answer", bound=Payload)
Row = TypeVar("Row")


def optional(description: str, *, node: str | None = None) -> Any:
    """A field of an input of a new row that may be left out; `node` is the type whose ids it takes."""
    return strawberry.field(default=None, description=description, metadata={NODE: node})


def needed(description: str) -> Any:
    """A field of a patch that cannot be null."""
    return strawberry.field(default=UNSET, description=description + NEEDED)


def patched(description: str, *, node: str | None = None) -> Any:
    """A field of a patch that null makes unknown; `node` is the type whose ids it takes."""
    return strawberry.field(default=UNSET, description=description + PATCH, metadata={NODE: node})


def is_active_field(description: str) -> Any:
    """The field of a patch that archives, and brings back."""
    return strawberry.field(default=UNSET, description=f"{description} true brings back what is archived.{NEEDED}")


def version_field() -> Any:
    """The field of a type that counts its changes."""
    return strawberry.field(description="Counts its changes; pass it as `expectedVersion` to change it.")


def user_errors_field() -> Any:
    """The field of a payload that says why nothing was done."""
    return strawberry.field(default_factory=list, description=USER_ERRORS)


class _InputField(NamedTuple):
    python_name: str
    graphql_name: str
    node: str | None


@cache
def _input_fields(kind: Any) -> tuple[_InputField, ...]:
    definition: StrawberryObjectDefinition | None = get_object_definition(kind)
    fields = definition.fields if definition else ()
    named = [(field, field.graphql_name or to_camel_case(field.python_name)) for field in fields]
    return tuple(_InputField(field.python_name, name, field.metadata.get(NODE)) for field, name in named)


def given_values(wish: object) -> dict[str, Any]:
    """What an input sets, by the names clients know: null is a value, what was left out is not there; ids as keys.

    Raises:
        BadInput: an id is none, or of another type.
    """
    fields = [field for field in _input_fields(cast("Hashable", type(wish))) if field.graphql_name not in AIM]
    values = ((field, getattr(wish, field.python_name)) for field in fields)
    return {field.graphql_name: _stored(value, field) for field, value in values if value is not UNSET}


def _stored(value: Any, field: _InputField) -> Any:
    return value if value is None or field.node is None else key_of(value, field.node, field.graphql_name)


async def edit(
    info: Info,
    refused: Callable[[list[UserError]], Answer],
    done: Callable[[Row], Answer],
    change: Callable[[UnitOfWork, Viewer], Awaitable[Row]],
) -> Answer:
    """Do something with one row in one transaction.

    Args:
        info: of the root field.
        refused: makes the payload of a refusal.
        done: makes the payload of the row.
        change: does it.
    """

    async def run(work: UnitOfWork) -> Answer:
        return done(await change(work, signed_in(info.context.viewer)))

    return await attempt(info, refused, run)


def argument(kind: type, description: str) -> Any:
    """The annotation of the argument `input`."""
    return Annotated[kind, strawberry.argument(description=description)]


def edit_field(
    payload: Any, wish: type, about: str, change: Callable[[UnitOfWork, Any, Viewer], Awaitable[Any]], description: str
) -> Any:
    """A mutation that is an `edit`.

    Args:
        payload: the type of the answer: it makes itself of a row with `of`, and takes `user_errors`.
        wish: the type of the argument `input`.
        about: what the argument is, for clients.
        change: does it: the transaction, the input and who asks in, the row out.
        description: what it does, for clients.
    """

    async def resolve(info: Info, input: Any) -> Any:  # noqa: A002 - the GraphQL name
        return await edit(
            info,
            lambda errors: payload(user_errors=errors),
            payload.of,
            lambda work, viewer: change(work, input, viewer),
        )

    resolve.__annotations__ |= {"input": argument(wish, about), "return": payload}
    return strawberry.mutation(resolver=resolve, description=description)
