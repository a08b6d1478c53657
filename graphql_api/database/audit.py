"""The record of who did what: only ever added to, each entry chained to the one before it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from graphql_api.database.base import choice, instant, primary_key, text_column
from graphql_api.database.user import Role


class AuditOutcome(StrEnum):
    """How an attempt ended."""

    DONE = "DONE"
    REFUSED = "REFUSED"


class AuditEntryRow(SQLModel, table=True):
    """One attempt to change something. The database fills `chain`, `position`, `previous_hash` and `hash`.

    Actor and session are plain numbers: an entry outlives what it speaks of.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("uq_audit_entry_chain_position", "chain", "position", unique=True),
        # each filter of the record, newest first
        Index("ix_audit_entry_at_id", "at", "id"),
        Index("ix_audit_entry_actor_id", "actor_id", "at", "id", postgresql_where="actor_id IS NOT NULL"),
        Index("ix_audit_entry_action", "action", "at", "id"),
        Index("ix_audit_entry_entity", "entity", "entity_id", "at", "id", postgresql_where="entity IS NOT NULL"),
        Index("ix_audit_entry_refused", "at", "id", postgresql_where="outcome = 'REFUSED'"),
        Index("ix_audit_entry_error_code", "error_code", "at", "id", postgresql_where="error_code IS NOT NULL"),
        Index("ix_audit_entry_address", "address", "at", "id", postgresql_where="address IS NOT NULL"),
        Index("ix_audit_entry_request_id", "request_id", postgresql_where="request_id IS NOT NULL"),
        Index("ix_audit_entry_session_id", "session_id", "at", "id", postgresql_where="session_id IS NOT NULL"),
    )

    id: int = primary_key()
    at: datetime = instant()
    actor_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    actor_role: Role | None = choice(Role, nullable=True)
    session_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    action: str = text_column()
    outcome: AuditOutcome = choice(AuditOutcome)
    error_code: str | None = text_column(nullable=True)
    entity: str | None = text_column(nullable=True)
    entity_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    address: str | None = text_column(nullable=True)
    request_id: str | None = text_column(nullable=True)
    chain: int = Field(default=None, sa_column=Column(Integer, nullable=False))
    position: int = Field(default=None, sa_column=Column(BigInteger, nullable=False))
    previous_hash: bytes = Field(default=None, sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(default=None, sa_column=Column(LargeBinary, nullable=False))


class AuditChainRow(SQLModel, table=True):
    """The end of one chain of entries. There are several, so that writers need not wait for each other."""

    __tablename__ = "audit_chain"

    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    length: int = Field(sa_column=Column(BigInteger, nullable=False, server_default="0"))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
