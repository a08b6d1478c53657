import base64
import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Date, DateTime, Integer, Numeric, Text, Values, cast, column, select, values
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.engine import Database
from graphql_api.services import cursors
from graphql_api.services.cursors import BadCursor
from graphql_api.services.errors import BadInput
from graphql_api.services.paging import MAX_PAGE, PageRequest, SortKey, read_page


class Record(NamedTuple):
    id: int
    name: str
    amount: int | None
    day: dt.date | None
    price: Decimal | None


KINDS = (BigInteger, Text, Integer, Date, Numeric)
NULLABLE = {"amount", "day", "price"}
records = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "ab"]),
        st.none() | st.integers(-1, 1),
        st.none() | st.sampled_from([dt.date(2024, 1, 1), dt.date(1900, 2, 28)]),
        st.none() | st.sampled_from([Decimal("0.1"), Decimal("-2.50")]),
    ),
    max_size=8,
).map(lambda found: [Record(number, *rest) for number, rest in enumerate(found, start=1)])
orders = st.lists(
    st.tuples(st.sampled_from(["name", "amount", "day", "price"]), st.booleans()),
    max_size=3,
    unique_by=lambda wish: wish[0],
)
Wishes = Sequence[tuple[str, bool]]


def table(rows: Sequence[Record]) -> Values:
    columns: list[Any] = [column(name, kind) for name, kind in zip(Record._fields, KINDS, strict=True)]
    # This row gives the columns their types and keeps the list from being empty; it is filtered out again.
    nothing = (0, "", None, None, None)
    typed: tuple[Any, ...] = tuple(cast(value, kind) for value, kind in zip(nothing, KINDS, strict=True))
    return values(*columns, name="record").data([typed, *rows])


def sort_keys(source: Values, order: Wishes, *, is_descending: bool) -> list[SortKey]:
    keys = [SortKey(name, source.c[name], down, name in NULLABLE) for name, down in order]
    return [*keys, SortKey("id", source.c.id, is_descending)]


def in_order(rows: Sequence[Record], order: Wishes, *, is_descending: bool) -> list[int]:
    """The expected ids: stable sorts from the last key to the first, unknown values last."""
    found = sorted(rows, key=lambda row: row.id, reverse=is_descending)
    for name, down in reversed(order):
        # A reversed sort is stable too: equal rows keep the order of the later keys.
        value_of = attrgetter(name)
        known = [row for row in found if value_of(row) is not None]
        unknown = [row for row in found if value_of(row) is None]
        found = [*sorted(known, key=value_of, reverse=down), *unknown]
    return [row.id for row in found]


async def walk(
    session: AsyncSession, rows: Sequence[Record], keys: list[SortKey], *, size: int, back: bool
) -> list[int]:
    """Every id in the order the pages give them, read forwards or backwards to the end."""
    statement: Any = select(keys[-1].column).where(keys[-1].column != 0)
    found: list[int] = []
    request = PageRequest(last=size) if back else PageRequest(first=size)
    for _ in range(len(rows) + 1):
        page = await read_page(session, statement, keys, request)
        found = [*page.rows, *found] if back else [*found, *page.rows]
        assert len(page.rows) <= size
        if not (page.has_previous if back else page.has_next):
            return found
        edge = page.cursors[0 if back else -1]
        request = PageRequest(last=size, before=edge) if back else PageRequest(first=size, after=edge)
    raise AssertionError(f"still more after {found}")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=records, order=orders, size=st.integers(1, 5), is_descending=st.booleans())
@example(
    rows=[Record(number, "a", None, None, None) for number in range(1, 6)],
    order=[("amount", True), ("day", False)],
    size=2,
    is_descending=True,
)
async def test_pages_give_every_row_once_and_in_order_both_ways(
    database: Database, *, rows: list[Record], order: Wishes, size: int, is_descending: bool
) -> None:
    keys = sort_keys(table(rows), order, is_descending=is_descending)
    expected = in_order(rows, order, is_descending=is_descending)

    async with database.read() as session:
        assert await walk(session, rows, keys, size=size, back=False) == expected
        assert await walk(session, rows, keys, size=size, back=True) == expected


async def test_a_page_between_two_cursors_holds_only_what_lies_between(database: Database) -> None:
    rows = [Record(number, "a", None, None, None) for number in range(1, 8)]
    keys = sort_keys(table(rows), [], is_descending=False)
    statement: Any = select(keys[0].column).where(keys[0].column != 0)
    async with database.read() as session:
        every = await read_page(session, statement, keys, PageRequest())
        page = await read_page(
            session, statement, keys, PageRequest(first=9, after=every.cursors[1], before=every.cursors[5])
        )

    assert page.rows == [3, 4, 5]
    assert every.rows == [1, 2, 3, 4, 5, 6, 7]
    assert not every.has_next
    assert not every.has_previous


async def test_first_zero_gives_nothing_but_tells_that_there_is_more(database: Database) -> None:
    keys = sort_keys(table([Record(1, "a", None, None, None)]), [], is_descending=False)
    async with database.read() as session:
        page = await read_page(session, select(keys[0].column), keys, PageRequest(first=0))

    assert (page.rows, list(page.cursors), page.has_next) == ([], [], True)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"first": -1}, "first"),
        ({"last": -1}, "last"),
        ({"first": MAX_PAGE + 1}, "first"),
        ({"last": MAX_PAGE + 1}, "last"),
        ({"first": 1, "last": 1}, "last"),
    ],
)
def test_an_impossible_page_names_its_argument(arguments: dict[str, int], path: str) -> None:
    with pytest.raises(BadInput) as refusal:
        PageRequest(**arguments)  # type: ignore[arg-type]  # only integers are passed here

    assert refusal.value.path == (path,)


async def refusal_of(database: Database, *, after: str) -> BadInput:
    keys = sort_keys(table([]), [("name", False)], is_descending=False)
    async with database.read() as session:
        with pytest.raises(BadInput) as refusal:
            await read_page(session, select(keys[-1].column), keys, PageRequest(after=after))
    return refusal.value


async def test_a_cursor_of_another_order_is_refused(database: Database) -> None:
    for order in ("-name,id", "id", "name,-id", "name,id,id"):
        refusal = await refusal_of(database, after=cursors.encode(order, ["a", 1]))
        assert "another order" in refusal.message
        assert refusal.path == ("after",)


def encoded(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "####",
        "a" * 3_000,
        base64.b64encode(b"[" * 1_000).decode(),
        base64.b64encode(b"\xff\xfe").decode(),
        encoded(None),
        encoded([1, "name,id"]),
        encoded([2, "name,id", ["a", 1]]),
        encoded([1, "name,id", ["a"]]),
        encoded([1, "name,id", ["a", None]]),
        encoded([1, "name,id", ["a", "1"]]),
        encoded([1, "name,id", ["a", 1.5]]),
        encoded([1, "name,id", ["a", True]]),
        encoded([1, "name,id", ["a", 2**63]]),
        encoded([1, "name,id", ["a\x00", 1]]),
        encoded([1, "name,id", ["\ud800", 1]]),
        encoded([1, "name,id", [["a"], 1]]),
    ],
)
async def test_a_damaged_cursor_is_refused(database: Database, cursor: str) -> None:
    refusal = await refusal_of(database, after=cursor)

    assert "damaged" in refusal.message
    assert refusal.path == ("after",)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50))
def test_any_text_survives_a_cursor(text: str) -> None:
    assert cursors.decode(cursors.encode("name", [text]), "name", [Text()]) == [text]


@given(
    st.datetimes(timezones=st.just(dt.UTC)), st.dates(), st.decimals(allow_nan=False, allow_infinity=False, places=3)
)
def test_instants_days_and_amounts_survive_a_cursor(instant: dt.datetime, day: dt.date, amount: Decimal) -> None:
    kinds: list[Any] = [DateTime(timezone=True), Date(), Numeric()]
    cursor = cursors.encode("order", [instant, day, amount])

    if abs(amount.adjusted()) > cursors.MAX_DIGITS:
        with pytest.raises(BadCursor):
            cursors.decode(cursor, "order", kinds)
        return
    assert cursors.decode(cursor, "order", kinds) == [instant, day, amount]
