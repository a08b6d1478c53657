import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.purchase import PurchaseRow, PurchaseStatus
from graphql_api.services.errors import BadInput, Conflict, NotFound, ServiceError
from graphql_api.services.purchase_change import PurchaseWish, create_purchase, update_purchase
from graphql_api.services.purchase_line import MAX_LINES, LineWish
from tests.days import TODAY, in_days
from tests.factories import create_import, create_product, create_store, create_vendor
from tests.services.purchase_case import PurchaseCase, create_case
from tests.waiting import until_held_up

pytestmark = pytest.mark.usefixtures("steady_day")


@pytest.fixture
async def case(database: Database) -> PurchaseCase:
    return await create_case(database)


async def change(case: PurchaseCase, purchase: PurchaseRow, version: int = 1, **patch: Any) -> PurchaseRow:
    return await case.act(lambda work: update_purchase(work, purchase.id, version, patch))


async def refusal_of(case: PurchaseCase, wish: PurchaseWish) -> tuple[type[ServiceError], tuple[str, ...]]:
    with pytest.raises(ServiceError) as refused:
        await case.act(lambda work: create_purchase(work, wish, case.viewer))
    return type(refused.value), refused.value.path


async def test_a_purchase_takes_the_next_number_of_its_store_and_moves_no_stock(case: PurchaseCase) -> None:
    first = await case.order(LineWish(case.ale.id, 12), LineWish(case.gin.id, 6, Decimal("1.05"), in_days(30)))
    second = await case.order()

    assert first.number == f"{case.store.number}-P000001"
    assert second.number == f"{case.store.number}-P000002"
    assert (first.status, first.date, first.created_by) == (PurchaseStatus.ORDERED, TODAY, case.viewer.user_id)
    assert [
        (line.line_number, line.product_id, line.quantity, line.received, line.unit_cost, line.expires_on)
        for line in await case.lines(first)
    ] == [(1, case.ale.id, 12, 0, 600, None), (2, case.gin.id, 6, 0, 105, in_days(30))]
    assert await case.levels() == {}


async def test_a_product_may_stand_on_several_lines(case: PurchaseCase) -> None:
    lines = [
        LineWish(case.ale.id, 6, Decimal("5.00"), in_days(10)),
        LineWish(case.ale.id, 6, Decimal("5.50"), in_days(99)),
    ]

    purchase = await case.order(*lines)

    assert [(line.unit_cost, line.expires_on) for line in await case.lines(purchase)] == [
        (500, in_days(10)),
        (550, in_days(99)),
    ]


async def test_numbers_of_parallel_orders_have_no_holes_though_some_fail(case: PurchaseCase) -> None:
    wishes = [case.order(LineWish(case.ale.id, 1 if number % 3 else 0)) for number in range(15)]

    results = await asyncio.gather(*wishes, return_exceptions=True)

    made = sorted(result.number for result in results if isinstance(result, PurchaseRow))
    assert [type(result) for result in results if not isinstance(result, PurchaseRow)] == [BadInput] * 5
    assert made == [f"{case.store.number}-P{number:06}" for number in range(1, 11)]


async def test_a_number_that_an_import_brings_along_at_the_same_moment_is_a_conflict(case: PurchaseCase) -> None:
    # given an import that has written a purchase with the next number of the store, and has not committed yet
    bring = text(
        "INSERT INTO purchase (number, store_id, supplier_name, date, status) "
        "VALUES (:number, :store, 'File', '2024-03-15', 'ORDERED')"
    )
    async with case.database.transaction() as session:
        await session.execute(bring, {"number": f"{case.store.number}-P000001", "store": case.store.id})
        # when
        ordering = asyncio.create_task(case.order())
        await until_held_up(case.database)

    # then
    with pytest.raises(Conflict):
        await ordering
    assert (await case.order()).number == f"{case.store.number}-P000002"


async def test_what_cannot_be_ordered_is_refused_with_its_path(case: PurchaseCase, database: Database) -> None:
    # given
    async with database.transaction() as session:
        archived = await create_product(session, is_active=False)
        costless = await create_product(session, unit_cost=None)
        closed = await create_store(session, is_active=False)
        retired = await create_vendor(session)
        retired.is_active = False
    good = LineWish(case.ale.id, 1)
    wishes: list[tuple[dict[str, Any], type[ServiceError], tuple[str, ...]]] = [
        ({"store_id": closed.id}, Conflict, ("storeId",)),
        ({"store_id": 10**15}, NotFound, ("storeId",)),
        ({"vendor_id": retired.id, "supplier_name": None}, Conflict, ("vendorId",)),
        ({"vendor_id": 10**15, "supplier_name": None}, NotFound, ("vendorId",)),
        ({"vendor_id": retired.id}, BadInput, ("supplierName",)),
        ({"supplier_name": None}, BadInput, ()),
        ({"supplier_name": "  "}, BadInput, ("supplierName",)),
        ({"supplier_name": "x" * 201}, BadInput, ("supplierName",)),
        ({"note": "x" * 2_001}, BadInput, ("note",)),
        ({"date": in_days(400)}, BadInput, ("date",)),
        ({"date": TODAY.replace(year=1899, day=1)}, BadInput, ("date",)),
        ({"lines": []}, BadInput, ("lines",)),
        ({"lines": [good] * (MAX_LINES + 1)}, BadInput, ("lines",)),
        ({"lines": [good, LineWish(archived.id, 1)]}, Conflict, ("lines", "1", "productId")),
        ({"lines": [good, LineWish(10**15, 1)]}, NotFound, ("lines", "1", "productId")),
        ({"lines": [LineWish(costless.id, 1)]}, BadInput, ("lines", "0", "unitCost")),
        ({"lines": [LineWish(case.ale.id, 1, Decimal("0.001"))]}, BadInput, ("lines", "0", "unitCost")),
        ({"lines": [LineWish(case.ale.id, 1, Decimal(-1))]}, BadInput, ("lines", "0", "unitCost")),
        ({"lines": [LineWish(case.ale.id, 0)]}, BadInput, ("lines", "0", "quantity")),
        ({"lines": [LineWish(case.ale.id, 1_000_001)]}, BadInput, ("lines", "0", "quantity")),
        ({"lines": [LineWish(case.ale.id, 10**6, Decimal(10**12))]}, BadInput, ("lines",)),
        ({"lines": [LineWish(case.ale.id, 1, None, in_days(-1))]}, BadInput, ("lines", "0", "expiresOn")),
        ({"lines": [LineWish(case.ale.id, 1, None, TODAY.replace(year=9999))]}, BadInput, ("lines", "0", "expiresOn")),
    ]
    before = await case.contents()

    # when
    found = [
        await refusal_of(
            case, PurchaseWish(**{"store_id": case.store.id, "supplier_name": "X", "lines": [good], **wish})
        )
        for wish, _, _ in wishes
    ]

    # then
    assert found == [(kind, path) for _, kind, path in wishes]
    assert await case.contents() == before


async def test_an_order_is_changed_as_a_whole_or_in_parts(case: PurchaseCase, database: Database) -> None:
    # given
    async with database.transaction() as session:
        vendor = await create_vendor(session)
    purchase = await case.order(LineWish(case.ale.id, 12), LineWish(case.gin.id, 6))

    # when
    await change(case, purchase, 1, note=" Please hurry ", vendorId=vendor.id)
    changed = await change(case, purchase, 2, lines=[LineWish(case.gin.id, 3, Decimal("2.00"))], date=in_days(-1))

    # then
    assert (changed.version, changed.note, changed.date) == (3, "Please hurry", in_days(-1))
    assert (changed.vendor_id, changed.supplier_name) == (vendor.id, None)
    (line,) = await case.lines(purchase)
    assert (line.line_number, line.product_id, line.quantity, line.unit_cost) == (1, case.gin.id, 3, 200)
    assert (await case.purchase(purchase.id)).number == purchase.number


async def test_a_name_takes_the_place_of_a_vendor(case: PurchaseCase, database: Database) -> None:
    async with database.transaction() as session:
        vendor = await create_vendor(session)
    purchase = await case.order(vendor_id=vendor.id)

    changed = await change(case, purchase, supplierName="  The   monks ")

    assert (changed.vendor_id, changed.supplier_name) == (None, "The monks")


async def test_what_changes_nothing_makes_no_new_version(case: PurchaseCase) -> None:
    purchase = await case.order(LineWish(case.ale.id, 12, Decimal("6.00")))
    before = await case.contents()

    changed = await change(case, purchase, lines=[LineWish(case.ale.id, 12)], supplierName="Brewery", note=None)

    assert changed.version == 1
    assert await case.contents() == before


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"date": None}, ("date",)),
        ({"date": in_days(31)}, ("date",)),
        ({"lines": None}, ("lines",)),
        ({"lines": []}, ("lines",)),
        ({"vendorId": None}, ()),
        ({"vendorId": 1, "supplierName": "X"}, ("supplierName",)),
    ],
)
async def test_an_impossible_change_is_refused_and_changes_nothing(
    case: PurchaseCase, patch: dict[str, Any], path: tuple[str, ...]
) -> None:
    purchase = await case.order(LineWish(case.ale.id, 12, None, in_days(30)))
    before = await case.contents()

    with pytest.raises(BadInput) as refused:
        await change(case, purchase, note="changed before it fails", **patch)

    assert refused.value.path == path
    assert await case.contents() == before


async def test_once_something_has_come_an_order_stands(case: PurchaseCase) -> None:
    purchase = await case.order()
    await case.receive(purchase)
    received = await case.purchase(purchase.id)

    with pytest.raises(Conflict) as refused:
        await change(case, purchase, received.version, note="too late")

    assert refused.value.path == ("id",)


async def test_a_part_that_has_come_keeps_an_order_from_being_changed(case: PurchaseCase) -> None:
    purchase = await case.order(LineWish(case.ale.id, 2), LineWish(case.gin.id, 2))
    async with case.database.transaction() as session:
        row = await session.merge((await case.lines(purchase))[0])
        row.received = 1

    with pytest.raises(Conflict) as refused:
        await change(case, purchase, lines=[LineWish(case.gin.id, 1)])

    assert "come already" in refused.value.message


async def test_an_imported_order_is_not_changed(case: PurchaseCase, database: Database) -> None:
    purchase = await case.order()
    async with database.transaction() as session:
        (await session.merge(purchase)).import_id = (await create_import(session)).id

    with pytest.raises(Conflict) as refused:
        await change(case, purchase, note="mine now")

    assert refused.value.path == ("id",)


async def test_who_has_read_another_version_is_told(case: PurchaseCase) -> None:
    purchase = await case.order()

    answers = await asyncio.gather(
        *(change(case, purchase, note=f"note {number}") for number in range(5)), return_exceptions=True
    )

    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(lost) == 4
    assert {answer.path for answer in lost} == {("expectedVersion",)}
    with pytest.raises(NotFound):
        await case.act(lambda work: update_purchase(work, 10**15, 1, {}))
