"""What can be done with products: create, update, archive, give a picture."""

from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.product import ProductRow
from graphql_api.schema.context import Info
from graphql_api.schema.editing import (
    VERSION,
    edit_field,
    given_values,
    is_active_field,
    needed,
    optional,
    patched,
    user_errors_field,
)
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.named import Archive
from graphql_api.schema.node import key_of
from graphql_api.schema.product import Product
from graphql_api.schema.upload import Upload
from graphql_api.services.errors import BadInput, ServiceError
from graphql_api.services.image import MAX_BYTES, Picture, read_picture
from graphql_api.services.policy import Viewer, signed_in
from graphql_api.services.product_change import archive_product, create_product, update_product
from graphql_api.services.product_image import remove_unused_images, set_image
from graphql_api.services.unit_of_work import UnitOfWork

SKU = "The stock keeping unit, unique among products: 1 to 64 characters."
NAME = "The name: 1 to 200 characters."
DESCRIPTION = "A longer text: at most 10,000 characters."
CATEGORY = "The id of its category, which must not be archived."
VENDOR = "The id of its vendor, which must not be archived."
PACK = "Bottles in a case: 1 to 10,000."
VOLUME = "Content of one bottle in millilitres: 0 to 1,000,000."
COST = 'What one bottle costs to buy, with at most two digits after the point, such as "6.50".'
PRICE = 'What one bottle sells for, with at most two digits after the point, such as "9.99".'
THRESHOLD = (
    "Bottles in a store from which on it counts as low there: 0 to 1,000,000; null takes the company's threshold."
)


@strawberry.input(description="A new product. It belongs to you: you may change it later.")
class CreateProductInput:
    """A new product."""

    sku: str = strawberry.field(description=SKU)
    name: str = strawberry.field(description=NAME)
    description: str | None = optional(DESCRIPTION)
    category_id: strawberry.ID | None = optional(CATEGORY, node="Category")
    vendor_id: strawberry.ID | None = optional(VENDOR, node="Vendor")
    pack: int | None = optional(PACK)
    volume_ml: int | None = optional(VOLUME)
    unit_cost: Decimal | None = optional(COST)
    unit_price: Decimal | None = optional(PRICE)
    low_stock_threshold: int | None = optional(THRESHOLD)


@strawberry.input(description="What to change of a product; what is left out stays as it is.")
class UpdateProductInput:
    """What to change of a product."""

    id: strawberry.ID = strawberry.field(description="The id of the product.")
    expected_version: int = strawberry.field(description=VERSION)
    sku: str | None = needed(SKU)
    name: str | None = needed(NAME)
    description: str | None = patched(DESCRIPTION)
    category_id: strawberry.ID | None = patched(CATEGORY, node="Category")
    vendor_id: strawberry.ID | None = patched(VENDOR, node="Vendor")
    pack: int | None = patched(PACK)
    volume_ml: int | None = patched(VOLUME)
    unit_cost: Decimal | None = patched(COST)
    unit_price: Decimal | None = patched(PRICE)
    low_stock_threshold: int | None = needed(THRESHOLD)
    is_active: bool | None = is_active_field("Whether it is still sold.")


@strawberry.input(description="A product that is sold no more.")
class ArchiveProductInput(Archive):
    """A product that is sold no more."""


@strawberry.input(description="A picture for a product.")
class SetProductImageInput:
    """A picture for a product."""

    id: strawberry.ID = strawberry.field(description="The id of the product.")
    expected_version: int = strawberry.field(description=VERSION)
    image: Upload | None = strawberry.field(
        default=UNSET,
        description=(
            "PNG, JPEG or WebP, as its content tells: at most 5 MB and 25 megapixels. null removes the present one."
        ),
    )


@strawberry.type(description="What came of it: the product, or why not.")
class ProductPayload:
    """What came of it."""

    product: Product | None = strawberry.field(
        default=None, description="The product as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: ProductRow) -> "ProductPayload":
        """The answer when it was done."""
        return cls(product=Product.from_row(row))


async def _create(work: UnitOfWork, wish: CreateProductInput, viewer: Viewer) -> ProductRow:
    return await create_product(work, given_values(wish), viewer)


async def _update(work: UnitOfWork, wish: UpdateProductInput, viewer: Viewer) -> ProductRow:
    return await update_product(work, key_of(wish.id, "Product"), wish.expected_version, given_values(wish), viewer)


async def _archive(work: UnitOfWork, wish: ArchiveProductInput, viewer: Viewer) -> ProductRow:
    return await archive_product(work, key_of(wish.id, "Product"), wish.expected_version, viewer)


async def _sent_picture(wish: SetProductImageInput) -> Picture | None:
    if wish.image is UNSET:
        raise BadInput("Send a picture, or null to remove the present one.")
    if wish.image is None:
        return None
    content = b""
    async for chunk in wish.image.chunks():
        content += chunk
        if len(content) > MAX_BYTES:
            break
    return await read_picture(content)


async def _set_image(info: Info, wish: SetProductImageInput) -> ProductPayload:
    storage = info.context.storage
    found: Picture | ServiceError | None
    try:
        # decoded before the transaction begins, because it takes a while
        found = await _sent_picture(wish)
    except ServiceError as error:
        found = error.below("image")
    unused = {str(found.name)} if isinstance(found, Picture) else set()

    async def run(work: UnitOfWork) -> ProductPayload:
        if isinstance(found, ServiceError):
            raise found
        viewer = signed_in(info.context.viewer)
        change = await set_image(work, storage, key_of(wish.id, "Product"), wish.expected_version, found, viewer)
        if change.replaced is not None:
            unused.add(change.replaced)
        return ProductPayload.of(change.row)

    try:
        payload = await attempt(info, lambda errors: ProductPayload(user_errors=errors), run)
        if isinstance(found, Picture) and not payload.user_errors:
            unused.discard(str(found.name))
        return payload
    finally:
        # when it failed, the new one is in no use
        await remove_unused_images(info.context.database, storage, unused)


ImageArgument = Annotated[
    SetProductImageInput, strawberry.argument(description="Which product, and the picture as an upload.")
]


@strawberry.type
class ProductMutation:
    """Mutations of products."""

    create_product: ProductPayload = edit_field(
        ProductPayload, CreateProductInput, "The new product.", _create, "Create a product."
    )
    update_product: ProductPayload = edit_field(
        ProductPayload,
        UpdateProductInput,
        "Which product, and what to change.",
        _update,
        "Change a product that you have created; administrators change any. Invoices keep the prices of their day.",
    )
    archive_product: ProductPayload = edit_field(
        ProductPayload,
        ArchiveProductInput,
        "Which product.",
        _archive,
        (
            "Say that a product is sold no more. It stays readable with `isActive: false`, and on its invoices. "
            "`updateProduct` brings it back."
        ),
    )

    @strawberry.mutation(
        description=(
            "Give a product that you have created a picture, or take it away; administrators do it with any. The "
            "picture is decoded and written anew, so that nothing but its pixels is kept."
        )
    )
    async def set_product_image(self, info: Info, input: ImageArgument) -> ProductPayload:  # noqa: A002 - the GraphQL name
        """Give a product a picture."""
        return await _set_image(info, input)
