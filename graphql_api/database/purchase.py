"""Purchases: what was ordered from whom for which store, and how much of it has come."""

import datetime as dt
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, choice, instant, primary_key, reference, text_column


class PurchaseStatus(StrEnum):
    """How far a purchase has come."""

    ORDERED = "ORDERED"
    RECEIVED = "RECEIVED"
    VOID = "VOID"


class PurchaseRow(SQLModel, table=True):
    """An order of one store with one supplier; received when every line has come in full."""

    __tablename__ = "purchase"
    __table_args__ = (
        CheckConstraint("vendor_id IS NOT NULL OR supplier_name <> ''", name="supplier_named"),
        Index("ix_purchase_date_id", "date", "id"),
        Index("ix_purchase_store_id_date_id", "store_id", "date", "id"),
        Index("ix_purchase_vendor_id", "vendor_id", "date", "id"),
        Index(
            "ix_purchase_supplier_name_trigram",
            "supplier_name",
            postgresql_using="gin",
            postgresql_ops={"supplier_name": "gin_trgm_ops"},
            postgresql_where="supplier_name IS NOT NULL",
        ),
        Index("ix_purchase_status", "status", "id", postgresql_where="status = 'ORDERED'"),
        Index("ix_purchase_created_by", "created_by", postgresql_where="created_by IS NOT NULL"),
        Index("ix_purchase_import_id", "import_id", postgresql_where="import_id IS NOT NULL"),
    )

    id: int = primary_key()
    number: str = Field(sa_column=Column(Text(collation="C"), nullable=False, unique=True))
    store_id: int = reference("store.id")
    vendor_id: int | None = reference("vendor.id", nullable=True)
    supplier_name: str | None = text_column(nullable=True)
    date: dt.date = Field(nullable=False)
    status: PurchaseStatus = choice(PurchaseStatus, default=PurchaseStatus.ORDERED)
    note: str | None = text_column(nullable=True)
    void_reason: str | None = text_column(nullable=True)
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: dt.datetime = instant()
    created_by: int | None = reference("user_account.id", nullable=True)
    import_id: int | None = reference("import_job.id", nullable=True)


class PurchaseLineRow(SQLModel, table=True):
    """One product of a purchase: bottles ordered and received, cents a bottle."""

    __tablename__ = "purchase_line"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="something_ordered"),
        CheckConstraint("received BETWEEN 0 AND quantity", name="received_within_quantity"),
        CheckConstraint("unit_cost >= 0", name="unit_cost_not_negative"),
        UniqueConstraint("purchase_id", "line_number"),
        Index("ix_purchase_line_product_id", "product_id"),
    )

    id: int = primary_key()
    purchase_id: int = reference("purchase.id")
    line_number: int = Field(sa_type=Integer, nullable=False)
    product_id: int = reference("product.id")
    quantity: int = big_integer()
    received: int = big_integer(default=0)
    unit_cost: int = big_integer()
    expires_on: dt.date | None = Field(default=None, nullable=True)
