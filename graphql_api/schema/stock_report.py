"""Stock reports: what lies where, and what it is worth."""

import datetime as dt
from decimal import Decimal
from typing import Annotated

import strawberry

from graphql_api.reports import stock_question as numbers
from graphql_api.reports.dimensions import GroupKey as Group
from graphql_api.reports.dimensions import GroupValue
from graphql_api.reports.planner import ReportSource
from graphql_api.schema.context import Info
from graphql_api.schema.filters import to_where
from graphql_api.schema.paging import PageInfo
from graphql_api.schema.report import ReportMeta
from graphql_api.schema.report_arguments import DEFAULT_ROWS, AfterRow, FirstRows
from graphql_api.schema.report_group import ReportGroup, group_label, missing_keys
from graphql_api.schema.report_input import GroupKey
from graphql_api.schema.scalars import BigInt, Cursor
from graphql_api.schema.stock_measures import StockMeasures
from graphql_api.schema.stock_report_input import Stock, StockReportOrder, to_dimension
from graphql_api.services import stock_report


@strawberry.type(
    description=(
        "One group of stock. The fields of keys that are not in `groupBy` are null; so are those of keys the stock "
        "lacks, which `missing` then names."
    )
)
class StockReportRow(ReportGroup):
    """One group of stock."""

    measures: StockMeasures = strawberry.field(description="What lies there.")
    share: Decimal | None = strawberry.field(
        description="Its part of the grand total's value, to four places: 0.2500 is a quarter. Null when that is 0."
    )

    @classmethod
    def from_row(cls, row: stock_report.StockReportRow, question: numbers.StockQuestion) -> "StockReportRow":
        """The row as clients see it."""
        groups: dict[Group, GroupValue] = dict(zip(question.group_by, row.values, strict=True))
        return cls(
            label=group_label(question.group_by, row.names),
            missing=missing_keys(groups),
            cursor=Cursor(row.cursor),
            groups=groups,
            measures=StockMeasures.from_sums(row.measures),
            share=row.share,
        )


@strawberry.type(
    description="Stock by group. The rows of a page plus `others` are `grandTotal`, to the cent (all but `products`)."
)
class StockReport:
    """Stock by group."""

    rows: list[StockReportRow] = strawberry.field(description="One page of groups, in order.")
    others: StockMeasures | None = strawberry.field(
        description="All stock of `where` that is not in these rows. Null unless asked for with `others: true`."
    )
    grand_total: StockMeasures = strawberry.field(description="All stock of `where`, whatever the page shows.")
    total_groups: int = strawberry.field(description="How many rows there are on all pages together.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the report.")
    as_of: dt.date | None = strawberry.field(description="The day at whose end it is; null for now.")
    meta: ReportMeta = strawberry.field(description="How the answer came about.")

    @classmethod
    def from_report(cls, found: stock_report.StockReport) -> "StockReport":
        """The report as clients see it."""
        return cls(
            rows=[StockReportRow.from_row(row, found.question) for row in found.rows],
            others=StockMeasures.from_sums(found.others) if found.others else None,
            grand_total=StockMeasures.from_sums(found.grand_total),
            total_groups=found.total_groups,
            page_info=PageInfo(
                has_next_page=found.has_next,
                has_previous_page=found.question.after is not None,
                start_cursor=Cursor(found.rows[0].cursor) if found.rows else None,
                end_cursor=Cursor(found.rows[-1].cursor) if found.rows else None,
            ),
            as_of=found.question.as_of,
            meta=ReportMeta(
                as_of=found.as_of,
                source=ReportSource.LIVE,
                exact=True,
                rows_scanned=BigInt(found.rows_scanned),
                milliseconds=found.milliseconds,
            ),
        )


@strawberry.type
class StockReportQuery:
    """Root field of stock reports."""

    @strawberry.field(
        description=(
            "What lies where and what it is worth, now or at the end of a day, by up to three keys. "
            "Places are those where the stores stand now. Example: stockReport(groupBy: [{dimension: COUNTY}], "
            "first: 10) { rows { label measures { units value } } grandTotal { units value } }"
        )
    )
    async def stock_report(  # noqa: PLR0913 - one report answers all these questions
        self,
        info: Info,
        *,
        group_by: Annotated[
            list[GroupKey],
            strawberry.argument(description="0 to 3 dimensions, each once. None: one row with everything."),
        ],
        where: Stock = None,
        order_by: Annotated[
            list[StockReportOrder] | None,
            strawberry.argument(description="At most 4 keys. Default: value descending."),
        ] = None,
        first: FirstRows = DEFAULT_ROWS,
        after: AfterRow = None,
        as_of: Annotated[
            dt.date | None,
            strawberry.argument(
                description=(
                    "The stock as it was when this day was over in UTC, from the movements until then. "
                    "Prices, thresholds and places are the present ones. Left out: the stock now."
                )
            ),
        ] = None,
        others: Annotated[
            bool | None, strawberry.argument(description="Whether to add up what is not in these rows.")
        ] = False,
    ) -> StockReport:
        """Stock by group."""
        question = numbers.StockQuestion(
            where=to_where(where),
            group_by=tuple(to_dimension(key, ("groupBy", str(place))) for place, key in enumerate(group_by)),
            order_by=tuple(order.to_order(position) for position, order in enumerate(order_by or ())),
            first=DEFAULT_ROWS if first is None else first,
            after=after,
            as_of=as_of,
            others=bool(others),
        )
        async with info.context.database.read() as session:
            return StockReport.from_report(await stock_report.stock_report(session, question))
