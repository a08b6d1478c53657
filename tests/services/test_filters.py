import pytest
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlmodel import col

from graphql_api.database.place import CountyRow
from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LIST,
    MAX_VALUES,
    Where,
    column_filter,
    condition,
)

FIELDS = {"number": column_filter(col(CountyRow.number)), "name": column_filter(col(CountyRow.name), str.upper)}

DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy has no annotations here


def sql(where: Where | None) -> str:
    return str(condition(where, FIELDS).compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


def test_nothing_asked_matches_everything() -> None:
    assert sql(None) == sql({}) == sql({"number": None}) == sql({"and": []}) == "true"


def test_empty_choices_match_nothing() -> None:
    assert sql({"or": []}) == "false"
    assert "1 != 1" in sql({"number": {"in": []}})


def test_values_are_brought_to_the_stored_form() -> None:
    assert sql({"name": {"eq": "polk"}}) == "county.name = 'POLK'"


def test_wildcards_in_a_search_mean_themselves() -> None:
    assert r"'%50\%\_%'" in sql({"name": {"contains": "50%_"}}).replace("%%", "%")


def test_a_negation_includes_rows_whose_value_is_unknown() -> None:
    assert sql({"not": {"number": {"eq": 7}}}) == "(county.number = 7) IS NOT true"


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ({"colour": {"eq": 1}}, ("colour",)),
        ({"number": {"near": 1}}, ("number", "near")),
        ({"number": {"eq": None}}, ("number", "eq")),
        ({"and": [{}, {"number": {"eq": None}}]}, ("and", "1", "number", "eq")),
        ({"not": {"or": [{"colour": {}}]}}, ("not", "or", "0", "colour")),
    ],
)
def test_what_cannot_be_asked_is_named(where: Where, path: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        sql(where)
    assert caught.value.path == path


def test_size_is_limited() -> None:
    deep: Where = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"not": deep}
    with pytest.raises(TooComplex):
        sql(deep)
    with pytest.raises(TooComplex) as caught:
        sql({"number": {"in": list(range(MAX_LIST + 1))}})
    assert caught.value.path == ("number", "in")


@pytest.mark.parametrize(
    "where",
    [
        {"or": [{"number": {"eq": number}} for number in range(MAX_CONDITIONS + 1)]},
        {"and": [{"number": {"in": list(range(MAX_LIST))}}] * (MAX_VALUES // MAX_LIST + 1)},
    ],
    ids=["conditions", "values"],
)
def test_small_parts_do_not_add_up_to_something_large(where: Where) -> None:
    with pytest.raises(TooComplex, match="at most"):
        sql(where)


def test_the_largest_filter_is_accepted() -> None:
    assert sql({"or": [{"number": {"eq": number}} for number in range(MAX_CONDITIONS)]})
    assert sql({"and": [{"number": {"in": list(range(MAX_LIST))}}] * (MAX_VALUES // MAX_LIST)})
