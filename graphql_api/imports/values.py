"""Exact readers of single values. They see every distinct text once, so clarity counts more than speed here.

Each takes text that is stripped and not empty, and raises `ValueProblem` when it cannot be read.
"""

import re
import unicodedata
from datetime import date
from decimal import Decimal

from graphql_api.imports.rejects import RejectCode

MAX_CENTS = 10**10
MAX_ID_LENGTH = 64
MAX_SKU_LENGTH = 64
MAX_ZIP_LENGTH = 20
MAX_NAME_LENGTH = 500
MAX_NUMBER_LENGTH = 40
FIRST_YEAR, LAST_YEAR = 1900, 2200
MAX_LATITUDE, MAX_LONGITUDE = 90, 180

WHOLE = r"\d{1,3}(?:,\d{3})+|\d+"
MONEY = re.compile(
    rf"(?P<open>\()?(?P<sign>[-+]?)\$?(?P<late_sign>-?)(?P<whole>{WHOLE})?(?:\.(?P<fraction>\d+))?(?P<close>\))?",
    re.ASCII,
)
INTEGER = re.compile(rf"([-+]?)({WHOLE})(?:\.0*)?", re.ASCII)
MIDNIGHT = r"(?:(?:T|\s+)(?:00:00(?::00(?:\.0+)?)?Z?|12:00(?::00)?\s*AM))?"
ISO_DATE = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}}){MIDNIGHT}", re.ASCII)
US_DATE = re.compile(rf"(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<year>\d{{4}}){MIDNIGHT}", re.ASCII)
POINT = re.compile(r"POINT\s*\(\s*(-?\d+(?:\.\d+)?)\s+(-?\d+(?:\.\d+)?)\s*\)", re.ASCII | re.IGNORECASE)
PAIR = re.compile(r"\(\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*\)\Z", re.ASCII)
DEGREES = re.compile(r"[-+]?\d{1,3}(?:\.\d{1,20})?", re.ASCII)
FLOAT_OF_DIGITS = re.compile(r"(\d+)\.0+", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Marks of direction, joints and blanks of no width: two spellings that look the same must be the same.
INVISIBLE = re.compile(r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
SIXTH_DECIMAL = Decimal("0.000001")


class ValueProblem(Exception):  # noqa: N818 - a finding about the data, not a fault of the program
    """A text that cannot be read as what its column holds."""

    def __init__(self, code: RejectCode, hint: str) -> None:
        super().__init__(hint)
        self.code = code
        self.hint = hint


class TextTooLong(ValueProblem):
    """A text of more than `limit` characters."""

    def __init__(self, limit: int) -> None:
        super().__init__(RejectCode.BAD_TEXT, f"Shorten the text to {limit} characters.")
        self.limit = limit


def strip_text(text: str) -> str:
    """The text without white space around it and without invisible marks."""
    return INVISIBLE.sub("", text).strip()


def parse_money(text: str) -> int:
    """Cents of an amount such as `$9.50`, `1,750.00`, `-3` or `(3.00)`; within ±10^10 cents."""
    match = MONEY.fullmatch(text) if len(text) <= MAX_NUMBER_LENGTH else None
    if match is None or not _is_consistent(match):
        raise ValueProblem(RejectCode.BAD_NUMBER, "Write the amount as in 1750.00, with a point before the cents.")
    fraction = match["fraction"] or ""
    if fraction[2:].strip("0"):
        raise ValueProblem(RejectCode.BAD_NUMBER, "Give the amount in whole cents: two digits after the point.")
    whole = int((match["whole"] or "0").replace(",", ""))
    cents = whole * 100 + int(fraction[:2].ljust(2, "0"))
    if cents > MAX_CENTS:
        raise ValueProblem(RejectCode.OUT_OF_RANGE, "Amounts go up to 100,000,000.00.")
    is_negative = match["open"] or match["sign"] == "-" or match["late_sign"]
    return -cents if is_negative else cents


def _is_consistent(match: re.Match[str]) -> bool:
    """At most one way to say minus, both parentheses or none, and a digit somewhere."""
    signs = bool(match["open"]) + bool(match["sign"]) + bool(match["late_sign"])
    has_digits = match["whole"] is not None or match["fraction"] is not None
    return signs <= 1 and bool(match["open"]) == bool(match["close"]) and has_digits


def parse_integer(text: str) -> int:
    """A whole number such as `1,750`, `56.0` or `-12`."""
    match = INTEGER.fullmatch(text) if len(text) <= MAX_NUMBER_LENGTH else None
    if match is None:
        raise ValueProblem(RejectCode.BAD_NUMBER, "Write a whole number as in 1750.")
    number = int(match[2].replace(",", ""))
    return -number if match[1] == "-" else number


def parse_date(text: str) -> date:
    """A day written `2019-04-24`, `4/24/2019` (month first), with or without midnight behind it."""
    match = ISO_DATE.fullmatch(text) or US_DATE.fullmatch(text)
    if match is None:
        raise ValueProblem(RejectCode.BAD_DATE, "Write the date as in 2019-04-24 or 04/24/2019 (month first).")
    year = int(match["year"])
    try:
        day = date(year, int(match["month"]), int(match["day"]))
    except ValueError:
        raise ValueProblem(
            RejectCode.BAD_DATE, "This day does not exist; dates with slashes are month first."
        ) from None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueProblem(RejectCode.OUT_OF_RANGE, f"Years go from {FIRST_YEAR} to {LAST_YEAR}.")
    return day


def clean_text(text: str, longest: int) -> str:
    """The text in its composed form (NFC) with runs of white space as one space; no control characters."""
    cleaned = unicodedata.normalize("NFC", " ".join(text.split()))
    if CONTROL.search(cleaned):
        raise ValueProblem(RejectCode.BAD_TEXT, "Remove the control characters from the text.")
    if len(cleaned) > longest:
        raise TextTooLong(longest)
    return cleaned


def clean_name(text: str) -> str:
    """A name as it is shown, upper and lower case kept."""
    return clean_text(text, MAX_NAME_LENGTH)


def clean_place_name(text: str) -> str:
    """A city or county in its one canonical form, upper case."""
    return clean_text(clean_text(text, MAX_NAME_LENGTH).upper(), MAX_NAME_LENGTH)


def clean_zip(text: str) -> str:
    """A zip code as given, except that `52726.0` is 52726."""
    return _without_zero_fraction(clean_text(text, MAX_ZIP_LENGTH))


def clean_sku(text: str) -> str:
    """An item number as text: `x904631` stays, `43127.0` is 43127."""
    return _without_zero_fraction(clean_text(text, MAX_SKU_LENGTH))


def _without_zero_fraction(text: str) -> str:
    match = FLOAT_OF_DIGITS.fullmatch(text)
    return match[1] if match else text


def parse_location(text: str) -> tuple[Decimal, Decimal] | None:
    """Latitude and longitude to six decimals, or None: a sale does not depend on its store's position.

    Reads `POINT (longitude latitude)` and an address with `(latitude, longitude)` on its last line.
    """
    if match := POINT.fullmatch(text):
        return _coordinates(latitude=match[2], longitude=match[1])
    if match := PAIR.search(text):
        return _coordinates(latitude=match[1], longitude=match[2])
    return None


def _coordinates(latitude: str, longitude: str) -> tuple[Decimal, Decimal] | None:
    position = Decimal(latitude), Decimal(longitude)
    if abs(position[0]) > MAX_LATITUDE or abs(position[1]) > MAX_LONGITUDE:
        return None
    return position[0].quantize(SIXTH_DECIMAL), position[1].quantize(SIXTH_DECIMAL)
