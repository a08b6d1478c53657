"""Do the books balance? Every invariant compared in one snapshot, with what is wrong named."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.base import now_utc
from graphql_api.database.engine import Database, driver_connection
from graphql_api.services.books_checks import CHECKS, PAST_CHECKS, Check
from graphql_api.services.errors import BadInput

MAX_EXAMPLES = 20
# One pass over what is compared. The texts of what holds are never made.
EXAMINE = """
WITH found AS (
  SELECT count(*) AS checked, count(*) FILTER (WHERE NOT is_held) AS violated,
         (array_agg(jsonb_build_object('thing', thing, 'store', store_id, 'product', product_id,
                                       'expected', expected, 'actual', actual))
          FILTER (WHERE NOT is_held))[1:{limit}] AS examples
  FROM ({comparison}) AS compared
)
SELECT f.checked, f.violated,
       concat_ws(' of ', e.example->>'thing', 'product ' || p.sku, 'store ' || s.number) AS what,
       e.example->>'expected' AS expected, e.example->>'actual' AS actual
FROM found f
LEFT JOIN LATERAL unnest(f.examples) WITH ORDINALITY AS e (example, position) ON true
LEFT JOIN store s ON s.id = (e.example->>'store')::bigint
LEFT JOIN product p ON p.id = (e.example->>'product')::bigint
ORDER BY e.position
"""
# Statements of a report over everything need memory rather than a plan for any value.
TUNE = "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)"


@dataclass(frozen=True)
class Violation:
    """One thing that is not as it has to be."""

    what: str
    expected: str
    actual: str


@dataclass(frozen=True)
class CheckResult:
    """What came of one check.

    Args:
        checked: how many things were compared.
        violated: how many of them are wrong.
        violations: some of those, at most 20.
    """

    check: Check
    checked: int
    violated: int
    violations: Sequence[Violation]

    @property
    def is_held(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violated


@dataclass(frozen=True)
class BooksCheck:
    """All checks of one snapshot; `as_of` is the day whose end they tell of, None the present."""

    checked_at: dt.datetime
    as_of: dt.date | None
    results: Sequence[CheckResult]
    milliseconds: float

    @property
    def is_balanced(self) -> bool:
        """Whether every check holds."""
        return all(result.is_held for result in self.results)


async def books_check(session: AsyncSession, as_of: dt.date | None = None) -> BooksCheck:
    """Check the books in the snapshot of a reading session.

    Args:
        session: of `Database.read`.
        as_of: a day in the past; what was moved until its end (UTC) is checked, and only what movements tell.

    Raises:
        BadInput: `as_of` lies in the future.
    """
    await session.execute(text("SELECT"))  # SQLAlchemy begins the transaction with the first statement
    return await check_books(await driver_connection(await session.connection()), as_of)


async def check_snapshot(database: Database, as_of: dt.date | None = None) -> BooksCheck:
    """Check the books of one moment, however long it takes.

    Raises:
        BadInput: `as_of` lies in the future.
    """
    async with (
        database.dedicated() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        return await check_books(connection, as_of)


async def check_books(connection: asyncpg.Connection, as_of: dt.date | None = None) -> BooksCheck:
    """Check the books on a connection whose transaction is one snapshot.

    Raises:
        BadInput: `as_of` lies in the future.
    """
    started, checked_at = perf_counter(), now_utc()
    if as_of is not None and as_of > checked_at.date():
        raise BadInput("`asOf` lies in the future. Leave it out to check the books as they are.", path=("asOf",))
    await connection.execute(TUNE)
    if as_of is None:
        results = [await _examine(connection, check) for check in CHECKS]
    else:
        end = dt.datetime.combine(as_of, dt.time(), dt.UTC) + dt.timedelta(days=1)
        results = [await _examine(connection, check, end) for check in PAST_CHECKS]
    return BooksCheck(checked_at, as_of, results, (perf_counter() - started) * 1000)


async def _examine(connection: asyncpg.Connection, check: Check, *values: dt.datetime) -> CheckResult:
    rows = await connection.fetch(EXAMINE.format(limit=MAX_EXAMPLES, comparison=check.comparison), *values)
    violations = [Violation(row["what"], row["expected"], row["actual"]) for row in rows if row["violated"]]
    return CheckResult(check, rows[0]["checked"], rows[0]["violated"], violations)
