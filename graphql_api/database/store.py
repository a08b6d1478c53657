"""Stores: where invoices are written."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, Column, Index, Integer, Numeric
from sqlmodel import Field, SQLModel

from graphql_api.database.base import primary_key, reference, text_column


class StoreRow(SQLModel, table=True):
    """A store at its present place; past sales keep the place they were made in."""

    __tablename__ = "store"
    __table_args__ = (
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude_on_earth"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude_on_earth"),
        Index("ix_store_name_id", "name", "id"),
        Index("ix_store_place_id", "place_id"),
        Index("ix_store_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    id: int = primary_key()
    number: int = Field(sa_type=Integer, unique=True, nullable=False)
    name: str = text_column()
    address: str | None = text_column(nullable=True)
    place_id: int = reference("place.id")
    latitude: Decimal | None = Field(default=None, sa_column=Column(Numeric(9, 6)))
    longitude: Decimal | None = Field(default=None, sa_column=Column(Numeric(9, 6)))
    is_active: bool = Field(default=True, nullable=False, sa_column_kwargs={"server_default": "true"})
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    import_id: int | None = reference("import_job.id", nullable=True)
