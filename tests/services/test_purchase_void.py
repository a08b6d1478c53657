import asyncio
from decimal import Decimal

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseRow, PurchaseStatus
from graphql_api.database.stock import MovementCause
from graphql_api.ledger.entries import Demand, Return
from graphql_api.services import posting
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.purchase import totals_by_purchase
from graphql_api.services.purchase_line import LineWish
from graphql_api.services.purchase_receipt import ReceiptWish
from graphql_api.services.purchase_void import PurchaseInUse, void_purchase
from tests.factories import Line, create_invoice, create_store
from tests.services.purchase_case import PurchaseCase, create_case


@pytest.fixture
async def case(database: Database) -> PurchaseCase:
    return await create_case(database)


async def sold(case: PurchaseCase, product: ProductRow, quantity: int) -> InvoiceRow:
    """An invoice that has taken bottles."""
    async with case.database.transaction() as session:
        invoice = await create_invoice(session, Line(product, quantity), store=case.store)
    await case.take(product, quantity, invoice.id)
    return invoice


async def given_back(case: PurchaseCase, invoice: InvoiceRow, product: ProductRow, quantity: int) -> None:
    back = Return(case.store.id, product.id, invoice.id, 1, quantity, invoice.id)
    await case.act(lambda work: posting.give_back(work, [back], MovementCause.SALE_LOWERED))


async def blocked(case: PurchaseCase, purchase: PurchaseRow) -> PurchaseInUse:
    """Why it cannot be voided; nothing has changed by trying."""
    before = await case.contents()
    with pytest.raises(PurchaseInUse) as refused:
        await case.void(purchase)
    assert await case.contents() == before
    assert refused.value.path == ("id",)
    return refused.value


async def test_an_order_of_which_nothing_has_come_is_void_at_once(case: PurchaseCase) -> None:
    purchase = await case.order()

    void = await case.void(purchase, " never\u00a0needed ")

    assert (void.status, void.void_reason, void.version) == (PurchaseStatus.VOID, "never needed", 2)
    assert await case.rows("SELECT count(*) FROM stock_movement") == [(0,)]


async def test_what_has_come_leaves_its_own_lots(case: PurchaseCase) -> None:
    # given
    older = await case.order(LineWish(case.ale.id, 5, Decimal("1.00")))
    await case.receive(older)
    purchase = await case.order(LineWish(case.ale.id, 12, Decimal("9.00")), LineWish(case.gin.id, 6))
    await case.receive(purchase, ReceiptWish(1, 4), ReceiptWish(2, 6))
    await case.receive(purchase, ReceiptWish(1, 3, Decimal("8.00")))

    # when
    void = await case.void(purchase)

    # then
    assert void.status is PurchaseStatus.VOID
    assert await case.levels() == {case.ale.id: (5, 500), case.gin.id: (0, 0)}
    assert [remaining for _, _, remaining, *_ in await case.lots()] == [5, 0, 0, 0]
    assert sorted(
        await case.rows("SELECT quantity, cost, reason FROM stock_movement WHERE cause = 'RECEIPT_VOID'")
    ) == [
        (-6, -3_600, "wrong bottles"),
        (-4, -3_600, "wrong bottles"),
        (-3, -2_400, "wrong bottles"),
    ]
    assert [line.received for line in await case.lines(purchase)] == [0, 0]
    async with case.database.read() as session:
        (totals,) = await totals_by_purchase(session, [purchase.id])
    assert (totals.received, totals.received_cost) == (0, 0)


async def test_what_is_sold_in_part_blocks_and_is_named(case: PurchaseCase) -> None:
    # given
    purchase = await case.order(LineWish(case.ale.id, 10), LineWish(case.gin.id, 6), LineWish(case.gin.id, 4))
    await case.receive(purchase)
    first, second = await sold(case, case.ale, 3), await sold(case, case.ale, 2)
    await given_back(case, second, case.ale, 1)
    await case.take(case.gin, 7)

    # when
    refusal = await blocked(case, purchase)

    # then
    ale, gin, rest = refusal.blockers
    assert [(b.line_number, b.product_id, b.received, b.remaining, b.gone) for b in (ale, gin, rest)] == [
        (1, case.ale.id, 10, 6, 4),
        (2, case.gin.id, 6, 0, 6),
        (3, case.gin.id, 4, 3, 1),
    ]
    assert [(use.invoice_id, use.quantity, use.cause) for use in ale.used_by] == [
        (second.id, 1, MovementCause.SALE),
        (first.id, 3, MovementCause.SALE),
    ]
    assert [(use.invoice_id, use.quantity, use.cause) for use in (*gin.used_by, *rest.used_by)] == [
        (None, 6, MovementCause.ADJUSTMENT),
        (None, 1, MovementCause.ADJUSTMENT),
    ]
    assert "11 bottles" in refusal.message


async def test_what_was_given_back_blocks_no_more(case: PurchaseCase) -> None:
    purchase = await case.order()
    await case.receive(purchase)
    invoice = await sold(case, case.ale, 5)
    await blocked(case, purchase)

    await given_back(case, invoice, case.ale, 5)
    void = await case.void(purchase)

    assert void.status is PurchaseStatus.VOID
    assert await case.levels() == {case.ale.id: (0, 0)}


async def test_bottles_of_other_lots_do_not_stand_in_for_those_that_are_gone(case: PurchaseCase) -> None:
    purchase, later = await case.order(), await case.order(LineWish(case.ale.id, 99))
    await case.receive(purchase)
    await case.receive(later)
    await case.take(case.ale, 1)

    (blocker,) = (await blocked(case, purchase)).blockers

    assert (blocker.received, blocker.remaining) == (12, 11)


async def test_a_transfer_blocks_and_is_named(case: PurchaseCase) -> None:
    purchase = await case.order()
    await case.receive(purchase)
    async with case.database.transaction() as session:
        other = await create_store(session)
    demand = Demand(case.store.id, case.ale.id, 2)
    await case.act(lambda work: posting.transfer(work, [demand], other.id))

    ((use,),) = [blocker.used_by for blocker in (await blocked(case, purchase)).blockers]

    assert (use.quantity, use.cause, use.invoice_id) == (2, MovementCause.TRANSFER_OUT, None)


async def test_of_many_sales_the_latest_twenty_are_named(case: PurchaseCase) -> None:
    purchase = await case.order(LineWish(case.ale.id, 30))
    await case.receive(purchase)
    invoices = [await sold(case, case.ale, 1) for _ in range(23)]

    (blocker,) = (await blocked(case, purchase)).blockers

    assert blocker.gone == 23
    assert [use.invoice_id for use in blocker.used_by] == [invoice.id for invoice in invoices[:2:-1]]


async def test_a_sale_and_a_void_at_the_same_time_leave_the_books_balanced(case: PurchaseCase) -> None:
    for _ in range(5):
        purchase = await case.order()
        await case.receive(purchase)

        answers = await asyncio.gather(case.void(purchase), sold(case, case.ale, 5), return_exceptions=True)

        failed = [answer for answer in answers if isinstance(answer, Exception)]
        assert [type(answer).__name__ for answer in failed] in (["PurchaseInUse"], ["InsufficientStock"])
        if isinstance(failed[0], PurchaseInUse):
            await case.take(case.ale, 7)
        assert await case.levels() == {case.ale.id: (0, 0)}


async def test_a_purchase_is_voided_once_and_for_a_reason(case: PurchaseCase) -> None:
    purchase = await case.order()
    with pytest.raises(BadInput) as refused:
        await case.void(purchase, " ")
    assert refused.value.path == ("reason",)

    answers = await asyncio.gather(
        *(case.act(lambda work: void_purchase(work, purchase.id, 1, "x")) for _ in range(4)), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict"] * 3 + ["PurchaseRow"]
    with pytest.raises(Conflict, match="void already"):
        await case.void(purchase)
