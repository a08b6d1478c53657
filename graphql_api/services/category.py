"""Categories: what kind of product it is."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.category import CategoryRow
from graphql_api.services.errors import Conflict, NotFound
from graphql_api.services.named import named_listing, named_noun
from graphql_api.services.reading import rows_by_id

CATEGORIES = named_listing(CategoryRow)
CATEGORY = named_noun(
    "Category",
    CategoryRow,
    unknown=NotFound("There is no category with this id.", path=("id",)),
    numbered=Conflict("Another category has this number.", path=("number",)),
    unnumbered=Conflict("There is a category of this name without a number. Give this one a number.", path=("name",)),
)


async def categories_by_id(session: AsyncSession, ids: Sequence[int]) -> list[CategoryRow | None]:
    """The categories with these ids, in the order of the ids."""
    return await rows_by_id(session, CategoryRow, ids)
