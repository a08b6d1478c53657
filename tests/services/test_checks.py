from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.services.checks import Check, amount, degrees, one_line, optional_line, optional_text, phone, whole
from graphql_api.services.errors import BadInput

ARABIC_DIGITS = "\u0660\u0661\u0660 \u0662\u0663\u0664\u0665 \u0666\u0667\u0668\u0669"
LINE, OPTIONAL, TEXT = one_line(10), optional_line(10), optional_text(10)

GOOD: list[tuple[Check, Any, Any]] = [
    (LINE, "  two   words ", "two words"),
    (LINE, "Cafe\u0301", "Café"),
    (LINE, "x" * 10, "x" * 10),
    (LINE, "نبيذ\u200f", "نبيذ\u200f"),
    (OPTIONAL, " \u200b ", None),
    (OPTIONAL, " a ", "a"),
    (TEXT, " a\r\nb ", "a\nb"),
    (TEXT, "\n\u200b\n", None),
    (whole(0, 5), 0, 0),
    (whole(0, 5), 5, 5),
    (amount, Decimal("0.10"), 10),
    (amount, Decimal("1E+2"), 10_000),
    (degrees(90), Decimal("41.58680049"), Decimal("41.586800")),
    (degrees(90), Decimal("-0.0000001"), Decimal(0)),
    (degrees(180), Decimal(-180), Decimal(-180)),
    (phone, " +1  515 555-0100 ", "+1 515 555-0100"),
    (phone, "(515) 555-0100 ext. 12", "(515) 555-0100 ext. 12"),
    (phone, "515.555.0100 x7", "515.555.0100 x7"),
    (phone, ARABIC_DIGITS, "010 2345 6789"),
    (phone, "911", "911"),
    (phone, "  ", None),
]
BAD: list[tuple[Check, Any]] = [
    (LINE, ""),
    (LINE, "\u200b\u00a0"),
    (amount, Decimal("1.00000000000000000000000000001")),
    (amount, Decimal("9999999999999.9999999999999999")),
    (LINE, "x" * 11),
    (LINE, "a\nb"),
    (LINE, "a\tb"),
    (LINE, "a\x00b"),
    (LINE, "a\ud800"),
    (LINE, "a\u202eb"),
    (OPTIONAL, "a\nb"),
    (TEXT, "a\x07"),
    (TEXT, "x" * 11),
    (whole(1, 5), 0),
    (whole(1, 5), 6),
    (amount, Decimal("-0.01")),
    (amount, Decimal("0.001")),
    (amount, Decimal("1E+20")),
    (degrees(90), Decimal("90.000001")),
    (degrees(90), Decimal("NaN")),
    (degrees(90), Decimal("Infinity")),
    (phone, "12"),
    (phone, "1" * 16),
    (phone, "call me"),
    (phone, "555 0100; DROP"),
    (phone, "++1 515 555 0100"),
    (phone, "+1 515 555 0100" + " " * 3 + "(" * 40),
    (phone, "555\n0100\x00"),
]


@pytest.mark.parametrize(("check", "given", "stored"), GOOD)
def test_a_good_value_is_brought_to_its_form(check: Check, given: Any, stored: Any) -> None:
    assert check(given) == stored


@pytest.mark.parametrize(("check", "given"), BAD)
def test_a_bad_value_is_refused(check: Check, given: Any) -> None:
    with pytest.raises(BadInput):
        check(given)


@given(st.text(max_size=50))
def test_a_stored_text_is_stored_as_it_is_when_it_comes_again(text: str) -> None:
    for check in (one_line(60), optional_text(60), phone):
        try:
            stored = check(text)
        except BadInput:
            continue
        assert stored is None or check(stored) == stored
