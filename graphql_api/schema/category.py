"""Categories."""

from enum import Enum

import strawberry

from graphql_api.database.category import CategoryRow
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    IdFilter,
    IntFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id
from graphql_api.schema.paging import Connection, list_field
from graphql_api.services import category


@strawberry.type(description="What kind of product it is, such as AMERICAN VODKAS.")
class Category(Node):
    """What kind of product it is."""

    number: int | None = strawberry.field(description="Its number, where the source gave one.")
    name: str = strawberry.field(description="Its name.")

    @classmethod
    def from_row(cls, row: CategoryRow) -> "Category":
        """The category as clients see it."""
        return cls(id=global_id("Category", row.id), number=row.number, name=row.name)


@strawberry.input(description="Which categories to list; all given conditions must hold.")
class CategoryWhere:
    """Which categories to list."""

    id: IdFilter | None = id_filter("Category", "The id.")
    number: IntFilter | None = operator("The number.")
    name: StringFilter | None = operator("The name.")
    and_: list["CategoryWhere"] | None = operator(ALL_OF, name="and")
    or_: list["CategoryWhere"] | None = operator(ANY_OF, name="or")
    not_: "CategoryWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What categories can be sorted by.")
class CategoryOrderField(Enum):
    """What categories can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    NUMBER = strawberry.enum_value("NUMBER", description="The number.")


@strawberry.input(description="One key of the order of categories.")
class CategoryOrder:
    """One key of the order of categories."""

    by: CategoryOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_category(info: Info, category_id: int | None) -> Category | None:
    """The category with this key, batched."""
    row = None if category_id is None else await info.context.loaders.categories.load(category_id)
    return Category.from_row(row) if row else None


@strawberry.type
class CategoryQuery:
    """Root fields of categories."""

    categories: Connection[Category] = list_field(
        category.CATEGORIES,
        Category.from_row,
        where=CategoryWhere,
        order=CategoryOrder,
        what="categories",
        searched="names, and for the number",
        description="Categories, by name unless `orderBy` says otherwise.",
    )
