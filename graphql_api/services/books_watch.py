"""The books by the clock: checked, remembered for whoever watches over the program, and told when they are wrong."""

import logging

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.books import BooksCheckRow
from graphql_api.database.engine import Database
from graphql_api.database.notification import Severity
from graphql_api.database.user import Role
from graphql_api.services.books import BooksCheck, check_snapshot
from graphql_api.services.low_stock_sweep import sweep_low_stock
from graphql_api.services.notification import notify
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import unit_of_work

logger = logging.getLogger(__name__)

TITLE = Sentence("The books are out of balance")
BODY = Sentence("These checks do not hold: {checks}. `booksCheck` and `graphql-api check-books` name what is wrong.")


async def watch_books(database: Database) -> None:
    """Check the books and tell the administrators, once a day, when something is wrong."""
    # what a threshold that changed has left to the sweep is no fault of the books
    await sweep_low_stock(database)
    check = await check_and_remember(database)
    if check.is_balanced:
        return
    for result in check.results:
        for violation in result.violations:
            logger.error(
                "%s: %s is %s, not %s", result.check.name, violation.what, violation.actual, violation.expected
            )
    names = ", ".join(_violated(check))
    async with unit_of_work(database) as work:
        await notify(
            work,
            severity=Severity.ERROR,
            title=TITLE,
            body=BODY,
            values={"checks": names},
            topic=f"books:{check.checked_at:%Y-%m-%d}",
            roles=[Role.ADMIN],
        )


async def check_and_remember(database: Database) -> BooksCheck:
    """Check the books however long it takes, and keep what came of it."""
    check = await check_snapshot(database)
    row = BooksCheckRow(checked_at=check.checked_at, violated=_violated(check), milliseconds=round(check.milliseconds))
    async with database.transaction() as session:
        session.add(row)
    return check


def _violated(check: BooksCheck) -> list[str]:
    return [result.check.name for result in check.results if not result.is_held]


async def last_check(session: AsyncSession) -> BooksCheckRow | None:
    """The latest check that was remembered, whoever made it; None before the first."""
    newest = select(BooksCheckRow).order_by(col(BooksCheckRow.id).desc()).limit(1)
    return await session.scalar(newest)
