"""The same sales question asked again and again: its answers, and what leads from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.reports.measures import SalesMeasures
from graphql_api.reports.question import SalesQuestion
from graphql_api.services.report import PreparedReport, ReportRow, SalesReport, prepare_report, prepared_report


class RepeatedReport:
    """Answers one question whenever asked. The statement is written once if it can be: that takes as long as the rest.

    Args:
        question: what is asked.
    """

    def __init__(self, question: SalesQuestion) -> None:
        self._question = question
        self._prepared: PreparedReport | None = None

    async def read(self, session: AsyncSession) -> SalesReport:
        """The answer as of now, as `sales_report` gives it.

        Raises:
            BadInput, TooComplex: with the path to the argument at fault.
        """
        if self._prepared is None or not self._prepared.is_lasting:
            self._prepared = await prepare_report(session, self._question)
        return await prepared_report(session, self._prepared)


@dataclass(frozen=True)
class ReportChange:
    """What has changed between two answers to the same question.

    Args:
        report: the later answer.
        rows: those of its rows that are new or differ, in order.
        is_reordered: whether the page holds other groups than before, or in another order.
    """

    report: SalesReport
    rows: Sequence[ReportRow]
    is_reordered: bool


def report_change(before: SalesReport, now: SalesReport) -> ReportChange | None:
    """What leads from `before` to `now`; None when both say the same, however long each took.

    All that clients see beyond the sums, such as margins, follows from them or is kept beside them rounded as they see
    it; so equal rows look equal, and what differs nowhere that can be seen is equal.
    """
    known = {row.values: row for row in before.rows}
    rows = [row for row in now.rows if known.get(row.values) != row]
    is_reordered = [row.values for row in before.rows] != [row.values for row in now.rows]
    if not rows and not is_reordered and _besides_rows(before) == _besides_rows(now):
        return None
    return ReportChange(now, rows, is_reordered)


def _besides_rows(report: SalesReport) -> tuple[SalesMeasures | None, SalesMeasures, SalesMeasures | None, int, bool]:
    return report.others, report.grand_total, report.before_total, report.total_groups, report.has_next
