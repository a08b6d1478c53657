"""What imports leave behind so that they can be known again and taken back."""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


def _import(*, is_key: bool = False) -> Any:
    """The job; what it left goes with it."""
    column = Column(BigInteger, ForeignKey("import_job.id", ondelete="CASCADE"), primary_key=is_key, nullable=False)
    return Field(sa_column=column)


class ImportRowChangeRow(SQLModel, table=True):
    """The columns that an UPSERT import changed in a product or store, with their values before and after.

    `version` is the row's after the change, which tells the order in which imports have changed it.
    """

    __tablename__ = "import_row_change"
    __table_args__ = (Index("ix_import_row_change_entity_row_id", "entity", "row_id"),)

    import_id: int = _import(is_key=True)
    entity: str = Field(sa_column=Column(Text, primary_key=True))
    row_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    version: int = Field(sa_type=Integer, nullable=False)
    before: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    after: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class ImportPurchaseLineRow(SQLModel, table=True):
    """Which row of which purchase of a file became this purchase line: how the row is known when it comes again."""

    __tablename__ = "import_purchase_line"
    __table_args__ = (
        Index("ix_import_purchase_line_import_id", "import_id"),
        Index("ix_import_purchase_line_reference_identity", "reference", "identity"),
    )

    purchase_line_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("purchase_line.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
        )
    )
    import_id: int = _import()
    reference: str = Field(sa_column=Column(Text(collation="C"), nullable=False))
    identity: str = Field(sa_column=Column(Text(collation="C"), nullable=False))


class ImportCountRow(SQLModel, table=True):
    """A row of a file of counted stock that has been posted; `file` is a hash of content and mapping."""

    __tablename__ = "import_count"
    __table_args__ = (Index("ix_import_count_import_id", "import_id"),)

    file: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    record: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    import_id: int = _import()
