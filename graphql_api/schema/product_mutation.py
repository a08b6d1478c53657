"""What can be done with products: create, update, archive."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graphql_api.database.product import ProductRow
from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import key_of
from graphql_api.schema.product import Product
from graphql_api.services import product_change
from graphql_api.services.policy import Viewer, signed_in
from graphql_api.services.unit_of_work import UnitOfWork

SKU = "The stock keeping unit, unique among products: 1 to 64 characters."
NAME = "The name: 1 to 200 characters."
DESCRIPTION = "A longer text: at most 10,000 characters."
CATEGORY = "The id of its category."
VENDOR = "The id of its vendor."
PACK = "Bottles in a case: 1 to 10,000."
VOLUME = "Content of one bottle in millilitres: 0 to 1,000,000."
COST = 'What one bottle costs to buy, with at most two digits after the point, such as "6.50".'
PRICE = 'What one bottle sells for, with at most two digits after the point, such as "9.99".'
PATCH = " Leave it out to keep it as it is; null makes it unknown."
NEEDED = " Leave it out to keep it as it is."
VERSION = "The `version` you have read. When it is another by now, nothing is changed and the answer is CONFLICT."


@strawberry.input(description="A new product. It belongs to you: you may change it later.")
class CreateProductInput:
    """A new product."""

    sku: str = strawberry.field(description=SKU)
    name: str = strawberry.field(description=NAME)
    description: str | None = strawberry.field(default=None, description=DESCRIPTION)
    category_id: strawberry.ID | None = strawberry.field(default=None, description=CATEGORY)
    vendor_id: strawberry.ID | None = strawberry.field(default=None, description=VENDOR)
    pack: int | None = strawberry.field(default=None, description=PACK)
    volume_ml: int | None = strawberry.field(default=None, description=VOLUME)
    unit_cost: Decimal | None = strawberry.field(default=None, description=COST)
    unit_price: Decimal | None = strawberry.field(default=None, description=PRICE)


@strawberry.input(description="What to change of a product; what is left out stays as it is.")
class UpdateProductInput:
    """What to change of a product."""

    id: strawberry.ID = strawberry.field(description="The id of the product.")
    expected_version: int = strawberry.field(description=VERSION)
    sku: str | None = strawberry.field(default=UNSET, description=SKU + NEEDED)
    name: str | None = strawberry.field(default=UNSET, description=NAME + NEEDED)
    description: str | None = strawberry.field(default=UNSET, description=DESCRIPTION + PATCH)
    category_id: strawberry.ID | None = strawberry.field(default=UNSET, description=CATEGORY + PATCH)
    vendor_id: strawberry.ID | None = strawberry.field(default=UNSET, description=VENDOR + PATCH)
    pack: int | None = strawberry.field(default=UNSET, description=PACK + PATCH)
    volume_ml: int | None = strawberry.field(default=UNSET, description=VOLUME + PATCH)
    unit_cost: Decimal | None = strawberry.field(default=UNSET, description=COST + PATCH)
    unit_price: Decimal | None = strawberry.field(default=UNSET, description=PRICE + PATCH)
    is_active: bool | None = strawberry.field(
        default=UNSET, description="Whether it is still sold; true brings an archived product back." + NEEDED
    )


@strawberry.input(description="A product that is sold no more.")
class ArchiveProductInput:
    """A product that is sold no more."""

    id: strawberry.ID = strawberry.field(description="The id of the product.")
    expected_version: int = strawberry.field(description=VERSION)


@strawberry.type(description="What came of it: the product, or why not.")
class ProductPayload:
    """What came of it."""

    product: Product | None = strawberry.field(
        default=None, description="The product as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done; empty when it was."
    )


Change = Callable[[UnitOfWork, Viewer], Awaitable[ProductRow]]
# Inputs in Python's names, and the names that the service and its errors have for them.
NAMES = {
    "sku": "sku",
    "name": "name",
    "description": "description",
    "category_id": "categoryId",
    "vendor_id": "vendorId",
    "pack": "pack",
    "volume_ml": "volumeMl",
    "unit_cost": "unitCost",
    "unit_price": "unitPrice",
    "is_active": "isActive",
}
TYPES = {"categoryId": "Category", "vendorId": "Vendor"}


def _given(input_: CreateProductInput | UpdateProductInput) -> dict[str, Any]:
    """What an input sets: null is a value, what was left out is not there."""
    values = {name: getattr(input_, attribute, UNSET) for attribute, name in NAMES.items()}
    return {name: _key(name, value) for name, value in values.items() if value is not UNSET}


def _key(name: str, value: Any) -> Any:
    return key_of(value, TYPES[name], name) if name in TYPES and value is not None else value


async def _change(info: Info, change: Change) -> ProductPayload:
    """Do something with one product in one transaction."""

    async def run(work: UnitOfWork) -> ProductPayload:
        row = await change(work, signed_in(info.context.viewer))
        return ProductPayload(product=Product.from_row(row))

    return await attempt(info, lambda errors: ProductPayload(user_errors=errors), run)


CreateArgument = Annotated[CreateProductInput, strawberry.argument(description="The new product.")]
UpdateArgument = Annotated[UpdateProductInput, strawberry.argument(description="Which product, and what to change.")]
ArchiveArgument = Annotated[ArchiveProductInput, strawberry.argument(description="Which product.")]


@strawberry.type
class ProductMutation:
    """Mutations of products."""

    @strawberry.mutation(description="Create a product.")
    async def create_product(self, info: Info, input: CreateArgument) -> ProductPayload:  # noqa: A002 - the GraphQL name
        """Create a product."""
        return await _change(info, lambda work, viewer: product_change.create_product(work, _given(input), viewer))

    @strawberry.mutation(
        description=(
            "Change a product that you have created; administrators change any. Invoices keep the prices of their day."
        )
    )
    async def update_product(self, info: Info, input: UpdateArgument) -> ProductPayload:  # noqa: A002 - as above
        """Change a product."""

        async def update(work: UnitOfWork, viewer: Viewer) -> ProductRow:
            key = key_of(input.id, "Product")
            return await product_change.update_product(work, key, input.expected_version, _given(input), viewer)

        return await _change(info, update)

    @strawberry.mutation(
        description=(
            "Say that a product is sold no more. It stays readable with `isActive: false`, and on its invoices. "
            "`updateProduct` brings it back."
        )
    )
    async def archive_product(self, info: Info, input: ArchiveArgument) -> ProductPayload:  # noqa: A002 - as above
        """Say that a product is sold no more."""

        async def archive(work: UnitOfWork, viewer: Viewer) -> ProductRow:
            key = key_of(input.id, "Product")
            return await product_change.archive_product(work, key, input.expected_version, viewer)

        return await _change(info, archive)
