"""The company's settings: one row that administrators change while the program runs."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.settings import SettingsRow
from graphql_api.services.currency import STORED_DIGITS, currency_digits, current_currencies
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.noticeboard import NoticeKind
from graphql_api.services.plain_text import has_control, is_blank
from graphql_api.services.unit_of_work import UnitOfWork

SETTINGS_ID = 1
MAX_NAME = 200
MAX_ADDRESS = 500
MAX_TAX_NUMBER = 50
TAX_DIGITS = 3
WHOLE = 100
MAX_THRESHOLD = 1_000_000

# Takes what a client gave and brings it to the stored form, or raises `BadInput` without a path.
Check = Callable[[Any], Any]


@dataclass(frozen=True)
class Setting:
    """One setting: its column, what it may be, and whether it may be null."""

    column: str
    check: Check
    is_nullable: bool = False


async def read_settings(session: AsyncSession) -> SettingsRow:
    """The settings as they are now."""
    return (await session.execute(select(SettingsRow))).scalar_one()


async def settings_by_id(session: AsyncSession, ids: Sequence[int]) -> list[SettingsRow | None]:
    """The settings for each of these ids, of which there is only one."""
    row = await read_settings(session)
    return [row if key == row.id else None for key in ids]


async def update_settings(work: UnitOfWork, expected_version: int, changes: Mapping[str, Any]) -> SettingsRow:
    """Change some settings; every process hears of it with the commit.

    Args:
        work: the transaction.
        expected_version: the version that whoever changes them has read.
        changes: new values by the names in `SETTINGS`; what is not there stays as it is.

    Raises:
        BadInput: a value cannot be used, with the setting as path.
        Conflict: somebody else has changed the settings since.
    """
    values = {SETTINGS[name].column: _checked(name, value) for name, value in changes.items()}
    row = (await work.session.execute(select(SettingsRow).with_for_update())).scalar_one()
    if row.version != expected_version:
        raise Conflict(
            "The settings were changed since you read them: they have version {version} now. Read them again.",
            path=("expectedVersion",),
            version=row.version,
        )
    before = _facts(row)
    for column, value in values.items():
        setattr(row, column, value)
    if _facts(row) != before:
        row.version += 1
        row.updated_at = await work.session.scalar(select(func.now())) or row.updated_at
        await work.session.flush()
        await work.announce(NoticeKind.SETTINGS, SETTINGS_ID)
    work.record("Settings", SETTINGS_ID, before=before, after=_facts(row))
    return row


def _facts(row: SettingsRow) -> dict[str, Any]:
    """What the audit record keeps: everything but the version, which follows from the rest."""
    return {name: getattr(row, setting.column) for name, setting in SETTINGS.items()}


def _checked(name: str, value: Any) -> Any:
    setting = SETTINGS[name]
    if value is None and not setting.is_nullable:
        raise BadInput("`{setting}` cannot be null. Leave it out to keep it as it is.", path=(name,), setting=name)
    try:
        return None if value is None else setting.check(value)
    except BadInput as error:
        raise error.below(name) from None


def _text(limit: int, *, is_multiline: bool = False) -> Check:
    """A text of at most `limit` characters without control characters, in NFC; empty becomes None."""

    def check(value: str) -> str | None:
        text = unicodedata.normalize("NFC", value.replace("\r\n", "\n")).strip()
        if len(text) > limit:
            raise BadInput("At most {limit} characters fit; these are {length}.", limit=limit, length=len(text))
        plain = text.replace("\n", "") if is_multiline else text
        if has_control(plain):
            raise BadInput("This text holds control characters. Take them out.")
        return None if is_blank(text) else text

    return check


def _company_name(value: str) -> str:
    name: str | None = _text(MAX_NAME)(value)
    if name is None:
        raise BadInput("A company needs a name.")
    return name


def _currency(value: str) -> str:
    if value not in current_currencies():
        raise BadInput(
            '"{code}" is no currency in use. Give the three letters of ISO 4217, as in "EUR".', code=value[:9]
        )
    digits = currency_digits(value)
    if digits != STORED_DIGITS:
        raise BadInput(
            "Amounts are kept with two digits after the point, and those in {code} have {digits}. "
            "Choose a currency with two.",
            code=value,
            digits=digits,
        )
    return value


def _tax_rate(value: Decimal) -> Decimal:
    if not value.is_finite() or not 0 <= value <= WHOLE:
        raise BadInput("The tax rate is a percentage from 0 to 100.")
    rounded = round(value, TAX_DIGITS)
    if rounded != value:
        raise BadInput("The tax rate has at most {digits} digits after the point.", digits=TAX_DIGITS)
    # minus zero is zero
    return abs(rounded)


def _whole(least: int, most: int) -> Check:
    """A whole number from `least` to `most`."""

    def check(value: int) -> int:
        if not least <= value <= most:
            raise BadInput("Give a whole number from {least} to {most:,}.", least=least, most=most)
        return value

    return check


SETTINGS: Mapping[str, Setting] = {
    "companyName": Setting("company_name", _company_name),
    "companyAddress": Setting("company_address", _text(MAX_ADDRESS, is_multiline=True), is_nullable=True),
    "taxNumber": Setting("tax_number", _text(MAX_TAX_NUMBER), is_nullable=True),
    "currency": Setting("currency", _currency),
    "taxRate": Setting("tax_rate", _tax_rate),
    "lowStockThreshold": Setting("low_stock_threshold", _whole(0, MAX_THRESHOLD)),
    "accessTokenMinutes": Setting("access_token_minutes", _whole(1, 15)),
    "refreshTokenDays": Setting("refresh_token_days", _whole(1, 90)),
}
"""Every setting by the name that clients know."""
