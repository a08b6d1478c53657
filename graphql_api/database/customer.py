"""Customers: whom invoices are written for."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import instant, primary_key, reference, text_column


class CustomerRow(SQLModel, table=True):
    """A customer. With an account (`user_id`) the customer sees the own invoices."""

    __tablename__ = "customer"
    __table_args__ = (
        CheckConstraint("name <> ''", name="name_given"),
        Index("ix_customer_name_id", "name", "id"),
        Index("ix_customer_email_id", "email", "id"),
        Index("ix_customer_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
        Index("uq_customer_user_id", "user_id", unique=True),
    )

    id: int = primary_key()
    name: str = text_column()
    phone: str | None = text_column(nullable=True)
    email: str | None = Field(default=None, sa_column=Column(Text(collation="C")))
    address: str | None = text_column(nullable=True)
    user_id: int | None = reference("user_account.id", nullable=True)
    is_active: bool = Field(default=True, nullable=False, sa_column_kwargs={"server_default": "true"})
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = instant()
