"""Whatever happens: what was said of a report until now, put together, is the report as it is now."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any

from graphql import ExecutionResult, parse
from graphql.execution import execute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.reports.dimensions import Dimension
from graphql_api.reports.question import SalesQuestion
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.report_live import SalesReportUpdate
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services.report import SalesReport, sales_report
from graphql_api.services.report_live import RepeatedReport
from graphql_api.services.storage import FileStorage
from tests.client import ADMIN, create_services
from tests.report_watch import WATCH, Watch
from tests.services.import_case import ImportCase
from tests.services.invoice_case import InvoiceCase
from tests.services.report_changes import CHANGES, UNSEEN, Shop, sales_events
from tests.services.test_report_property import questions

# More by hand: REPORT_EXAMPLES=500 pytest tests/services/test_report_live.py
EXAMPLES = int(os.environ.get("REPORT_EXAMPLES", "4"))
# These show every name and every number, so every change that a report can show is seen in one of them.
EVERYTHING = [
    SalesQuestion(group_by=groups, first=1_000, others=True)
    for groups in [(Dimension.STORE, Dimension.CATEGORY), (Dimension.PRODUCT, Dimension.COUNTY)]
] + [SalesQuestion({"salesperson": {"isNull": True}}, (Dimension.VENDOR, Dimension.CITY), first=1_000)]
DOCUMENT = parse(WATCH.replace("$arguments", "groupBy: []"))


@dataclass
class Watched:
    """A report that is read again after changes, and a client who gets nothing but what has changed."""

    question: SalesQuestion
    services: Services
    schema: ApiSchema
    state: SalesReport | None = None
    client: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.repeated = RepeatedReport(self.question)

    async def read(self) -> SalesReport:
        async with self.services.database.read() as session:
            return await self.repeated.read(session)

    async def seen(self, update: SalesReportUpdate) -> dict[str, Any]:
        """The update as clients get it."""
        context = Context(self.services, Origin("test"), ADMIN)
        core = self.schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        executed = execute(core, DOCUMENT, root_value=update, context_value=context)
        result = await executed if isawaitable(executed) else executed
        assert isinstance(result, ExecutionResult)
        assert result.data is not None, result.errors
        return dict(result.data["salesReportLive"])

    async def begin(self) -> None:
        self.state = await self.read()
        self.client.take(await self.seen(SalesReportUpdate.from_report(self.state)))

    async def follow(self, *, is_told: bool) -> bool:
        """Read again; whether there was anything to say. What nobody tells of must not be seen in any report."""
        now = await self.read()
        assert self.state
        update = SalesReportUpdate.from_change(self.state, now)
        if update is None:
            return False
        assert is_told
        self.state = now
        self.client.take(await self.seen(update))
        await self.check()
        return True

    async def check(self) -> None:
        """The client knows the present report."""
        async with self.services.database.read() as session:
            now = await sales_report(session, self.question)
        fresh = Watch()
        fresh.take(await self.seen(SalesReportUpdate.from_report(now)))
        assert self.client.report == fresh.report


ORDERS = st.permutations(list(CHANGES))
NUMBERS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=len(CHANGES), max_size=len(CHANGES))


def test_the_differences_add_up_to_a_fresh_report_whatever_happens(database_url: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)
        services = create_services(database, FileStorage(str(tmp_path / "storage")))
        schema = build_schema()
        shop = Shop(InvoiceCase(database), ImportCase(database, tmp_path))
        runner.run(shop.open())
        seen: Counter[str] = Counter()

        async def follow(asked: list[SalesQuestion], changes: list[str], numbers: list[tuple[int, int]]) -> None:
            watched = [Watched(question, services, schema) for question in [*asked, *EVERYTHING]]
            for report in watched:
                await report.begin()
            for name, (one, two) in zip(changes, numbers, strict=True):
                told = await sales_events(shop)
                await shop.change(name, one, two)
                is_told = await sales_events(shop) > told
                seen[name] += sum([await report.follow(is_told=is_told) for report in watched])
            for report in watched:
                await report.check()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=list(Phase) if "REPORT_EXAMPLES" in os.environ else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(questions(), min_size=2, max_size=2), ORDERS, NUMBERS)
        def examine(asked: list[SalesQuestion], changes: list[str], numbers: list[tuple[int, int]]) -> None:
            runner.run(follow(asked, changes, numbers))

        try:
            examine()
        finally:
            runner.run(database.close())
    assert {name for name in CHANGES if seen[name]} >= CHANGES.keys() - UNSEEN
