"""Sales reports as clients watch them."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, Any

import strawberry

from graphql_api.database.event import Topic
from graphql_api.schema.context import Context
from graphql_api.schema.live import StateStream
from graphql_api.schema.report import SalesReportTotals, totals_of
from graphql_api.schema.report_arguments import sales_question, takes_sales_question
from graphql_api.schema.report_group import group_key
from graphql_api.schema.report_row import SalesReportRow
from graphql_api.services.errors import BadInput
from graphql_api.services.report import SalesReport, check_report
from graphql_api.services.report_live import RepeatedReport, ReportChange, report_change

DEFAULT_THROTTLE_MS = 1_000
SHORTEST_THROTTLE_MS = 200
LONGEST_THROTTLE_MS = 60_000


@strawberry.type(
    description=(
        "A sales report, or what has changed in it. Keep the rows by `key`: forget all of them when `isSnapshot`, put "
        "`rows` in, and when `keys` is not null show the rows of these keys in this order and forget the others. "
        "Everything else replaces what you had."
    )
)
class SalesReportUpdate(SalesReportTotals):
    """A sales report, or what has changed in it."""

    is_snapshot: bool = strawberry.field(
        description="True: all of the report, at the start and whenever you have missed something. Forget what you had."
    )
    keys: list[strawberry.ID] | None = strawberry.field(
        description="The `key` of every row of the page, in order; null when they are the same as before."
    )
    rows: list[SalesReportRow] = strawberry.field(
        description=(
            "The rows that are new or have changed: a number, a name, or a field of the store, product, category, "
            "vendor or county itself. All rows of the page when `isSnapshot`. The `lines` of a row are read when it is "
            "sent; other lines that add up to the same do not change it."
        )
    )

    @classmethod
    def from_report(cls, found: SalesReport) -> "SalesReportUpdate":
        """All of a report."""
        return cls._of(ReportChange(found, found.rows, is_reordered=True), is_snapshot=True)

    @classmethod
    def from_change(cls, before: SalesReport, now: SalesReport) -> "SalesReportUpdate | None":
        """What leads from one report to the next; None when nothing does."""
        change = report_change(before, now)
        return cls._of(change, is_snapshot=False) if change else None

    @classmethod
    def _of(cls, change: ReportChange, *, is_snapshot: bool) -> "SalesReportUpdate":
        found = change.report
        return cls(
            is_snapshot=is_snapshot,
            keys=[group_key(row.values) for row in found.rows] if change.is_reordered else None,
            rows=[SalesReportRow.from_row(row, found.question) for row in change.rows],
            **totals_of(found),
        )


@strawberry.type
class ReportSubscription:
    """Root field that tells of sales."""

    @strawberry.subscription(
        description=(
            "A sales report that stays up to date: all of it first, then what has changed, each time as a fresh "
            "`salesReport` would have it. Silent while nothing in it changes. Whoever asks for the same shares one "
            "computation. Example: subscription { salesReportLive(groupBy: [{dimension: COUNTY}], first: 10) "
            "{ isSnapshot keys rows { key label measures { revenue } } grandTotal { revenue } } }"
        )
    )
    @takes_sales_question
    async def sales_report_live(
        self,
        *,
        throttle_ms: Annotated[
            int | None,
            strawberry.argument(
                description="Milliseconds from one update to the next at least, 200 to 60,000; several changes are one."
            ),
        ] = DEFAULT_THROTTLE_MS,
        **arguments: Any,
    ) -> AsyncGenerator[SalesReportUpdate, None]:
        """A sales report that stays up to date."""
        question = sales_question(**arguments)
        check_report(question)
        return StateStream(
            topics=frozenset({Topic.SALES}),
            read=partial(_read, RepeatedReport(question)),
            whole=SalesReportUpdate.from_report,
            difference=SalesReportUpdate.from_change,
            throttle=_seconds(throttle_ms),
        ).as_answer()


async def _read(repeated: RepeatedReport, context: Context) -> SalesReport:
    async with context.services.report_turns, context.database.read() as session:
        return await repeated.read(session)


def _seconds(milliseconds: int | None) -> float:
    given = DEFAULT_THROTTLE_MS if milliseconds is None else milliseconds
    if not SHORTEST_THROTTLE_MS <= given <= LONGEST_THROTTLE_MS:
        raise BadInput(
            "`throttleMs` goes from {least} to {most:,}; got {given}.",
            path=("throttleMs",),
            least=SHORTEST_THROTTLE_MS,
            most=LONGEST_THROTTLE_MS,
            given=given,
        )
    return given / 1000
