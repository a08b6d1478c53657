"""Invitations: an administrator's word that somebody may have an account in a role."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, DateTime, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import choice, instant, primary_key, reference
from graphql_api.database.user import Role


class InvitationRow(SQLModel, table=True):
    """A single-use invitation of one address in one role. Of its code only a keyed hash is kept."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("octet_length(code_hash) = 32", name="code_hash_is_sha256"),
        CheckConstraint("role <> 'CUSTOMER'", name="customers_register"),
        CheckConstraint("accepted_at IS NULL OR revoked_at IS NULL", name="one_end"),
        CheckConstraint("(accepted_at IS NULL) = (user_id IS NULL)", name="accepted_by_somebody"),
        # an address has one open invitation at most
        Index(
            "uq_invitation_open_email",
            "email",
            unique=True,
            postgresql_where="accepted_at IS NULL AND revoked_at IS NULL",
        ),
    )

    id: int = primary_key()
    email: str = Field(sa_column=Column(Text(collation="C"), nullable=False))
    role: Role = choice(Role)
    code_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    code_salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    key_id: str = Field(sa_column=Column(Text, nullable=False))
    invited_by: int | None = reference("user_account.id", nullable=True, index=True)
    created_at: datetime = instant()
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    accepted_at: datetime | None = instant(nullable=True)
    revoked_at: datetime | None = instant(nullable=True)
    user_id: int | None = reference("user_account.id", nullable=True, index=True)
