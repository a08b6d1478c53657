import asyncio
import subprocess
import sys
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from babel.numbers import list_currencies
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.settings import SettingsRow
from graphql_api.database.user import Role
from graphql_api.services.audit import Act
from graphql_api.services.currency import currency_digits, current_currencies
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.noticeboard import NOTICES
from graphql_api.services.policy import Viewer
from graphql_api.services.settings import SETTINGS, read_settings, update_settings
from graphql_api.services.unit_of_work import unit_of_work

ACT = Act("updateSettings", Viewer(user_id=1, role=Role.ADMIN, session_id=1))


async def update(database: Database, version: int = 1, **changes: Any) -> SettingsRow:
    async with unit_of_work(database, ACT) as work:
        return await update_settings(work, version, changes)


async def read(database: Database) -> dict[str, Any]:
    async with database.read() as session:
        row = await read_settings(session)
    return {name: getattr(row, setting.column) for name, setting in SETTINGS.items()} | {"version": row.version}


async def entries(database: Database) -> list[Any]:
    async with database.read() as session:
        return list(await session.execute(text("SELECT * FROM audit_entry ORDER BY id")))


DEFAULTS = {
    "companyName": "My company",
    "companyAddress": None,
    "taxNumber": None,
    "currency": "USD",
    "taxRate": Decimal(0),
    "lowStockThreshold": 10,
    "sellsExpired": False,
    "accessTokenMinutes": 15,
    "refreshTokenDays": 30,
    "version": 1,
}


async def test_a_new_database_has_settings(database: Database) -> None:
    assert await read(database) == DEFAULTS


GOOD = [
    ("companyName", "  Ale & Söhne ", "Ale & Söhne"),
    ("companyName", "x" * 200, "x" * 200),
    ("companyName", "شركة\u200f", "شركة\u200f"),
    ("companyName", "Cafe\u0301", "Café"),
    ("companyAddress", "1 Main Street\r\nDes Moines", "1 Main Street\nDes Moines"),
    ("companyAddress", "  ", None),
    ("companyAddress", None, None),
    ("companyAddress", "x" * 500, "x" * 500),
    ("taxNumber", "DE 123", "DE 123"),
    ("taxNumber", None, None),
    ("currency", "EUR", "EUR"),
    ("currency", "EGP", "EGP"),
    ("taxRate", Decimal(0), Decimal(0)),
    ("taxRate", Decimal("6.125"), Decimal("6.125")),
    ("taxRate", Decimal("6.1250"), Decimal("6.125")),
    ("taxRate", Decimal("1E+2"), Decimal(100)),
    ("lowStockThreshold", 0, 0),
    ("lowStockThreshold", 1_000_000, 1_000_000),
    ("sellsExpired", True, True),
    ("accessTokenMinutes", 1, 1),
    ("accessTokenMinutes", 15, 15),
    ("refreshTokenDays", 1, 1),
    ("refreshTokenDays", 90, 90),
]


@pytest.mark.parametrize(("name", "given", "stored"), GOOD)
async def test_a_good_value_is_kept_and_nothing_else_changes(
    database: Database, name: str, given: Any, stored: Any
) -> None:
    await update(database, **{name: given})

    changed = {} if stored == DEFAULTS[name] else {"version": 2}
    assert await read(database) == DEFAULTS | {name: stored} | changed


BAD = [
    ("companyName", None, "cannot be null"),
    ("companyName", "", "at least one character"),
    ("companyName", " \n ", "at least one character"),
    ("companyName", "x" * 201, "At most 200 characters fit; these are 201"),
    ("companyName", "two\nlines", "control characters"),
    ("companyName", "\u200b\u00a0", "at least one character"),
    ("companyName", "abc\u202edef", "control characters"),
    ("companyName", "bell\x07", "control characters"),
    ("companyAddress", "x" * 501, "At most 500"),
    ("companyAddress", "tab\there", "control characters"),
    ("taxNumber", "x" * 51, "At most 50"),
    ("currency", None, "cannot be null"),
    ("currency", "", "no currency in use"),
    ("currency", "usd", "no currency in use"),
    ("currency", "DEM", "no currency in use"),
    ("currency", "XAU", "no currency in use"),
    ("currency", "ABC", "no currency in use"),
    ("currency", "JPY", "those in JPY have 0"),
    ("currency", "KWD", "those in KWD have 3"),
    ("taxRate", None, "cannot be null"),
    ("taxRate", Decimal("-0.001"), "from 0 to 100"),
    ("taxRate", Decimal("100.001"), "from 0 to 100"),
    ("taxRate", Decimal("NaN"), "from 0 to 100"),
    ("taxRate", Decimal("1E+30"), "from 0 to 100"),
    ("taxRate", Decimal("6.1255"), "at most 3 digits"),
    ("taxRate", Decimal("1E-30"), "at most 3 digits"),
    ("lowStockThreshold", -1, "from 0 to 1,000,000"),
    ("lowStockThreshold", 1_000_001, "from 0 to 1,000,000"),
    ("accessTokenMinutes", 0, "from 1 to 15"),
    ("accessTokenMinutes", 16, "from 1 to 15"),
    ("refreshTokenDays", 0, "from 1 to 90"),
    ("refreshTokenDays", 91, "from 1 to 90"),
]


@pytest.mark.parametrize(("name", "given", "message"), BAD)
async def test_a_bad_value_is_refused_with_the_way_to_it(
    database: Database, name: str, given: Any, message: str
) -> None:
    with pytest.raises(BadInput, match=message) as refusal:
        await update(database, **{"companyName": "Other", name: given})

    assert refusal.value.path == (name,)
    assert await read(database) == DEFAULTS
    assert await entries(database) == []


# What the database itself does not take, should the code ever let it through.
IMPOSSIBLE = [
    "company_name = ''",
    "company_name = NULL",
    "currency = 'usd'",
    "currency = 'EURO'",
    "tax_rate = 100.001",
    "tax_rate = -1",
    "tax_rate = 'NaN'",
    "low_stock_threshold = -1",
    "access_token_minutes = 0",
    "access_token_minutes = 16",
    "refresh_token_days = 0",
    "refresh_token_days = 91",
    "id = 2",
]


@pytest.mark.parametrize("change", IMPOSSIBLE)
async def test_the_database_holds_the_limits_as_well(database_url: str, change: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute("UPDATE settings SET " + change)  # noqa: S608 - of this test
    finally:
        await connection.close()


async def test_two_administrators_cannot_overwrite_each_other(database: Database) -> None:
    results = await asyncio.gather(
        *(update(database, companyName=name) for name in ("First", "Second")), return_exceptions=True
    )

    (refusal,) = [result for result in results if isinstance(result, BaseException)]
    assert isinstance(refusal, Conflict)
    assert refusal.path == ("expectedVersion",)
    assert "version is 2 now" in refusal.message
    assert (await read(database))["version"] == 2
    assert len(await entries(database)) == 1


async def test_a_tax_rate_of_minus_zero_is_zero(database: Database) -> None:
    row = await update(database, taxRate=Decimal("-0"))

    assert str(row.tax_rate) == "0.000"


async def test_the_record_tells_what_was_changed(database: Database) -> None:
    await update(database, taxRate=Decimal("6.5"), accessTokenMinutes=5)

    (entry,) = await entries(database)
    assert (entry.entity, entry.entity_id, entry.actor_id) == ("Settings", 1, 1)
    changed = {name for name in entry.before if entry.before[name] != entry.after[name]}
    assert changed == {"taxRate", "accessTokenMinutes"}
    assert [Decimal(fields["taxRate"]) for fields in (entry.before, entry.after)] == [Decimal(0), Decimal("6.5")]
    assert (entry.before["accessTokenMinutes"], entry.after["accessTokenMinutes"]) == (15, 5)


@pytest.mark.parametrize("changes", [{}, {"currency": "USD"}, {"taxRate": Decimal("0.000")}])
async def test_to_change_nothing_is_allowed_and_recorded(database: Database, changes: dict[str, Any]) -> None:
    await update(database, **changes)

    assert await read(database) == DEFAULTS
    (entry,) = await entries(database)
    assert entry.before == entry.after


async def test_a_change_is_announced_when_it_is_kept(database: Database, database_url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(database_url)
    try:
        await connection.add_listener(NOTICES, lambda *found: heard.put_nowait(str(found[-1])))
        await update(database)
        with pytest.raises(Conflict):
            await update(database, 7, companyName="Other")
        await update(database, companyName="Other")
        notice = await asyncio.wait_for(heard.get(), 60)
    finally:
        await connection.close()

    assert '"SETTINGS"' in notice
    assert heard.empty()


async def test_another_process_sees_the_change(database: Database, database_url: str) -> None:
    await update(database, companyName="Ale Ltd", refreshTokenDays=7)
    script = (
        "import asyncio\n"
        "from graphql_api.database.engine import Database\n"
        "from graphql_api.services.settings import read_settings\n"
        "async def main():\n"
        f"    database = Database({database_url!r})\n"
        "    async with database.read() as session:\n"
        "        row = await read_settings(session)\n"
        "    print(row.company_name, row.refresh_token_days)\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
    )

    seen = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )

    assert seen.stdout == "Ale Ltd 7\n"


def test_currencies_in_use_are_those_people_pay_with() -> None:
    current = current_currencies()

    assert {"USD", "EUR", "GBP", "EGP", "JPY", "KWD", "SAR"} <= current
    assert current <= set(list_currencies())
    assert current.isdisjoint({"DEM", "FRF", "XAU", "XTS", "XXX", "USN"})
    assert {code: currency_digits(code) for code in ("USD", "JPY", "KWD")} == {"USD": 2, "JPY": 0, "KWD": 3}
