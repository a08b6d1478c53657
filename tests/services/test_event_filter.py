"""Filters of events mean in memory what filters of lists mean in SQL, and stop at the same limits."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.category import CategoryRow
from graphql_api.database.engine import Database
from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause, StockLevelRow
from graphql_api.database.store import StoreRow
from graphql_api.events.catalogue import StockFacts
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.event_filter import STOCK_CHANGE_FACTS, STOCK_FACTS, event_predicate, folded
from graphql_api.services.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_LIST, MAX_VALUES, Where, condition
from graphql_api.services.stock_state import FIELDS, LEVELS

NAMES = ["POLK", "polk", "Des Moines", "DES MOINES", "É", "é", "\u0391\u03a3", "\u03b1\u03c2", "100%", "a_b", "\\"]
ZIPS = ["50010", "50010.0", "712-2"]
NUMBERS = [1, 2, 3, 77]
FACTS = text("""
SELECT s.facts || p.facts FROM stock_level l JOIN event_store s ON s.id = l.store_id
JOIN event_product p ON p.id = l.product_id
""")
COUNTIES = [("POLK", 77), ("DES MOINES", None), ("\u0391\u03a3", 2)]
CATEGORIES = [("Des Moines", None), ("a_b", 1), ("100%", 77), ("É", 3)]
PLACES = [("POLK", "50010", 0), ("DES MOINES", None, 1), (None, "712-2", None), ("É", "50010", 2), (None, None, 0)]
SKUS = [("POLK", 0), ("polk", None), ("100%", 1), ("\u03b1\u03c2", 2), ("\\", 3)]


def texts(values: list[str]) -> st.SearchStrategy[Where]:
    value = st.sampled_from(values) | st.text("aAÉé%_ \\\u03a3\u03c3k", max_size=3)
    operators = {
        "eq": value,
        "in": st.lists(value, max_size=3),
        "contains": value,
        "startsWith": value,
        "isNull": st.booleans(),
    }
    return some_of(operators)


def numbers(*, is_id: bool = False) -> st.SearchStrategy[Where]:
    value = st.sampled_from(NUMBERS)
    operators: dict[str, st.SearchStrategy[Any]] = {"eq": value, "in": st.lists(value, max_size=3)}
    if not is_id:
        operators |= dict.fromkeys(("gt", "gte", "lt", "lte"), value) | {"isNull": st.booleans()}
    return some_of(operators)


def some_of(parts: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Where]:
    """One of the parts, or two of them."""
    names = st.lists(st.sampled_from(sorted(parts)), min_size=1, max_size=2, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: parts[name] for name in chosen}))


LEAVES = some_of(
    {
        "product": numbers(is_id=True),
        "store": numbers(is_id=True),
        "sku": texts(NAMES),
        "storeNumber": numbers(),
        "city": texts(NAMES),
        "zip": texts(ZIPS),
        "county": texts(NAMES),
        "countyNumber": numbers(),
        "category": texts(NAMES),
        "categoryNumber": numbers(),
    }
)
WHERES = st.recursive(
    LEAVES,
    lambda inner: some_of({"and": st.lists(inner, max_size=2), "or": st.lists(inner, max_size=2), "not": inner}),
    max_leaves=4,
)


async def create_levels(session: AsyncSession) -> None:
    """A stock level of every store and product, whose places and categories know more or less."""

    async def insert_all(kind: type[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        await session.execute(insert(kind), [{"id": number, **row} for number, row in enumerate(rows, start=1)])

    def key(index: int | None) -> int | None:
        return None if index is None else index + 1

    await insert_all(CountyRow, [{"name": name, "number": number} for name, number in COUNTIES])
    await insert_all(CategoryRow, [{"name": name, "number": number} for name, number in CATEGORIES])
    places = [{"city": city, "zip_code": zip_code, "county_id": key(county)} for city, zip_code, county in PLACES]
    await insert_all(PlaceRow, places)
    await insert_all(StoreRow, [{"number": n, "name": "X", "place_id": n} for n in range(1, len(PLACES) + 1)])
    await insert_all(ProductRow, [{"sku": sku, "name": "X", "category_id": key(category)} for sku, category in SKUS])
    pairs = product(range(1, len(PLACES) + 1), range(1, len(SKUS) + 1))
    await session.execute(insert(StockLevelRow), [{"store_id": one, "product_id": other} for one, other in pairs])


@dataclass
class Comparison:
    """All levels, to be chosen from in both ways."""

    session: AsyncSession
    levels: Sequence[StockFacts]
    selective: int = 0

    async def compare(self, where: Where) -> None:
        in_sql = {row[:2] for row in await self.session.execute(LEVELS.where(condition(where, FIELDS)))}
        in_memory = {(fact.store, fact.product) for fact in filter(event_predicate(where, STOCK_FACTS), self.levels)}
        assert in_memory == in_sql, where
        self.selective += 0 < len(in_sql) < len(self.levels)


@pytest.fixture
async def comparison(database: Database) -> AsyncIterator[Comparison]:
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await create_levels(session)
    async with database.read() as session:
        levels = [StockFacts.model_validate(facts) for facts in await session.scalars(FACTS)]
        assert len(levels) == len(PLACES) * len(SKUS)
        yield Comparison(session, levels)


def single_conditions() -> Iterator[Where]:
    """Every operator of every field."""
    for field in STOCK_FACTS:
        is_text = field in {"sku", "city", "zip", "county", "category"}
        values = [*NAMES, *ZIPS, "s", "O", ""] if is_text else NUMBERS
        names = ["eq", "contains", "startsWith"] if is_text else ["eq", "gt", "gte", "lt", "lte"]
        operators = [{name: value} for name in names for value in values]
        for operator in [*operators, {"in": []}, {"in": values[:2]}, {"isNull": True}, {"isNull": False}, {}]:
            yield {field: operator}
            yield {"not": {field: operator}}


async def test_memory_and_sql_agree_on_every_operator_of_every_field(comparison: Comparison) -> None:
    for where in single_conditions():
        await comparison.compare(where)

    assert comparison.selective > 100, "most filters keep some and drop some"


async def test_memory_and_sql_agree_on_whole_filters(comparison: Comparison) -> None:
    loop = asyncio.get_running_loop()

    @given(where=WHERES)
    @settings(max_examples=150, deadline=None)
    def run(where: Where) -> None:
        asyncio.run_coroutine_threadsafe(comparison.compare(where), loop).result()

    await asyncio.to_thread(run)

    assert comparison.selective > 20, "many filters keep some and drop some"


def test_events_and_states_are_chosen_by_the_same_fields() -> None:
    assert STOCK_FACTS.keys() == FIELDS.keys()


async def test_every_character_is_folded_as_the_database_does(database: Database) -> None:
    # those that this Python knows: the database may know a newer Unicode
    characters = [chr(code) for code in range(1, 0x3000) if unicodedata.category(chr(code)) != "Cn"]
    async with database.read() as session:
        rows = await session.execute(
            text("SELECT c, lower(c) FROM unnest(CAST(:all AS text[])) AS c"), {"all": characters}
        )
        different = [character for character, low in rows if folded(character) != low]

    assert different == []


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"colour": {"eq": 1}}, ("where", "colour")),
        ({"delta": {"near": 1}}, ("where", "delta", "near")),
        ({"delta": {"eq": None}}, ("where", "delta", "eq")),
        ({"and": [{}, {"city": {"in": ["a", "\x07"]}}]}, ("where", "and", "1", "city", "in")),
        ({"not": {"or": [{"colour": {}}]}}, ("where", "not", "or", "0", "colour")),
    ],
)
def test_what_cannot_be_asked_is_named(where: Where, path: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        event_predicate(where, STOCK_CHANGE_FACTS)
    assert caught.value.path == path


def deep(levels: int) -> Where:
    where: Where = {}
    for _ in range(levels):
        where = {"not": where}
    return where


@pytest.mark.parametrize(
    "where",
    [
        deep(MAX_DEPTH + 1),
        {"delta": {"in": list(range(MAX_LIST + 1))}},
        {"or": [{"delta": {"eq": number}} for number in range(MAX_CONDITIONS + 1)]},
        {"and": [{"delta": {"in": list(range(MAX_LIST))}}] * (MAX_VALUES // MAX_LIST + 1)},
    ],
    ids=["depth", "list", "conditions", "values"],
)
def test_size_is_limited(where: Where) -> None:
    with pytest.raises(TooComplex):
        event_predicate(where, STOCK_CHANGE_FACTS)


def test_causes_are_chosen() -> None:
    class Fact:
        cause = MovementCause.SALE
        delta = -1

    matches = event_predicate({"cause": {"in": [MovementCause.SALE]}, "delta": {"lt": 0}}, STOCK_CHANGE_FACTS)

    assert matches(Fact)
    assert not event_predicate({"not": {"cause": {"eq": MovementCause.SALE}}}, STOCK_CHANGE_FACTS)(Fact)
