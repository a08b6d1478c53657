"""Sessions: one for each sign-in, kept alive by refresh tokens that are used once each."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import choice, instant, primary_key, reference, text_column


class SessionEnd(StrEnum):
    """Why a session was revoked."""

    LOGOUT = "LOGOUT"
    REVOKED = "REVOKED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - the name of a reason
    TOKEN_REUSED = "TOKEN_REUSED"  # noqa: S105 - as above
    DEACTIVATED = "DEACTIVATED"


class SessionRow(SQLModel, table=True):
    """One sign-in on one device: the family of its refresh tokens. It ends at `expires_at` or when it is revoked."""

    __tablename__ = "session"
    __table_args__ = (
        CheckConstraint("(revoked_at IS NULL) = (ended_by IS NULL)", name="end_explained"),
        Index("ix_session_user_id", "user_id"),
    )

    id: int = primary_key()
    user_id: int = reference("user_account.id")
    address: str | None = text_column(nullable=True)
    user_agent: str | None = text_column(nullable=True)
    created_at: datetime = instant()
    last_used_at: datetime = instant()
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    revoked_at: datetime | None = instant(nullable=True)
    ended_by: SessionEnd | None = choice(SessionEnd, nullable=True)


class RefreshTokenRow(SQLModel, table=True):
    """A refresh token of a session: only its SHA-256 is kept, and the salt that its successor is derived with."""

    __tablename__ = "refresh_token"
    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="hash_is_sha256"),
        Index("ix_refresh_token_session_id", "session_id"),
    )

    id: int = primary_key()
    session_id: int = reference("session.id")
    token_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True), repr=False)
    successor_salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    key_id: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = instant()
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    used_at: datetime | None = instant(nullable=True)
