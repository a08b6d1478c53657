"""Events: what has changed, written down in the transaction of the change, then numbered without a gap."""

import datetime as dt
import uuid
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, choice, instant, primary_key


class Topic(StrEnum):
    """What an event is about."""

    STOCK = "STOCK"
    LOW_STOCK = "LOW_STOCK"
    PRODUCT = "PRODUCT"
    INVOICE = "INVOICE"
    PURCHASE = "PURCHASE"
    NOTIFICATION = "NOTIFICATION"
    IMPORT = "IMPORT"
    SALES = "SALES"


class OutboxRow(SQLModel, table=True):
    """Something that has changed and has no number yet. Triggers write it; nothing else does.

    Ids grow with time for whatever is locked meanwhile, such as a stock level; they have gaps. `key` names the thing
    of which the topic tells, or whom it is told: changes of it keep their order. Later changes of it in the same
    transaction join the first, except where `part` makes each an event of its own.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("uq_outbox_topic_key_transaction_part", "topic", "key", "transaction", "part", unique=True),
    )

    id: int = primary_key()
    transaction: int = Field(
        sa_column=Column(BigInteger, nullable=False, server_default=text("(pg_current_xact_id()::text)::bigint"))
    )
    topic: Topic = choice(Topic)
    key: int = big_integer()
    part: int = big_integer(default=0)
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    recorded_at: dt.datetime = instant()


class EventRow(SQLModel, table=True):
    """One event of the log. Numbers begin at 1 and have no gap; a partition holds a day (UTC).

    `recorded_at` is when the change began, `recorded_on` the day on which it got its number.
    """

    __tablename__ = "event"
    __table_args__ = {"postgresql_partition_by": "RANGE (recorded_on)"}

    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    recorded_on: dt.date = Field(sa_column=Column(Date, primary_key=True))
    topic: str = Field(sa_column=Column(Text, nullable=False))
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    recorded_at: dt.datetime = instant()


class EventHeadRow(SQLModel, table=True):
    """The one row that tells how far the log goes: the last number given, its day, and the last one forgotten.

    Whoever gives numbers or forgets some holds this row until the commit. `log` names this log; a cursor of another
    one means nothing here.
    """

    __tablename__ = "event_head"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("forgotten BETWEEN 0 AND last", name="forgotten_before_last"),
    )

    id: int = Field(
        default=1, sa_column=Column(SmallInteger, primary_key=True, autoincrement=False, server_default="1")
    )
    log: uuid.UUID = Field(sa_column=Column(Uuid, nullable=False, server_default=text("gen_random_uuid()")))
    last: int = big_integer(default=0)
    forgotten: int = big_integer(default=0)
    recorded_on: dt.date = Field(
        sa_column=Column(Date, nullable=False, server_default=text("(now() AT TIME ZONE 'UTC'::text)::date"))
    )
