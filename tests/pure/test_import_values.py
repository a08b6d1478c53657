import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.imports import values
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.values import MAX_CENTS, ValueProblem

CENTS = st.integers(-MAX_CENTS, MAX_CENTS)


def code_of(parse: Callable[[str], object], text: str) -> RejectCode:
    with pytest.raises(ValueProblem) as problem:
        parse(text)
    assert problem.value.hint
    return problem.value.code


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("$9.50", 950),
        ("9.5", 950),
        ("9", 900),
        (".5", 50),
        ("1,750.00", 175000),
        ("1750.0000", 175000),
        ("(3.00)", -300),
        ("($1,003.00)", -100300),
        ("-3.00", -300),
        ("-$3.00", -300),
        ("$-3.00", -300),
        ("+3", 300),
        ("0", 0),
        ("100000000.00", MAX_CENTS),
    ],
)
def test_money_is_read_to_the_cent(text: str, cents: int) -> None:
    assert values.parse_money(text) == cents


@pytest.mark.parametrize(
    "text",
    [
        "9.505",
        "9,50",
        "1.750,00",
        "1,75.00",
        "NaN",
        "Infinity",
        "1e3",
        "9.50 USD",
        "--3",
        "-(3)",
        "(3",
        "3)",
        "$",
        ".",
        "5.",
        "٣",
        "1" * 5000,
    ],
)
def test_text_that_is_no_money_is_refused_and_never_zero(text: str) -> None:
    assert code_of(values.parse_money, text) is RejectCode.BAD_NUMBER


def test_money_beyond_the_limit_is_out_of_range() -> None:
    assert code_of(values.parse_money, "100000000.01") is RejectCode.OUT_OF_RANGE


@given(
    CENTS,
    st.sampled_from(["{sign}{dollars}.{cents:02}", "{sign}${dollars:,}.{cents:02}", "{sign}{dollars:,}.{cents:02}00"]),
)
@settings(deadline=None)
def test_money_survives_writing_and_reading(amount: int, form: str) -> None:
    dollars, cents = divmod(abs(amount), 100)
    text = form.format(sign="-" if amount < 0 else "", dollars=dollars, cents=cents)

    assert values.parse_money(text) == amount


@given(st.text(max_size=12))
@settings(deadline=None)
def test_whatever_reads_as_money_is_the_decimal_it_shows(text: str) -> None:
    try:
        cents = values.parse_money(text)
    except ValueProblem:
        return
    plain = re.sub(r"[$,()+-]", "", text)
    assert abs(cents) == Decimal(plain) * 100


@pytest.mark.parametrize(("text", "number"), [("1,750", 1750), ("56.0", 56), ("-12", -12), ("007", 7), ("6.", 6)])
def test_integers_are_read_as_files_write_them(text: str, number: int) -> None:
    assert values.parse_integer(text) == number


@pytest.mark.parametrize("text", ["6.5", "1,75", "x", "1e3", "nan", "--1", "²", "9" * 5000])
def test_text_that_is_no_integer_is_refused(text: str) -> None:
    assert code_of(values.parse_integer, text) is RejectCode.BAD_NUMBER


@pytest.mark.parametrize(
    "text",
    [
        "2015-01-05",
        "2015-01-05T00:00:00.000",
        "2015-01-05 00:00:00",
        "01/05/2015",
        "1/5/2015",
        "01/05/2015 12:00:00 AM",
    ],
)
def test_dates_are_read_month_first(text: str) -> None:
    assert values.parse_date(text) == date(2015, 1, 5)


@pytest.mark.parametrize(
    "text", ["2019-02-29", "13/01/2019", "24.04.2019", "2019-04-24T10:00:00", "20190424", "4/24/19", "43579"]
)
def test_text_that_is_no_day_is_refused(text: str) -> None:
    assert code_of(values.parse_date, text) is RejectCode.BAD_DATE


@pytest.mark.parametrize("text", ["1899-12-31", "2201-01-01"])
def test_years_far_away_are_out_of_range(text: str) -> None:
    assert code_of(values.parse_date, text) is RejectCode.OUT_OF_RANGE


@given(st.dates(date(1900, 1, 1), date(2200, 12, 31) - timedelta(days=1)))
@settings(deadline=None)
def test_dates_survive_both_ways_of_writing(day: date) -> None:
    assert values.parse_date(day.isoformat()) == day
    assert values.parse_date(f"{day.month}/{day.day}/{day.year}") == day


@pytest.mark.parametrize(
    ("text", "zip_code"), [("52726.0", "52726"), ("712-2", "712-2"), ("02139", "02139"), ("50314-1234", "50314-1234")]
)
def test_zip_codes_mean_what_was_typed(text: str, zip_code: str) -> None:
    assert values.clean_zip(text) == zip_code


@pytest.mark.parametrize(
    ("text", "sku"), [("43127", "43127"), ("43127.0", "43127"), ("x904631", "x904631"), ("0043", "0043")]
)
def test_item_numbers_stay_text(text: str, sku: str) -> None:
    assert values.clean_sku(text) == sku


def test_names_lose_stray_spaces_and_keep_their_case() -> None:
    assert values.clean_name("Hy-Vee  Food\tStore\n#2") == "Hy-Vee Food Store #2"


def test_names_are_composed() -> None:
    assert values.clean_name("Cafe\u0301") == "Caf\u00e9"


def test_places_have_one_canonical_form() -> None:
    assert values.clean_place_name("St.  Lucas") == values.clean_place_name("ST. LUCAS") == "ST. LUCAS"


@pytest.mark.parametrize("text", ["bell\x07", "x" * 501, "\ud800"])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    assert code_of(values.clean_name, text) is RejectCode.BAD_TEXT


@pytest.mark.parametrize(
    "text",
    [
        "POINT (-91.659875 41.97574)",
        "point(-91.6598750000001 41.97574)",
        "501 7TH AVE SE\nCEDAR RAPIDS 52401\n(41.97574, -91.659875)",
    ],
)
def test_locations_become_latitude_and_longitude(text: str) -> None:
    assert values.parse_location(text) == (Decimal("41.975740"), Decimal("-91.659875"))


@pytest.mark.parametrize("text", ["501 7TH AVE SE\nCEDAR RAPIDS 52401\n", "POINT (500 41)", "(95.0, 10.0)", "nowhere"])
def test_a_location_that_cannot_be_read_is_missing(text: str) -> None:
    assert values.parse_location(text) is None
