"""Checks of single values: each brings what a client gave to the stored form, or raises `BadInput` without a path."""

import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from graphql_api.services.errors import BadInput
from graphql_api.services.plain_text import has_control, is_blank

Check = Callable[[Any], Any]

MAX_CENTS = 10**15
# More digits than a client can send, so that none is rounded away before it is looked at.
EXACT = Context(prec=100)
MAX_INTEGER = 2**31 - 1
MAX_PHONE = 40
PHONE_DIGITS = range(3, 16)
PHONE = re.compile(r"\+?[0-9(][0-9 ()./-]*(?: ?(?:x|ext\.?) ?[0-9]{1,6})?", re.ASCII | re.IGNORECASE)
EXTENSION = re.compile(r"(?:x|ext\.?).*", re.IGNORECASE)
DEGREE_STEP = Decimal("0.000001")


def as_given(value: Any) -> Any:
    """Whatever it is; its type has checked it."""
    return value


def one_line(limit: int) -> Check:
    """A text of one line in NFC with single spaces, 1 to `limit` characters."""

    def check(value: str) -> str:
        text = unicodedata.normalize("NFC", value).strip()
        if has_control(text):
            raise BadInput("Leave out line breaks and control characters.")
        line = " ".join(text.split())
        if is_blank(line):
            raise BadInput("Write at least one character.")
        _check_length(line, limit)
        return line

    return check


def optional_line(limit: int) -> Check:
    """`one_line`, but a text of which nothing can be seen is none."""
    line = one_line(limit)

    def check(value: str) -> str | None:
        return None if is_blank(value.strip()) else line(value)

    return check


def optional_text(limit: int) -> Check:
    """A text of any lines in NFC, at most `limit` characters; one of which nothing can be seen is none."""

    def check(value: str) -> str | None:
        text = unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
        _check_length(text, limit)
        if has_control(text.replace("\n", "")):
            raise BadInput("This text holds control characters. Take them out.")
        return None if is_blank(text.replace("\n", "")) else text

    return check


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit:
        raise BadInput("At most {limit:,} characters fit; these are {length:,}.", limit=limit, length=len(text))


def whole(least: int, most: int) -> Check:
    """A whole number from `least` to `most`."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise BadInput("Give a whole number from {least} to {most:,}.", least=least, most=most)
        return value

    return check


def to_cents(amount: Decimal) -> int:
    """An amount of money in cents.

    Raises:
        BadInput: for fractions of a cent, and for more than any amount here.
    """
    cents = amount.scaleb(2, EXACT)
    if cents != cents.to_integral_value() or abs(cents) > MAX_CENTS:
        raise BadInput("An amount has at most two digits after the point and thirteen before it.")
    return int(cents)


def amount(value: Decimal) -> int:
    """An amount of money that is not negative, in cents."""
    cents = to_cents(value)
    if cents < 0:
        raise BadInput("An amount must not be negative.")
    return cents


def from_cents(cents: int | None) -> Decimal | None:
    """Stored cents as clients see them."""
    return None if cents is None else Decimal(cents).scaleb(-2)


def degrees(limit: int) -> Check:
    """Degrees from `-limit` to `limit`, rounded to the six digits that are kept (a tenth of a metre)."""

    def check(value: Decimal) -> Decimal:
        if not value.is_finite() or not -limit <= value <= limit:
            raise BadInput("Give degrees from -{limit} to {limit}.", limit=limit)
        # minus zero is zero
        return value.quantize(DEGREE_STEP, ROUND_HALF_EVEN) + 0

    return check


def phone(value: str) -> str | None:
    """A telephone number as it is written, with Western digits; an empty one is none."""
    text = "".join(_western(character) for character in unicodedata.normalize("NFKC", value))
    text = " ".join(text.split())
    if not text:
        return None
    digits = sum(character.isdigit() for character in EXTENSION.sub("", text))
    if len(text) > MAX_PHONE or digits not in PHONE_DIGITS or not PHONE.fullmatch(text):
        raise BadInput('This is not a telephone number. Write it as in "+1 515 555 0100".')
    return text


def _western(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character
