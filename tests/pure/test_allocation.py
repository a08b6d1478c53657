import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.ledger.allocation import Lot, Piece, allocate, total_cost
from tests.fifo_tables import TABLES, Bought, Table

LOTS = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 10**9)), max_size=30)


def create_lots(lots: list[tuple[int, int]]) -> list[Lot]:
    return [Lot(number, remaining, unit_cost) for number, (remaining, unit_cost) in enumerate(lots, start=1)]


def held(lots: list[Lot]) -> int:
    return sum(lot.remaining for lot in lots)


def worth(lots: list[Lot]) -> int:
    return sum(lot.remaining * lot.unit_cost for lot in lots)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_cost_of_goods_sold_is_that_of_the_book(table: Table) -> None:
    lots: list[Lot] = []

    for event in table.events:
        if isinstance(event, Bought):
            lots.append(Lot(len(lots), event.quantity, event.unit_cost))
        else:
            assert total_cost(allocate(lots, event.quantity)) == event.cost

    assert (held(lots), worth(lots)) == (table.left, table.left_value)
    assert table.cost_of_goods_sold + table.left_value == table.cost_of_goods_available


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_counting_at_the_end_of_the_period_gives_the_same_as_booking_each_sale(table: Table) -> None:
    # of first-in first-out alone: it does not matter when in the period a sale was
    lots = [Lot(n, e.quantity, e.unit_cost) for n, e in enumerate(table.events) if isinstance(e, Bought)]

    sold = allocate(lots, held(lots) - table.left)

    assert total_cost(sold) == table.cost_of_goods_sold
    assert worth(lots) == table.left_value


def test_pieces_come_from_lots_in_the_given_order() -> None:
    lots = [Lot(7, 2, 100, expires_on=dt.date(2024, 5, 1)), Lot(3, 0, 1), Lot(9, 5, 90)]

    pieces = allocate(lots, 4)

    assert pieces == [Piece(7, 2, 100), Piece(9, 2, 90)]
    assert [lot.remaining for lot in lots] == [0, 0, 3]


def test_nothing_is_taken_for_nothing() -> None:
    assert allocate([Lot(1, 5, 100)], 0) == []
    assert allocate([], 0) == []


@given(LOTS, st.data())
def test_nothing_appears_and_nothing_vanishes(described: list[tuple[int, int]], data: st.DataObject) -> None:
    lots = create_lots(described)
    before, value = held(lots), worth(lots)
    quantity = data.draw(st.integers(0, before))

    pieces = allocate(lots, quantity)

    assert sum(piece.quantity for piece in pieces) == quantity
    assert held(lots) == before - quantity
    assert worth(lots) + total_cost(pieces) == value
    assert all(piece.quantity > 0 for piece in pieces)
    assert all(lot.remaining >= 0 for lot in lots)


@given(LOTS, st.data())
def test_a_lot_is_empty_before_the_next_is_opened(described: list[tuple[int, int]], data: st.DataObject) -> None:
    lots = create_lots(described)
    quantity = data.draw(st.integers(0, held(lots)))

    pieces = allocate(lots, quantity)

    used = [piece.lot_id for piece in pieces]
    assert used == sorted(set(used)), "in order, each once"
    last = used[-1] if used else 0
    assert all(lot.remaining == 0 for lot in lots if lot.id < last)
    assert all(lot.remaining == described[lot.id - 1][0] for lot in lots if lot.id > last)


@given(LOTS, st.data())
def test_two_sales_cost_what_one_of_both_costs(described: list[tuple[int, int]], data: st.DataObject) -> None:
    apart, together = create_lots(described), create_lots(described)
    first = data.draw(st.integers(0, held(apart)))
    second = data.draw(st.integers(0, held(apart) - first))

    cost = total_cost(allocate(apart, first)) + total_cost(allocate(apart, second))

    assert cost == total_cost(allocate(together, first + second))
    assert apart == together


@given(LOTS, st.integers(1, 1_000))
def test_more_than_there_is_is_refused(described: list[tuple[int, int]], extra: int) -> None:
    lots = create_lots(described)

    with pytest.raises(ValueError, match=f"^{extra} bottles are missing$"):
        allocate(lots, held(lots) + extra)
