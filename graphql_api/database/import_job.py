"""Imports: the job, what it refused, what it replaced, and the line ids it has met."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, choice, instant, primary_key, reference, text_column


class ImportKind(StrEnum):
    """What a file holds."""

    SALES = "SALES"
    PRODUCTS = "PRODUCTS"
    STORES = "STORES"
    PURCHASES = "PURCHASES"
    STOCK_COUNT = "STOCK_COUNT"


class StockEffect(StrEnum):
    """What sold lines of a file do to stock."""

    NONE = "NONE"
    DEDUCT = "DEDUCT"


class ImportMode(StrEnum):
    """What happens to a line that exists with other content."""

    INSERT = "INSERT"
    UPSERT = "UPSERT"


class RejectPolicy(StrEnum):
    """What one bad row does to the others."""

    REJECT_ROW = "REJECT_ROW"
    REJECT_ALL = "REJECT_ALL"


class ImportStatus(StrEnum):
    """Where a job stands; the last five are final, except that a completed import can be reverted."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    REVERTING = "REVERTING"
    COMPLETED = "COMPLETED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REVERTED = "REVERTED"


class ImportJobRow(SQLModel, table=True):
    """One file on its way in. Counts are rows of the file; `offset` and `line` are the checkpoint."""

    __tablename__ = "import_job"
    __table_args__ = (
        Index("ix_import_job_created_at_id", "created_at", "id"),
        Index("ix_import_job_status", "status"),
        Index("ix_import_job_created_by", "created_by", postgresql_where="created_by IS NOT NULL"),
    )

    id: int = primary_key()
    kind: ImportKind = choice(ImportKind, default=ImportKind.SALES)
    mode: ImportMode = choice(ImportMode, default=ImportMode.INSERT)
    on_error: RejectPolicy = choice(RejectPolicy, default=RejectPolicy.REJECT_ROW)
    stock_effect: StockEffect = choice(StockEffect, default=StockEffect.NONE)
    dry_run: bool = Field(nullable=False)
    mapping: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    status: ImportStatus = choice(ImportStatus, default=ImportStatus.QUEUED)
    file_name: str = text_column()
    file_size: int = big_integer()
    sha256: str = text_column()
    storage_key: str = text_column()
    header: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    checked: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": "false"})
    bytes_read: int = big_integer(default=0)
    next_offset: int = big_integer(default=0)
    next_line: int = big_integer(default=0)
    next_record: int = big_integer(default=0)
    rows_read: int = big_integer(default=0)
    rows_inserted: int = big_integer(default=0)
    rows_updated: int = big_integer(default=0)
    rows_unchanged: int = big_integer(default=0)
    rows_rejected: int = big_integer(default=0)
    failure: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    created_at: datetime = instant()
    started_at: datetime | None = instant(nullable=True)
    finished_at: datetime | None = instant(nullable=True)
    created_by: int | None = reference("user_account.id", nullable=True)


class ImportRejectRow(SQLModel, table=True):
    """A refused row: where it stands in the file, what is wrong, and its original cells."""

    __tablename__ = "import_reject"
    __table_args__ = (Index("ix_import_reject_import_id_code", "import_id", "code"),)

    import_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("import_job.id", ondelete="CASCADE"), primary_key=True)
    )
    record: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    line: int = big_integer()
    column: str | None = text_column(nullable=True)
    code: str = text_column()
    value: str | None = text_column(nullable=True)
    hint: str = text_column()
    fields: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))


class ImportChangeRow(SQLModel, table=True):
    """What a line said before an UPSERT import replaced it, so that the import can be taken back.

    `before` is null when the import that first wrote the line was itself taken back since.
    """

    __tablename__ = "import_change"

    import_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("import_job.id", ondelete="CASCADE"), primary_key=True)
    )
    invoice_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    line_number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    previous_import_id: int | None = Field(default=None, sa_column=Column(BigInteger, index=True))
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class ImportSeenRow(SQLModel, table=True):
    """A line id a running job has met without writing it, and a hash of what it said.

    Dry runs and UPSERT imports need it to find an id repeated in another block of the file.
    """

    __tablename__ = "import_seen"

    import_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("import_job.id", ondelete="CASCADE"), primary_key=True)
    )
    invoice_number: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    line_number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    content: int = big_integer()
