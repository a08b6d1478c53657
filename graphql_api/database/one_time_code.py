"""One-time codes: short texts sent by mail that prove who reads an address."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from graphql_api.database.base import choice, instant, primary_key


class CodePurpose(StrEnum):
    """What a code is good for; it is good for nothing else."""

    VERIFY_EMAIL = "VERIFY_EMAIL"
    RESET_PASSWORD = "RESET_PASSWORD"  # noqa: S105 - the name of a purpose


class OneTimeCodeRow(SQLModel, table=True):
    """A wish that only the reader of `email` can complete, with the token of whoever made it.

    The row is written for known and unknown addresses alike. A worker later decides what the mail says, and sets
    `code_hash` when there is something to complete. `pending` is what the wish is about: for VERIFY_EMAIL the name,
    language and password hash of the account to be made.
    """

    __tablename__ = "one_time_code"
    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash_is_sha256"),
        CheckConstraint("octet_length(code_hash) = 32", name="code_hash_is_sha256"),
        CheckConstraint("attempts BETWEEN 0 AND 5", name="attempts_limited"),
    )

    id: int = primary_key()
    purpose: CodePurpose = choice(CodePurpose)
    email: str = Field(sa_column=Column(Text(collation="C"), nullable=False))
    token_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True), repr=False)
    code_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary), repr=False)
    pending: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False), repr=False)
    attempts: int = Field(default=0, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = instant()
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, index=True))
    verified_at: datetime | None = instant(nullable=True)
    used_at: datetime | None = instant(nullable=True)
