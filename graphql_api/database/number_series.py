"""Series of numbers without holes: one for each kind of document of each store."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, Enum, ForeignKey
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer


class SeriesKind(StrEnum):
    """What is numbered."""

    INVOICE = "INVOICE"
    CREDIT_NOTE = "CREDIT_NOTE"
    PURCHASE = "PURCHASE"


class NumberSeriesRow(SQLModel, table=True):
    """The last number given; whoever takes the next one locks the row until the document is committed."""

    __tablename__ = "number_series"
    __table_args__ = (CheckConstraint("last >= 0", name="counts_up"),)

    store_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("store.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False)
    )
    kind: SeriesKind = Field(
        sa_column=Column(
            Enum(SeriesKind, native_enum=False, create_constraint=True, name="serieskind", length=32),
            primary_key=True,
        )
    )
    last: int = big_integer(default=0)
