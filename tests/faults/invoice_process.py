"""A process that issues drafts, eight at a time; some of them fail when they have their number already."""

import asyncio
import json
import sys

from sqlalchemy import text

from graphql_api.database import tables
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.invoice_issue import issue_invoice
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work

AT_ONCE = 8
# An invoice refers to tables that nothing here imports.
ALL_TABLES = tables
ADMIN = Viewer(1, Role.ADMIN, 1)


class FaultError(Exception):
    """Something went wrong after the number was taken."""


async def fail(work: UnitOfWork, fault: str) -> None:
    """Have something happen to the transaction."""
    if fault == "error":
        raise FaultError
    if fault == "cut":
        await work.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def issue(database: Database, invoice_id: int, fault: str) -> str | None:
    """The number that the draft has got for good; None when its transaction has failed as it was to."""
    try:
        async with unit_of_work(database) as work:
            issued = await issue_invoice(work, invoice_id, 1, ADMIN)
            await fail(work, fault)
    except Exception:
        if not fault:
            raise
        return None
    return issued.invoice.number


async def issue_all(url: str, wishes: list[tuple[int, str]]) -> list[str | None]:
    """Issue all of these drafts."""
    database, turn = Database(url, pool_size=AT_ONCE), asyncio.Semaphore(AT_ONCE)

    async def one(invoice_id: int, fault: str) -> str | None:
        async with turn:
            return await issue(database, invoice_id, fault)

    try:
        return await asyncio.gather(*(one(*wish) for wish in wishes))
    finally:
        await database.close()


def main() -> None:
    """What the process does."""
    url, wishes = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(issue_all(url, json.loads(wishes)))))
