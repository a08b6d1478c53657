"""The company's settings: one row that administrators change while the program runs."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.settings import SettingsRow
from graphql_api.services.checks import one_line, optional_line, optional_text, whole
from graphql_api.services.currency import STORED_DIGITS, currency_digits, current_currencies
from graphql_api.services.editing import Noun, Property, change_row, check_version, locked_row
from graphql_api.services.errors import BadInput, NotFound
from graphql_api.services.low_stock import reevaluate
from graphql_api.services.noticeboard import NoticeKind
from graphql_api.services.unit_of_work import UnitOfWork

SETTINGS_ID = 1
MAX_NAME = 200
MAX_ADDRESS = 500
MAX_TAX_NUMBER = 50
TAX_DIGITS = 3
WHOLE = 100
MAX_THRESHOLD = 1_000_000


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
    row = await locked_row(work.session, SETTINGS_NOUN, SETTINGS_ID)
    check_version(row, expected_version)
    await change_row(work, SETTINGS_NOUN, row, changes)
    if "lowStockThreshold" in changes:
        await reevaluate(work, None)
    if row.version != expected_version:
        row.updated_at = await work.session.scalar(select(func.now())) or row.updated_at
        await work.announce(NoticeKind.SETTINGS, SETTINGS_ID)
    return row


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


SETTINGS: Mapping[str, Property] = {
    "companyName": Property("company_name", one_line(MAX_NAME), is_needed=True),
    "companyAddress": Property("company_address", optional_text(MAX_ADDRESS)),
    "taxNumber": Property("tax_number", optional_line(MAX_TAX_NUMBER)),
    "currency": Property("currency", _currency, is_needed=True),
    "taxRate": Property("tax_rate", _tax_rate, is_needed=True),
    "lowStockThreshold": Property("low_stock_threshold", whole(0, MAX_THRESHOLD), is_needed=True),
    "sellsExpired": Property("sells_expired", is_needed=True),
    "accessTokenMinutes": Property("access_token_minutes", whole(1, 15), is_needed=True),
    "refreshTokenDays": Property("refresh_token_days", whole(1, 90), is_needed=True),
}
"""Every setting by the name that clients know."""
SETTINGS_NOUN = Noun(
    "Settings",
    SettingsRow,
    SETTINGS,
    unknown=NotFound("The settings are gone; the migrations make them."),
    violations={
        "ck_settings_currency_is_iso_4217": BadInput("Give the three letters of ISO 4217.", path=("currency",)),
        "ck_settings_tax_rate_is_percent": BadInput("The tax rate is a percentage from 0 to 100.", path=("taxRate",)),
        "ck_settings_threshold_not_negative": BadInput("This must not be negative.", path=("lowStockThreshold",)),
        "ck_settings_access_tokens_short": BadInput("Give 1 to 15 minutes.", path=("accessTokenMinutes",)),
        "ck_settings_refresh_tokens_limited": BadInput("Give 1 to 90 days.", path=("refreshTokenDays",)),
        "ck_settings_company_named": BadInput("Write at least one character.", path=("companyName",)),
    },
)
