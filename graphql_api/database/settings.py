"""The company's settings: one row that administrators change while the program runs."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Column, Integer, Numeric, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import instant, text_column


class SettingsRow(SQLModel, table=True):
    """Company, money, stock and sign-in settings. The tax rate is percent; lifetimes are minutes and days."""

    __tablename__ = "settings"
    __table_args__ = (
        CheckConstraint("id = 1", name="only_one"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_is_iso_4217"),
        CheckConstraint("tax_rate BETWEEN 0 AND 100", name="tax_rate_is_percent"),
        CheckConstraint("low_stock_threshold >= 0", name="threshold_not_negative"),
        CheckConstraint("access_token_minutes BETWEEN 1 AND 15", name="access_tokens_short"),
        CheckConstraint("refresh_token_days BETWEEN 1 AND 90", name="refresh_tokens_limited"),
        CheckConstraint("company_name <> ''", name="company_named"),
    )

    id: int = Field(default=1, sa_column=Column(Integer, primary_key=True, autoincrement=False))
    company_name: str = text_column()
    company_address: str | None = text_column(nullable=True)
    tax_number: str | None = text_column(nullable=True)
    currency: str = Field(default="USD", sa_column=Column(Text, nullable=False, server_default="USD"))
    tax_rate: Decimal = Field(default=Decimal(0), sa_column=Column(Numeric(6, 3), nullable=False, server_default="0"))
    low_stock_threshold: int = Field(default=10, sa_column=Column(Integer, nullable=False, server_default="10"))
    sells_expired: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": "false"})
    access_token_minutes: int = Field(default=15, sa_column=Column(Integer, nullable=False, server_default="15"))
    refresh_token_days: int = Field(default=30, sa_column=Column(Integer, nullable=False, server_default="30"))
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False, server_default="1"))
    updated_at: datetime = instant()
