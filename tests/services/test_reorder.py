import asyncio
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseRow, PurchaseStatus
from graphql_api.database.settings import SettingsRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import Role
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.paging import PageRequest
from graphql_api.services.policy import Viewer
from graphql_api.services.reorder import ReorderReason, Suggestion, count_suggestions, reorder_suggestions
from graphql_api.services.reorder_level import ReorderQuestion
from graphql_api.services.reorder_purchase import ReorderWish, order_suggested
from graphql_api.services.unit_of_work import unit_of_work
from tests.days import TODAY, in_days
from tests.factories import (
    Line,
    OrderLine,
    create_draft,
    create_invoice,
    create_product,
    create_purchase,
    create_stock,
    create_store,
    create_user,
    create_vendor,
)

pytestmark = pytest.mark.usefixtures("steady_day")


async def suggestions(database: Database, request: PageRequest | None = None, **question: Any) -> list[Suggestion]:
    async with database.read() as session:
        page = await reorder_suggestions(session, ReorderQuestion(**question), request or PageRequest())
    return list(page.rows)


async def only_one(database: Database, **question: Any) -> Suggestion:
    (found,) = await suggestions(database, **question)
    return found


async def create_level(  # noqa: PLR0913 - what a level is made of
    database: Database,
    *,
    on_hand: int = 0,
    sold: int = 0,
    threshold: int | None = None,
    pack: int | None = None,
    days_ago: int = 0,
    **product: Any,
) -> tuple[StoreRow, ProductRow]:
    """A product of a new store, of which so much is there and was sold (elsewhere counted, moving no stock)."""
    async with database.transaction() as session:
        store, row = await create_store(session), await create_product(session, **product)
        row.low_stock_threshold, row.pack = threshold, pack
        if on_hand:
            await create_stock(session, store, row, on_hand)
        else:
            await create_empty_level(session, store, row)
        if sold:
            await create_invoice(session, Line(row, sold), store=store, date=in_days(-days_ago))
    return store, row


async def create_empty_level(session: Any, store: StoreRow, product: ProductRow) -> None:
    connection = await (await session.connection()).get_raw_connection()
    await session.flush()
    await connection.driver_connection.execute(
        "INSERT INTO stock_level (store_id, product_id) VALUES ($1, $2)", store.id, product.id
    )


async def test_what_is_low_is_ordered_up_to_cover_and_threshold(database: Database) -> None:
    store, product = await create_level(database, on_hand=8, sold=56, threshold=10)

    found = await only_one(database)

    assert (found.store_id, found.product_id, found.on_hand, found.sold) == (store.id, product.id, 8, 56)
    assert (found.velocity, found.days_of_cover) == (Decimal("2.000"), Decimal("4.0"))
    assert (found.reason, found.threshold) == (ReorderReason.BELOW_THRESHOLD, 10)
    # two a day for 14 days, and one more than the threshold, less the 8 that are here
    assert found.suggested == 28 + 11 - 8
    assert str(found.explanation) == "8 bottles are here or on order; 10 or fewer are low."


async def test_what_does_not_last_is_ordered_before_it_is_low(database: Database) -> None:
    await create_level(database, on_hand=27, sold=56, threshold=5)

    found = await only_one(database)

    assert (found.reason, found.days_of_cover) == (ReorderReason.COVER_RUNS_OUT, Decimal("13.5"))
    assert found.suggested == 28 + 6 - 27
    assert str(found.explanation) == "27 bottles are here or on order. At 2 a day they do not last 14 days."


async def test_what_lasts_is_not_ordered(database: Database) -> None:
    await create_level(database, on_hand=28, sold=56, threshold=5)
    await create_level(database, on_hand=6, threshold=5)

    assert await suggestions(database) == []
    assert [found.suggested for found in await suggestions(database, cover_days=15)] == [30 + 6 - 28]


async def test_whole_packs_are_ordered_where_the_pack_is_known(database: Database) -> None:
    await create_level(database, on_hand=8, sold=56, threshold=10, pack=12)

    assert (await only_one(database)).suggested == 36


async def test_the_threshold_is_the_companys_unless_the_product_has_its_own(database: Database) -> None:
    await create_level(database, on_hand=10)
    await create_level(database, on_hand=10, threshold=0)

    found = await only_one(database)

    assert (found.threshold, found.suggested, found.days_of_cover) == (10, 1, None)
    assert found.velocity == 0


async def test_what_is_on_order_is_not_ordered_again(database: Database) -> None:
    # given
    store, product = await create_level(database, on_hand=8, sold=56, threshold=10)
    async with database.transaction() as session:
        line = OrderLine(product, 20)
        purchase = await create_purchase(session, line, line, store=store)
        await create_purchase(session, OrderLine(product, 500), store=store, status=PurchaseStatus.VOID)
        await create_purchase(session, OrderLine(product, 500))
        await session.flush()

    # when
    async with database.transaction() as session:
        (await session.merge(purchase)).status = PurchaseStatus.VOID
    without = await only_one(database)
    async with database.transaction() as session:
        (await session.merge(purchase)).status = PurchaseStatus.ORDERED

    # then
    assert (without.on_order, without.suggested) == (0, 31)
    assert await suggestions(database) == []
    (more,) = await suggestions(database, cover_days=28)
    assert (more.on_order, more.suggested) == (40, 56 + 11 - 48)


async def test_sales_count_net_of_returns_within_the_days_looked_back_on(database: Database) -> None:
    # given
    store, product = await create_level(database, on_hand=1, threshold=0)
    async with database.transaction() as session:
        for days_ago, quantity in ((0, 10), (6, 20), (7, 400), (-1, 400), (3, -2)):
            await create_invoice(session, Line(product, quantity), store=store, date=in_days(-days_ago))
        await create_invoice(session, Line(product, 400), store=store, date=TODAY, status=InvoiceStatus.VOID)
        await create_draft(session, Line(product, 400), store=store, date=TODAY)
        await create_invoice(session, Line(product, 400), date=TODAY)

    # when
    found = await only_one(database, lookback_days=7, cover_days=7)

    # then
    assert (found.sold, found.velocity, found.suggested) == (28, Decimal("4.000"), 28 + 1 - 1)


async def test_more_returns_than_sales_are_no_sales(database: Database) -> None:
    await create_level(database, on_hand=1, sold=-5, threshold=3)

    found = await only_one(database)

    assert (found.sold, found.days_of_cover, found.suggested) == (0, None, 3)


async def test_expired_bottles_cover_nothing_unless_they_may_be_sold(database: Database) -> None:
    # given
    store, product = await create_level(database, on_hand=5, sold=28, threshold=0)
    async with database.transaction() as session:
        await create_stock(session, store, product, 30, expires_on=in_days(-1))
        await create_stock(session, store, product, 2, expires_on=TODAY)

    # when
    found = await only_one(database)
    async with database.transaction() as session:
        row = await session.get(SettingsRow, 1)
        assert row is not None
        row.sells_expired = True

    # then
    assert (found.on_hand, found.expired, found.position, found.suggested) == (37, 30, 7, 14 + 1 - 7)
    assert found.days_of_cover == Decimal("7.0")
    assert await suggestions(database) == []


async def test_what_is_archived_or_never_was_there_is_not_suggested(database: Database) -> None:
    await create_level(database, is_active=False)
    closed, _ = await create_level(database)
    async with database.transaction() as session:
        (await session.merge(closed)).is_active = False
        await create_invoice(session, Line(await create_product(session), 50), date=TODAY)

    assert await suggestions(database) == []


async def test_what_runs_out_first_comes_first_on_all_pages(database: Database) -> None:
    # given
    for on_hand, sold in ((4, 28), (0, 0), (9, 14), (0, 3), (4, 28)):
        await create_level(database, on_hand=on_hand, sold=sold)

    # when
    everything = await suggestions(database)
    paged: list[Suggestion] = []
    after = None
    async with database.read() as session:
        for _ in range(3):
            page = await reorder_suggestions(session, ReorderQuestion(), PageRequest(first=2, after=after))
            paged += page.rows
            after = page.cursors[-1]
        count = await count_suggestions(session, ReorderQuestion())

    # then
    assert [found.days_of_cover for found in everything] == [0, 4, 4, 18, None]
    assert [found.store_id for found in everything[1:3]] == sorted(found.store_id for found in everything[1:3])
    assert (paged, count, page.has_next) == (everything, 5, False)


async def test_a_cursor_of_other_days_is_refused(database: Database) -> None:
    await create_level(database)
    async with database.read() as session:
        page = await reorder_suggestions(session, ReorderQuestion(), PageRequest())

        with pytest.raises(BadInput) as refused:
            await reorder_suggestions(session, ReorderQuestion(cover_days=7), PageRequest(after=page.cursors[0]))

    assert refused.value.path == ("after",)


@pytest.mark.parametrize(("name", "path"), [("lookback_days", "lookbackDays"), ("cover_days", "coverDays")])
@pytest.mark.parametrize("days", [0, -1, 367])
async def test_impossible_days_are_refused(database: Database, name: str, path: str, days: int) -> None:
    question: dict[str, Any] = {name: days}

    with pytest.raises(BadInput) as refused:
        await suggestions(database, **question)

    assert refused.value.path == (path,)


async def test_suggestions_are_filtered_by_store_product_and_vendor(database: Database) -> None:
    # given
    async with database.transaction() as session:
        vendor = await create_vendor(session, name="BREWER", number=7)
    store, product = await create_level(database, vendor=vendor)
    await create_level(database)
    filters: list[dict[str, Any]] = [
        {"store": {"number": {"eq": store.number}}},
        {"product": {"sku": {"eq": product.sku}}},
        {"vendor": {"number": {"eq": 7}}},
        {"and": [{"vendor": {"name": {"startsWith": "brew"}}}, {"not": {"store": {"number": {"eq": 1}}}}]},
    ]

    # when
    found = [await suggestions(database, where=where) for where in filters]

    # then
    assert [[row.product_id for row in rows] for rows in found] == [[product.id]] * 4
    with pytest.raises(BadInput) as refused:
        await suggestions(database, where={"vendor": {"nothing": {}}})
    assert refused.value.path[:2] == ("where", "vendor")


@dataclass(frozen=True)
class Shop:
    """A store whose vendor supplies one product that sells two bottles a day."""

    database: Database
    viewer: Viewer
    store: StoreRow
    product: ProductRow
    vendor_id: int

    async def order(self, **wish: Any) -> PurchaseRow:
        wanted = ReorderWish(**{"store_id": self.store.id, "vendor_id": self.vendor_id, **wish})
        async with unit_of_work(self.database) as work:
            return await order_suggested(work, wanted, self.viewer)

    async def lines(self) -> list[tuple[Any, ...]]:
        async with self.database.read() as session:
            connection = await session.connection()
            statement = "SELECT product_id, quantity, unit_cost FROM purchase_line ORDER BY id"
            return [tuple(row) for row in await connection.exec_driver_sql(statement)]


@pytest.fixture
async def shop(database: Database) -> Shop:
    async with database.transaction() as session:
        vendor = await create_vendor(session)
        user = await create_user(session)
    store, product = await create_level(database, on_hand=8, sold=56, threshold=10, pack=12, vendor=vendor)
    return Shop(database, Viewer(user.id, Role.ADMIN, 1), store, product, vendor.id)


async def test_what_is_suggested_becomes_an_order(shop: Shop) -> None:
    await create_level(shop.database)  # of another store, and of no vendor

    purchase = await shop.order(note="weekly", date=in_days(1))

    assert (purchase.store_id, purchase.vendor_id, purchase.status) == (shop.store.id, shop.vendor_id, "ORDERED")
    assert (purchase.note, purchase.date, purchase.number) == ("weekly", in_days(1), f"{shop.store.number}-P000001")
    assert await shop.lines() == [(shop.product.id, 36, 600)]
    assert await suggestions(shop.database, where={"vendor": {"id": {"eq": shop.vendor_id}}}) == []


async def test_parallel_orders_of_the_same_suggestions_order_once(shop: Shop) -> None:
    answers = await asyncio.gather(*(shop.order() for _ in range(6)), return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict"] * 5 + ["PurchaseRow"]
    assert await shop.lines() == [(shop.product.id, 36, 600)]


async def test_the_days_decide_how_much_is_ordered(shop: Shop) -> None:
    await shop.order(cover_days=1, lookback_days=56)

    # one a day: 1 + 11 - 8 is 4, a pack has 12
    assert await shop.lines() == [(shop.product.id, 12, 600)]


async def test_what_has_no_cost_is_named_before_anything_is_ordered(shop: Shop) -> None:
    async with shop.database.transaction() as session:
        (await session.merge(shop.product)).unit_cost = None

    with pytest.raises(BadInput) as refused:
        await shop.order()

    assert shop.product.sku in refused.value.message
    assert await shop.lines() == []


async def test_there_must_be_a_store_a_vendor_and_something_to_order(shop: Shop) -> None:
    async with shop.database.transaction() as session:
        other = await create_vendor(session)

    refusals = []
    for wish in ({"store_id": 10**15}, {"vendor_id": 10**15}, {"vendor_id": other.id}, {"cover_days": 0}):
        with pytest.raises((NotFound, Conflict, BadInput)) as refused:
            await shop.order(**wish)
        refusals.append((type(refused.value), refused.value.path))

    assert refusals == [
        (NotFound, ("storeId",)),
        (NotFound, ("vendorId",)),
        (Conflict, ("vendorId",)),
        (BadInput, ("coverDays",)),
    ]


LEVELS = st.fixed_dictionaries(
    {
        "on_hand": st.integers(0, 60),
        "sold": st.integers(-5, 200),
        "threshold": st.integers(0, 30),
        "pack": st.none() | st.integers(1, 24),
    }
)


async def test_no_more_is_suggested_than_is_needed_and_no_less(database: Database) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=30, deadline=None)
    @given(LEVELS, st.integers(1, 40), st.integers(1, 40))
    def is_what_is_needed(level: dict[str, Any], lookback: int, cover: int) -> None:
        async def check() -> None:
            store, _ = await create_level(database, **level)
            where = {"store": {"id": {"eq": store.id}}}
            found = await suggestions(database, where=where, lookback_days=lookback, cover_days=cover)
            check_suggestion(level, found, lookback, cover)

        asyncio.run_coroutine_threadsafe(check(), loop).result()

    await asyncio.to_thread(is_what_is_needed)


def check_suggestion(level: dict[str, Any], found: list[Suggestion], lookback: int, cover: int) -> None:
    """The rule again, in fractions."""
    demand = Fraction(max(level["sold"], 0) * cover, lookback)
    is_due = level["on_hand"] <= level["threshold"] or level["on_hand"] < demand
    assert len(found) == is_due
    for suggestion in found:
        after = level["on_hand"] + suggestion.suggested
        enough = ceil(demand) + level["threshold"] + 1
        pack = level["pack"] or 1
        assert after >= enough > after - pack
        assert suggestion.suggested % pack == 0
