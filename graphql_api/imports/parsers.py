"""Readers of cells within limits: numbers, prices, yes and no, coordinates, long texts."""

import unicodedata
from collections.abc import Callable
from decimal import Decimal

from graphql_api.imports import values
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.values import TextTooLong, ValueProblem

MAX_NUMBER = 2**31 - 1
MAX_QUANTITY = 1_000_000
MAX_PACK = 10_000
MAX_VOLUME_ML = 1_000_000
MAX_DESCRIPTION = 10_000
FLAGS = {
    **dict.fromkeys(("yes", "y", "true", "t", "1", "active", "x"), True),
    **dict.fromkeys(("no", "n", "false", "f", "0", "inactive", "archived"), False),
}


def integer_between(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers within limits."""

    def parse(text: str) -> int:
        number = values.parse_integer(text)
        if not lowest <= number <= highest:
            raise ValueProblem(RejectCode.OUT_OF_RANGE, f"The number must be from {lowest:,} to {highest:,}.")
        return number

    return parse


def parse_price(text: str) -> int:
    """Cents that are not negative."""
    cents = values.parse_money(text)
    if cents < 0:
        raise ValueProblem(RejectCode.OUT_OF_RANGE, "The price of a bottle must not be negative.")
    return cents


def parse_flag(text: str) -> bool:
    """Yes or no in one of their usual spellings."""
    flag = FLAGS.get(text.casefold())
    if flag is None:
        raise ValueProblem(RejectCode.BAD_TEXT, "Write yes or no.")
    return flag


def parse_position(text: str) -> tuple[Decimal, Decimal]:
    """Latitude and longitude; unlike a sale, a store is what the cell is about."""
    position = values.parse_location(text)
    if position is None:
        raise ValueProblem(
            RejectCode.BAD_NUMBER,
            "Write POINT (longitude latitude), as in POINT (-91.66 41.97), or (latitude, longitude).",
        )
    return position


def degrees_within(limit: int) -> Callable[[str], Decimal]:
    """A parser of degrees from -limit to limit, to six decimals."""

    def parse(text: str) -> Decimal:
        if not values.DEGREES.fullmatch(text):
            raise ValueProblem(RejectCode.BAD_NUMBER, "Write degrees as in -91.66.")
        degrees = Decimal(text)
        if abs(degrees) > limit:
            raise ValueProblem(RejectCode.OUT_OF_RANGE, f"Degrees go from -{limit} to {limit} here.")
        return degrees.quantize(values.SIXTH_DECIMAL)

    return parse


def clean_description(text: str) -> str:
    """A text of any lines in its composed form (NFC)."""
    cleaned = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    if values.CONTROL.search(cleaned.replace("\n", " ").replace("\t", " ")):
        raise ValueProblem(RejectCode.BAD_TEXT, "Remove the control characters from the text.")
    if len(cleaned) > MAX_DESCRIPTION:
        raise TextTooLong(MAX_DESCRIPTION)
    return cleaned


def clean_reference(text: str) -> str:
    """The number of a document."""
    return values.clean_text(text, values.MAX_ID_LENGTH)
