"""Sums of invoices: shares that add up to the whole, and rounding as people do it by hand."""

import datetime as dt
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.database.invoice import InvoiceRow
from graphql_api.services.invoice_amounts import portion, portion_between, spread, tax_on
from graphql_api.services.invoice_line import MAX_AMOUNT, SaleLine, with_discount
from graphql_api.services.invoice_reversal import NOTHING, Earlier, negative_line, tax_taken_back

AMOUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)
RATES = st.integers(0, 100_000).map(lambda thousandths: Decimal(thousandths).scaleb(-3))


@given(AMOUNTS, st.data())
def test_a_spread_discount_adds_up_and_never_exceeds_an_amount(amounts: list[int], data: st.DataObject) -> None:
    discount = data.draw(st.integers(0, sum(amounts)))

    shares = spread(discount, amounts)

    assert sum(shares) == discount
    assert all(0 <= share <= amount for share, amount in zip(shares, amounts, strict=True))
    exact = [Decimal(discount) * amount / (sum(amounts) or 1) for amount in amounts]
    assert all(abs(share - fair) < 1 for share, fair in zip(shares, exact, strict=True))


@pytest.mark.parametrize(
    ("discount", "amounts", "shares"),
    [
        (100, [100, 100, 100], [34, 33, 33]),
        (1, [1, 999], [0, 1]),
        (10, [0, 5, 5], [0, 5, 5]),
        (5, [10, 20, 30], [1, 2, 2]),
        (0, [], []),
    ],
)
def test_discounts_of_the_textbook(discount: int, amounts: list[int], shares: list[int]) -> None:
    assert spread(discount, amounts) == shares


@pytest.mark.parametrize("discount", [-1, 201])
def test_a_discount_that_does_not_fit_is_refused(discount: int) -> None:
    with pytest.raises(ValueError, match="does not fit 200"):
        spread(discount, [100, 100])


@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT), RATES)
def test_tax_is_rounded_half_up_once(net: int, rate: Decimal) -> None:
    expected = (Decimal(net) * rate / 100).quantize(Decimal(1), ROUND_HALF_UP)

    assert tax_on(net, rate) == expected


def test_tax_of_the_textbook() -> None:
    assert [tax_on(net, Decimal("6.5")) for net in (100, 1, 7, 8, 900, -100)] == [7, 0, 0, 1, 59, -7]
    assert tax_on(50, Decimal(1)) == 1
    assert tax_on(1_000, None) == 0


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 1_000), min_size=1, max_size=20))
def test_portions_one_after_the_other_add_up(amount: int, parts: list[int]) -> None:
    whole, before, found = sum(parts), 0, []
    for part in parts:
        found.append(portion_between(amount, before, before + part, whole))
        before += part

    assert sum(found) == (amount if whole else 0)
    assert all(share * amount >= 0 for share in found), "no part goes the other way"


def test_half_a_cent_goes_away_from_zero() -> None:
    assert [portion(amount, 1, 2) for amount in (1, 3, -1, -3, 4)] == [1, 2, -1, -2, 2]


LINES = st.lists(
    st.tuples(st.integers(1, 50), st.integers(0, 100_000), st.one_of(st.none(), st.integers(0, 2_000))),
    min_size=1,
    max_size=8,
)


@given(LINES, RATES, st.data())
def test_credits_in_any_order_add_up_to_exactly_the_invoice(
    parts: list[tuple[int, int, int | None]], rate: Decimal, data: st.DataObject
) -> None:
    # given
    lines = [
        SaleLine(number, 1, 1, quantity, price, volume_ml=None if volume is None else volume * quantity)
        for number, (quantity, price, volume) in enumerate(parts, start=1)
    ]
    lines = with_discount(lines, data.draw(st.integers(0, sum(line.gross for line in lines))))
    net = sum(line.revenue for line in lines)
    invoice = InvoiceRow(store_id=1, date=dt.date(2024, 3, 15), tax=tax_on(net, rate))
    bottles = [line.number for line in lines for _ in range(line.quantity)]
    order = data.draw(st.permutations(bottles))
    size = data.draw(st.integers(1, len(order)))

    # when: the bottles come back in notes of `size`
    earlier: dict[int, Earlier] = {}
    notes: list[SaleLine] = []
    taxes: list[int] = []
    for start in range(0, len(order), size):
        part = order[start : start + size]
        note = [
            negative_line(line, earlier.get(line.number, NOTHING).quantity, part.count(line.number))
            for line in lines
            if line.number in part
        ]
        taxes.append(tax_taken_back(invoice, lines, earlier, note))
        notes += note
        for line in note:
            before = earlier.get(line.number, NOTHING)
            earlier[line.number] = Earlier(before.quantity - line.quantity, before.revenue - line.revenue)

    # then
    for line in lines:
        own = [note for note in notes if note.number == line.number]
        assert sum(note.quantity for note in own) == -line.quantity
        assert sum(note.revenue for note in own) == -line.revenue
        assert sum(note.discount for note in own) == -line.discount
        assert line.volume_ml is None or sum(note.volume_ml or 0 for note in own) == -line.volume_ml
        assert all(note.revenue <= 0 for note in own)
    assert sum(taxes) == -invoice.tax
    assert all(tax <= 0 for tax in taxes)


def test_a_line_with_another_quantity_has_its_volume() -> None:
    line, unmeasured = SaleLine(1, 1, 1, 2, 900, volume_ml=1_500), SaleLine(1, 1, 1, 2, 900)

    assert unmeasured.with_quantity(3, 750).volume_ml == 2_250
    assert unmeasured.with_quantity(3, None).volume_ml is None
    # what was sold keeps its volume, whatever the product has become
    assert line.with_quantity(3, 700).volume_ml == line.with_quantity(3, None).volume_ml == 2_250
    assert line.with_quantity(2, 700) == line == replace(line)
