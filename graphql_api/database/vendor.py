"""Vendors: who makes or supplies a product."""

from sqlalchemy import Index, Integer
from sqlmodel import Field, SQLModel

from graphql_api.database.base import primary_key, reference, text_column


class VendorRow(SQLModel, table=True):
    """A vendor, identified by its number where the source gave one, else by its name."""

    __tablename__ = "vendor"
    __table_args__ = (
        Index("ix_vendor_name_id", "name", "id"),
        Index("uq_vendor_name_unnumbered", "name", unique=True, postgresql_where="number IS NULL"),
        Index("ix_vendor_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    id: int = primary_key()
    number: int | None = Field(default=None, sa_type=Integer, unique=True, nullable=True)
    name: str = text_column()
    is_active: bool = Field(default=True, nullable=False, sa_column_kwargs={"server_default": "true"})
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    import_id: int | None = reference("import_job.id", nullable=True)
