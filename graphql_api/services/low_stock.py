"""Low stock: who is told when a level falls to its threshold, and episodes that follow a changed threshold.

An episode is opened and resolved in the transaction of the movement (`ledger.book`). Whoever opens one tells of it
in the same transaction: one notification for each episode, or one for all that a file or a threshold has opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import text

from graphql_api.database.notification import Severity
from graphql_api.database.user import Role
from graphql_api.ledger.book import lock_levels, watch_levels
from graphql_api.ledger.entries import Episode, StockKey
from graphql_api.services.mail.message import MailKind, enqueue_mail
from graphql_api.services.notification import notify
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import UnitOfWork

TITLE = Sentence("Low stock of {product}")
BODY = Sentence("{store} has {on_hand} bottles of {product}. They count as low at {threshold}.")
TOGETHER_BODY = Sentence("{count} more stock levels are at or below their threshold, such as {examples}.")
OF_IMPORT_BODY = Sentence("Import {import_number} has left {count} stock levels low, such as {examples}.")
# More than these at once become one notification when a threshold or the sweep has opened them.
MAX_SINGLE = 20
# Of those in one notification so many are named in it, and so many in its mail.
MAX_EXAMPLES = 3
MAX_LISTED = 50
# A transaction corrects no more; the sweep does the rest in further ones.
MAX_CORRECTED = 5_000
MAILED = "low stock is mailed to"

# One statement, because a sale waits for it. A topic is told once.
TELL = text("""
WITH told AS (
  INSERT INTO notification (severity, topic, title, body, "values")
  SELECT 'WARNING', 'low-stock:' || e.id, :title, :body,
         jsonb_build_object('product', p.name, 'sku', p.sku, 'store', s.name, 'number', s.number,
                            'on_hand', e.on_hand, 'threshold', e.threshold)
  FROM low_stock_episode e JOIN store s ON s.id = e.store_id JOIN product p ON p.id = e.product_id
  WHERE e.id = ANY(:ids) ORDER BY e.id
  ON CONFLICT (topic) DO NOTHING RETURNING id
), reached AS (
  INSERT INTO notification_recipient (notification_id, user_id)
  SELECT told.id, u.id FROM told CROSS JOIN user_account u WHERE u.role = 'ADMIN' AND u.is_active
  ORDER BY told.id, u.id
  RETURNING id, user_id
)
SELECT user_id, min(id) AS entry FROM reached GROUP BY user_id ORDER BY user_id
""")
# Movements and episodes have the time of their transaction, so an import's are those at the very times of its own.
OF_IMPORT = text("""
SELECT e.id FROM low_stock_episode e
WHERE e.resolved_at IS NULL AND EXISTS (
  SELECT FROM stock_movement m
  WHERE m.import_id = :import_id AND (m.cause IN ('IMPORT_REVERT', 'RECEIPT_VOID')) = :is_revert
    AND (m.store_id, m.product_id, m.at) = (e.store_id, e.product_id, e.opened_at))
""")
LISTED = text("""
SELECT p.name AS product, s.name AS store, e.on_hand, e.threshold
FROM low_stock_episode e JOIN store s ON s.id = e.store_id JOIN product p ON p.id = e.product_id
WHERE e.id = ANY(:ids) ORDER BY e.on_hand, e.id LIMIT :limit
""")
# Levels that are low and have no open episode, and the other way round.
WRONG = """
SELECT l.store_id, l.product_id
FROM {levels} JOIN product p ON p.id = l.product_id CROSS JOIN settings s
LEFT JOIN low_stock_episode e
  ON e.store_id = l.store_id AND e.product_id = l.product_id AND e.resolved_at IS NULL
WHERE {condition} AND (e.id IS NULL)
      = (p.is_active AND l.on_hand <= coalesce(p.low_stock_threshold, s.low_stock_threshold))
ORDER BY l.store_id, l.product_id LIMIT {limit}
"""
WRONG_OF_PRODUCT = WRONG.format(levels="stock_level l", condition="l.product_id = $1", limit=MAX_CORRECTED)
WRONG_AFTER = WRONG.format(levels="stock_level l", condition="(l.store_id, l.product_id) > ($1, $2)", limit="$3")
WRONG_AMONG = WRONG.format(
    levels=(
        "unnest($1::bigint[], $2::bigint[]) AS k (store_id, product_id) "
        "JOIN stock_level l ON l.store_id = k.store_id AND l.product_id = k.product_id"
    ),
    condition="true",
    limit="ALL",
)
LEVELS_OF_PRODUCT = "SELECT store_id, product_id FROM stock_level WHERE product_id = $1"
START: StockKey = (0, 0)


async def tell(work: UnitOfWork, opened: Sequence[Episode]) -> None:
    """Notify each active administrator of levels that are low since this transaction, one notification for each."""
    if not opened:
        return
    ids = [episode.id for episode in opened]
    found = await work.session.execute(TELL, {"ids": ids, "title": TITLE.template, "body": BODY.template})
    # the mail of an entry speaks of all that this transaction tells the same person
    mailed: set[int] = work.session.info.setdefault(MAILED, set())
    entries = {row.user_id: row.entry for row in found if row.user_id not in mailed}
    mailed.update(entries)
    if entries:
        await enqueue_mail(work, MailKind.LOW_STOCK, *entries.values())


async def tell_digest(work: UnitOfWork, import_id: int, *, is_revert: bool = False) -> int:
    """Notify the administrators once of all that is low since an import, or since it was taken back.

    Args:
        work: the transaction.
        import_id: an import whose movements are committed or part of this transaction.
        is_revert: whether it was taken back.

    Returns:
        How many levels it tells of; 0 when none is low, or when it was told before.
    """
    ids = list(await work.session.scalars(OF_IMPORT, {"import_id": import_id, "is_revert": is_revert}))
    topic = f"low-stock-import:{import_id}{':revert' if is_revert else ''}"
    return await _tell_together(work, ids, OF_IMPORT_BODY, topic, {"import_number": import_id})


async def reevaluate(work: UnitOfWork, product_id: int | None) -> int:
    """Open and resolve episodes after a threshold has changed, or a product was archived or brought back.

    Args:
        work: the transaction that has changed it.
        product_id: whose levels; None for all, when the company's threshold has changed.

    Returns:
        How many episodes were opened or resolved: at most `MAX_CORRECTED`, the sweep does the rest.
    """
    await work.session.flush()
    connection = await work.driver()
    if product_id is None:
        found = await connection.fetch(WRONG_AFTER, *START, MAX_CORRECTED)
    else:
        found = await connection.fetch(WRONG_OF_PRODUCT, product_id)
    return await correct(work, connection, _keys(found))


async def hold_levels(work: UnitOfWork, product_id: int) -> None:
    """Keep all levels of a product as they are until the transaction ends."""
    connection = await work.driver()
    await lock_levels(connection, _keys(await connection.fetch(LEVELS_OF_PRODUCT, product_id)))


async def wrong_levels(connection: asyncpg.Connection, after: StockKey, limit: int) -> list[StockKey]:
    """Levels behind `after` whose episode is missing or should be over, at most `limit`."""
    return _keys(await connection.fetch(WRONG_AFTER, *after, limit))


async def correct(work: UnitOfWork, connection: asyncpg.Connection, keys: Sequence[StockKey]) -> int:
    """Open and resolve the episodes of these levels as they are once nobody else can move them; answers how many."""
    if not keys:
        return 0
    await lock_levels(connection, keys)
    columns = [store for store, _ in keys], [product for _, product in keys]
    wrong = _keys(await connection.fetch(WRONG_AMONG, *columns))
    if not wrong:
        return 0
    await _tell_some(work, await watch_levels(connection, wrong))
    return len(wrong)


def _keys(rows: Iterable[asyncpg.Record]) -> list[StockKey]:
    return [(row["store_id"], row["product_id"]) for row in rows]


async def _tell_some(work: UnitOfWork, opened: Sequence[Episode]) -> None:
    if len(opened) <= MAX_SINGLE:
        await tell(work, opened)
        return
    ids = [episode.id for episode in opened]
    await _tell_together(work, ids, TOGETHER_BODY, f"low-stock:{min(ids)}-{max(ids)}", {})


async def _tell_together(
    work: UnitOfWork, ids: Sequence[int], body: Sentence, topic: str, values: Mapping[str, object]
) -> int:
    if not ids:
        return 0
    listed = await _listed(work, ids)
    examples = ", ".join(f"{item['product']} ({item['store']})" for item in listed[:MAX_EXAMPLES])
    told = await notify(
        work,
        severity=Severity.WARNING,
        title=Sentence("Low stock: {count} levels", count=len(ids)),
        body=body,
        topic=topic,
        values={**values, "examples": examples, "items": listed},
        roles=[Role.ADMIN],
    )
    if not told:
        return 0
    await enqueue_mail(work, MailKind.LOW_STOCK, *told)
    return len(ids)


async def _listed(work: UnitOfWork, ids: Sequence[int]) -> list[Mapping[str, Any]]:
    """What is low, the emptiest first, as far as a mail names it."""
    rows = await work.session.execute(LISTED, {"ids": list(ids), "limit": MAX_LISTED})
    return [dict(row) for row in rows.mappings()]
