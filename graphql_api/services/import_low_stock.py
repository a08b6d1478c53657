"""Low stock after an import: who is told, once, when the job has ended."""

from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind, ImportStatus, StockEffect
from graphql_api.services import low_stock
from graphql_api.services.import_job import import_by_id
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work

TAKEN_BACK = frozenset({ImportStatus.CANCELLED, ImportStatus.FAILED, ImportStatus.REFUSED, ImportStatus.REVERTED})
MOVING = frozenset({ImportKind.PURCHASES, ImportKind.STOCK_COUNT})
# Levels whose threshold an import has changed; the sweep finds what is left.
MAX_LEVELS = 10_000
RETHOUGHT = text("""
SELECT l.store_id, l.product_id FROM import_row_change c JOIN stock_level l ON l.product_id = c.row_id
WHERE c.import_id = :import_id AND c.entity = 'product'
  AND (jsonb_exists(c.after, 'low_stock_threshold') OR jsonb_exists(c.after, 'is_active'))
ORDER BY 1, 2 LIMIT :limit
""")


async def tell_of_low_stock(database: Database, import_id: int) -> None:
    """Tell of what is low since an import that has ended; saying it again tells nobody twice."""
    async with database.read() as session:
        job = await import_by_id(session, import_id)
    if job is None or job.dry_run:
        return
    async with unit_of_work(database) as work:
        if job.kind in MOVING or job.stock_effect is StockEffect.DEDUCT:
            await low_stock.tell_digest(work, import_id, is_revert=job.status in TAKEN_BACK)
        elif job.kind is ImportKind.PRODUCTS:
            await _rethink(work, import_id)


async def _rethink(work: UnitOfWork, import_id: int) -> None:
    """Open and resolve episodes of products whose threshold or activity has changed."""
    rows = await work.session.execute(RETHOUGHT, {"import_id": import_id, "limit": MAX_LEVELS})
    levels = [(row.store_id, row.product_id) for row in rows]
    await low_stock.correct(work, await work.driver(), levels)
