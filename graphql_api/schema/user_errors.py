"""Errors of mutations that say more than a code and a path, for clients that can act on it."""

import strawberry

from graphql_api.database.user import Language
from graphql_api.schema.context import Info
from graphql_api.schema.enums import ErrorCode
from graphql_api.schema.errors import UserError, as_user_error
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.scalars import BigInt
from graphql_api.schema.store import Store, load_store
from graphql_api.services import errors
from graphql_api.services.translation import translate


@strawberry.type(description="A product that a store has not enough of.")
class Shortage:
    """A product that a store has not enough of."""

    requested: BigInt = strawberry.field(description="Bottles that were wanted, of all lines together.")
    available: BigInt = strawberry.field(
        description="Bottles that can be had: those in stock, without expired ones where those are not sold."
    )
    store_id: strawberry.Private[int]
    product_id: strawberry.Private[int]

    @strawberry.field(description="What is short.")
    async def product(self, info: Info) -> Product:
        """What is short."""
        return await load_product(info, self.product_id)

    @strawberry.field(description="Where it is short.")
    async def store(self, info: Info) -> Store:
        """Where it is short."""
        return await load_store(info, self.store_id)


@strawberry.type(
    name="InsufficientStock",
    description="There is not enough stock; nothing was changed. Everything that is short is named.",
)
class ShortStock(UserError):  # noqa: N818 - a type that clients see
    """There is not enough stock."""

    shortages: list[Shortage] = strawberry.field(description="What is short, each product of a store once.")


@as_user_error.register
def _insufficient_stock(error: errors.InsufficientStock, language: Language) -> ShortStock:
    shortages = [
        Shortage(
            requested=BigInt(short.requested),
            available=BigInt(short.available),
            store_id=short.store_id,
            product_id=short.product_id,
        )
        for short in error.shortages
    ]
    return ShortStock(
        code=ErrorCode(error.code), message=translate(error, language), path=["input", *error.path], shortages=shortages
    )
