"""The one metadata of all tables, and column types they share."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Enum, ForeignKey, Identity, Text, func
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING
metadata = SQLModel.metadata


def now_utc() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def primary_key() -> Any:
    """A `bigint` identity column: the only kind of surrogate key in this schema."""
    return Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))


def reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:
    """A `bigint` foreign key to `table.column`; deleting what is referenced is refused."""
    column = Column(BigInteger, ForeignKey(target, ondelete="RESTRICT"), nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def text_column(*, nullable: bool = False, unique: bool = False) -> Any:
    """Unlimited text; lengths are the business of the services."""
    column = Column(Text, nullable=nullable, unique=unique)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def big_integer(*, nullable: bool = False, default: int | None = None) -> Any:
    """A `bigint` amount: cents, millilitres, bytes or a count."""
    server_default = None if default is None else str(default)
    column = Column(BigInteger, nullable=nullable, server_default=server_default)
    if nullable or default is not None:
        return Field(default=default, sa_column=column)
    return Field(sa_column=column)


def instant(*, nullable: bool = False) -> Any:
    """`timestamptz`; when it may not be null it is the time of the insert."""
    if nullable:
        return Field(default=None, sa_column=Column(DateTime(timezone=True)))
    column = Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    return Field(default_factory=now_utc, sa_column=column)


def choice(kind: type[StrEnum], *, default: StrEnum | None = None, nullable: bool = False) -> Any:
    """A text column that the database holds to the members of `kind`."""
    column: Column[StrEnum] = Column(
        Enum(
            kind,
            native_enum=False,
            create_constraint=True,
            name=kind.__name__.lower(),
            length=32,
            values_callable=lambda members: [member.value for member in members],
        ),
        nullable=nullable,
    )
    if nullable:
        return Field(default=None, sa_column=column)
    return Field(sa_column=column) if default is None else Field(default=default, sa_column=column)
