import pytest

from graphql_api.imports.columns import map_columns, suggest
from graphql_api.imports.layout import Field, Layout
from graphql_api.imports.layouts import PRODUCTS, PURCHASES, SALES, STOCK_COUNT, STORES
from graphql_api.imports.rejects import FileProblem, FileProblemCode
from tests.pure.test_import_samples import PORTAL


def problem_of(header: list[str], mapping: dict[str, str] | None = None) -> FileProblem:
    with pytest.raises(FileProblem) as problem:
        map_columns(header, mapping)
    assert problem.value.hint
    return problem.value


@pytest.mark.parametrize(
    ("layout", "field", "spelling"),
    [
        (layout, column.field, spelling)
        for layout in (SALES, PRODUCTS, STORES, PURCHASES, STOCK_COUNT)
        for column in layout.columns
        for spelling in column.spellings
    ],
)
def test_every_documented_spelling_is_known(layout: Layout, field: Field, spelling: str) -> None:
    rest = [column.field.value for column in layout.columns if column.field is not field]

    columns = map_columns([spelling, *rest], layout=layout)

    assert columns.positions[field] == 0


def test_fields_keep_the_order_of_the_file() -> None:
    columns = map_columns(PORTAL[::-1])

    assert list(columns.positions.values()) == list(range(len(PORTAL)))
    assert columns.name_of(Field.LINE_ID) == "Invoice/Item Number"


def test_an_unnamed_column_is_ignored() -> None:
    columns = map_columns(["", *PORTAL, "Unnamed: 24", "  "])

    assert columns.positions[Field.LINE_ID] == 1
    assert len(columns.positions) == len(PORTAL)


def test_an_unknown_column_is_named_with_what_was_probably_meant() -> None:
    problem = problem_of(["Bottle Sold" if name == "Bottles Sold" else name for name in PORTAL])

    assert problem.code is FileProblemCode.UNKNOWN_HEADER
    assert problem.column == "Bottle Sold"
    assert 'column 21 "Bottle Sold" (did you mean "Bottles Sold"?)' in problem.message
    assert '{"Bottle Sold": ""}' in problem.hint


def test_all_unknown_columns_are_named_at_once() -> None:
    problem = problem_of([*PORTAL, "Weather", "Mood"])

    assert "Weather" in problem.message
    assert "Mood" in problem.message


def test_data_in_place_of_a_header_is_recognised() -> None:
    problem = problem_of(["INV-1", "2019-04-24", "3773"])

    assert "header" in problem.hint


def test_a_mapping_renames_and_ignores() -> None:
    header = [*("Flaschen" if name == "Bottles Sold" else name for name in PORTAL), "Weather"]

    columns = map_columns(header, {"Flaschen": "quantity", "Weather": ""})

    assert columns.positions[Field.QUANTITY] == PORTAL.index("Bottles Sold")


def test_a_mapping_may_use_any_known_spelling() -> None:
    columns = map_columns(
        ["Flaschen" if name == "Bottles Sold" else name for name in PORTAL], {"Flaschen": "Bottles Sold"}
    )

    assert Field.QUANTITY in columns


@pytest.mark.parametrize("mapping", [{"Weather": ""}, {"City": "town"}])
def test_a_mapping_that_names_nothing_known_is_refused(mapping: dict[str, str]) -> None:
    problem = problem_of(PORTAL, mapping)

    assert problem.code is FileProblemCode.BAD_MAPPING
    assert problem.column == next(iter(mapping))


@pytest.mark.parametrize("second", ["City", "CITY", "Store City"])
def test_two_columns_of_one_meaning_are_refused(second: str) -> None:
    problem = problem_of([*PORTAL, second])

    assert problem.code is FileProblemCode.DUPLICATE_HEADER
    assert 'Columns 6 "City" and 25' in problem.message


def test_one_of_two_columns_of_one_meaning_can_be_ignored() -> None:
    columns = map_columns([*PORTAL, "Store City"], {"Store City": ""})

    assert columns.positions[Field.CITY] == PORTAL.index("City")


def test_all_missing_columns_are_named_at_once() -> None:
    problem = problem_of(["Store Number", "City"])

    assert problem.code is FileProblemCode.MISSING_HEADER
    for name in ("Date", "Item Number", "State Bottle Cost", "Bottles Sold", "State Bottle Retail", "Sale (Dollars)"):
        assert f'"{name}"' in problem.message


@pytest.mark.parametrize("absent", ["State Bottle Retail", "Sale (Dollars)"])
def test_price_or_amount_is_enough(absent: str) -> None:
    columns = map_columns([name for name in PORTAL if name != absent])

    assert len(columns.positions) == len(PORTAL) - 1


def test_nothing_is_suggested_for_what_resembles_nothing() -> None:
    assert suggest("Weather in Paris") is None
