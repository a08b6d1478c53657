"""Sales reports, the values of their filters, and the overview."""

import datetime as dt
from typing import Annotated, Any

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.filters import to_where
from graphql_api.schema.paging import PageInfo
from graphql_api.schema.report_arguments import sales_question, takes_sales_question
from graphql_api.schema.report_enums import FacetField, ReportSource
from graphql_api.schema.report_row import SalesChange, SalesMeasures, SalesReportRow
from graphql_api.schema.sales_filter import Sales, SalesWhere
from graphql_api.schema.scalars import BigInt, Cursor
from graphql_api.schema.stock_measures import StockMeasures
from graphql_api.services import facet, overview, report

DEFAULT_FACETS = 20


@strawberry.type(description="How an answer came about.")
class ReportMeta:
    """How an answer came about."""

    as_of: dt.datetime = strawberry.field(description="The instant whose state of the data the whole answer shows.")
    source: ReportSource = strawberry.field(description="Where it came from.")
    exact: bool = strawberry.field(description="Always true: nothing is sampled or estimated.")
    rows_scanned: BigInt = strawberry.field(
        description=(
            "How many invoice lines it adds up, those of the compared period included; "
            "of stock how many levels, or movements when a day is asked for."
        )
    )
    milliseconds: float = strawberry.field(description="Time it took to find and add up, in milliseconds.")


@strawberry.type
class SalesReportTotals:
    """What an answer says besides its rows."""

    others: SalesMeasures | None = strawberry.field(
        description=(
            "All sales of `where` that are not in these rows: of other pages and of groups that `having` keeps out. "
            "Null unless asked for with `others: true`."
        )
    )
    grand_total: SalesMeasures = strawberry.field(
        description="All sales of `where`, whatever `having` and the page show."
    )
    before: SalesMeasures | None = strawberry.field(
        description="The grand total in the period of `compareTo`; null without it."
    )
    change: SalesChange | None = strawberry.field(
        description="From `before` to `grandTotal`; null without `compareTo`."
    )
    total_groups: int = strawberry.field(description="How many rows there are on all pages together.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the report.")
    meta: ReportMeta = strawberry.field(description="How the answer came about.")


@strawberry.type(description="Sales by group. The rows of a page plus `others` are `grandTotal`, to the cent.")
class SalesReport(SalesReportTotals):
    """Sales by group."""

    rows: list[SalesReportRow] = strawberry.field(description="One page of groups, in order.")

    @classmethod
    def from_report(cls, found: report.SalesReport) -> "SalesReport":
        """The report as clients see it."""
        return cls(rows=[SalesReportRow.from_row(row, found.question) for row in found.rows], **totals_of(found))


def totals_of(found: report.SalesReport) -> dict[str, Any]:
    """The fields of `SalesReportTotals`."""
    return {
        "others": SalesMeasures.from_sums(found.others) if found.others else None,
        "grand_total": SalesMeasures.from_sums(found.grand_total),
        "before": SalesMeasures.from_sums(found.before_total) if found.before_total else None,
        "change": SalesChange.between(found.grand_total, found.before_total),
        "total_groups": found.total_groups,
        "page_info": _page_info(found),
        "meta": ReportMeta(
            as_of=found.as_of,
            source=found.source,
            exact=True,
            rows_scanned=BigInt(found.rows_scanned),
            milliseconds=found.milliseconds,
        ),
    }


def _page_info(found: report.SalesReport) -> PageInfo:
    return PageInfo(
        has_next_page=found.has_next,
        has_previous_page=found.question.after is not None,
        start_cursor=Cursor(found.rows[0].cursor) if found.rows else None,
        end_cursor=Cursor(found.rows[-1].cursor) if found.rows else None,
    )


@strawberry.type(description="A value in use, for autocomplete.")
class Facet:
    """A value in use."""

    value: str = strawberry.field(description="The value, to be used with `eq` in the filter of this field.")
    number: int | None = strawberry.field(description="The value as a number, for filters that take numbers.")
    label: str = strawberry.field(description='As people read it: the value, for numbers with the name, "77 POLK".')
    count: BigInt = strawberry.field(description="How many invoice lines have it.")

    @classmethod
    def from_facet(cls, found: facet.Facet) -> "Facet":
        """The value as clients see it."""
        number = found.value if isinstance(found.value, int) else None
        return cls(value=str(found.value), number=number, label=found.label, count=BigInt(found.count))


@strawberry.type(description="Sales and stock at a glance.")
class Overview:
    """Sales at a glance."""

    sales: SalesMeasures = strawberry.field(description="What all matching sales add up to, profit included.")
    first_sale: dt.date | None = strawberry.field(description="The first day with a matching sale; null without one.")
    last_sale: dt.date | None = strawberry.field(description="The last day with a matching sale; null without one.")
    stores_selling: int = strawberry.field(description="Stores with a matching sale.")
    products_selling: int = strawberry.field(description="Products with a matching sale.")
    counties_selling: int = strawberry.field(description="Counties with a matching sale.")
    stores: int = strawberry.field(description="All active stores, whatever `where` says.")
    products: int = strawberry.field(description="All active products, whatever `where` says.")
    sales_staff: int = strawberry.field(description="Active accounts of salespeople, whatever `where` says.")
    stock: StockMeasures = strawberry.field(
        description="All stock as it is now, whatever `where` says; `stockReport` has it by place and product."
    )
    low_stock_products: int = strawberry.field(
        description="Active products of which a store has as little as the threshold or less, whatever `where` says."
    )

    @classmethod
    def from_overview(cls, found: overview.SalesOverview) -> "Overview":
        """The overview as clients see it."""
        return cls(
            sales=SalesMeasures.from_sums(found.sales),
            first_sale=found.first_sale,
            last_sale=found.last_sale,
            stores_selling=found.stores_selling,
            products_selling=found.products_selling,
            counties_selling=found.counties_selling,
            stores=found.stores,
            products=found.products,
            sales_staff=found.sales_staff,
            stock=StockMeasures.from_sums(found.stock),
            low_stock_products=found.low_stock_products,
        )


@strawberry.type
class ReportQuery:
    """Root fields of reports."""

    @strawberry.field(
        description=(
            "Sales by up to three keys, as of one instant. "
            "Example: salesReport(groupBy: [{dimension: COUNTY}], first: 10, others: true) "
            "{ rows { label measures { revenue profit } share } others { revenue } grandTotal { revenue } }"
        )
    )
    @takes_sales_question
    async def sales_report(self, info: Info, **arguments: Any) -> SalesReport:
        """Sales by group."""
        question = sales_question(**arguments)
        async with info.context.database.read() as session:
            return SalesReport.from_report(await report.sales_report(session, question))

    @strawberry.field(
        description="The values of a filter that occur in sales, the most frequent first, for autocomplete."
    )
    async def facets(
        self,
        info: Info,
        *,
        field: Annotated[FacetField, strawberry.argument(description="The filter.")],
        search: Annotated[
            str | None, strawberry.argument(description="What was typed, in any case; at most 200 characters.")
        ] = None,
        where: Annotated[
            SalesWhere | None,
            strawberry.argument(
                description=(
                    "Count only these sales. What it says of the field itself is left out, to show the alternatives."
                )
            ),
        ] = None,
        first: Annotated[int | None, strawberry.argument(description="How many, 1 to 100.")] = DEFAULT_FACETS,
    ) -> list[Facet]:
        """The values of a filter that occur in sales."""
        conditions = to_where(where)
        size = DEFAULT_FACETS if first is None else first
        async with info.context.database.read() as session:
            found = await facet.facets(session, field, search=search, where=conditions, first=size)
        return [Facet.from_facet(value) for value in found]

    @strawberry.field(
        description="Sales and stock at a glance: totals, the days they span, and how many stores and products sold."
    )
    async def overview(self, info: Info, where: Sales = None) -> Overview:
        """Sales at a glance."""
        conditions = to_where(where)
        async with info.context.database.read() as session:
            return Overview.from_overview(await overview.sales_overview(session, conditions))
