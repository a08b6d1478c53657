"""How a client asks for a stock report."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.reports.dimensions import Dimension
from graphql_api.reports.stock_question import StockMeasure
from graphql_api.reports.stock_question import StockOrder as Order
from graphql_api.schema.enums import Direction, describe
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IntFilter, StringFilter, operator
from graphql_api.schema.report_input import GroupKey
from graphql_api.schema.store import NearFilter
from graphql_api.services.errors import BadInput

describe(
    StockMeasure,
    "A number of a group, as in StockMeasures.",
    {
        "UNITS": "Bottles.",
        "VALUE": "What the bottles had cost.",
        "RETAIL_VALUE": "What the bottles sell for now.",
        "PRODUCTS": "Different products in stock.",
        "LOW_STOCK_COUNT": "Levels at their threshold or below.",
    },
)


@strawberry.input(
    description=(
        "Which stock levels count (a level is one product in one store); all given conditions must hold. "
        'Example: {county: {eq: "Polk"}, categoryName: {contains: "rum"}}.'
    )
)
class StockWhere:
    """Which stock levels count."""

    store_number: IntFilter | None = operator("The number of the store.")
    store_name: StringFilter | None = operator("The name of the store.")
    near: NearFilter | None = operator("Only stores that stand within this circle.")
    city: StringFilter | None = operator("The city the store is in, in any case.")
    zip: StringFilter | None = operator("The zip of the store.")
    county: StringFilter | None = operator("The name of the county the store is in, in any case.")
    county_number: IntFilter | None = operator("The number of that county; safer than its name.")
    category_number: IntFilter | None = operator("The number of the product's category.")
    category_name: StringFilter | None = operator("The name of the product's category.")
    vendor_number: IntFilter | None = operator("The number of the product's vendor.")
    vendor_name: StringFilter | None = operator("The name of the product's vendor.")
    sku: StringFilter | None = operator("The item number of the product.")
    product_name: StringFilter | None = operator("The name of the product.")
    and_: list["StockWhere"] | None = operator(ALL_OF, name="and")
    or_: list["StockWhere"] | None = operator(ANY_OF, name="or")
    not_: "StockWhere | None" = operator(NONE_OF, name="not")


Stock = Annotated[StockWhere | None, strawberry.argument(description="Which stock counts; all when left out.")]


@strawberry.input(
    description="One key of the order of rows: either `measure` or `key`. Unknown names come last in both directions."
)
class StockReportOrder:
    """One key of the order of rows."""

    measure: StockMeasure | None = strawberry.field(default=UNSET, description="Order by this number.")
    key: GroupKey | None = strawberry.field(
        default=UNSET, description="Order by the name of this key, which must be in `groupBy`."
    )
    direction: Direction | None = strawberry.field(
        default=UNSET, description="Which end comes first. Measures are descending by default, keys ascending."
    )

    def to_order(self, position: int) -> Order:
        """The key as the service knows it.

        Raises:
            BadInput: when it names both a measure and a key, or neither, or a time.
        """
        path = ("orderBy", str(position))
        if bool(self.measure) == bool(self.key):
            raise BadInput("Order by a `measure` or by a `key`, one of the two.", path=path)
        is_descending = self.direction is Direction.DESC if self.direction else bool(self.measure)
        by = to_dimension(self.key, (*path, "key")) if self.key else self.measure
        return Order(by or StockMeasure.VALUE, is_descending)


def to_dimension(key: GroupKey, path: tuple[str, ...]) -> Dimension:
    """A key of a stock report.

    Raises:
        BadInput: it is a time.
    """
    group = key.to_group()
    if isinstance(group, Dimension):
        return group
    raise BadInput(
        "Stock is what lies there at one moment, so it has no {bucket} to group by. "
        "Ask for one day after another with `asOf`.",
        path=(*path, "time"),
        bucket=group,
    )
