"""Categories."""

from enum import Enum
from typing import Any

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.editing import user_errors_field
from graphql_api.schema.enums import Direction
from graphql_api.schema.errors import UserError
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IdFilter, id_filter, operator
from graphql_api.schema.named import (
    Archive,
    CreateNamed,
    Named,
    NamedWhere,
    UpdateNamed,
    archive_field,
    create_field,
    update_field,
)
from graphql_api.schema.paging import Connection, list_field
from graphql_api.services.category import CATEGORIES, CATEGORY


@strawberry.type(description="What kind of product it is, such as AMERICAN VODKAS.")
class Category(Named):
    """What kind of product it is."""


@strawberry.input(description="Which categories to list; all given conditions must hold.")
class CategoryWhere(NamedWhere):
    """Which categories to list."""

    id: IdFilter | None = id_filter("Category", "The id.")
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


@strawberry.input(description="A new category.")
class CreateCategoryInput(CreateNamed):
    """A new category."""


@strawberry.input(description="What to change of a category; what is left out stays as it is.")
class UpdateCategoryInput(UpdateNamed):
    """What to change of a category."""


@strawberry.input(description="A category that products cannot get any more.")
class ArchiveCategoryInput(Archive):
    """A category that products cannot get any more."""


@strawberry.type(description="What came of it: the category, or why not.")
class CategoryPayload:
    """What came of it."""

    category: Category | None = strawberry.field(
        default=None, description="The category as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: Any) -> "CategoryPayload":
        """The answer when it was done."""
        return cls(category=Category.from_row(row))


async def load_category(info: Info, category_id: int | None) -> Category | None:
    """The category with this key, batched."""
    row = None if category_id is None else await info.context.loaders.categories.load(category_id)
    return Category.from_row(row) if row else None


@strawberry.type
class CategoryQuery:
    """Root fields of categories."""

    categories: Connection[Category] = list_field(
        CATEGORIES,
        Category.from_row,
        where=CategoryWhere,
        order=CategoryOrder,
        what="categories",
        searched="names, and for the number",
        description="Categories, by name unless `orderBy` says otherwise.",
    )


@strawberry.type
class CategoryMutation:
    """Mutations of categories."""

    create_category: CategoryPayload = create_field(
        CATEGORY, CategoryPayload, CreateCategoryInput, "Create a category."
    )
    update_category: CategoryPayload = update_field(
        CATEGORY,
        CategoryPayload,
        UpdateCategoryInput,
        "Change a category. Reports of past sales show it by its new name.",
    )
    archive_category: CategoryPayload = archive_field(
        CATEGORY,
        CategoryPayload,
        ArchiveCategoryInput,
        "Say that products cannot get it any more. Those that have it keep it. `updateCategory` brings it back.",
    )
