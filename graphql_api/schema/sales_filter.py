"""Which sales a report, a facet or the overview is about."""

from typing import Annotated

import strawberry

from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    NONE_OF,
    DateFilter,
    IdFilter,
    IntFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.store import NearFilter


@strawberry.input(
    description=(
        "Which invoice lines count; all given conditions must hold. Lines of drafts and voided invoices never count. "
        'Example: {county: {eq: "Polk"}, categoryName: {contains: "rum"}, date: {gte: "2019-01-01", lt: "2020-01-01"}}.'
    )
)
class SalesWhere:
    """Which invoice lines count."""

    date: DateFilter | None = operator("The day of the sale.")
    store_number: IntFilter | None = operator("The number of the store.")
    store_name: StringFilter | None = operator("The name of the store.")
    near: NearFilter | None = operator("Only stores that now stand within this circle.")
    city: StringFilter | None = operator("The city the store was in on the day of the sale, in any case.")
    zip: StringFilter | None = operator("The zip the store had on the day of the sale.")
    county: StringFilter | None = operator(
        "The name of the county the store was in on the day of the sale, in any case."
    )
    county_number: IntFilter | None = operator("The number of that county; safer than its name.")
    category_number: IntFilter | None = operator("The number of the product's category.")
    category_name: StringFilter | None = operator("The name of the product's category.")
    vendor_number: IntFilter | None = operator("The number of the product's vendor.")
    vendor_name: StringFilter | None = operator("The name of the product's vendor.")
    sku: StringFilter | None = operator("The item number of the product.")
    product_name: StringFilter | None = operator("The name of the product.")
    customer: IdFilter | None = id_filter("Customer", "Whom the invoice was written for, by id.")
    salesperson: IdFilter | None = id_filter("User", "Whose account has written the invoice, by id.")
    and_: list["SalesWhere"] | None = operator(ALL_OF, name="and")
    or_: list["SalesWhere"] | None = operator(ANY_OF, name="or")
    not_: "SalesWhere | None" = operator(NONE_OF, name="not")


Sales = Annotated[SalesWhere | None, strawberry.argument(description="Which sales count; all when left out.")]
