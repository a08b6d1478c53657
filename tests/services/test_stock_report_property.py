"""Generated stock and generated questions: the report must say what plain Python says, to the cent."""

import asyncio
import datetime as dt
import os
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cmp_to_key
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database
from graphql_api.reports.dimensions import Dimension
from graphql_api.reports.stock_question import StockMeasure, StockMeasures, StockOrder, StockQuestion
from graphql_api.services.stock_report import StockReport, StockReportRow, stock_report
from tests.services.report_oracle import matches
from tests.services.test_report_property import World, create_world

# More by hand: STOCK_EXAMPLES=5000 pytest tests/services/test_stock_report_property.py
EXAMPLES = int(os.environ.get("STOCK_EXAMPLES", "60"))
PHASES = list(Phase) if "STOCK_EXAMPLES" in os.environ else [Phase.generate]
FIRST_DAY = dt.date(2024, 2, 27)
DAYS = 5
THRESHOLDS = (None, 0, 3, 8)  # of the four products; None takes the company's
COMPANY_THRESHOLD = 5
INSERT_LOT = text(
    "INSERT INTO stock_lot (store_id, product_id, received_on, received, unit_cost) "
    "VALUES (:store, :product, :day, :quantity, :cost) RETURNING id"
)
INSERT_MOVEMENT = text(
    "INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause, at) "
    "VALUES (:store, :product, :quantity, :cost, 'ADJUSTMENT', :at) RETURNING id"
)
INSERT_USE = text("INSERT INTO lot_use VALUES (:movement, :lot, :quantity)")


@dataclass(frozen=True)
class Event:
    """So many bottles come (each lot at its cost) or go (of the lot that came last) at an instant."""

    store: int
    product: int
    at: dt.datetime
    quantity: int
    unit_cost: int


@dataclass
class Level:
    """What the oracle knows of one product in one store: the moves with their instants, signed."""

    moves: list[tuple[dt.datetime, int, int]] = field(default_factory=list)
    lots: list[list[int]] = field(default_factory=list)  # id, remaining, cost a bottle

    def until(self, end: dt.datetime | None) -> list[tuple[int, int]]:
        return [(quantity, cost) for at, quantity, cost in self.moves if end is None or at < end]


# the last instant of a day and the first of the next are worth trying
TIMES = st.sampled_from([dt.time(0, 0), dt.time(11, 30), dt.time(23, 59, 59, 999_999)])
INSTANTS = st.builds(
    lambda day, time: dt.datetime.combine(FIRST_DAY + dt.timedelta(days=day), time, dt.UTC),
    st.integers(0, DAYS - 1),
    TIMES,
)
EVENTS = st.builds(
    Event, st.integers(0, 4), st.integers(0, 3), INSTANTS, st.integers(-6, 9).filter(bool), st.integers(0, 1_000)
)
FILTERS = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"city": st.fixed_dictionaries({"eq": st.sampled_from(["ames", "BOONE"])})}),
        st.fixed_dictionaries({"county": st.fixed_dictionaries({"isNull": st.booleans()})}),
        st.fixed_dictionaries({"storeNumber": st.fixed_dictionaries({"in": st.lists(st.integers(1, 5), max_size=3)})}),
        st.fixed_dictionaries({"categoryName": st.fixed_dictionaries({"startsWith": st.sampled_from(["r", "G"])})}),
        st.fixed_dictionaries({"sku": st.fixed_dictionaries({"eq": st.sampled_from(["S0", "S3", "S9"])})}),
    ),
    lambda part: st.one_of(
        st.fixed_dictionaries({"or": st.lists(part, max_size=2)}), st.fixed_dictionaries({"not": part})
    ),
    max_leaves=3,
)


@st.composite
def questions(draw: st.DrawFn) -> StockQuestion:
    groups = tuple(draw(st.lists(st.sampled_from(list(Dimension)), max_size=3, unique=True)))
    by = st.sampled_from([*StockMeasure, *groups])
    return StockQuestion(
        where=draw(st.one_of(st.just({}), FILTERS)),
        group_by=groups,
        order_by=tuple(draw(st.lists(st.builds(StockOrder, by, st.booleans()), max_size=3))),
        first=draw(st.sampled_from([1, 2, 3, 1000])),
        as_of=draw(st.none() | st.integers(-1, DAYS).map(lambda days: FIRST_DAY + dt.timedelta(days=days))),
        others=draw(st.booleans()),
    )


async def insert_stock(session: AsyncSession, world: World, events: list[Event]) -> dict[tuple[int, int], Level]:
    levels: dict[tuple[int, int], Level] = defaultdict(Level)
    for event in sorted(events, key=lambda event: event.at):
        level = levels[event.store, event.product]
        keys = {"store": world.stores[event.store][0].id, "product": world.products[event.product][0].id}
        if event.quantity > 0:
            values = {**keys, "day": event.at.date(), "quantity": event.quantity, "cost": event.unit_cost}
            level.lots.append([await session.scalar(INSERT_LOT, values) or 0, 0, event.unit_cost])
        elif not level.lots or level.lots[-1][1] < -event.quantity:
            continue  # there is not enough
        lot = level.lots[-1]
        cost = event.quantity * lot[2]
        movement = {**keys, "quantity": event.quantity, "cost": cost, "at": event.at}
        movement_id = await session.scalar(INSERT_MOVEMENT, movement)
        await session.execute(INSERT_USE, {"movement": movement_id, "lot": lot[0], "quantity": event.quantity})
        lot[1] += event.quantity
        level.moves.append((event.at, event.quantity, cost))
        if not lot[1]:
            level.lots.pop()
    return levels


@dataclass
class Group:
    names: tuple[Any, ...]
    sums: StockMeasures = field(default_factory=StockMeasures)
    products: set[int] = field(default_factory=set)

    def add(self, product: int, sums: StockMeasures) -> None:
        self.sums += sums
        if sums.units:
            self.products.add(product)

    @property
    def measures(self) -> StockMeasures:
        return replace(self.sums, products=len(self.products))


def expect(world: World, levels: dict[tuple[int, int], Level], question: StockQuestion) -> dict[Any, Group]:
    """All groups, in order."""
    end = None
    if question.as_of is not None:
        end = dt.datetime.combine(question.as_of + dt.timedelta(days=1), dt.time(), dt.UTC)
    groups: dict[Any, Group] = {} if question.group_by else {(): Group(())}
    for (store, product), level in levels.items():
        moves = level.until(end)
        _, store_fields, store_groups = world.stores[store]
        row, product_fields, product_groups = world.products[product]
        if not moves or not matches({**store_fields, **product_fields}.get, question.where):
            continue
        units, value = (sum(column) for column in zip(*moves, strict=True))
        threshold = THRESHOLDS[product]
        low = units <= (COMPANY_THRESHOLD if threshold is None else threshold)
        sums = StockMeasures(units, value, units * (row.unit_price or 0), int(low))
        pairs = [{**store_groups, **product_groups}[dimension] for dimension in question.group_by]
        key = tuple(value for value, _ in pairs)
        groups.setdefault(key, Group(tuple(name for _, name in pairs))).add(product, sums)
    return dict(sorted(groups.items(), key=cmp_to_key(comparison(question))))


def comparison(question: StockQuestion) -> Any:
    def values(item: tuple[Any, Group]) -> list[tuple[Any, bool]]:
        key, group = item
        asked = [
            (
                group.names[question.group_by.index(order.by)]
                if isinstance(order.by, Dimension)
                else getattr(group.measures, order.by.lower()),
                order.descending,
            )
            for order in question.order
        ]
        return [*asked, *((value, False) for value in key)]

    def compare(one: tuple[Any, Group], two: tuple[Any, Group]) -> int:
        for (left, is_descending), (right, _) in zip(values(one), values(two), strict=True):
            if left == right:
                continue
            if left is None or right is None:
                return 1 if left is None else -1
            return (1 if left > right else -1) * (-1 if is_descending else 1)
        return 0

    return compare


async def all_pages(session: AsyncSession, question: StockQuestion) -> tuple[list[StockReportRow], list[StockReport]]:
    rows: list[StockReportRow] = []
    reports: list[StockReport] = []
    after = None
    while True:
        report = await stock_report(session, replace(question, after=after))
        reports.append(report)
        rows += report.rows
        if not report.has_next:
            return rows, reports
        after = report.rows[-1].cursor


def total(groups: dict[Any, Group]) -> StockMeasures:
    whole = Group(())
    for group in groups.values():
        whole.sums += group.sums
        whole.products |= group.products
    return whole.measures


def check(rows: list[StockReportRow], reports: list[StockReport], expected: dict[Any, Group]) -> None:
    assert [(row.values, row.names, row.measures) for row in rows] == [
        (key, group.names, group.measures) for key, group in expected.items()
    ]
    for report in reports:
        assert report.total_groups == len(expected)
        assert report.grand_total == total(expected)
        assert len(report.rows) <= report.question.first
        if report.question.others:
            shown = {row.values for row in report.rows}
            assert report.others == total({key: group for key, group in expected.items() if key not in shown})


async def prepare(database: Database) -> World:
    async with database.transaction() as session:
        world = await create_world(session)
        for (row, _, _), threshold in zip(world.products, THRESHOLDS, strict=True):
            row.low_stock_threshold = threshold
        world.products[2][0].unit_price = None
        await session.execute(text("UPDATE settings SET low_stock_threshold = :value"), {"value": COMPANY_THRESHOLD})
        return world


def test_any_stock_report_says_what_plain_python_says(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)
        world = runner.run(prepare(database))

        async def ask(events: list[Event], question: StockQuestion) -> None:
            async with AsyncSession(database.engine) as session:  # rolled back at the end
                levels = await insert_stock(session, world, events)
                check(*await all_pages(session, question), expect(world, levels, question))

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=PHASES,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(st.lists(EVENTS, max_size=25), questions())
        def examine(events: list[Event], question: StockQuestion) -> None:
            runner.run(ask(events, question))

        try:
            examine()
        finally:
            runner.run(database.close())
