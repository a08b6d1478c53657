"""Idempotency keys: what a mutation answered, kept in the transaction of its effect."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import instant, text_column


class IdempotencyKeyRow(SQLModel, table=True):
    """The first answer to the mutation at `position` (from 0) of a request with this key.

    `scope` is whose key it is. `input_hash` tells another input from the same; `payload` is sealed, because answers
    may hold secrets.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        CheckConstraint("octet_length(input_hash) = 32", name="input_hash_is_sha256"),
        Index("ix_idempotency_key_created_at", "created_at"),
    )

    scope: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    key: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    mutation: str = text_column()
    input_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    payload: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    created_at: datetime = instant()
