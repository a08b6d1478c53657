"""A list a client can filter, search, sort and page: declared once for each noun, read by one function."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import Column, FilterField, Where, condition
from graphql_api.services.paging import Page, PageRequest, SortKey, page_statement, read_page
from graphql_api.services.policy import Viewer

Row = TypeVar("Row")
MAX_SEARCH = 200
MAX_SORTS = 5


@dataclass(frozen=True)
class Sort:
    """One wish of a client: the name of a sortable field and the direction."""

    by: str
    is_descending: bool = False


@dataclass(frozen=True)
class ListQuery:
    """What a client asked of a list, and who asks; everything may be left out."""

    where: Where | None = None
    search: str | None = None
    order: Sequence[Sort] = ()
    page: PageRequest = field(default_factory=PageRequest)
    viewer: Viewer | None = None


def _whole(_viewer: Viewer | None) -> ColumnElement[bool]:
    return true()


def _no_fields(_viewer: Viewer | None) -> Mapping[str, FilterField]:
    return {}


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """How one noun is listed.

    Args:
        statement: a select of one entity or column, one result for each row of the list.
        key: the unique column that decides between equal rows.
        fields: what `where` can name.
        sorts: what `order` can name.
        default: the order when none is asked for.
        search: the condition that a row matches a searched text.
        visible: the condition that somebody may see a row; everybody sees all unless it is given.
        own_fields: what else `where` can name, whose meaning hangs on who asks; they win over `fields`.
    """

    statement: Select[Any]
    key: Column
    fields: Mapping[str, FilterField]
    sorts: Mapping[str, Column]
    default: Sequence[Sort]
    search: Callable[[str], ColumnElement[bool]]
    visible: Callable[[Viewer | None], ColumnElement[bool]] = _whole
    own_fields: Callable[[Viewer | None], Mapping[str, FilterField]] = _no_fields

    async def page(self, session: AsyncSession, query: ListQuery) -> Page[Row]:
        """The page asked for.

        Raises:
            BadInput: for an impossible filter, sort, page size or cursor, with the path to it.
        """
        return await read_page(session, self._matching(query), self._keys(query.order), query.page)

    def page_statement(self, query: ListQuery) -> Select[Any]:
        """The statement behind `page`."""
        return page_statement(self._matching(query), self._keys(query.order), query.page)

    async def count(self, session: AsyncSession, query: ListQuery) -> int:
        """How many rows match, on all pages together."""
        matching = self._matching(query).with_only_columns(self.key, maintain_column_froms=True)
        return await session.scalar(select(func.count()).select_from(matching.subquery())) or 0

    def _matching(self, query: ListQuery) -> Select[Any]:
        statement = self.statement.where(self.visible(query.viewer))
        if query.where:
            statement = statement.where(self._condition(query.where, query.viewer))
        text = (query.search or "").strip()
        if len(text) > MAX_SEARCH:
            raise BadInput("`search` takes at most {limit} characters.", path=("search",), limit=MAX_SEARCH)
        return statement.where(self.search(text)) if text else statement

    def _condition(self, where: Where, viewer: Viewer | None) -> ColumnElement[bool]:
        try:
            return condition(where, {**self.fields, **self.own_fields(viewer)})
        except (BadInput, TooComplex) as error:
            raise error.below("where") from None

    def _keys(self, order: Sequence[Sort]) -> list[SortKey]:
        """The asked order, ended by the key in the direction of the last sort, so that one index serves it."""
        if len(order) > MAX_SORTS:
            raise BadInput("`orderBy` takes at most {limit} keys.", path=("orderBy",), limit=MAX_SORTS)
        wishes: dict[str, Sort] = {}
        for sort in order or self.default:
            wishes.setdefault(sort.by, sort)
        keys = [self._sort_key(sort) for sort in wishes.values()]
        if keys[-1].column is self.key:
            return keys
        return [*keys, SortKey(str(self.key), self.key, keys[-1].is_descending)]

    def _sort_key(self, sort: Sort) -> SortKey:
        column = self.sorts[sort.by]
        is_nullable = column is not self.key and bool(getattr(column, "nullable", False))
        return SortKey(f"{self.key}:{sort.by}", column, sort.is_descending, is_nullable)
