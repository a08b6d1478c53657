"""Connections: pages of a list with cursors, built from the pages the services read."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Annotated, Any, Generic, Protocol, TypeVar

import strawberry
from strawberry import UNSET

from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import to_where
from graphql_api.schema.scalars import Cursor
from graphql_api.services.listing import Listing, ListQuery, Sort
from graphql_api.services.paging import Page, PageRequest

NodeType = TypeVar("NodeType")
Row = TypeVar("Row")

First = Annotated[
    int | None,
    strawberry.argument(description="How many from the start, 0 to 100. Without `last` the default is 50."),
]
# Of lists that are only read from the start.
FirstAlone = Annotated[int | None, strawberry.argument(description="How many, 0 to 100. Default: 50.")]
After = Annotated[
    Cursor | None, strawberry.argument(description="Only what comes after this cursor: pass an `endCursor`.")
]
Last = Annotated[int | None, strawberry.argument(description="How many from the end, 0 to 100, instead of `first`.")]
Before = Annotated[
    Cursor | None, strawberry.argument(description="Only what comes before this cursor: pass a `startCursor`.")
]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool = strawberry.field(description="Whether more follows; pass `endCursor` as `after`.")
    has_previous_page: bool = strawberry.field(
        description="Whether something comes before; pass `startCursor` as `before`."
    )
    start_cursor: Cursor | None = strawberry.field(description="Cursor of the first row; null on an empty page.")
    end_cursor: Cursor | None = strawberry.field(description="Cursor of the last row; null on an empty page.")


@strawberry.type(description="One row of a page and its place in the list.")
class Edge(Generic[NodeType]):
    """One row of a page and its place in the list."""

    node: NodeType = strawberry.field(description="The row itself.")
    cursor: Cursor = strawberry.field(description="Its place in the list, for `after` and `before`.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[NodeType]):
    """One page of a list."""

    nodes: list[NodeType] = strawberry.field(description="The rows of this page.")
    page: strawberry.Private[Page[Any]]
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="Where this page stands in the list.")
    def page_info(self) -> PageInfo:
        """Where this page stands in the list."""
        return page_info(self.page)

    @strawberry.field(description="The rows of this page, each with its cursor.")
    def edges(self) -> list[Edge[NodeType]]:
        """The rows of this page, each with its cursor."""
        pairs = zip(self.nodes, self.page.cursors, strict=True)
        return [Edge(node=node, cursor=Cursor(cursor)) for node, cursor in pairs]

    @strawberry.field(description="How many rows the whole list has. Counted only when you ask for it.")
    async def total_count(self) -> int:
        """How many rows the whole list has."""
        return await self.count()


def page_info(page: Page[Any]) -> PageInfo:
    """Where `page` stands, for clients."""
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=Cursor(page.cursors[0]) if page.cursors else None,
        end_cursor=Cursor(page.cursors[-1]) if page.cursors else None,
    )


def connect(
    page: Page[Row], to_node: Callable[[Row], NodeType], count: Callable[[], Awaitable[int]]
) -> Connection[NodeType]:
    """A connection of `page`; `count` runs when a client asks for `totalCount`."""
    return Connection(nodes=[to_node(row) for row in page.rows], page=page, count=count)


class Ordering(Protocol):
    """An element of `orderBy`: the field and the direction."""

    @property
    def by(self) -> Enum:
        """The sortable field; its value is the name the service knows it by."""
        ...

    @property
    def direction(self) -> Direction:
        """Which end comes first."""
        ...


def page_request(first: Any, after: Any, last: Any = None, before: Any = None) -> PageRequest:
    """Paging arguments for the services; absent and null are the same."""
    given = (None if value is UNSET else value for value in (first, after, last, before))
    return PageRequest(*given)


def sorts(order_by: Sequence[Ordering] | None) -> list[Sort]:
    """The argument `orderBy` for the services; absent and null are the same."""
    return [Sort(sort.by.value, sort.direction is Direction.DESC) for sort in order_by or ()]


async def list_connection(
    context: Context, listing: Listing[Row], to_node: Callable[[Row], NodeType], query: ListQuery
) -> Connection[NodeType]:
    """The page of `listing` that a client asked for."""
    async with context.database.read() as session:
        page = await listing.page(session, query)

    async def count() -> int:
        async with context.database.read() as session:
            return await listing.count(session, query)

    return connect(page, to_node, count)


def list_field(  # noqa: PLR0913 - everything that makes one list differ from another
    listing: Listing[Row],
    to_node: Callable[[Row], NodeType],
    *,
    where: type,
    order: type,
    what: str,
    searched: str,
    description: str,
) -> Any:
    """A root field that lists one noun with all the arguments a list takes.

    Args:
        listing: the list as its service declares it.
        to_node: turns a row into what clients see.
        where: the input type of `where`.
        order: the input type of the elements of `orderBy`: `by` (an enum named as the listing's sorts), `direction`.
        what: the noun in the plural, for clients.
        searched: what `search` looks at, for clients.
        description: what is listed and in which order, for clients.
    """

    async def resolve(  # noqa: PLR0913, PLR0917 - the arguments of the GraphQL field
        info: Info,
        where: Any = UNSET,
        search: Any = UNSET,
        order_by: Any = UNSET,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Any:
        page = page_request(first, after, last, before)
        query = ListQuery(to_where(where), search or None, sorts(order_by), page, info.context.viewer)
        return await list_connection(info.context, listing, to_node, query)

    resolve.__annotations__ |= {
        "where": optional_argument(where, f"Only {what} that match this filter."),
        "search": optional_argument(str, f"Looks for this text in {searched}. At most 200 characters."),
        "order_by": optional_argument(list[order], "Sort keys, the first one decides. At most 5."),  # type: ignore[valid-type]  # a type known at run time
    }
    return strawberry.field(resolver=resolve, description=description)


def optional_argument(kind: Any, description: str) -> Any:
    """The annotation of an argument that may be left out, of a type known at run time."""
    return Annotated[kind | None, strawberry.argument(description=description)]
