"""Low stock: one episode for each fall to the threshold, told once to each administrator."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from graphql_api.database.engine import Database, driver_connection
from graphql_api.database.stock import MovementCause
from graphql_api.database.user import Role
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry, Receipt
from graphql_api.services import low_stock, low_stock_sweep, posting
from graphql_api.services.audit import Act
from graphql_api.services.errors import NotFound
from graphql_api.services.low_stock import reevaluate, tell_digest
from graphql_api.services.low_stock_list import acknowledge
from graphql_api.services.low_stock_sweep import sweep_low_stock
from graphql_api.services.policy import Viewer
from graphql_api.services.product_change import archive_product, update_product
from graphql_api.services.settings import update_settings
from graphql_api.services.unit_of_work import unit_of_work
from tests.client import ADMIN
from tests.factories import create_import, create_product, create_store, create_user
from tests.services.low_stock_case import TODAY, Shelf, create_shelf, execute, mail_jobs, rows, told


@pytest.fixture
async def admins(database: Database) -> list[int]:
    """Two administrators who can sign in, among people who are not to be told."""
    async with database.transaction() as session:
        first, second = await create_user(session), await create_user(session)
        await create_user(session, is_active=False)
        await create_user(session, role=Role.STAFF)
    return [first.id, second.id]


async def test_each_fall_to_the_threshold_is_one_episode(database: Database) -> None:
    shelf = await create_shelf(database, 20)

    await shelf.take(9)
    assert await shelf.episodes() == []
    await shelf.take(1)
    await shelf.take(2)
    assert await shelf.episodes() == [(10, 10, True)], "it is not opened again while it is open"
    await shelf.add(2)
    assert await shelf.episodes() == [(10, 10, True)], "the threshold itself is low"
    await shelf.add(1)
    assert await shelf.episodes() == [(10, 10, False)]
    await shelf.take(4)

    assert await shelf.episodes() == [(10, 10, False), (7, 10, True)]


async def test_the_products_own_threshold_wins_and_may_be_zero(database: Database) -> None:
    shelf = await create_shelf(database, 20, threshold=0)

    await shelf.take(19)
    assert await shelf.episodes() == []
    await shelf.take(1)

    assert await shelf.episodes() == [(0, 0, True)]


async def test_each_active_administrator_is_told_once_for_each_episode(database: Database, admins: list[int]) -> None:
    shelf = await create_shelf(database, 20, name="Ale")

    for _ in range(2):
        await shelf.take(12)
        await shelf.take(1)
        await shelf.add(13)

    ids = [key for (key,) in await rows(database, "SELECT id FROM low_stock_episode ORDER BY id")]
    assert await told(database) == [(f"low-stock:{key}", 2) for key in ids]
    assert len(ids) == 2
    people = await rows(database, "SELECT DISTINCT user_id FROM notification_recipient ORDER BY 1")
    assert people == [(key,) for key in admins]
    ((severity, values),) = await rows(database, 'SELECT severity, "values" FROM notification ORDER BY id LIMIT 1')
    assert severity == "WARNING"
    assert values == {
        "product": "Ale",
        "sku": shelf.product.sku,
        "store": shelf.store.name,
        "number": shelf.store.number,
        "on_hand": 8,
        "threshold": 10,
    }


async def test_what_is_rolled_back_tells_nobody(database: Database, admins: list[int]) -> None:
    shelf = await create_shelf(database, 20)

    async def sell_and_fail() -> None:
        async with unit_of_work(database) as work:
            demand = Demand(shelf.store.id, shelf.product.id, 15)
            await posting.take(work, [demand], MovementCause.ADJUSTMENT, reason="test")
            assert await work.session.scalar(text("SELECT count(*) FROM notification")) == 1
            raise LookupError

    with pytest.raises(LookupError):
        await sell_and_fail()

    assert (await shelf.episodes(), await told(database), await mail_jobs(database)) == ([], [], 0)
    assert len(admins) == 2


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that go through SQLAlchemy."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("admins")
async def test_telling_costs_one_statement_and_nothing_when_nothing_is_low(database: Database) -> None:
    async with database.transaction() as session:
        store = await create_store(session)
        products = [await create_product(session) for _ in range(15)]
    async with unit_of_work(database) as work:
        receipts = [Receipt(store.id, product.id, 100, 600, TODAY) for product in products]
        await posting.receive(work, receipts, MovementCause.RECEIPT)
    with counted(database) as calm:
        async with unit_of_work(database) as work:
            demands = [Demand(store.id, product.id, 10) for product in products]
            await posting.take(work, demands, MovementCause.ADJUSTMENT)

    with counted(database) as busy:
        async with unit_of_work(database) as work:
            demands = [Demand(store.id, product.id, 85) for product in products]
            await posting.take(work, demands, MovementCause.ADJUSTMENT)

    assert len(busy) == len(calm) + 1
    assert len(await told(database)) == 15
    assert await mail_jobs(database) == 2, "one mail for each administrator, whatever the number of products"


@pytest.mark.usefixtures("admins")
async def test_a_transfer_that_makes_both_ends_low_is_one_mail_for_each(database: Database) -> None:
    shelf = await create_shelf(database, 12)
    async with database.transaction() as session:
        other = await create_store(session)

    async with unit_of_work(database) as work:
        await posting.transfer(work, [Demand(shelf.store.id, shelf.product.id, 6)], other.id)

    assert [count for _, count in await told(database)] == [2, 2]
    assert await mail_jobs(database) == 2


@pytest.mark.usefixtures("admins")
@pytest.mark.parametrize("attempt", range(3))
async def test_sales_that_cross_together_open_one_episode(database: Database, attempt: int) -> None:
    shelf = await create_shelf(database, 20 + attempt)

    await asyncio.gather(*(shelf.take(6) for _ in range(3)))

    assert len(await shelf.episodes()) == 1
    assert [count for _, count in await told(database)] == [2]


async def move_for_import(database: Database, shelves: list[Shelf], cause: MovementCause, quantity: int) -> int:
    """Take bottles as an import does, straight from the ledger; the key of the import."""
    async with database.transaction() as session:
        import_id = (await create_import(session)).id
        connection = await driver_connection(await session.connection())
        demands = [Demand(shelf.store.id, shelf.product.id, quantity) for shelf in shelves]
        await moves.take(connection, demands, Entry(cause, import_id=import_id))
    return import_id


@pytest.mark.usefixtures("admins")
async def test_an_import_is_told_of_once_and_in_one(database: Database) -> None:
    # given an import that makes two of three levels low, of which one was low already
    shelves = [await create_shelf(database, 30, name=name) for name in ("Ale", "Bock")]
    low_before = await create_shelf(database, 15)
    await low_before.take(6)
    high = await create_shelf(database, 100)
    import_id = await move_for_import(database, [*shelves, low_before, high], MovementCause.SALE, 5)
    import_id = await move_for_import(database, [*shelves, high], MovementCause.SALE, 20)

    async def digest() -> int:
        async with unit_of_work(database) as work:
            return await tell_digest(work, import_id)

    # when
    counts = [await digest() for _ in range(2)]

    # then
    assert counts == [2, 0]
    assert [topic for topic, _ in await told(database)][1:] == [f"low-stock-import:{import_id}"]
    ((values,),) = await rows(database, 'SELECT "values" FROM notification ORDER BY id DESC LIMIT 1')
    assert (values["count"], values["import_number"]) == (2, import_id)
    assert values["examples"] == f"Ale ({shelves[0].store.name}), Bock ({shelves[1].store.name})"
    assert [item["on_hand"] for item in values["items"]] == [5, 5]


@pytest.mark.usefixtures("admins")
async def test_an_import_that_leaves_nothing_low_is_not_told_of(database: Database) -> None:
    shelf = await create_shelf(database, 30)
    import_id = await move_for_import(database, [shelf], MovementCause.SALE, 25)
    await shelf.add(30)

    async with unit_of_work(database) as work:
        assert await tell_digest(work, import_id) == 0

    assert await told(database) == []


@pytest.mark.usefixtures("admins")
@pytest.mark.parametrize("cause", [MovementCause.IMPORT_REVERT, MovementCause.RECEIPT_VOID])
async def test_an_import_that_is_taken_back_is_told_of_by_itself(database: Database, cause: MovementCause) -> None:
    shelf = await create_shelf(database, 30)
    import_id = await move_for_import(database, [shelf], cause, 25)

    async with unit_of_work(database) as work:
        loaded, reverted = (
            await tell_digest(work, import_id),
            await tell_digest(work, import_id, is_revert=True),
        )

    assert (loaded, reverted) == (0, 1)


@pytest.mark.usefixtures("admins")
async def test_a_changed_threshold_opens_and_resolves(database: Database) -> None:
    shelf, other = await create_shelf(database, 20), await create_shelf(database, 20)

    async def set_threshold(version: int, threshold: int | None) -> None:
        async with unit_of_work(database) as work:
            await update_product(work, shelf.product.id, version, {"lowStockThreshold": threshold}, ADMIN)

    await set_threshold(1, 20)
    assert await shelf.episodes() == [(20, 20, True)]
    await set_threshold(2, 19)
    assert await shelf.episodes() == [(20, 20, False)]
    await set_threshold(3, 25)
    await set_threshold(4, None)

    assert await shelf.episodes() == [(20, 20, False), (20, 25, False)]
    assert await other.episodes() == []
    assert len(await told(database)) == 2


@pytest.mark.usefixtures("admins")
async def test_an_archived_product_is_not_low_until_it_is_brought_back(database: Database) -> None:
    shelf = await create_shelf(database, 5)

    async with unit_of_work(database) as work:
        await archive_product(work, shelf.product.id, 1, ADMIN)
    archived = await shelf.episodes()
    await shelf.take(1)
    async with unit_of_work(database) as work:
        await update_product(work, shelf.product.id, 2, {"isActive": True}, ADMIN)

    assert archived == [(5, 10, False)]
    assert await shelf.episodes() == [(5, 10, False), (4, 10, True)]


@pytest.mark.usefixtures("admins")
async def test_the_companys_threshold_counts_for_products_without_their_own(database: Database) -> None:
    shelf, own = await create_shelf(database, 20), await create_shelf(database, 20, threshold=5)

    async with unit_of_work(database) as work:
        await update_settings(work, 1, {"lowStockThreshold": 50})
    opened = await shelf.episodes()
    async with unit_of_work(database) as work:
        await update_settings(work, 2, {"lowStockThreshold": 0})

    assert opened == [(20, 50, True)]
    assert await shelf.episodes() == [(20, 50, False)]
    assert await own.episodes() == []


@pytest.mark.usefixtures("admins")
async def test_many_levels_that_a_threshold_makes_low_are_one_notification(database: Database) -> None:
    async with database.transaction() as session:
        product = await create_product(session)
        stores = [await create_store(session) for _ in range(low_stock.MAX_SINGLE + 1)]
    async with unit_of_work(database) as work:
        receipts = [Receipt(store.id, product.id, 20, 600, TODAY) for store in stores]
        await posting.receive(work, receipts, MovementCause.RECEIPT)

    async with unit_of_work(database) as work:
        await update_product(work, product.id, 1, {"lowStockThreshold": 30}, ADMIN)

    ((topic, count),) = await told(database)
    assert count == 2
    assert topic.startswith("low-stock:")
    assert "-" in topic.removeprefix("low-stock")
    assert await mail_jobs(database) == 2


async def test_a_new_sku_with_a_threshold_never_meets_a_sale_in_a_circle(database: Database) -> None:
    """A sale holds the level and then looks at the product; so does a change that keeps sales from looking at it."""
    shelf = await create_shelf(database, 20)

    async def change() -> None:
        async with unit_of_work(database, Act("test", None)) as work:
            await update_product(work, shelf.product.id, 1, {"sku": "NEW", "lowStockThreshold": 100}, ADMIN)

    # given a sale that has begun
    async with unit_of_work(database) as sale:
        await posting.hold(sale, [(shelf.store.id, shelf.product.id)])
        # when
        changing = asyncio.create_task(change())
        await asyncio.sleep(0.3)
        # then it goes on, and the change comes after it
        demand = Demand(shelf.store.id, shelf.product.id, 2)
        await posting.take(sale, [demand], MovementCause.ADJUSTMENT, reason="test")
    await changing

    assert await shelf.episodes() == [(18, 100, True)]


async def break_episodes(database: Database, shelves: list[Shelf]) -> None:
    """Give every other level an episode that is not due, and take that of the others away."""
    for position, shelf in enumerate(shelves):
        if position % 2:
            await execute(database, "DELETE FROM low_stock_episode WHERE product_id = :key", key=shelf.product.id)
        else:
            await shelf.add(100)
            await execute(
                database,
                "INSERT INTO low_stock_episode (store_id, product_id, threshold, on_hand) VALUES (:s, :p, 10, 3)",
                s=shelf.store.id,
                p=shelf.product.id,
            )


@pytest.mark.usefixtures("admins")
async def test_the_sweep_puts_right_what_was_missed_and_nothing_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(low_stock_sweep, "PART", 2)
    shelves = [await create_shelf(database, 5) for _ in range(7)]
    healthy = await create_shelf(database, 5)
    await break_episodes(database, shelves)
    await execute(database, "DELETE FROM notification")

    # when
    counts = [await sweep_low_stock(database) for _ in range(2)]

    # then
    assert counts == [7, 0]
    for position, shelf in enumerate(shelves):
        is_open = [is_open for *_, is_open in await shelf.episodes()]
        assert is_open == ([True] if position % 2 else [False, False])
    assert await healthy.episodes() == [(5, 10, True)]
    assert [count for _, count in await told(database)] == [2, 2, 2]


@pytest.mark.usefixtures("admins")
async def test_sweeps_at_once_add_nothing_twice(database: Database) -> None:
    shelves = [await create_shelf(database, 5) for _ in range(6)]
    await break_episodes(database, shelves)
    await execute(database, "DELETE FROM notification")

    counts = await asyncio.gather(*(sweep_low_stock(database) for _ in range(4)))

    assert sum(counts) == 6
    assert [count for _, count in await told(database)] == [2, 2, 2]


@pytest.mark.usefixtures("admins")
async def test_the_sweep_may_run_while_people_sell(database: Database) -> None:
    shelves = [await create_shelf(database, 30) for _ in range(4)]

    async def sell() -> None:
        for _ in range(5):
            await asyncio.gather(*(shelf.take(5) for shelf in shelves))

    await asyncio.gather(sell(), *(sweep_low_stock(database) for _ in range(5)))

    assert [len(await shelf.episodes()) for shelf in shelves] == [1, 1, 1, 1]
    assert len(await told(database)) == 4


async def test_who_looks_after_it_first_is_kept(database: Database, admins: list[int]) -> None:
    shelf = await create_shelf(database, 5)
    ((key,),) = await rows(database, "SELECT id FROM low_stock_episode")
    first, second = (Viewer(user_id, Role.ADMIN, 1) for user_id in admins)

    async with unit_of_work(database) as work:
        (noted,) = await acknowledge(work, [key], first)
    async with unit_of_work(database) as work:
        (kept,) = await acknowledge(work, [key], second)
    await shelf.add(20)
    await shelf.take(18)

    assert noted.acknowledged_at is not None
    assert (kept.acknowledged_at, kept.acknowledged_by) == (noted.acknowledged_at, first.user_id)
    again = "SELECT acknowledged_at FROM low_stock_episode ORDER BY id DESC LIMIT 1"
    assert await rows(database, again) == [(None,)], "the next time is another one"


async def test_nothing_is_acknowledged_when_one_does_not_exist(database: Database) -> None:
    await create_shelf(database, 5)
    ((key,),) = await rows(database, "SELECT id FROM low_stock_episode")

    with pytest.raises(NotFound) as refusal:
        async with unit_of_work(database) as work:
            await acknowledge(work, [key, key + 1], ADMIN)

    assert refusal.value.path == ("ids", "1")
    assert await rows(database, "SELECT acknowledged_at FROM low_stock_episode") == [(None,)]


class Model:
    """Low stock as it is meant: a list of episodes, of which the last may be open."""

    def __init__(self) -> None:
        self.on_hand = 0
        self.threshold = 10
        self.is_active = True
        self.is_there = False
        self.episodes: list[bool] = []

    def judge(self) -> None:
        is_low = self.is_there and self.is_active and self.on_hand <= self.threshold
        is_open = bool(self.episodes) and self.episodes[-1]
        if is_low and not is_open:
            self.episodes.append(True)
        elif is_open and not is_low:
            self.episodes[-1] = False


STEP = st.one_of(
    st.tuples(st.just("move"), st.integers(-12, 12).filter(bool)),
    st.tuples(st.just("threshold"), st.integers(0, 15)),
    st.tuples(st.just("active"), st.booleans()),
    st.tuples(st.just("sweep"), st.just(0)),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=25))
async def test_episodes_are_those_of_a_simple_model(database: Database, steps: list[tuple[str, int]]) -> None:
    shelf, model = await create_shelf(database), Model()
    before = len(await told(database))
    for kind, value in steps:
        await apply_step(shelf, model, kind, value)
        model.judge()
        assert [is_open for *_, is_open in await shelf.episodes()] == model.episodes

    assert len(await told(database)) - before == len(model.episodes)
    assert await sweep_low_stock(database) == 0


async def apply_step(shelf: Shelf, model: Model, kind: str, value: int) -> None:
    """Do one thing on both sides."""
    match kind:
        case "move" if value > 0:
            await shelf.add(value)
            model.on_hand += value
            model.is_there = True
        case "move" if model.on_hand + value >= 0:
            await shelf.take(-value)
            model.on_hand += value
        case "threshold" | "active":
            column = "low_stock_threshold" if kind == "threshold" else "is_active"
            async with unit_of_work(shelf.database) as work:
                change = f"UPDATE product SET {column} = :value WHERE id = :key"  # noqa: S608 - one of two names
                await work.session.execute(text(change), {"value": value, "key": shelf.product.id})
                await reevaluate(work, shelf.product.id)
            model.threshold = value if kind == "threshold" else model.threshold
            model.is_active = bool(value) if kind == "active" else model.is_active
        case "sweep":
            await sweep_low_stock(shelf.database)
