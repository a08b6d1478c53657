"""Columns of plain text hold their width, and cells of CSV do no harm, whatever is written in them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from graphql_api.services.text_cells import cell, harmless, line, number_cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ale", "Ale     "),
        ("", "        "),
        ("12345678", "12345678"),
        ("123456789", "1234567…"),
        ("梅酒", "梅酒    "),
        ("日本酒大吟醸", "日本酒… "),
        ("e\u0301te\u0301", "e\u0301te\u0301     "),
        ("a\nb\tc", "a b c   "),
        ("a\u202eb", "ab      "),
        ("عرق", "\u2068عرق\u2069     "),
    ],
)
def test_a_cell_has_its_width(text: str, shown: str) -> None:
    assert cell(text, 8) == shown


@given(st.text(max_size=60), st.integers(1, 40))
def test_no_text_breaks_a_column(text: str, width: int) -> None:
    shown = cell(text, width)

    assert cell_len(shown) == width
    assert not any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in shown)
    assert shown.count("\u2068") == shown.count("\u2069") <= 1


def test_names_from_right_to_left_do_not_turn_the_line() -> None:
    plain, turning = line(cell("Ale", 4), number_cell(3, 5)), line(cell("عرق", 4), number_cell(1_234, 5))

    assert plain == "Ale       3\n"
    assert turning == "\u200e\u2068عرق\u2069   1,234\n"
    assert cell_len(turning.rstrip("\n")) == cell_len(plain.rstrip("\n"))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\tx", "\rx", "\nx", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"],
)
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Ale", "1-2", "'quoted", "日本酒", "عرق", "a=b", " a"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text
