"""Cursors of the event log: which log, and after which event of it."""

import base64
import binascii

MARK = "events1"
# Enough of a log's name to tell it from any other.
LOG_LENGTH = 8
MAX_LENGTH = 100
MAX_DIGITS = 18


class BadCursor(ValueError):  # noqa: N818 - reads as what it is
    """A cursor that was never one of ours."""


class CursorExpired(Exception):  # noqa: N818 - named as its code
    """What follows this cursor is no longer kept, or belongs to another log: begin anew from the present state."""


def encode_cursor(log: str, number: int) -> str:
    """The cursor behind event `number` of `log`; 0 is before the first."""
    return base64.urlsafe_b64encode(f"{MARK}:{log[:LOG_LENGTH]}:{number}".encode()).decode().rstrip("=")


def decode_cursor(text: str, log: str) -> int:
    """The number of the event that the cursor is behind.

    Raises:
        BadCursor: it is none of ours.
        CursorExpired: it belongs to another log, such as that of a database that was replaced.
    """
    if len(text) > MAX_LENGTH or not text.isascii():
        raise BadCursor
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise BadCursor from None
    mark, _, rest = content.partition(":")
    of_log, _, number = rest.partition(":")
    if mark != MARK or not number.isdecimal() or len(number) > MAX_DIGITS:
        raise BadCursor
    if of_log != log[:LOG_LENGTH]:
        raise CursorExpired
    return int(number)
