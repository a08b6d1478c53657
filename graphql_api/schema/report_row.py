"""The rows and numbers of a sales report."""

import datetime as dt
from decimal import Decimal
from typing import cast

import strawberry
from strawberry import UNSET

from graphql_api.reports import measures as numbers
from graphql_api.reports.period import bucket_end, bucket_label
from graphql_api.reports.question import SalesQuestion
from graphql_api.schema.context import Info
from graphql_api.schema.invoice import InvoiceLine
from graphql_api.schema.paging import After, Connection, FirstAlone, connect, page_request
from graphql_api.schema.report_enums import Measure, TimeBucket
from graphql_api.schema.report_group import ReportGroup, group_label, missing_keys
from graphql_api.schema.scalars import BigInt, Cursor
from graphql_api.services.report import ReportRow, report_lines


@strawberry.type(description="What a set of invoice lines adds up to. Sums are exact; ratios are rounded half to even.")
class SalesMeasures:
    """What a set of invoice lines adds up to."""

    line_count: BigInt = strawberry.field(description="How many invoice lines.")
    quantity: BigInt = strawberry.field(description="Bottles sold, returns taken off.")
    revenue: Decimal = strawberry.field(description="What customers paid, in currency units.")
    cost: Decimal = strawberry.field(description="What the bottles had cost, in currency units.")
    profit: Decimal = strawberry.field(description="revenue less cost.")
    margin: Decimal | None = strawberry.field(
        description="profit divided by revenue, to four places: 0.3333 is a third. Null when revenue is 0."
    )
    average_price: Decimal | None = strawberry.field(
        description="revenue divided by quantity, to four places. Null when quantity is 0."
    )
    volume_liters: Decimal = strawberry.field(
        description="Litres, to three places. Lines of unknown volume add nothing."
    )

    @classmethod
    def from_sums(cls, sums: numbers.SalesMeasures) -> "SalesMeasures":
        """The sums as clients see them."""
        return cls(
            line_count=BigInt(sums.line_count),
            quantity=BigInt(sums.quantity),
            revenue=_exact(sums, Measure.REVENUE),
            cost=_exact(sums, Measure.COST),
            profit=_exact(sums, Measure.PROFIT),
            margin=sums.value(Measure.MARGIN),
            average_price=sums.value(Measure.AVERAGE_PRICE),
            volume_liters=_exact(sums, Measure.VOLUME_LITERS),
        )


def _exact(sums: numbers.SalesMeasures, measure: Measure) -> Decimal:
    """A measure that is never undefined; `or` would lose the digits of 0.00."""
    return cast("Decimal", sums.value(measure))


@strawberry.type(description="How one number moved from the earlier period to the one asked for.")
class MeasureChange:
    """How one number moved."""

    absolute: Decimal | None = strawberry.field(
        description="Present less earlier value, in the number's own unit. Null when either is undefined."
    )
    percent: Decimal | None = strawberry.field(
        description=(
            "`absolute` in percent of the earlier value, to two places: 12.50 is an eighth more. "
            "Null when the earlier value is 0."
        )
    )


@strawberry.type(description="How each number moved from the earlier period to the one asked for.")
class SalesChange:
    """How each number moved."""

    line_count: MeasureChange = strawberry.field(description="Change of the number of lines.")
    quantity: MeasureChange = strawberry.field(description="Change of the bottles sold.")
    revenue: MeasureChange = strawberry.field(description="Change of revenue.")
    cost: MeasureChange = strawberry.field(description="Change of cost.")
    profit: MeasureChange = strawberry.field(description="Change of profit.")
    margin: MeasureChange = strawberry.field(description="Change of the margin; 0.0100 is one percentage point.")
    average_price: MeasureChange = strawberry.field(description="Change of the average price.")
    volume_liters: MeasureChange = strawberry.field(description="Change of the litres sold.")

    @classmethod
    def between(cls, now: numbers.SalesMeasures, before: numbers.SalesMeasures | None) -> "SalesChange | None":
        """The changes, when there is something to compare with."""
        if before is None:
            return None
        changes = {measure.lower(): numbers.change(measure, now, before) for measure in Measure}
        return cls(
            **{
                name: MeasureChange(absolute=change.absolute, percent=change.percent)
                for name, change in changes.items()
            }
        )


@strawberry.type(
    description="The stretch of time of a row. With a date filter the first and the last may be part ones."
)
class TimeBucketValue:
    """The stretch of time of a row."""

    start: dt.date = strawberry.field(description="Its first day in the calendar.")
    end: dt.date = strawberry.field(description="Its last day in the calendar.")
    label: str = strawberry.field(description="As people write it: 2019-04-24, 2019-W17, 2019-04, 2019-Q2 or 2019.")


@strawberry.type(
    description=(
        "One group of sales. The fields of keys that are not in `groupBy` are null; so are those of keys the lines "
        "lack, which `missing` then names."
    )
)
class SalesReportRow(ReportGroup):
    """One group of sales."""

    measures: SalesMeasures = strawberry.field(description="What the group adds up to.")
    before: SalesMeasures | None = strawberry.field(
        description="The same in the period of `compareTo`; null without it."
    )
    change: SalesChange | None = strawberry.field(description="From `before` to `measures`; null without `compareTo`.")
    share: Decimal | None = strawberry.field(
        description="Its part of the grand total's revenue, to four places: 0.2500 is a quarter. Null when that is 0."
    )
    bucket: TimeBucketValue | None = strawberry.field(description="The stretch of time, when `groupBy` has one.")
    row: strawberry.Private[ReportRow]
    question: strawberry.Private[SalesQuestion]

    @classmethod
    def from_row(cls, row: ReportRow, question: SalesQuestion) -> "SalesReportRow":
        """The row as clients see it."""
        groups = dict(zip(question.group_by, row.values, strict=True))
        return cls(
            label=group_label(question.group_by, row.names),
            missing=missing_keys(groups),
            measures=SalesMeasures.from_sums(row.measures),
            before=SalesMeasures.from_sums(row.before) if row.before else None,
            change=SalesChange.between(row.measures, row.before),
            share=row.share,
            cursor=Cursor(row.cursor),
            bucket=_bucket(row, question),
            groups=groups,
            row=row,
            question=question,
        )

    @strawberry.field(description="The invoice lines that `measures` adds up, the latest first. One statement a row.")
    async def lines(self, info: Info, first: FirstAlone = UNSET, after: After = UNSET) -> Connection[InvoiceLine]:
        """The invoice lines of the group."""
        async with info.context.database.read() as session:
            page = await report_lines(session, self.question, self.row.values, page_request(first, after))

        async def count() -> int:
            return self.row.measures.line_count

        return connect(page, InvoiceLine.from_row, count)


def _bucket(row: ReportRow, question: SalesQuestion) -> TimeBucketValue | None:
    for group, value in zip(question.group_by, row.values, strict=True):
        if isinstance(group, TimeBucket) and isinstance(value, dt.date):
            return TimeBucketValue(start=value, end=bucket_end(value, group), label=bucket_label(value, group))
    return None
