"""A list a client can filter, search, sort and page: declared once for each noun, read by one function."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import Column, FilterField, Where, condition
from graphql_api.services.paging import Page, PageRequest, SortKey, page_statement, read_page

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
    """What a client asked of a list; everything may be left out."""

    where: Where | None = None
    search: str | None = None
    order: Sequence[Sort] = ()
    page: PageRequest = field(default_factory=PageRequest)


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
    """

    statement: Select[Any]
    key: Column
    fields: Mapping[str, FilterField]
    sorts: Mapping[str, Column]
    default: Sequence[Sort]
    search: Callable[[str], ColumnElement[bool]]

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
        statement = self.statement
        if query.where:
            statement = statement.where(self._condition(query.where))
        text = (query.search or "").strip()
        if len(text) > MAX_SEARCH:
            raise BadInput(f"`search` takes at most {MAX_SEARCH} characters.", path=("search",))
        return statement.where(self.search(text)) if text else statement

    def _condition(self, where: Where) -> ColumnElement[bool]:
        try:
            return condition(where, self.fields)
        except (BadInput, TooComplex) as error:
            raise type(error)(error.message, path=("where", *error.path)) from None

    def _keys(self, order: Sequence[Sort]) -> list[SortKey]:
        """The asked order, ended by the key in the direction of the last sort, so that one index serves it."""
        if len(order) > MAX_SORTS:
            raise BadInput(f"`orderBy` takes at most {MAX_SORTS} keys.", path=("orderBy",))
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
