import asyncio
import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.database.purchase import PurchaseRow, PurchaseStatus
from graphql_api.services.errors import BadInput, Conflict, NotFound, ServiceError
from graphql_api.services.purchase import received_costs, totals_by_purchase
from graphql_api.services.purchase_line import LineWish
from graphql_api.services.purchase_receipt import ReceiptWish, receive_purchase
from tests.days import TODAY, in_days
from tests.services.purchase_case import PurchaseCase, create_case

pytestmark = pytest.mark.usefixtures("steady_day")


@pytest.fixture
async def case(database: Database) -> PurchaseCase:
    return await create_case(database)


async def test_all_that_is_outstanding_comes_as_it_was_ordered(case: PurchaseCase) -> None:
    purchase = await case.order(LineWish(case.ale.id, 12), LineWish(case.gin.id, 6, Decimal("1.05"), in_days(30)))

    received = await case.receive(purchase)

    assert (received.status, received.version) == (PurchaseStatus.RECEIVED, 2)
    assert await case.lots() == [
        (case.ale.id, 12, 12, 600, TODAY, None),
        (case.gin.id, 6, 6, 105, TODAY, in_days(30)),
    ]
    assert await case.levels() == {case.ale.id: (12, 7_200), case.gin.id: (6, 630)}
    assert await case.rows("SELECT DISTINCT cause, actor_id, reason FROM stock_movement") == [("RECEIPT", None, None)]
    assert [line.received for line in await case.lines(purchase)] == [12, 6]


async def test_it_comes_in_parts_with_their_own_costs_and_expiries(case: PurchaseCase) -> None:
    # given
    purchase = await case.order(LineWish(case.ale.id, 10, None, in_days(30)))

    # when
    first = await case.receive(
        purchase,
        ReceiptWish(1, 3),
        ReceiptWish(1, 2, Decimal("6.50"), in_days(60), has_expiry=True),
        received_on=in_days(-2),
    )
    second = await case.receive(purchase, ReceiptWish(1, 4, expires_on=None, has_expiry=True))
    third = await case.receive(purchase)

    # then
    assert [first.status, second.status, third.status] == ["ORDERED", "ORDERED", "RECEIVED"]
    assert [first.version, second.version, third.version] == [2, 3, 4]
    assert await case.lots() == [
        (case.ale.id, 3, 3, 600, in_days(-2), in_days(30)),
        (case.ale.id, 2, 2, 650, in_days(-2), in_days(60)),
        (case.ale.id, 4, 4, 600, TODAY, None),
        (case.ale.id, 1, 1, 600, TODAY, in_days(30)),
    ]
    assert await case.levels() == {case.ale.id: (10, 6_100)}
    async with case.database.read() as session:
        (totals,) = await totals_by_purchase(session, [purchase.id])
        assert tuple(totals) == (10, 10, 6_000, 6_100, 1)
        assert await received_costs(session, [(await case.lines(purchase))[0].id]) == [6_100]


@pytest.mark.parametrize(
    ("receipts", "day", "kind", "path"),
    [
        ([], None, BadInput, ("lines",)),
        ([ReceiptWish(1, 1)] * 1_001, None, BadInput, ("lines",)),
        ([ReceiptWish(1, 13)], None, BadInput, ("lines", "0", "quantity")),
        ([ReceiptWish(1, 0)], None, BadInput, ("lines", "0", "quantity")),
        ([ReceiptWish(1, -1)], None, BadInput, ("lines", "0", "quantity")),
        ([ReceiptWish(1, 7), ReceiptWish(2, 1), ReceiptWish(1, 6)], None, BadInput, ("lines", "2", "quantity")),
        ([ReceiptWish(1, 1), ReceiptWish(3, 1)], None, NotFound, ("lines", "1", "lineNumber")),
        ([ReceiptWish(1, 1, Decimal("0.001"))], None, BadInput, ("lines", "0", "unitCost")),
        ([ReceiptWish(1, 1, Decimal(-1))], None, BadInput, ("lines", "0", "unitCost")),
        ([ReceiptWish(1, 12, Decimal(10**12))], None, BadInput, ("lines", "0", "unitCost")),
        ([ReceiptWish(1, 1, None, in_days(-1), has_expiry=True)], None, BadInput, ("lines", "0", "expiresOn")),
        ([ReceiptWish(1, 1)], in_days(2), BadInput, ("receivedOn",)),
        ([ReceiptWish(1, 1)], dt.date(1899, 12, 31), BadInput, ("receivedOn",)),
    ],
)
async def test_a_receipt_that_cannot_be_is_refused_as_a_whole(
    case: PurchaseCase, receipts: list[ReceiptWish], day: Any, kind: type[ServiceError], path: tuple[str, ...]
) -> None:
    # given
    purchase = await case.order(LineWish(case.ale.id, 12), LineWish(case.gin.id, 1))
    before = await case.contents()

    # when
    with pytest.raises(kind) as refused:
        await case.act(lambda work: receive_purchase(work, purchase.id, 1, receipts, day))

    # then
    assert refused.value.path == path
    assert await case.contents() == before


async def test_what_has_expired_on_the_way_is_not_received_unseen(case: PurchaseCase) -> None:
    # given
    purchase = await case.order(LineWish(case.ale.id, 12, None, in_days(-3)), date=in_days(-9))

    # when
    with pytest.raises(BadInput) as refused:
        await case.receive(purchase)
    on_time = await case.receive(purchase, ReceiptWish(1, 5), received_on=in_days(-4))
    fresher = await case.receive(purchase, ReceiptWish(1, 7, None, in_days(9), has_expiry=True))

    # then
    assert refused.value.path == ("lines",)
    assert "Line 1" in refused.value.message
    assert (on_time.status, fresher.status) == (PurchaseStatus.ORDERED, PurchaseStatus.RECEIVED)


async def test_nothing_more_comes_of_what_is_received_or_void(case: PurchaseCase) -> None:
    received, void = await case.order(), await case.order()
    await case.receive(received)
    await case.void(void)

    for purchase, word in ((received, "received"), (void, "void")):
        with pytest.raises(Conflict) as refused:
            await case.receive(purchase)
        assert refused.value.path == ("id",)
        assert word in refused.value.message


async def test_an_archived_product_still_comes_but_nothing_comes_to_an_archived_store(case: PurchaseCase) -> None:
    # given
    first, second = await case.order(), await case.order()
    async with case.database.transaction() as session:
        (await session.merge(case.ale)).is_active = False

    # when
    await case.receive(first)
    async with case.database.transaction() as session:
        (await session.merge(case.store)).is_active = False
    with pytest.raises(Conflict) as refused:
        await case.receive(second)

    # then
    assert refused.value.path == ("id",)
    assert (await case.levels())[case.ale.id] == (12, 7_200)


async def test_parallel_receipts_of_one_version_receive_once(case: PurchaseCase) -> None:
    purchase = await case.order(LineWish(case.ale.id, 12), LineWish(case.gin.id, 6))

    answers = await asyncio.gather(*(case.receive(purchase, version=1) for _ in range(8)), return_exceptions=True)

    lost = [answer for answer in answers if not isinstance(answer, PurchaseRow)]
    assert [(type(answer), answer.path) for answer in lost if isinstance(answer, ServiceError)] == [
        (Conflict, ("expectedVersion",))
    ] * 7
    assert await case.levels() == {case.ale.id: (12, 7_200), case.gin.id: (6, 3_600)}
    assert len(await case.lots()) == 2


async def test_purchases_of_the_same_products_are_received_at_the_same_time(case: PurchaseCase) -> None:
    forth = [LineWish(case.ale.id, 1), LineWish(case.gin.id, 1)]
    purchases = [await case.order(*(forth if number % 2 else forth[::-1])) for number in range(8)]

    await asyncio.gather(*(case.receive(purchase) for purchase in purchases))

    assert await case.levels() == {case.ale.id: (8, 4_800), case.gin.id: (8, 4_800)}


Parts = list[tuple[int, int]]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[tuple[int, int, int | None]], list[Parts]]:
    """Lines (product, quantity, days until expiry) and any way to receive all of them."""
    expiries = st.none() | st.integers(0, 3)
    lines = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9), expiries), min_size=1, max_size=4))
    parts: Parts = []
    for number, (_, quantity, _) in enumerate(lines, start=1):
        while quantity:
            size = draw(st.integers(1, quantity))
            parts.append((number, size))
            quantity -= size  # noqa: PLW2901 - what is left of the line
    parts = draw(st.permutations(parts))
    cuts = sorted(draw(st.sets(st.integers(1, len(parts)), max_size=3)) | {len(parts)})
    return lines, [parts[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


async def _received(case: PurchaseCase, lines: list[Any], receipts: list[Parts] | None) -> dict[str, Any]:
    """What the books say of a new purchase, received in these parts or as a whole."""
    products = (case.ale, case.gin)
    wishes = [
        LineWish(products[product].id, quantity, Decimal(number), None if days is None else in_days(days))
        for number, (product, quantity, days) in enumerate(lines, start=1)
    ]
    purchase, before = await case.order(*wishes), await case.levels()
    for parts in receipts or [[]]:
        purchase = await case.receive(purchase, *(ReceiptWish(number, size) for number, size in parts))
    lots = await case.rows(
        "SELECT l.product_id, p.line_number, l.unit_cost, l.expires_on, l.received FROM stock_lot l "  # noqa: S608 - a number
        f"JOIN purchase_line p ON p.id = l.purchase_line_id WHERE p.purchase_id = {purchase.id}"
    )
    sums: Counter[tuple[Any, ...]] = Counter()
    for *kind, quantity in lots:
        sums[tuple(kind)] += quantity
    after = await case.levels()
    gained = {
        key: (after[key][0] - before.get(key, (0, 0))[0], after[key][1] - before.get(key, (0, 0))[1]) for key in after
    }
    received = [line.received for line in await case.lines(purchase)]
    return {"status": purchase.status, "lots": sums, "gained": gained, "received": received}


async def test_partial_receipts_in_any_order_come_to_the_whole(database: Database) -> None:
    case = await create_case(database)
    loop = asyncio.get_running_loop()

    @settings(max_examples=40, deadline=None)
    @given(deliveries())
    def comes_to_the_whole(delivery: tuple[list[Any], list[Parts]]) -> None:
        lines, receipts = delivery

        async def compare() -> None:
            in_parts, whole = await _received(case, lines, receipts), await _received(case, lines, None)
            assert {key: gain for key, gain in in_parts["gained"].items() if gain != (0, 0)} == {
                key: gain for key, gain in whole["gained"].items() if gain != (0, 0)
            }
            assert {**in_parts, "gained": None} == {**whole, "gained": None}
            assert whole["status"] is PurchaseStatus.RECEIVED

        asyncio.run_coroutine_threadsafe(compare(), loop).result()

    await asyncio.to_thread(comes_to_the_whole)
