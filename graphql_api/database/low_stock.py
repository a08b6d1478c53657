"""Low stock: one episode for each time that a level falls to its threshold."""

import datetime as dt

from sqlalchemy import Index
from sqlmodel import SQLModel

from graphql_api.database.base import big_integer, instant, primary_key, reference


class LowStockEpisodeRow(SQLModel, table=True):
    """From the fall to the threshold until the rise above it; a level has one open episode at most.

    `on_hand` and `threshold` are bottles as they were when it began.
    """

    __tablename__ = "low_stock_episode"
    __table_args__ = (
        Index(
            "uq_low_stock_episode_open",
            "store_id",
            "product_id",
            unique=True,
            postgresql_where="resolved_at IS NULL",
        ),
        Index("ix_low_stock_episode_store_id", "store_id", "id"),
        Index("ix_low_stock_episode_product_id", "product_id", "id"),
        Index("ix_low_stock_episode_opened_at_id", "opened_at", "id"),
        Index(
            "ix_low_stock_episode_acknowledged_by", "acknowledged_by", postgresql_where="acknowledged_by IS NOT NULL"
        ),
    )

    id: int = primary_key()
    store_id: int = reference("store.id")
    product_id: int = reference("product.id")
    threshold: int = big_integer()
    on_hand: int = big_integer()
    opened_at: dt.datetime = instant()
    acknowledged_at: dt.datetime | None = instant(nullable=True)
    acknowledged_by: int | None = reference("user_account.id", nullable=True)
    resolved_at: dt.datetime | None = instant(nullable=True)
