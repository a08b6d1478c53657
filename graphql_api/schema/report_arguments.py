"""The arguments of sales reports, declared once for all fields that take them."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Annotated, TypeVar

import strawberry

from graphql_api.reports.question import SalesQuestion
from graphql_api.schema.filters import to_where
from graphql_api.schema.report_input import ComparePeriod, GroupKey, ReportOrder, SalesHaving
from graphql_api.schema.sales_filter import Sales
from graphql_api.schema.scalars import Cursor

Resolver = TypeVar("Resolver", bound=Callable[..., object])
DEFAULT_ROWS = 50
# What stock reports take as well.
FirstRows = Annotated[int | None, strawberry.argument(description="How many rows, 0 to 1,000.")]
AfterRow = Annotated[
    Cursor | None,
    strawberry.argument(description="Only rows after this cursor, from a report in the same order."),
]


def sales_question(  # noqa: PLR0913 - one report answers all these questions
    *,
    group_by: Annotated[
        list[GroupKey],
        strawberry.argument(
            description="0 to 3 keys, each once, at most one of them a time. None: one row with everything."
        ),
    ],
    where: Sales = None,
    having: Annotated[
        SalesHaving | None,
        strawberry.argument(description="Which groups may become rows; the grand total stays whole."),
    ] = None,
    order_by: Annotated[
        list[ReportOrder] | None,
        strawberry.argument(description="At most 4 keys. Default: time ascending, then revenue descending."),
    ] = None,
    first: FirstRows = DEFAULT_ROWS,
    after: AfterRow = None,
    others: Annotated[
        bool | None, strawberry.argument(description="Whether to add up what is not in these rows.")
    ] = False,
    compare_to: Annotated[
        ComparePeriod | None,
        strawberry.argument(
            description=(
                "An earlier period to show beside each row. Groups that sold only then are rows too, with "
                "measures of 0. Rows of a time stand beside its counterpart: month by month, week by week, day by "
                "day; what has none counts with the first or the last. `where` must give dates as a plain range; "
                "an end it leaves open is where the data ends."
            )
        ),
    ] = None,
    gap_fill: Annotated[
        bool | None,
        strawberry.argument(
            description=(
                "Add rows of 0 for times without sales, for every combination of the other keys that has any; from "
                "the first to the last day of `where`, else of the sales. At most 10,000 rows on all pages."
            )
        ),
    ] = False,
) -> SalesQuestion:
    """The question that a client's arguments ask.

    Raises:
        BadInput: an order names both a measure and a key, or neither.
    """
    return SalesQuestion(
        where=to_where(where),
        group_by=tuple(key.to_group() for key in group_by),
        having=to_where(having),
        order_by=tuple(order.to_order(position) for position, order in enumerate(order_by or ())),
        first=DEFAULT_ROWS if first is None else first,
        after=after,
        others=bool(others),
        compare_to=compare_to.to_compared() if compare_to else None,
        gap_fill=bool(gap_fill),
    )


def takes_sales_question(resolver: Resolver) -> Resolver:
    """Give a resolver that ends in `**arguments` the arguments of `sales_question`, before its own."""
    own = signature(resolver)
    parameters = [parameter for parameter in own.parameters.values() if parameter.kind is not Parameter.VAR_KEYWORD]
    places = [parameter for parameter in parameters if parameter.kind is not Parameter.KEYWORD_ONLY]
    names = [parameter for parameter in parameters if parameter.kind is Parameter.KEYWORD_ONLY]
    shared = signature(sales_question).parameters.values()
    resolver.__signature__ = own.replace(parameters=[*places, *shared, *names])  # type: ignore[attr-defined] # PEP 362
    return resolver
