"""Lines that are added and set: on drafts without stock, on issued invoices by the difference, once."""

import asyncio
from decimal import Decimal

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.invoice import InvoiceRow
from graphql_api.services.errors import InsufficientStock
from graphql_api.services.invoice_line import LineWish
from tests.factories import create_product, create_stock
from tests.services.invoice_case import InvoiceCase, refusal


@pytest.fixture
async def case(database: Database) -> InvoiceCase:
    case = InvoiceCase(database)
    await case.fill()
    return case


async def quantities(case: InvoiceCase, invoice: InvoiceRow) -> dict[int, tuple[int, int]]:
    """Product and bottles of each line."""
    return {number: line[:2] for number, line in (await case.lines(invoice)).items()}


async def test_added_lines_come_after_those_that_are_there(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))

    draft = await case.add(draft, case.wish(2, 3), case.wish(1, 2))

    assert await quantities(case, draft) == {1: (0, 1), 2: (2, 3), 3: (1, 2)}
    assert draft.version == 2
    assert await case.on_hand() == [10, 10, 10]


async def test_a_product_that_is_on_the_invoice_is_not_added(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))
    before = await case.contents()

    there = await refusal(case.add(draft, case.wish(1, 1), case.wish(0, 1)))
    twice = await refusal(case.add(draft, case.wish(1, 1), case.wish(2, 1), case.wish(1, 2)))

    assert there[::2] == ("Conflict", ("lines", "1", "productId"))
    assert "setInvoiceLines" in there[1]
    assert twice[::2] == ("BadInput", ("lines", "2", "productId"))
    assert await case.contents() == before


async def test_lines_are_added_all_or_none(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1))

    assert (await refusal(case.add(draft, case.wish(1, 1), case.wish(2, 0))))[2] == ("lines", "1", "quantity")
    assert (await refusal(case.add(draft)))[::2] == ("BadInput", ("lines",))
    assert (await refusal(case.add(draft, LineWish(10**15, 1))))[::2] == ("NotFound", ("lines", "0", "productId"))
    assert await quantities(case, draft) == {1: (0, 1)}


async def test_quantities_are_set_and_what_is_not_named_stays(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1, "8.00"), case.wish(1, 2, None, "1.00"))

    draft = await case.set(draft, case.wish(0, 4), case.wish(2, 5))

    assert await case.lines(draft) == {
        1: (0, 4, 800, 0, 3_200, 0),
        2: (1, 2, 900, 100, 1_700, 0),
        3: (2, 5, 900, 0, 4_500, 0),
    }
    draft = await case.set(draft, case.wish(1, 0), case.wish(0, 4, "7.00", "0.50"))
    assert await case.lines(draft) == {1: (0, 4, 700, 50, 2_750, 0), 3: (2, 5, 900, 0, 4_500, 0)}
    draft = await case.set(draft, case.wish(1, 0))
    assert draft.version == 3, "0 of what is not there changes nothing"


async def test_impossible_quantities_are_refused_with_their_path(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 2), case.wish(1, 1, None, "5.00"), case.wish(2, 1), case.wish(2, 2))
    before = await case.contents()

    for place, quantity in ((0, -1), (1, -1), (2, -1), (0, 10**7)):
        refused = await refusal(case.set(draft, case.wish(place, quantity)))
        assert refused[::2] == ("BadInput", ("lines", "0", "quantity"))
    assert (await refusal(case.set(draft, case.wish(0, 1), case.wish(0, 1))))[::2] == (
        "BadInput",
        ("lines", "1", "productId"),
    )
    cheaper = await refusal(case.set(draft, case.wish(1, 1, "4.99")))
    assert cheaper[::2] == ("BadInput", ("lines", "0", "discount"))
    assert (await refusal(case.set(draft, case.wish(2, 3, "1.00"))))[::2] == ("BadInput", ("lines", "0"))
    assert await case.contents() == before


@pytest.mark.parametrize(
    ("total", "left"),
    [(9, {1: 2, 2: 3, 3: 4}), (5, {1: 2, 2: 3}), (4, {1: 2, 2: 2}), (1, {1: 1}), (0, {})],
)
async def test_of_a_product_on_several_lines_the_last_takes_the_difference(
    case: InvoiceCase, total: int, left: dict[int, int]
) -> None:
    draft = await case.draft(case.wish(0, 2), case.wish(0, 3, "8.00"), case.wish(0, 1, "7.00"), case.wish(1, 1))

    draft = await case.set(draft, case.wish(0, total))

    assert await quantities(case, draft) == {
        **{number: (0, bottles) for number, bottles in left.items()},
        4: (1, 1),
    }


async def test_the_discount_on_the_whole_is_spread_again(case: InvoiceCase) -> None:
    draft = await case.draft(case.wish(0, 1), case.wish(1, 1), discount=Decimal("3.00"))

    draft = await case.set(draft, case.wish(1, 2))

    assert [line[3] for line in (await case.lines(draft)).values()] == [100, 200]
    assert (await refusal(case.set(draft, case.wish(0, 0), case.wish(1, 0))))[::2] == ("BadInput", ("lines",))


async def test_an_issued_invoice_moves_stock_by_the_difference(case: InvoiceCase) -> None:
    await case.execute("UPDATE settings SET tax_rate = 10")
    invoice = await case.issued(case.wish(0, 4), case.wish(1, 3))

    invoice = await case.set(invoice, case.wish(0, 6), case.wish(1, 1), case.wish(2, 2))

    assert await case.on_hand() == [4, 9, 8]
    assert await case.lines(invoice) == {
        1: (0, 6, 900, 0, 5_400, 3_600),
        2: (1, 1, 900, 0, 900, 600),
        3: (2, 2, 900, 0, 1_800, 1_200),
    }
    assert invoice.tax == 810
    assert await case.causes() == {"SALE": 4, "SALE_LOWERED": 1}
    await case.check()
    # a rate of today does not reach what was issued
    await case.execute("UPDATE settings SET tax_rate = 50")
    invoice = await case.add(await case.set(invoice, case.wish(2, 0)), case.wish(2, 1))
    assert (invoice.tax, await case.on_hand()) == (720, [4, 9, 9])
    assert list(await case.lines(invoice)) == [1, 2, 4], "the number of a line that had moved stock is not used again"
    await case.check()


async def test_what_is_lowered_goes_back_to_the_lot_it_came_from(case: InvoiceCase) -> None:
    # given: 10 bottles at 6.00, then 10 at 7.00
    async with case.database.transaction() as session:
        await create_stock(session, case.store, case.products[0], 10, unit_cost=700)
    invoice = await case.issued(case.wish(0, 15))
    assert (await case.lines(invoice))[1][5] == 10 * 600 + 5 * 700

    # when
    invoice = await case.set(invoice, case.wish(0, 8))

    # then: the last taken went back first
    assert (await case.lines(invoice))[1][5] == 8 * 600
    assert await case.rows(
        "SELECT remaining FROM stock_lot WHERE product_id = :id ORDER BY id", id=case.products[0].id
    ) == [
        (2,),
        (10,),
    ]
    await case.check()


async def test_raising_beyond_the_stock_names_all_that_is_short_and_changes_nothing(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 4), case.wish(1, 3))
    before = await case.contents()

    with pytest.raises(InsufficientStock) as refused:
        await case.set(invoice, case.wish(0, 11), case.wish(1, 1), case.wish(2, 12))

    assert {(short.product_id, short.requested, short.available) for short in refused.value.shortages} == {
        (case.products[0].id, 7, 6),
        (case.products[2].id, 12, 10),
    }
    assert await case.contents() == before


async def test_an_issued_invoice_keeps_a_line(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 4))

    kind, sentence, path = await refusal(case.set(invoice, case.wish(0, 0)))

    assert (kind, path) == ("Conflict", ("lines",))
    assert "Void" in sentence


async def test_lines_of_what_is_final_stay(case: InvoiceCase) -> None:
    credited = await case.credit(await case.issued(case.wish(0, 1), case.wish(1, 1)), [(1, 1)])
    for invoice in (
        await case.paid(case.wish(0, 1)),
        await case.void(await case.issued(case.wish(0, 1))),
        credited.invoice,
        credited.note,
    ):
        before = await case.contents()
        assert (await refusal(case.set(invoice, case.wish(0, 2))))[::2] == ("Conflict", ("id",))
        assert (await refusal(case.add(invoice, case.wish(2, 1))))[::2] == ("Conflict", ("id",))
        assert await case.contents() == before


async def test_an_imported_invoice_stays_as_it_is(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 1))
    await make_imported(case, invoice)

    for doing in (case.set(invoice, case.wish(0, 2)), case.add(invoice, case.wish(1, 2)), case.void(invoice)):
        kind, sentence, path = await refusal(doing)
        assert (kind, path) == ("Conflict", ("id",))
        assert "imported" in sentence


async def make_imported(case: InvoiceCase, invoice: InvoiceRow) -> None:
    await case.execute(
        "INSERT INTO import_job (kind, mode, on_error, stock_effect, dry_run, mapping, status, file_name, file_size, "
        "sha256, storage_key) VALUES ('SALES', 'INSERT', 'REJECT_ROW', 'NONE', false, '{}', 'COMPLETED', "
        "'a', 1, 'b', 'c')"
    )
    await case.execute("UPDATE invoice SET import_id = (SELECT max(id) FROM import_job) WHERE id = :id", id=invoice.id)


async def test_archived_products_are_lowered_but_not_raised(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 4))
    await case.execute("UPDATE product SET is_active = false WHERE id = :id", id=case.products[0].id)

    assert (await refusal(case.set(invoice, case.wish(0, 5))))[::2] == ("Conflict", ("lines", "0", "productId"))
    assert await quantities(case, await case.set(invoice, case.wish(0, 3))) == {1: (0, 3)}


async def test_an_archived_store_sells_nothing_more(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 4))
    await case.execute("UPDATE store SET is_active = false")

    assert (await refusal(case.add(invoice, case.wish(1, 1))))[::2] == ("Conflict", ("id",))
    assert await quantities(case, await case.set(invoice, case.wish(0, 3))) == {1: (0, 3)}


async def test_a_line_added_to_an_issued_invoice_is_sold_where_the_others_were(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 1))
    await case.execute("INSERT INTO place (city) VALUES ('ELSEWHERE')")
    await case.execute("UPDATE store SET place_id = (SELECT max(id) FROM place)")

    await case.add(invoice, case.wish(1, 1))

    assert await case.rows("SELECT DISTINCT place_id FROM invoice_line") == [(case.store.place_id,)]


async def test_the_same_lowering_twice_at_once_gives_back_once(case: InvoiceCase) -> None:
    invoice = await case.issued(case.wish(0, 8))

    answers = await asyncio.gather(*(case.set(invoice, case.wish(0, 3)) for _ in range(6)), return_exceptions=True)

    assert sum(isinstance(answer, InvoiceRow) for answer in answers) == 1
    assert await case.on_hand() == [7, 10, 10]
    await case.check()


@pytest.mark.parametrize("is_issued", [False, True])
async def test_a_discount_on_the_whole_leaves_a_line_that_has_become_less_than_its_share(
    case: InvoiceCase,
    is_issued: bool,  # noqa: FBT001 - a case
) -> None:
    """What the lines come to is what counts: 135.00 bear a discount of 100.00, whatever the shares were before."""
    invoice = await case.draft(case.wish(0, 10), case.wish(1, 10), discount=Decimal("100.00"))
    invoice = await case.issue(invoice) if is_issued else invoice

    invoice = await case.set(invoice, case.wish(0, 5))

    lines = await case.lines(invoice)
    assert {number: line[1:5] for number, line in lines.items()} == {
        1: (5, 900, 3_333, 1_167),
        2: (10, 900, 6_667, 2_333),
    }
    await case.check()


async def test_a_line_keeps_the_content_of_its_bottles_when_fewer_are_sold(case: InvoiceCase) -> None:
    """What was sold is not measured by the bottles of today."""
    await case.execute("UPDATE product SET volume_ml = 750")
    invoice = await case.issued(case.wish(0, 4))
    await case.execute("UPDATE product SET volume_ml = 1000")

    invoice = await case.set(invoice, case.wish(0, 3))
    invoice = await case.set(invoice, case.wish(0, 5), case.wish(1, 2))

    found = await case.rows("SELECT quantity, volume_ml FROM invoice_line ORDER BY line_number")
    assert found == [(5, 5 * 750), (2, 2 * 1000)]


async def test_edits_that_cross_each_other_never_meet_in_a_circle(case: InvoiceCase) -> None:
    """One raises what the other lowers, again and again: locks are taken in one order, so none is ever sent back."""
    one = await case.issued(case.wish(0, 2), case.wish(1, 4))
    other = await case.issued(case.wish(0, 4), case.wish(1, 2))

    async def swing(invoice: InvoiceRow, offset: int) -> None:
        for turn in range(15):
            low, high = (1, 4) if (turn + offset) % 2 else (4, 1)
            invoice = await case.set(invoice, case.wish(0, low), case.wish(1, high))

    await asyncio.gather(swing(one, 0), swing(other, 1))

    await case.check()


async def test_stock_of_a_product_that_was_never_there_is_short(case: InvoiceCase) -> None:
    async with case.database.transaction() as session:
        case.products.append(await create_product(session))
    invoice = await case.issued(case.wish(0, 1))

    with pytest.raises(InsufficientStock) as refused:
        await case.add(invoice, case.wish(3, 1))

    assert [(short.requested, short.available) for short in refused.value.shortages] == [(1, 0)]
