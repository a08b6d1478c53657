"""Products."""

from decimal import Decimal
from enum import Enum
from typing import Annotated

import strawberry

from graphql_api.database.product import ProductRow
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.category import Category, load_category
from graphql_api.schema.context import Info
from graphql_api.schema.editing import version_field
from graphql_api.schema.enums import Direction
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    BooleanFilter,
    IdFilter,
    IntFilter,
    MoneyFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import Connection, list_field
from graphql_api.schema.product_image import ProductImage
from graphql_api.schema.scalars import optional_cents
from graphql_api.schema.user import User, load_user
from graphql_api.schema.vendor import Vendor, load_vendor
from graphql_api.services import product
from graphql_api.services.choices import only_one
from graphql_api.services.visibility import may_edit_product


@strawberry.type(description="A product. Its prices are the present ones; an invoice keeps those of its day.")
class Product(Node):
    """A product."""

    sku: str = strawberry.field(description="Its stock keeping unit, unique among products.")
    name: str = strawberry.field(description="Its name.")
    description: str | None = strawberry.field(description="A longer text about it.")
    pack: int | None = strawberry.field(description="Bottles in a case.")
    volume_ml: int | None = strawberry.field(description="Content of one bottle in millilitres.")
    unit_cost: Decimal | None = strawberry.field(description="What one bottle costs to buy.")
    unit_price: Decimal | None = strawberry.field(description="What one bottle sells for.")
    low_stock_threshold: int | None = strawberry.field(
        description="Bottles in a store from which on it counts as low there; null takes the company's threshold."
    )
    is_active: bool = strawberry.field(description="Whether it is still sold.")
    version: int = version_field()
    audit_trail = audit_trail_field()
    category_id: strawberry.Private[int | None]
    vendor_id: strawberry.Private[int | None]
    created_by_id: strawberry.Private[int | None]
    image_key: strawberry.Private[str | None]

    @classmethod
    def from_row(cls, row: ProductRow) -> "Product":
        """The product as clients see it."""
        return cls(
            id=global_id("Product", row.id),
            sku=row.sku,
            name=row.name,
            description=row.description,
            pack=row.pack,
            volume_ml=row.volume_ml,
            unit_cost=optional_cents(row.unit_cost),
            unit_price=optional_cents(row.unit_price),
            low_stock_threshold=row.low_stock_threshold,
            is_active=row.is_active,
            version=row.version,
            category_id=row.category_id,
            vendor_id=row.vendor_id,
            created_by_id=row.created_by,
            image_key=row.image_key,
        )

    @strawberry.field(description="What kind of product it is; null when unknown.")
    async def category(self, info: Info) -> Category | None:
        """What kind of product it is."""
        return await load_category(info, self.category_id)

    @strawberry.field(description="Who makes or supplies it; null when unknown.")
    async def vendor(self, info: Info) -> Vendor | None:
        """Who makes or supplies it."""
        return await load_vendor(info, self.vendor_id)

    @strawberry.field(description="Its picture; null when it has none.")
    def image(self) -> ProductImage | None:
        """Its picture."""
        return ProductImage.named(self.image_key)

    @strawberry.field(
        description="Who created it; null when it came with an import. Only for those who may see accounts."
    )
    async def created_by(self, info: Info) -> User | None:
        """Who created it."""
        return await load_user(info, self.created_by_id)

    @strawberry.field(description="Whether you may change it: administrators any, staff those they have created.")
    def can_edit(self, info: Info) -> bool:
        """Whether whoever asks may change it."""
        return may_edit_product(info.context.viewer, self.created_by_id)


@strawberry.input(description="Which products; all given conditions must hold.")
class ProductWhere:
    """Which products."""

    id: IdFilter | None = id_filter("Product", "The id.")
    sku: StringFilter | None = operator("The stock keeping unit; `eq` and `in` look at upper and lower case.")
    name: StringFilter | None = operator("The name.")
    category: StringFilter | None = operator("The name of the category.")
    category_number: IntFilter | None = operator("The number of the category.")
    vendor: StringFilter | None = operator("The name of the vendor.")
    vendor_number: IntFilter | None = operator("The number of the vendor.")
    volume_ml: IntFilter | None = operator("Content of one bottle in millilitres.")
    unit_cost: MoneyFilter | None = operator("What one bottle costs to buy.")
    unit_price: MoneyFilter | None = operator("What one bottle sells for.")
    has_image: BooleanFilter | None = operator("Whether it has a picture.")
    is_active: BooleanFilter | None = operator("Whether it is still sold.")
    mine: bool | None = operator("true: only products that you have created; false: only those of others.")
    and_: list["ProductWhere"] | None = operator(ALL_OF, name="and")
    or_: list["ProductWhere"] | None = operator(ANY_OF, name="or")
    not_: "ProductWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What products can be sorted by.")
class ProductOrderField(Enum):
    """What products can be sorted by."""

    NAME = strawberry.enum_value("NAME", description="The name.")
    SKU = strawberry.enum_value("SKU", description="The stock keeping unit, character by character.")
    UNIT_PRICE = strawberry.enum_value("UNIT_PRICE", description="What one bottle sells for.")
    UNIT_COST = strawberry.enum_value("UNIT_COST", description="What one bottle costs to buy.")
    VOLUME = strawberry.enum_value("VOLUME", description="Content of one bottle.")


@strawberry.input(description="One key of the order of products.")
class ProductOrder:
    """One key of the order of products."""

    by: ProductOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


async def load_product(info: Info, product_id: int) -> Product:
    """The product with this key, batched; there is always one, the tables see to it."""
    row = await info.context.loaders.products.load(product_id)
    if row is None:
        raise LookupError(f"product {product_id}")
    return Product.from_row(row)


@strawberry.type
class ProductQuery:
    """Root fields of products."""

    products: Connection[Product] = list_field(
        product.PRODUCTS,
        Product.from_row,
        where=ProductWhere,
        order=ProductOrder,
        what="products",
        searched="names, and for the SKU",
        description="Products, by name unless `orderBy` says otherwise.",
    )

    @strawberry.field(description="One product, by its id or its SKU; null when there is none.")
    async def product(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID | None, strawberry.argument(description="The id of the product.")
        ] = None,
        sku: Annotated[str | None, strawberry.argument(description="The stock keeping unit, instead of `id`.")] = None,
    ) -> Product | None:
        """One product."""
        only_one(id=id, sku=sku)
        if sku is None:
            row = await info.context.loaders.products.load(key_of(id or "", "Product"))
        else:
            async with info.context.database.read() as session:
                row = await product.product_by_sku(session, sku)
        return Product.from_row(row) if row else None
