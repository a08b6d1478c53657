"""Currencies: which there are, and how many digits their amounts have."""

import datetime as dt
from functools import cache

from babel.core import get_global
from babel.numbers import get_currency_precision

# Amounts are stored in hundredths everywhere.
STORED_DIGITS = 2


def currency_digits(code: str) -> int:
    """Digits after the point of an amount in the currency of this ISO 4217 code, as people write it."""
    return get_currency_precision(code)


@cache
def current_currencies() -> frozenset[str]:
    """The ISO 4217 codes of the money that is legal tender somewhere today."""
    today = dt.date.today().timetuple()[:3]  # noqa: DTZ011 - currencies come and go on no particular hour
    return frozenset(
        code
        for used in get_global("territory_currencies").values()
        for code, _since, until, is_tender in used
        if is_tender and (until is None or until >= today)
    )
