"""Numbers of documents: one series for each kind and store, without holes.

Whoever takes a number keeps the series until the end of the transaction, so a number is given back when the document
fails. Take it last: everybody else who numbers a document of the store waits from here on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import IntegrityError

from graphql_api.database.number_series import SeriesKind
from graphql_api.services.errors import Conflict
from graphql_api.services.unit_of_work import UnitOfWork

# What stands between the number of the store and the number in the series.
MARKS: Mapping[SeriesKind, str] = {SeriesKind.INVOICE: "", SeriesKind.CREDIT_NOTE: "C", SeriesKind.PURCHASE: "P"}
TABLES: Mapping[SeriesKind, str] = {
    SeriesKind.INVOICE: "invoice",
    SeriesKind.CREDIT_NOTE: "invoice",
    SeriesKind.PURCHASE: "purchase",
}
STATEMENTS = {
    kind: f"""
WITH counted AS (
  INSERT INTO number_series AS s (store_id, kind, last) VALUES ($1, '{kind.value}', 1)
  ON CONFLICT (store_id, kind) DO UPDATE SET last = s.last + 1
  RETURNING last::text AS last
), named AS (
  SELECT s.number || '-{MARKS[kind]}' || lpad(c.last, greatest(6, length(c.last)), '0') AS number
  FROM counted c CROSS JOIN store s WHERE s.id = $1
)
SELECT n.number, EXISTS (SELECT FROM {table} d WHERE d.number = n.number COLLATE "C") AS is_used FROM named n
"""  # noqa: S608 - names and marks from the tables above
    for kind, table in TABLES.items()
}


async def take_number(work: UnitOfWork, store_id: int, kind: SeriesKind) -> str:
    """The next number of a series, such as "2633-000017" or "2633-C000003"; nobody else gets it.

    A number that a document has brought along in an import is left out.
    """
    await work.session.flush()
    connection = await work.driver()
    while True:
        row = await connection.fetchrow(STATEMENTS[kind], store_id)
        if row is None:
            raise LookupError(f"store {store_id}")
        if not row["is_used"]:
            return str(row["number"])


@contextmanager
def number_kept() -> Iterator[None]:
    """Around the statement that writes a document with its number.

    Raises:
        Conflict: an import has brought along a document with this number at this very moment.
    """
    try:
        yield
    except (IntegrityError, asyncpg.UniqueViolationError) as error:
        raise Conflict("An import has just brought along a document with this number. Try again.") from error
