"""Notifications: what people are told, and who has read it."""

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from graphql_api.database.base import choice, instant, primary_key, reference, text_column


class Severity(StrEnum):
    """How urgent a notification is."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class NotificationRow(SQLModel, table=True):
    """Something people are told. `title` and `body` are sentences whose placeholders are in `values`.

    `topic` says what it is about, once: a second one of the same topic is not made.
    """

    __tablename__ = "notification"
    __table_args__ = (
        CheckConstraint("title <> ''", name="title_given"),
        Index("ix_notification_created_by", "created_by", postgresql_where="created_by IS NOT NULL"),
        Index("uq_notification_topic", "topic", unique=True),
    )

    id: int = primary_key()
    severity: Severity = choice(Severity, default=Severity.INFO)
    topic: str | None = text_column(nullable=True)
    title: str = text_column()
    body: str = text_column()
    values: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default="{}"))
    created_at: dt.datetime = instant()
    created_by: int | None = reference("user_account.id", nullable=True)


class NotificationRecipientRow(SQLModel, table=True):
    """A notification in somebody's list: unread, read, or (without a row) deleted.

    Ids grow with time: a list is in their order.
    """

    __tablename__ = "notification_recipient"
    __table_args__ = (
        Index("uq_notification_recipient_notification_id_user_id", "notification_id", "user_id", unique=True),
        Index("ix_notification_recipient_user_id", "user_id", "id"),
        Index("ix_notification_recipient_unread", "user_id", postgresql_where="read_at IS NULL"),
    )

    id: int = primary_key()
    notification_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("notification.id", ondelete="CASCADE"), nullable=False)
    )
    user_id: int = reference("user_account.id")
    read_at: dt.datetime | None = instant(nullable=True)
