"""Drafts: what may stand on one, who may write it, and that it moves nothing."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.database.user import Role
from graphql_api.services.errors import Conflict
from graphql_api.services.invoice_line import MAX_LINES, MAX_QUANTITY, LineWish
from tests.factories import create_customer, create_product, create_store
from tests.services.invoice_case import InvoiceCase, refusal

NOTHING = 10**15


@pytest.fixture
async def case(database: Database) -> InvoiceCase:
    case = InvoiceCase(database)
    await case.fill()
    return case


@time_machine.travel("2025-05-31T23:59:00Z")
async def test_a_draft_has_prices_of_its_products_and_moves_nothing(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 2), case.wish(1, 3, "8.50", "1.00"), note="  Fragile\r\n ")

    assert (draft.status, draft.number, draft.version) == (InvoiceStatus.DRAFT, None, 1)
    assert (draft.date, draft.note, draft.created_by) == (dt.date(2025, 5, 31), "Fragile", case.staff.user_id)
    assert await case.lines(draft) == {1: (0, 2, 900, 0, 1_800, 0), 2: (1, 3, 850, 100, 2_450, 0)}
    assert await case.on_hand() == [10, 10, 10]
    assert await case.rows("SELECT volume_ml, place_id FROM invoice_line") == [
        (1_500, case.store.place_id),
        (2_250, case.store.place_id),
    ]
    assert await case.rows("SELECT * FROM number_series") == []


async def test_a_product_may_stand_on_two_lines_of_a_new_draft(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 2), case.wish(0, 1, "4.50"))

    assert await case.lines(draft) == {1: (0, 2, 900, 0, 1_800, 0), 2: (0, 1, 450, 0, 450, 0)}


async def test_a_discount_on_the_invoice_is_spread_to_the_cent(case: InvoiceCase) -> None:
    draft = await case.draft(
        case.wish(0, 1, "1.00"), case.wish(1, 1, "1.00"), case.wish(2, 1, "1.00"), discount=Decimal("1.00")
    )

    assert [line[3] for line in (await case.lines(draft)).values()] == [34, 33, 33]
    assert draft.discount == 100


async def test_a_customer_has_several_invoices(case: InvoiceCase) -> None:
    async with case.database.transaction() as session:
        customer = await create_customer(session)

    drafts = [await case.draft(customer_id=customer.id) for _ in range(3)]

    assert {draft.customer_id for draft in drafts} == {customer.id}
    assert len({draft.id for draft in drafts}) == 3


async def archived(case: InvoiceCase) -> dict[str, int]:
    async with case.database.transaction() as session:
        return {
            "store": (await create_store(session, is_active=False)).id,
            "customer": (await create_customer(session, is_active=False)).id,
            "product": (await create_product(session, is_active=False)).id,
            "free": (await create_product(session, unit_price=None)).id,
        }


async def test_what_does_not_exist_or_is_archived_is_refused_with_its_path(case: InvoiceCase) -> None:
    gone = await archived(case)
    good = case.wish(0, 1)

    assert (await refusal(case.draft(store_id=NOTHING)))[::2] == ("NotFound", ("storeId",))
    assert (await refusal(case.draft(store_id=gone["store"])))[::2] == ("Conflict", ("storeId",))
    assert (await refusal(case.draft(customer_id=NOTHING)))[::2] == ("NotFound", ("customerId",))
    assert (await refusal(case.draft(customer_id=gone["customer"])))[::2] == ("Conflict", ("customerId",))
    product = ("lines", "1", "productId")
    assert (await refusal(case.draft(good, LineWish(NOTHING, 1))))[::2] == ("NotFound", product)
    assert (await refusal(case.draft(good, LineWish(gone["product"], 1))))[::2] == ("Conflict", product)
    price = ("lines", "1", "unitPrice")
    assert (await refusal(case.draft(good, LineWish(gone["free"], 1))))[::2] == ("BadInput", price)
    assert await case.rows("SELECT * FROM invoice") == []


async def test_a_product_without_price_is_sold_at_one_that_is_given(case: InvoiceCase) -> None:
    gone = await archived(case)

    draft = await case.draft(LineWish(gone["free"], 2, Decimal("3.10")))

    assert await case.rows("SELECT unit_price, revenue FROM invoice_line WHERE invoice_id = :id", id=draft.id) == [
        (310, 620)
    ]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ((0, 0), ("quantity",)),
        ((0, -1), ("quantity",)),
        ((0, MAX_QUANTITY + 1), ("quantity",)),
        ((0, 1, "-0.01"), ("unitPrice",)),
        ((0, 1, "0.001"), ("unitPrice",)),
        ((0, 1, "1e20"), ("unitPrice",)),
        ((0, 1, None, "-1"), ("discount",)),
        ((0, 1, None, "0.005"), ("discount",)),
        ((0, 1, None, "9.01"), ("discount",)),
    ],
)
async def test_an_impossible_line_is_refused_with_its_path(
    case: InvoiceCase, line: tuple[Any, ...], path: tuple[str, ...]
) -> None:
    kind, _, found = await refusal(case.draft(case.wish(1, 1), case.wish(*line)))

    assert (kind, found) == ("BadInput", ("lines", "1", *path))


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"discount": Decimal(-1)}, ("discount",)),
        ({"discount": Decimal("9.01")}, ("discount",)),
        ({"date": dt.date(1899, 12, 31)}, ("date",)),
        ({"date": dt.date.max}, ("date",)),
        ({"date": dt.date.min}, ("date",)),
        ({"note": "x" * 2_001}, ("note",)),
        ({"note": "bell \a"}, ("note",)),
    ],
)
async def test_an_impossible_head_is_refused_with_its_path(
    case: InvoiceCase, wish: dict[str, Any], path: tuple[str, ...]
) -> None:
    kind, _, found = await refusal(case.draft(case.wish(0, 1), **wish))

    assert (kind, found) == ("BadInput", path)


async def test_an_invoice_has_one_kind_of_discount(case: InvoiceCase) -> None:
    both = case.draft(case.wish(0, 1, None, "1.00"), discount=Decimal(1))
    on_lines = await case.draft(case.wish(0, 1, None, "1.00"))
    on_the_whole = await case.draft(case.wish(0, 1), discount=Decimal(1))

    assert (await refusal(both))[::2] == ("BadInput", ("discount",))
    assert (await refusal(case.update(on_lines, discount=Decimal(1))))[::2] == ("BadInput", ("discount",))
    assert (await refusal(case.add(on_the_whole, case.wish(1, 1, None, "1"))))[::2] == (
        "BadInput",
        ("lines", "0", "discount"),
    )
    assert (await refusal(case.set(on_the_whole, case.wish(0, 2, None, "1"))))[::2] == (
        "BadInput",
        ("lines", "0", "discount"),
    )


async def test_too_many_lines_and_too_much_money_are_refused(case: InvoiceCase) -> None:
    many = [case.wish(0, 1)] * (MAX_LINES + 1)

    assert (await refusal(case.draft(*many)))[::2] == ("BadInput", ("lines",))
    assert (await refusal(case.draft(case.wish(0, MAX_QUANTITY, "1000000.00"))))[::2] == ("BadInput", ("lines",))


async def test_only_the_office_sets_prices(case: InvoiceCase) -> None:
    own = await case.draft(case.wish(0, 1, "9.00", "0.00"), viewer=case.salesperson)

    for line, path in (((0, 1, "8.99"), "unitPrice"), ((0, 1, None, "0.01"), "discount")):
        refused = await refusal(case.draft(case.wish(*line), viewer=case.salesperson))
        assert refused[::2] == ("Forbidden", ("lines", "0", path))
    refused = await refusal(case.draft(case.wish(0, 1), discount=Decimal(1), viewer=case.salesperson))
    assert refused[::2] == ("Forbidden", ("discount",))
    refused = await refusal(case.update(own, discount=Decimal(1), viewer=case.salesperson))
    assert refused[::2] == ("Forbidden", ("discount",))
    refused = await refusal(case.set(own, case.wish(0, 1, "1.00"), viewer=case.salesperson))
    assert refused[::2] == ("Forbidden", ("lines", "0", "unitPrice"))


async def test_special_terms_are_not_to_be_had_for_another_quantity(case: InvoiceCase) -> None:
    # given invoices of a salesperson, with terms that the office has set
    cheap = await case.draft(case.wish(0, 2), viewer=case.salesperson)
    cheap = await case.set(cheap, case.wish(0, 2, "0.01"))
    less = await case.draft(case.wish(0, 2), viewer=case.salesperson)
    less = await case.set(less, case.wish(0, 2, None, "9.00"))
    whole = await case.draft(case.wish(0, 2), case.wish(1, 2), viewer=case.salesperson)
    whole = await case.update(whole, discount=Decimal(9))

    # when the salesperson changes quantities
    refused = [
        await refusal(case.set(cheap, case.wish(0, 3), viewer=case.salesperson)),
        await refusal(case.set(less, case.wish(0, 1), viewer=case.salesperson)),
        await refusal(case.set(whole, case.wish(1, 0), viewer=case.salesperson)),
    ]

    # then only fewer bottles at the special price can be had
    assert [each[::2] for each in refused] == [("Forbidden", ("lines", "0", "quantity"))] * 3
    await case.set(cheap, case.wish(0, 1), viewer=case.salesperson)


async def test_salespeople_change_their_own_invoices_alone(case: InvoiceCase) -> None:
    foreign = await case.draft(case.wish(0, 1))
    own = await case.draft(case.wish(0, 1), viewer=case.salesperson)

    for doing in (
        case.update(foreign, note="x", viewer=case.salesperson),
        case.add(foreign, case.wish(1, 1), viewer=case.salesperson),
        case.set(foreign, case.wish(0, 2), viewer=case.salesperson),
        case.issue(foreign, viewer=case.salesperson),
    ):
        assert (await refusal(doing))[::2] == ("Forbidden", ("id",))
    own = await case.update(own, note="mine", viewer=case.salesperson)
    own = await case.update(own, note="ours", viewer=case.viewers[Role.ADMIN])
    assert (await case.issue(own, viewer=case.salesperson)).number == "2633-000001"


async def test_the_head_of_a_draft_changes_and_lines_follow_its_date_and_discount(case: InvoiceCase) -> None:
    async with case.database.transaction() as session:
        customer = await create_customer(session)
    draft = await case.draft(case.wish(0, 1), case.wish(1, 2))

    draft = await case.update(
        draft,
        customerId=customer.id,
        date=dt.date(2024, 2, 29),
        note=None,
        discount=Decimal("2.70"),
    )

    assert (draft.customer_id, draft.date, draft.discount, draft.version) == (
        customer.id,
        dt.date(2024, 2, 29),
        270,
        2,
    )
    assert await case.lines(draft) == {1: (0, 1, 900, 90, 810, 0), 2: (1, 2, 900, 180, 1_620, 0)}
    assert await case.rows("SELECT DISTINCT date FROM invoice_line") == [(dt.date(2024, 2, 29),)]
    draft = await case.update(draft, discount=None, customerId=None)
    assert [line[3] for line in (await case.lines(draft)).values()] == [0, 0]
    assert (draft.customer_id, draft.version) == (None, 3)


async def test_a_change_that_changes_nothing_keeps_the_version(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1), note="same")

    assert (await case.update(draft, note="same", date=draft.date, discount=Decimal(0))).version == 1
    assert (await case.set(draft, case.wish(0, 1))).version == 1


@pytest.mark.parametrize(
    ("patch", "refused"),
    [
        ({"customerId": NOTHING}, ("NotFound", ("customerId",))),
        ({"date": None}, ("BadInput", ("date",))),
        ({"date": dt.date.max}, ("BadInput", ("date",))),
        ({"note": "x" * 2_001}, ("BadInput", ("note",))),
        ({"discount": Decimal("9.01")}, ("BadInput", ("discount",))),
    ],
)
async def test_an_impossible_change_changes_nothing(
    case: InvoiceCase, patch: dict[str, Any], refused: tuple[str, tuple[str, ...]]
) -> None:
    draft = await case.draft(case.wish(0, 1))
    before = await case.contents()

    found = await refusal(case.update(draft, **{"note": "new", **patch}))

    assert found[::2] == refused
    assert await case.contents() == before


async def test_whoever_has_not_read_the_present_version_changes_nothing(case: InvoiceCase) -> None:
    stale = await case.draft(case.wish(0, 1))
    await case.update(stale, note="new")

    for doing in (
        case.update(stale, note="newer"),
        case.add(stale, case.wish(1, 1)),
        case.set(stale, case.wish(0, 2)),
        case.issue(stale),
        case.delete(stale),
    ):
        kind, sentence, path = await refusal(doing)
        assert (kind, path) == ("Conflict", ("expectedVersion",))
        assert "version 2" in sentence


async def test_a_draft_is_thrown_away_for_good(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))

    await case.delete(draft)

    assert await case.rows("SELECT id FROM invoice UNION ALL SELECT invoice_id FROM invoice_line") == []
    assert (await refusal(case.delete(draft)))[::2] == ("NotFound", ("id",))


async def test_only_a_draft_is_thrown_away_or_gets_another_head(case: InvoiceCase) -> None:
    for invoice in (
        await case.issued(case.wish(0, 1)),
        await case.paid(case.wish(0, 1)),
        await case.void(await case.issued(case.wish(0, 1))),
    ):
        assert (await refusal(case.delete(invoice)))[::2] == (Conflict.__name__, ("id",))
        assert (await refusal(case.update(invoice, note="x")))[::2] == ("Conflict", ("id",))
