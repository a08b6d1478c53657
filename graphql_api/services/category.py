"""Categories: what kind of product it is."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.category import CategoryRow
from graphql_api.services.filters import FilterField, column_filter
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.place import named_or_numbered
from graphql_api.services.reading import rows_by_id

FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(CategoryRow.id)),
    "number": column_filter(col(CategoryRow.number)),
    "name": column_filter(col(CategoryRow.name)),
}
CATEGORIES: Listing[CategoryRow] = Listing(
    statement=select(CategoryRow),
    key=col(CategoryRow.id),
    fields=FIELDS,
    sorts={"NAME": col(CategoryRow.name), "NUMBER": col(CategoryRow.number)},
    default=[Sort("NAME")],
    search=lambda text: named_or_numbered(col(CategoryRow.name), col(CategoryRow.number), text),
)


async def categories_by_id(session: AsyncSession, ids: Sequence[int]) -> list[CategoryRow | None]:
    """The categories with these ids, in the order of the ids."""
    return await rows_by_id(session, CategoryRow, ids)
