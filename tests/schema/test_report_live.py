"""A sales report that many watch: computed once, silent while nothing changes, always what a fresh report says."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Viewer
from graphql_api.transport.fanout import Refused, Subscriber
from tests.client import Client, schema_client
from tests.factories import Line, create_category, create_invoice, create_product, create_store
from tests.report_watch import REPORT, WATCH, Watch
from tests.schema.edits import Statements
from tests.transport.fanout_case import ADMIN, SALESPERSON, STAFF, FakeOutlet, FanoutCase, fanning_out, quiet, until

THROTTLE = 0.2
BY_STORE = "groupBy: [{dimension: STORE}], others: true, throttleMs: 200"
RELAY = text("SELECT count(*) FROM relay_outbox(:count)")


@dataclass(eq=False)
class Watcher:
    """Somebody who watches a report over an outlet."""

    subscriber: Subscriber
    outlet: FakeOutlet

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [result["data"]["salesReportLive"] for result in self.outlet.results]

    def has(self, count: int) -> bool:
        """Whether so many updates have come."""
        return len(self.outlet.texts) == count

    def shows(self, price: str) -> bool:
        """Whether that is what every row's product costs."""
        return {row["product"]["unitPrice"] for row in self.report["rows"]} == {price}

    @property
    def report(self) -> dict[str, Any]:
        """What it knows, put together from what it was sent."""
        watch = Watch()
        for update in self.updates:
            watch.take(update)
        return watch.report


@dataclass
class ReportCase:
    """Two stores that sell two products, and whoever watches."""

    fanout: FanoutCase
    statements: Statements
    stores: list[StoreRow] = field(init=False)
    products: list[ProductRow] = field(init=False)

    @property
    def database(self) -> Database:
        return self.fanout.database

    @property
    def client(self) -> Client:
        return schema_client(self.fanout.schema, self.fanout.services)

    @property
    def readings(self) -> int:
        """How many reports were computed."""
        return sum("statement_timestamp" in statement for statement in self.statements.texts)

    async def open(self) -> None:
        async with self.database.transaction() as session:
            self.stores = [await create_store(session, number=number) for number in (1, 2)]
            category = await create_category(session, name="RUM")
            self.products = [await create_product(session, sku=sku, category=category) for sku in ("OLD", "NEW")]
            for store, quantity in zip(self.stores, (3, 1), strict=True):
                await create_invoice(session, Line(self.products[0], quantity), store=store)
        await self.tell()

    async def tell(self, count: int = 1_000) -> None:
        """Let everybody hear of what was committed."""
        async with self.database.transaction() as session:
            await session.execute(RELAY, {"count": count})
        await self.fanout.feed.advance()

    async def sell(self, store: int, quantity: int = 1, *, is_told: bool = True, **more: Any) -> None:
        async with self.database.transaction() as session:
            await create_invoice(session, Line(self.products[0], quantity), store=self.stores[store], **more)
        if is_told:
            await self.tell()

    async def watch(self, arguments: str = BY_STORE, viewer: Viewer = ADMIN, **variables: Any) -> Watcher:
        """Watch a report, and wait for all of it."""
        names = "".join(f"${name}: {kind} " for name, kind in VARIABLES.items() if name in variables)
        document = WATCH.replace("$arguments", arguments)
        if names:
            document = document.replace("subscription", f"subscription ({names})", 1)
        watcher = Watcher(*await self.fanout.subscribe(document, viewer=viewer, **variables))
        await until(lambda: watcher.outlet.texts or watcher.outlet.is_ended)
        return watcher

    async def fresh(self, arguments: str = BY_STORE) -> dict[str, Any]:
        """The same report, asked for."""
        asked = arguments.partition(", throttleMs")[0]
        data = await self.client.execute(f"{{ salesReport({asked}) {{ {REPORT} }} }}")
        return dict(data["salesReport"])


VARIABLES = {"after": "Cursor"}


@pytest.fixture
async def case(schema: ApiSchema, database: Database, tmp_path: Path) -> AsyncIterator[ReportCase]:
    async with fanning_out(database, tmp_path, schema=schema) as fanout:
        case = ReportCase(fanout, Statements(database))
        await case.open()
        yield case


async def settled() -> None:
    """Wait until what has changed was read, and once more."""
    await asyncio.sleep(2 * THROTTLE)
    await quiet()


async def test_the_first_message_is_all_of_the_report(case: ReportCase) -> None:
    watcher = await case.watch()

    (update,) = watcher.updates
    assert update["isSnapshot"]
    assert update["keys"] == [row["key"] for row in update["rows"]]
    assert update["meta"] == {"exact": True}
    assert watcher.report == await case.fresh()
    assert [row["measures"]["quantity"] for row in update["rows"]] == [3, 1]


async def test_afterwards_comes_only_what_has_changed(case: ReportCase) -> None:
    # given
    watcher = await case.watch()
    # when a store sells more
    await case.sell(0, 2)
    await until(lambda: len(watcher.updates) == 2)
    # then its row comes, and that of the other only because its share is smaller
    update = watcher.updates[1]
    assert (update["isSnapshot"], update["keys"]) == (False, None)
    assert [(row["measures"]["quantity"], row["share"]) for row in update["rows"]] == [(5, "0.8333"), (1, "0.1667")]
    # when the other is first, then both know it; a third comes behind
    await case.sell(1, 9)
    await until(lambda: len(watcher.updates) == 3)
    assert watcher.updates[2]["keys"] == [watcher.report["rows"][place]["key"] for place in (0, 1)]
    assert watcher.report == await case.fresh()


async def test_a_row_that_stays_the_same_is_not_sent_again(case: ReportCase) -> None:
    # given a report of two days whose shares do not change
    watcher = await case.watch("groupBy: [{time: DAY}, {dimension: STORE}], throttleMs: 200")
    # when something is sold for nothing
    async with case.database.transaction() as session:
        await create_invoice(session, Line(case.products[1], 1, unit_price=0, cost=0), store=case.stores[1])
    await case.tell()
    await until(lambda: len(watcher.updates) == 2)
    # then only that row comes
    assert [row["store"]["number"] for row in watcher.updates[1]["rows"]] == [2]
    assert watcher.updates[1]["keys"] is None


async def test_fifty_who_watch_the_same_cost_one_reading_and_get_the_same_bytes(case: ReportCase) -> None:
    # given
    watchers = await asyncio.gather(*(case.watch(viewer=Viewer(100 + n, Role.ADMIN, n)) for n in range(50)))
    assert case.readings == 1
    # when
    await case.sell(0)
    await until(lambda: all(len(watcher.outlet.texts) == 2 for watcher in watchers))
    await settled()
    # then
    assert case.readings == 2
    assert len({tuple(watcher.outlet.texts) for watcher in watchers}) == 1
    assert watchers[0].outlet.texts[1] is watchers[49].outlet.texts[1]
    assert watchers[0].report == await case.fresh()


async def test_nothing_is_asked_of_the_database_while_nothing_changes(case: ReportCase) -> None:
    watcher = await case.watch()
    await settled()
    before = len(case.statements.texts)

    await settled()

    assert len(case.statements.texts) == before
    assert len(watcher.updates) == 1


async def test_what_changes_nothing_in_the_report_is_not_sent(case: ReportCase) -> None:
    watcher = await case.watch("groupBy: [], where: {storeNumber: {eq: 1}}, throttleMs: 200")

    await case.sell(1)
    await case.sell(0, status=InvoiceStatus.DRAFT)
    await until(lambda: case.readings > 1)
    await settled()

    assert len(watcher.updates) == 1


async def test_two_roles_are_two_readings(case: ReportCase) -> None:
    watchers = [await case.watch(viewer=viewer) for viewer in (ADMIN, STAFF, SALESPERSON, STAFF)]
    assert case.readings == 3

    await case.sell(0)
    await until(lambda: all(len(watcher.outlet.texts) == 2 for watcher in watchers))

    assert case.readings == 6
    assert len({tuple(watcher.outlet.texts) for watcher in watchers}) == 1


async def test_who_comes_late_knows_what_the_others_know(case: ReportCase) -> None:
    # given somebody who has heard of a sale
    early = await case.watch()
    await case.sell(1, 5)
    await until(lambda: len(early.updates) == 2)
    readings = case.readings
    # when somebody joins
    late = await case.watch()
    # then nothing is computed anew, and both say the same, now and after the next sale
    assert case.readings == readings
    assert late.updates[0]["isSnapshot"]
    assert late.report == early.report == await case.fresh()
    await case.sell(0)
    await until(lambda: len(late.updates) == 2)
    assert late.outlet.texts[1] == early.outlet.texts[2]
    assert late.report == early.report == await case.fresh()


async def test_twenty_sales_in_a_moment_are_two_or_three_readings(case: ReportCase) -> None:
    # given twenty sales that were committed one by one
    watcher = await case.watch()
    for number in range(20):
        await case.sell(number % 2, is_told=False)
    # when they are heard of one by one
    began = time.monotonic()
    for _ in range(20):
        await case.tell(1)
    await until(lambda: watcher.report["grandTotal"]["lineCount"] == 2 + 20)
    await settled()
    # then the report is computed once for each throttle at most
    assert 2 <= case.readings <= 3 + (time.monotonic() - began) / THROTTLE
    assert watcher.report == await case.fresh()


async def test_who_did_not_keep_up_gets_all_of_the_report(case: ReportCase) -> None:
    # given somebody who takes nothing while others hear of three changes
    slow, quick = await case.watch(), await case.watch()
    slow.outlet.is_ready = False
    for sold in range(3):
        await case.sell(sold % 2)
        await until(partial(quick.has, 2 + sold))
    assert len(slow.updates) == 1
    # when it takes messages again
    slow.outlet.is_ready = True
    slow.subscriber.wake()
    await until(lambda: len(slow.updates) == 2)
    # then one says everything
    assert slow.updates[1]["isSnapshot"]
    assert slow.report == quick.report == await case.fresh()


async def test_each_page_is_a_report_of_its_own(case: ReportCase) -> None:
    # given the first page, and the page behind it
    order = "orderBy: [{key: {dimension: STORE}}]"
    page = f"groupBy: [{{dimension: STORE}}], {order}, first: 1, after: $after, throttleMs: 200"
    first = await case.watch(page, after=None)
    cursor = first.report["pageInfo"]["endCursor"]
    # when the same document asks for both
    second = await case.watch(page, after=cursor)
    # then each gets its own, also with other rights
    numbers = [watcher.report["rows"][0]["store"]["number"] for watcher in (first, second)]
    assert numbers == [1, 2]
    second.subscriber.renew(case.fanout.context(STAFF))
    await until(lambda: len(second.updates) == 2)
    assert [row["store"]["number"] for row in second.report["rows"]] == [2]
    # and a cursor that says where to go on in events says nothing here
    document = WATCH.replace("$arguments", page).replace("subscription", "subscription ($after: Cursor)", 1)
    _, outlet = await case.fanout.subscribe(document, last_id="anything", after=cursor)
    await until(lambda: outlet.texts)
    assert json.loads(outlet.texts[0])["data"]["salesReportLive"]["rows"] == second.report["rows"]


async def test_a_row_tells_of_its_product_as_it_is(case: ReportCase) -> None:
    # given two reports, one of which has shown the products
    arguments = "groupBy: [{dimension: PRODUCT}], throttleMs: 200"
    watcher = await case.watch(arguments)
    # when a product is changed past its numbers and name, and somebody begins before this process hears of it
    async with case.database.transaction() as session:
        await session.execute(text("UPDATE product SET unit_price = 1234, version = version + 1 WHERE sku = 'OLD'"))
    late = await case.watch(f"{arguments}, others: false")
    await case.tell()
    # then everybody knows it in the end
    for one in (watcher, late):
        await until(partial(one.shows, "12.34"))


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("groupBy: [], throttleMs: 199", ["throttleMs"]),
        ("groupBy: [], throttleMs: 60001", ["throttleMs"]),
        ("groupBy: [], first: 1001", ["first"]),
        ('groupBy: [], after: "nonsense"', ["after"]),
        ("groupBy: [], orderBy: [{}]", ["orderBy", "0"]),
        ("groupBy: [], gapFill: true", ["gapFill"]),
        ("groupBy: [], where: {near: {latitude: 91, longitude: 0, kilometers: 1}}", ["where", "near", "latitude"]),
        ("groupBy: [], compareTo: {period: PREVIOUS_PERIOD}", ["compareTo"]),
    ],
)
async def test_what_cannot_be_answered_is_refused_at_once(case: ReportCase, arguments: str, path: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        await case.watch(arguments)

    (error,) = refused.value.errors
    assert (error["extensions"]["code"], error["extensions"]["argumentPath"]) == ("BAD_USER_INPUT", path)
    assert case.readings == 0


@pytest.mark.parametrize("throttle", ["throttleMs: 200", "throttleMs: 60000", "throttleMs: null", ""])
async def test_any_other_throttle_is_taken(case: ReportCase, throttle: str) -> None:
    assert (await case.watch(f"groupBy: [] {throttle}")).updates[0]["isSnapshot"]
