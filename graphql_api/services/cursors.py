"""Opaque cursors: the sort values of a row and the order they belong to, as base64url JSON."""

import base64
import binascii
import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, overload

from sqlalchemy import BigInteger, Integer
from sqlalchemy.types import TypeEngine

from graphql_api.services.errors import BadInput

VERSION = 1
MAX_LENGTH = 2_000
MAX_DIGITS = 40
BITS = {BigInteger: 63, Integer: 31}


class BadCursor(BadInput):
    """A cursor that cannot be used."""


def damaged() -> BadCursor:
    """The refusal of what was never one of our cursors."""
    return BadCursor("This cursor is damaged. Pass one exactly as it was given by `edges` or `pageInfo`.")


def _of_other_order() -> BadCursor:
    return BadCursor("This cursor belongs to a list in another order. Start again without it, or keep `orderBy`.")


def encode(order: str, values: Sequence[Any]) -> str:
    """The cursor of the row with these sort values in `order`."""
    content = json.dumps([VERSION, order, [_to_json(value) for value in values]], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


class Cursors(Sequence[str]):
    """The cursors of a page, each made when it is asked for: most clients need only the last one."""

    def __init__(self, order: str, keys: Sequence[Sequence[Any]]) -> None:
        self.order = order
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> "Cursors": ...
    def __getitem__(self, position: int | slice) -> "str | Cursors":
        if isinstance(position, slice):
            return Cursors(self.order, self.keys[position])
        return encode(self.order, self.keys[position])


def _to_json(value: Any) -> Any:
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def decode(cursor: str, order: str, types: Sequence[TypeEngine[Any]]) -> list[Any]:
    """The sort values in `cursor`, which must have been made for `order`.

    Raises:
        BadCursor: when it was made for another order, or by somebody else.
    """
    content = _content(cursor)
    match content:
        case [int(version), str(made_for), list(values)] if version == VERSION and len(values) == len(types):
            pass
        case [int(version), str(made_for), list()] if version == VERSION and made_for != order:
            raise _of_other_order()
        case _:
            raise damaged()
    if made_for != order:
        raise _of_other_order()
    try:
        return [_from_json(value, kind) for value, kind in zip(values, types, strict=True)]
    except (ValueError, InvalidOperation):
        raise damaged() from None


def _content(cursor: str) -> Any:
    if len(cursor) > MAX_LENGTH:
        raise damaged()
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise damaged() from None


def _from_json(value: Any, kind: TypeEngine[Any]) -> Any:
    if value is None:
        return None
    expected = kind.python_type
    if type(value) is int and expected is int:
        return _within(value, kind)
    if not isinstance(value, str) or expected is int:
        raise damaged()
    return _from_text(value, expected)


def _within(value: int, kind: TypeEngine[Any]) -> int:
    bits = next(bits for integer, bits in BITS.items() if isinstance(kind, integer))
    if not -(2**bits) <= value < 2**bits:
        raise damaged()
    return value


def _from_text(text: str, expected: type) -> Any:
    if expected is dt.date:
        return dt.date.fromisoformat(text)
    if expected is dt.datetime:
        return _aware(dt.datetime.fromisoformat(text))
    if expected is Decimal:
        return _finite(Decimal(text))
    if "\x00" in text or _has_surrogate(text):
        raise damaged()
    return text


def _aware(instant: dt.datetime) -> dt.datetime:
    if instant.tzinfo is None:
        raise damaged()
    return instant


def _finite(number: Decimal) -> Decimal:
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
        raise damaged()
    return number


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
