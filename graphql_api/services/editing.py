"""Changing what the company keeps: a table of properties for each noun, and one way to create, lock and change it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.services.checks import Check, as_given
from graphql_api.services.errors import BadInput, Conflict, NotFound, ServiceError
from graphql_api.services.unit_of_work import UnitOfWork


class VersionedRow(Protocol):
    """A row that counts its changes."""

    id: int
    version: int


Row = TypeVar("Row", bound=VersionedRow)


@dataclass(frozen=True)
class Property:
    """What can be set of a noun.

    Args:
        column: where it is kept.
        stored: brings a client's value to the stored form, or raises `BadInput`.
        is_needed: whether it cannot be null.
        shown: the stored value as clients see it, for the audit record.
    """

    column: str
    stored: Check = as_given
    is_needed: bool = False
    shown: Callable[[Any], Any] = as_given


@dataclass(frozen=True)
class Noun(Generic[Row]):
    """What can be created and changed.

    Args:
        name: its GraphQL type, for the audit record.
        kind: its table.
        properties: what can be set, by the names clients know.
        unknown: says that there is none of an id.
        violations: what the database may refuse by the name of the constraint, and which property it is about.
    """

    name: str
    kind: type[Row]
    properties: Mapping[str, Property]
    unknown: NotFound
    violations: Mapping[str, ServiceError] = field(default_factory=dict)


@dataclass(frozen=True)
class Consequence:
    """What follows from an input without being a property: columns, and what the audit record tells of them."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)


NOTHING = Consequence()


async def create_row(
    work: UnitOfWork, noun: Noun[Row], values: Mapping[str, Any], consequence: Consequence = NOTHING
) -> Row:
    """A new row.

    Args:
        work: the transaction.
        noun: of what.
        values: properties by name, as clients give them.
        consequence: what else it is made of.

    Raises:
        ServiceError: a value cannot be used, with the path to the property.
    """
    row = noun.kind(**{**checked(noun, values), **consequence.columns})
    work.session.add(row)
    await flush(work.session, noun)
    work.record(noun.name, row.id, after={**shown(noun, row, noun.properties), **consequence.after})
    return row


async def locked_row(session: AsyncSession, noun: Noun[Row], key: int) -> Row:
    """The row, which nobody else can change until the end of the transaction.

    Raises:
        NotFound: there is none.
    """
    identity: Any = noun.kind.id
    statement = select(noun.kind).where(identity == key).with_for_update(key_share=True)
    row: Row | None = await session.scalar(statement.execution_options(populate_existing=True))
    if row is None:
        raise noun.unknown.below()
    return row


def check_version(row: VersionedRow, expected: int) -> None:
    """Return when the row is in the version that a change was decided on.

    Raises:
        Conflict: somebody has changed it since.
    """
    if row.version != expected:
        raise Conflict(
            "This was changed since you read it: its version is {version} now. Read it again, then decide.",
            path=("expectedVersion",),
            version=row.version,
        )


async def change_row(
    work: UnitOfWork, noun: Noun[Row], row: Row, patch: Mapping[str, Any], consequence: Consequence = NOTHING
) -> Row:
    """Change the properties in `patch`, and no other; what changes nothing makes no new version.

    Args:
        work: the transaction.
        noun: of what.
        row: as `locked_row` has given it.
        patch: properties by name, as clients give them.
        consequence: what else is to change.

    Raises:
        ServiceError: a value cannot be used, with the path to the property.
    """
    values = checked(noun, patch)
    changed = [name for name in patch if _differs(row, noun.properties[name].column, values)]
    before = {**shown(noun, row, changed), **consequence.before}
    values |= consequence.columns
    if any(_differs(row, column, values) for column in values):
        for column, value in values.items():
            setattr(row, column, value)
        row.version += 1
        await flush(work.session, noun)
    work.record(noun.name, row.id, before=before, after={**shown(noun, row, changed), **consequence.after})
    return row


def _differs(row: VersionedRow, column: str, values: Mapping[str, Any]) -> bool:
    return bool(getattr(row, column) != values[column])


def checked(noun: Noun[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by column, in the stored form.

    Raises:
        BadInput: one of them cannot be used, with the path to the property.
    """
    found = {}
    for name, value in values.items():
        rule = noun.properties[name]
        try:
            found[rule.column] = _stored(rule, value)
        except BadInput as error:
            raise error.below(name) from None
    return found


def _stored(rule: Property, value: Any) -> Any:
    stored = None if value is None else rule.stored(value)
    if stored is None and rule.is_needed:
        raise BadInput("This cannot be null. Leave it out to keep it as it is.")
    return stored


def shown(noun: Noun[Any], row: VersionedRow, names: Iterable[str]) -> dict[str, Any]:
    """Properties as clients see them."""
    rules = {name: noun.properties[name] for name in names}
    return {name: rule.shown(getattr(row, rule.column)) for name, rule in rules.items()}


async def flush(session: AsyncSession, noun: Noun[Any]) -> None:
    """Write what is held back.

    Raises:
        ServiceError: the database refuses it, with the path to the property that it is about.
    """
    try:
        await session.flush()
    except IntegrityError as error:
        known = noun.violations.get(_constraint(error))
        if known is None:
            raise
        raise known.below() from error


def _constraint(error: IntegrityError) -> str:
    """The name of the constraint that was violated."""
    return str(getattr(getattr(error.orig, "__cause__", None), "constraint_name", ""))
