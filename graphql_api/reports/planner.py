"""Which table answers a question: the cheapest that knows every key and measure it reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func

from graphql_api.reports.dimensions import LineKey
from graphql_api.reports.measures import ADDITIVE
from graphql_api.reports.question import SalesQuestion
from graphql_api.reports.tables import INVOICE_LINES


class ReportSource(StrEnum):
    """Where an answer came from."""

    LIVE = "LIVE"
    ROLLUP = "ROLLUP"
    MIXED = "MIXED"


@dataclass(frozen=True)
class Source:
    """A table that sales can be summed from.

    Args:
        keys: the line keys it keeps apart; its columns are called like them.
        sums: the aggregate of each additive measure.
        rows: the order of magnitude of its rows; fewer is cheaper.
        invoice_id: the invoice of a row, where rows of drafts and voided invoices are among them.
    """

    name: str
    kind: ReportSource
    table: FromClause
    keys: frozenset[LineKey]
    sums: Mapping[str, ColumnElement[Any]]
    rows: int
    invoice_id: ColumnElement[Any] | None = None

    def covers(self, question: SalesQuestion) -> bool:
        """Whether it keeps apart everything that `question` groups or filters by."""
        return question.line_keys <= self.keys


@dataclass(frozen=True)
class Plan:
    """How a question will be answered."""

    source: Source


LINES = Source(
    name="lines",
    kind=ReportSource.LIVE,
    table=INVOICE_LINES,
    keys=frozenset(LineKey),
    sums={
        "line_count": func.count(),
        **{name: func.sum(INVOICE_LINES.c[name]) for name in ADDITIVE if name != "line_count"},
    },
    rows=25_000_000,
    invoice_id=INVOICE_LINES.c.invoice_id,
)
SOURCES = (LINES,)


def plan(question: SalesQuestion) -> Plan:
    """The cheapest way to an exact answer; the lines cover every question."""
    return Plan(min((source for source in SOURCES if source.covers(question)), key=lambda source: source.rows))
