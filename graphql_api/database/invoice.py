"""Invoices and their lines: the facts every sales report adds up."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Numeric,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, choice, instant, primary_key, reference, text_column


class InvoiceStatus(StrEnum):
    """How far an invoice has come."""

    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    PAID = "PAID"
    VOID = "VOID"


class InvoiceRow(SQLModel, table=True):
    """An invoice of one store on one day; its totals are the sums of its lines. Money in cents.

    A draft has no number. What an invoice was issued with (currency, tax rate, company, customer) is frozen in it.
    `discount` is taken off the invoice as a whole and is part of its lines' discounts once it is issued. A credit
    note names the invoice it takes back in `credit_of`; its lines have the numbers of that invoice's lines.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint("number IS NOT NULL OR status = 'DRAFT'", name="numbered_when_issued"),
        CheckConstraint("discount >= 0", name="discount_not_negative"),
        Index("ix_invoice_credit_of", "credit_of", postgresql_where="credit_of IS NOT NULL"),
        Index("ix_invoice_date_id", "date", "id"),
        Index("ix_invoice_store_id_date_id", "store_id", "date", "id"),
        # Most invoices of shops name nobody, so these stay small.
        Index("ix_invoice_customer_id", "customer_id", "date", "id", postgresql_where="customer_id IS NOT NULL"),
        Index("ix_invoice_created_by", "created_by", postgresql_where="created_by IS NOT NULL"),
        Index("ix_invoice_import_id", "import_id", postgresql_using="brin"),
        # What was issued here stands among millions that were imported.
        Index("ix_invoice_issued_at", "issued_at", "id", postgresql_where="issued_at IS NOT NULL"),
        # Reports take the lines of the few invoices that do not count off the sum of all.
        Index("ix_invoice_uncounted", "id", postgresql_where="status IN ('DRAFT', 'VOID')"),
    )

    id: int = primary_key()
    number: str | None = Field(default=None, sa_column=Column(Text(collation="C"), unique=True))
    store_id: int = reference("store.id")
    customer_id: int | None = reference("customer.id", nullable=True)
    date: dt.date = Field(nullable=False)
    status: InvoiceStatus = choice(InvoiceStatus, default=InvoiceStatus.PAID)
    credit_of: int | None = reference("invoice.id", nullable=True)
    discount: int = big_integer(default=0)
    tax_rate: Decimal | None = Field(default=None, sa_column=Column(Numeric(6, 3)))
    tax: int = big_integer(default=0)
    currency: str | None = text_column(nullable=True)
    company_name: str | None = text_column(nullable=True)
    company_address: str | None = text_column(nullable=True)
    company_tax_number: str | None = text_column(nullable=True)
    customer_name: str | None = text_column(nullable=True)
    customer_address: str | None = text_column(nullable=True)
    # Names of store and products as they were when it was issued, for the printed invoice.
    printed: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    note: str | None = text_column(nullable=True)
    void_reason: str | None = text_column(nullable=True)
    issued_at: dt.datetime | None = instant(nullable=True)
    paid_at: dt.datetime | None = instant(nullable=True)
    voided_at: dt.datetime | None = instant(nullable=True)
    import_id: int | None = reference("import_job.id", nullable=True)
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: dt.datetime = instant()
    created_by: int | None = reference("user_account.id", nullable=True)


class InvoiceLineRow(SQLModel, table=True):
    """One product on an invoice. Money in cents, quantity in bottles (negative on returns).

    `revenue = quantity * unit_price - discount` and `profit = revenue - cost`. Store and date repeat the
    invoice's, and `place_id` is where the store stood on that day, so that reports need no join.

    References are held by triggers that check a whole statement at once; a foreign key looks up row by row
    and would double the time an import takes.
    """

    __tablename__ = "invoice_line"
    __table_args__ = (
        CheckConstraint("revenue = quantity * unit_price - discount", name="revenue_adds_up"),
        Index("ix_invoice_line_date_store_id", "date", "store_id"),
        Index("ix_invoice_line_product_id_date", "product_id", "date"),
        Index("ix_invoice_line_place_id_date", "place_id", "date"),
        Index("ix_invoice_line_import_id", "import_id", postgresql_using="brin"),
    )

    invoice_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    line_number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    store_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    place_id: int = big_integer()
    product_id: int = big_integer()
    date: dt.date = Field(nullable=False)
    quantity: int = Field(sa_type=Integer, nullable=False)
    unit_price: int = big_integer()
    discount: int = big_integer(default=0)
    revenue: int = big_integer()
    cost: int = big_integer()
    volume_ml: int | None = big_integer(nullable=True)
    # Where the line came from. Jobs are never deleted, and a foreign key would cost an import a tenth of its speed.
    import_id: int | None = big_integer(nullable=True)
