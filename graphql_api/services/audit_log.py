"""The record of who did what, as administrators read it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, DateTime, and_, any_, column, false, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.types import TypeEngine
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.services import cursors
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import MAX_LIST, FilterField, Operators, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.paging import Page, PageRequest
from graphql_api.services.reading import id_array, rows_by_id

TRAIL_ORDER = "audit_trail"
PLACE_TYPES: list[TypeEngine[Any]] = [DateTime(timezone=True), BigInteger()]


class EntityKey(NamedTuple):
    """What an entry is about: the GraphQL type and the key."""

    entity: str
    key: int


class TrailWanted(NamedTuple):
    """A page of what was done to one thing; it is counted from the newest."""

    about: EntityKey
    request: PageRequest


def _is_about(key: EntityKey) -> ColumnElement[bool]:
    return and_(col(AuditEntryRow.entity) == key.entity, col(AuditEntryRow.entity_id) == key.key)


def _about(operators: Operators) -> ColumnElement[bool]:
    """The filter of the thing an entry is about; its values are `EntityKey`s."""
    parts = []
    for name, value in operators.items():
        if value is None:
            raise BadInput("`{operator}` must not be null; leave it out.", path=(name,), operator=name)
        keys: Sequence[EntityKey] = value if name == "in" else [value]
        if len(keys) > MAX_LIST:
            raise BadInput("`in` takes at most {limit} ids.", path=(name,), limit=MAX_LIST)
        parts.append(or_(false(), *map(_is_about, keys)))
    return and_(true(), *parts)


FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(AuditEntryRow.id)),
    "at": column_filter(col(AuditEntryRow.at)),
    "actor": column_filter(col(AuditEntryRow.actor_id)),
    "session": column_filter(col(AuditEntryRow.session_id)),
    "action": column_filter(col(AuditEntryRow.action)),
    "outcome": column_filter(col(AuditEntryRow.outcome)),
    "errorCode": column_filter(col(AuditEntryRow.error_code)),
    "entityType": column_filter(col(AuditEntryRow.entity)),
    "entity": _about,
    "address": column_filter(col(AuditEntryRow.address)),
    "requestId": column_filter(col(AuditEntryRow.request_id)),
}


def _found_by(text: str) -> ColumnElement[bool]:
    return or_(*(col(column) == text for column in (AuditEntryRow.action, AuditEntryRow.request_id)))


AUDIT_LOG: Listing[AuditEntryRow] = Listing(
    statement=select(AuditEntryRow),
    key=col(AuditEntryRow.id),
    fields=FIELDS,
    sorts={"AT": col(AuditEntryRow.at)},
    default=[Sort("AT", is_descending=True)],
    search=_found_by,
)


async def audit_entries_by_id(session: AsyncSession, ids: Sequence[int]) -> list[AuditEntryRow | None]:
    """The entries with these ids, in the order of the ids."""
    return await rows_by_id(session, AuditEntryRow, ids)


async def trails(session: AsyncSession, wanted: Sequence[TrailWanted]) -> list[Page[AuditEntryRow] | BaseException]:
    """What was done to each of these things, newest first: one statement for each type and distinct page request."""
    pages: dict[TrailWanted, Page[AuditEntryRow] | BaseException] = {}
    for entity, request in {(item.about.entity, item.request) for item in wanted}:
        items = [item for item in wanted if (item.about.entity, item.request) == (entity, request)]
        try:
            found = await _entries(session, entity, [item.about.key for item in items], request)
        except BadInput as error:
            pages.update(dict.fromkeys(items, error))
        else:
            pages.update({item: _page(found[item.about.key], request) for item in items})
    return [pages[item] for item in wanted]


async def trail_counts(session: AsyncSession, wanted: Sequence[EntityKey]) -> list[int]:
    """How many entries there are about each of these things: one statement for each type."""
    entity, key = col(AuditEntryRow.entity), col(AuditEntryRow.entity_id)
    counts: dict[tuple[str, int | None], int] = {}
    for kind in {about.entity for about in wanted}:
        ids = [about.key for about in wanted if about.entity == kind]
        statement = select(key, func.count()).where(entity == kind, key == any_(id_array(ids))).group_by(key)
        counts |= {(kind, found): count for found, count in await session.execute(statement)}
    return [counts.get(about, 0) for about in wanted]


async def _entries(
    session: AsyncSession, entity: str, keys: Sequence[int], request: PageRequest
) -> dict[int, list[AuditEntryRow]]:
    """Up to one entry more than asked about each thing, each by its own short index scan."""
    wanted = func.unnest(id_array(keys)).table_valued(column("key", BigInteger), name="wanted").render_derived()
    at, key = col(AuditEntryRow.at), col(AuditEntryRow.id)
    entries = select(AuditEntryRow).where(
        col(AuditEntryRow.entity) == entity, col(AuditEntryRow.entity_id) == wanted.c.key
    )
    if request.after is not None:
        entries = entries.where(tuple_(at, key) < tuple_(*_place(request.after), types=PLACE_TYPES))
    entries = entries.order_by(at.desc(), key.desc()).limit(request.size + 1)
    entry = aliased(AuditEntryRow, entries.lateral())
    found: dict[int, list[AuditEntryRow]] = {key: [] for key in keys}
    for row in await session.scalars(select(entry).select_from(wanted).join(entry, true())):
        found[row.entity_id or 0].append(row)
    return found


def _place(cursor: str) -> list[Any]:
    try:
        place = cursors.decode(cursor, TRAIL_ORDER, PLACE_TYPES)
    except cursors.BadCursor as error:
        raise error.below("after") from None
    if None in place:
        raise cursors.damaged().below("after")
    return place


def _page(found: Sequence[AuditEntryRow], request: PageRequest) -> Page[AuditEntryRow]:
    rows = sorted(found, key=lambda row: (row.at, row.id), reverse=True)
    shown = rows[: request.size]
    return Page(
        rows=shown,
        cursors=cursors.Cursors(TRAIL_ORDER, [[row.at, row.id] for row in shown]),
        has_next=len(rows) > request.size,
        has_previous=request.after is not None,
    )
