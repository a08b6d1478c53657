"""The numbers of stock reports."""

from decimal import Decimal

import strawberry

from graphql_api.reports import stock_question as numbers
from graphql_api.schema.scalars import BigInt, cents_to_decimal


@strawberry.type(description="What a set of stock levels adds up to. A level is one product in one store.")
class StockMeasures:
    """What a set of stock levels adds up to."""

    units: BigInt = strawberry.field(description="Bottles.")
    value: Decimal = strawberry.field(
        description="What these very bottles had cost, first in, first out, in currency units."
    )
    retail_value: Decimal = strawberry.field(
        description="What they sell for at present prices, in currency units; products without a price add nothing."
    )
    products: BigInt = strawberry.field(
        description=(
            "Different products of which there is a bottle. "
            "Of these numbers this alone does not add up: one product can lie in many groups."
        )
    )
    low_stock_count: BigInt = strawberry.field(
        description="Levels of active products at or below the present threshold (the product's, else the company's)."
    )

    @classmethod
    def from_sums(cls, sums: numbers.StockMeasures) -> "StockMeasures":
        """The sums as clients see them."""
        return cls(
            units=BigInt(sums.units),
            value=cents_to_decimal(sums.value),
            retail_value=cents_to_decimal(sums.retail_value),
            products=BigInt(sums.products),
            low_stock_count=BigInt(sums.low_stock_count),
        )
