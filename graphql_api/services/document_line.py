"""Lines of invoices and purchases, a page for each document: read in batches, in the order of their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import BigInteger, ColumnElement, column, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from graphql_api.services import cursors
from graphql_api.services.errors import BadInput
from graphql_api.services.filters import Column
from graphql_api.services.paging import Page, PageRequest
from graphql_api.services.reading import id_array

Row = TypeVar("Row")


class LinesWanted(NamedTuple):
    """A page of the lines of one document."""

    document_id: int
    request: PageRequest


@dataclass(frozen=True)
class DocumentLines(Generic[Row]):
    """The lines of one kind of document.

    Args:
        line: their table.
        document: the column that names the document.
        number: the column that numbers the lines of one document.
    """

    line: type[Row]
    document: Column
    number: Column

    async def pages(
        self, session: AsyncSession, wanted: Sequence[LinesWanted], visible: ColumnElement[bool] | None = None
    ) -> list[Page[Row] | BaseException]:
        """A page of the lines of each wanted document, in one statement for each distinct page request.

        Args:
            session: to read in.
            wanted: which pages.
            visible: which lines may be seen; all, unless given.
        """
        pages: dict[LinesWanted, Page[Row] | BaseException] = {}
        for request in {item.request for item in wanted}:
            ids = [item.document_id for item in wanted if item.request == request]
            try:
                found = await self._found(session, ids, request, true() if visible is None else visible)
            except BadInput as error:
                pages.update({LinesWanted(key, request): error for key in ids})
            else:
                pages.update({LinesWanted(key, request): self._page(found[key], request) for key in ids})
        return [pages[item] for item in wanted]

    async def _found(
        self, session: AsyncSession, ids: Sequence[int], request: PageRequest, visible: ColumnElement[bool]
    ) -> dict[int, list[Row]]:
        """Up to one line more than asked of each document, each by its own short index scan."""
        keys = func.unnest(id_array(ids)).table_valued(column("id", BigInteger), name="wanted")
        wanted = keys.render_derived()
        number = self.number
        lines = select(self.line).where(self.document == wanted.c.id, visible)
        if request.after is not None:
            lines = lines.where(number > self._number(request.after, "after"))
        if request.before is not None:
            lines = lines.where(number < self._number(request.before, "before"))
        lines = lines.order_by(number.desc() if request.is_backward else number).limit(request.size + 1)
        line = aliased(self.line, lines.lateral())
        found: dict[int, list[Row]] = {key: [] for key in ids}
        for row in await session.scalars(select(line).select_from(wanted).join(line, true())):
            found[_value(row, self.document)].append(row)
        return found

    @property
    def _order(self) -> str:
        """What the cursors of these lines are known by."""
        return str(self.number)

    def _number(self, cursor: str, argument: str) -> int:
        try:
            numbers = cursors.decode(cursor, self._order, [BigInteger()])
        except cursors.BadCursor as error:
            raise error.below(argument) from None
        if numbers[0] is None:
            raise cursors.damaged().below(argument)
        return int(numbers[0])

    def _page(self, found: Sequence[Row], request: PageRequest) -> Page[Row]:
        def number(row: Row) -> int:
            return _value(row, self.number)

        rows = sorted(found, key=number, reverse=request.is_backward)
        has_more = len(rows) > request.size
        rows = sorted(rows[: request.size], key=number)
        return Page(
            rows=rows,
            cursors=cursors.Cursors(self._order, [[number(row)] for row in rows]),
            has_next=request.before is not None if request.is_backward else has_more,
            has_previous=has_more if request.is_backward else request.after is not None,
        )


def _value(row: Any, of: Any) -> int:
    value: int = getattr(row, of.key)
    return value
