"""The report of low stock, with lots that have expired or soon will: read in parts, so that it may be long."""

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.base import now_utc
from graphql_api.services.errors import BadInput
from graphql_api.services.settings import read_settings

DEFAULT_DAYS = 30
MAX_DAYS = 3_650
PART = 500

# Who made the product, or else who supplied it last.
LOW = text("""
SELECT s.number AS store_number, s.name AS store, pl.city, pl.zip_code, p.sku, p.name AS product,
       coalesce(v.name, last.supplier) AS vendor, l.on_hand AS bottles,
       coalesce(p.low_stock_threshold, c.low_stock_threshold) AS threshold, e.opened_at, e.acknowledged_at
FROM stock_level l
JOIN product p ON p.id = l.product_id
JOIN store s ON s.id = l.store_id
JOIN place pl ON pl.id = s.place_id
CROSS JOIN settings c
LEFT JOIN vendor v ON v.id = p.vendor_id
LEFT JOIN low_stock_episode e ON e.store_id = l.store_id AND e.product_id = l.product_id AND e.resolved_at IS NULL
LEFT JOIN LATERAL (
  SELECT coalesce(pv.name, pu.supplier_name) AS supplier
  FROM purchase_line x JOIN purchase pu ON pu.id = x.purchase_id LEFT JOIN vendor pv ON pv.id = pu.vendor_id
  WHERE v.id IS NULL AND x.product_id = p.id AND pu.status <> 'VOID'
  ORDER BY pu.date DESC, pu.id DESC LIMIT 1
) last ON true
WHERE p.is_active AND l.on_hand <= coalesce(p.low_stock_threshold, c.low_stock_threshold)
ORDER BY s.number, p.name, p.id
""")
EXPIRY = text("""
SELECT s.number AS store_number, s.name AS store, pl.city, pl.zip_code, p.sku, p.name AS product, v.name AS vendor,
       l.remaining AS bottles, l.expires_on
FROM stock_lot l
JOIN product p ON p.id = l.product_id
JOIN store s ON s.id = l.store_id
JOIN place pl ON pl.id = s.place_id
LEFT JOIN vendor v ON v.id = p.vendor_id
WHERE l.remaining > 0 AND l.expires_on <= :until
ORDER BY l.expires_on, s.number, p.name, l.id
""")


class Section(StrEnum):
    """Which part of the report a line belongs to."""

    LOW_STOCK = "LOW_STOCK"
    EXPIRED = "EXPIRED"
    EXPIRING = "EXPIRING"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a level that is low, or a lot that has expired or soon will.

    Args:
        section: which of them it is.
        store_number: of the store.
        store: its name.
        city: where it is; None when unknown.
        zip_code: likewise.
        sku: of the product.
        product: its name.
        vendor: whom to buy it from; None when unknown.
        bottles: in the store, or left of the lot.
        threshold: bottles from which on it counts as low; None for lots.
        low_since: the day (UTC) since when it is low; None for lots, and as long as nobody has noticed.
        is_acknowledged: whether somebody looks after it.
        expires_on: the last day the lot is good; None for levels.
        days: since when it is low or has expired, or until it expires.
    """

    section: Section
    store_number: int
    store: str
    city: str | None
    zip_code: str | None
    sku: str
    product: str
    vendor: str | None
    bottles: int
    threshold: int | None = None
    low_since: dt.date | None = None
    is_acknowledged: bool = False
    expires_on: dt.date | None = None
    days: int = 0


@dataclass(frozen=True)
class Report:
    """The report at one moment.

    Args:
        company: whose it is.
        at: when, in UTC.
        within_days: how far ahead it looks for lots that expire.
        low: levels by store and product.
        lots: those that have expired or soon will, by the day they expire; to be read after `low`.
    """

    company: str
    at: dt.datetime
    within_days: int
    low: AsyncIterator[Line]
    lots: AsyncIterator[Line]


def checked_days(days: int) -> int:
    """How far ahead the report is to look.

    Raises:
        BadInput: it is not 0 to 3,650 days.
    """
    if not 0 <= days <= MAX_DAYS:
        raise BadInput("`withinDays` goes from 0 to {limit:,}.", path=("withinDays",), limit=MAX_DAYS)
    return days


async def low_stock_report(session: AsyncSession, within_days: int) -> Report:
    """The report of what is low and what expires; its lines are read as they are asked for.

    Raises:
        BadInput: `within_days` is not 0 to 3,650.
    """
    days = checked_days(within_days)
    at = now_utc()
    company = (await read_settings(session)).company_name
    return Report(company, at, days, _low(session, at.date()), _lots(session, at.date(), days))


async def _low(session: AsyncSession, today: dt.date) -> AsyncIterator[Line]:
    rows = await session.stream(LOW, execution_options={"yield_per": PART})
    async for row in rows.mappings():
        yield _low_line(dict(row), today)


async def _lots(session: AsyncSession, today: dt.date, days: int) -> AsyncIterator[Line]:
    until = {"until": today + dt.timedelta(days=days)}
    rows = await session.stream(EXPIRY, until, execution_options={"yield_per": PART})
    async for row in rows.mappings():
        yield _lot_line(dict(row), today)


def _low_line(row: dict[str, Any], today: dt.date) -> Line:
    opened_at, acknowledged_at = row.pop("opened_at"), row.pop("acknowledged_at")
    since = opened_at.date() if opened_at else None
    days = max((today - since).days, 0) if since else 0
    return Line(Section.LOW_STOCK, **row, low_since=since, is_acknowledged=acknowledged_at is not None, days=days)


def _lot_line(row: dict[str, Any], today: dt.date) -> Line:
    days = (row["expires_on"] - today).days
    # an expired lot is one whose day is past
    return Line(Section.EXPIRED if days < 0 else Section.EXPIRING, **row, days=abs(days))
