"""Keyset paging: a page is found by the values of the row it follows, so page 1,000 costs what page 1 does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, Select, and_, false, or_, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from graphql_api.services import cursors
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import Column

Row = TypeVar("Row")
MAX_PAGE = 100
DEFAULT_PAGE = 50


@dataclass(frozen=True)
class SortKey:
    """One column of an order. `name` identifies it inside cursors; NULL comes last in both directions."""

    name: str
    column: Column
    is_descending: bool = False
    is_nullable: bool = False

    @property
    def type(self) -> TypeEngine[Any]:
        """The type of the column."""
        return cast("TypeEngine[Any]", cast("Any", self.column).type)

    def clause(self, *, is_reversed: bool) -> ColumnElement[Any]:
        """The ORDER BY term; without a NULLS clause where no NULL can be, so that an index can serve it."""
        is_descending = self.is_descending != is_reversed
        clause = self.column.desc() if is_descending else self.column.asc()
        if not self.is_nullable:
            return clause
        return clause.nulls_first() if is_reversed else clause.nulls_last()

    def beyond(self, value: Any, *, is_reversed: bool) -> ColumnElement[bool]:
        """Whether a row stands past `value` when walking in the given direction."""
        if value is None:
            return self.column.is_not(None) if is_reversed else false()
        is_descending = self.is_descending != is_reversed
        past: ColumnElement[bool] = self.column < value if is_descending else self.column > value
        if not self.is_nullable or is_reversed:
            return past
        return or_(past, self.column.is_(None))

    def level(self, value: Any) -> ColumnElement[bool]:
        """Whether a row has this very value."""
        return self.column.is_(value) if value is None else cast("ColumnElement[bool]", self.column == value)


@dataclass(frozen=True)
class PageRequest:
    """What a client asked for: `first` rows after `after`, or the `last` rows before `before`."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.last is not None:
            raise BadInput("Ask for `first` or for `last`, not for both.", path=("last",))
        for name, size in (("first", self.first), ("last", self.last)):
            if size is not None and not 0 <= size <= MAX_PAGE:
                raise BadInput(
                    "`{name}` goes from 0 to {limit}; got {given}.", path=(name,), name=name, limit=MAX_PAGE, given=size
                )

    @property
    def is_backward(self) -> bool:
        """Whether the page is counted from the end."""
        return self.last is not None

    @property
    def size(self) -> int:
        """How many rows the page holds at most."""
        if self.last is not None:
            return self.last
        return DEFAULT_PAGE if self.first is None else self.first


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows in their order, the cursor of each, and whether there are more on either side."""

    rows: Sequence[Row]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


async def read_page(
    session: AsyncSession, statement: Select[Any], order: Sequence[SortKey], request: PageRequest
) -> Page[Any]:
    """One page of `statement`, a select of one entity or column without an order of its own.

    The last key of `order` must be unique and not null: it decides between rows that are otherwise equal.

    Raises:
        BadInput: for a cursor that is damaged or belongs to another order, with the argument as path.
    """
    found = (await session.execute(page_statement(statement, order, request))).all()
    has_more = len(found) > request.size
    found = found[: request.size]
    if request.is_backward:
        found = found[::-1]
    return Page(
        rows=[row[0] for row in found],
        cursors=cursors.Cursors(_signature(order), [row[1:] for row in found]),
        has_next=request.before is not None if request.is_backward else has_more,
        has_previous=has_more if request.is_backward else request.after is not None,
    )


def page_statement(statement: Select[Any], order: Sequence[SortKey], request: PageRequest) -> Select[Any]:
    """`statement` cut to the page and one row more, with the sort values behind its own columns."""
    paged = statement.add_columns(*(key.column for key in order)).where(*_bounds(order, request))
    clauses = (key.clause(is_reversed=request.is_backward) for key in order)
    return paged.order_by(*clauses).limit(request.size + 1)


def _signature(order: Sequence[SortKey]) -> str:
    return ",".join(f"-{key.name}" if key.is_descending else key.name for key in order)


def _bounds(order: Sequence[SortKey], request: PageRequest) -> list[ColumnElement[bool]]:
    bounds = []
    if request.after is not None:
        bounds.append(_past(order, _values(order, request.after, "after"), is_reversed=False))
    if request.before is not None:
        bounds.append(_past(order, _values(order, request.before, "before"), is_reversed=True))
    return bounds


def _values(order: Sequence[SortKey], cursor: str, argument: str) -> list[Any]:
    try:
        values = cursors.decode(cursor, _signature(order), [key.type for key in order])
    except cursors.BadCursor as error:
        raise error.below(argument) from None
    if any(value is None and not key.is_nullable for key, value in zip(order, values, strict=True)):
        raise cursors.damaged().below(argument)
    return values


def _past(order: Sequence[SortKey], values: Sequence[Any], *, is_reversed: bool) -> ColumnElement[bool]:
    """Whether a row comes after `values` in `order` (before them when reversed)."""
    if not any(key.is_nullable for key in order) and len({key.is_descending for key in order}) == 1:
        return _past_as_one(order, values, is_reversed=is_reversed)
    choices = []
    for position, key in enumerate(order):
        level = [before.level(value) for before, value in zip(order[:position], values, strict=False)]
        choices.append(and_(*level, key.beyond(values[position], is_reversed=is_reversed)))
    return or_(*choices)


def _past_as_one(order: Sequence[SortKey], values: Sequence[Any], *, is_reversed: bool) -> ColumnElement[bool]:
    """The same as one row comparison, which an index on these columns answers directly."""
    columns = tuple_(*(key.column for key in order))
    bound = tuple_(*values, types=[key.type for key in order])
    return columns < bound if order[0].is_descending != is_reversed else columns > bound
