"""Products: what is sold."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, instant, primary_key, reference, text_column


class ProductRow(SQLModel, table=True):
    """A product; `unit_cost` and `unit_price` are cents a bottle, `volume_ml` a bottle's content.

    Stock of it is low at `low_stock_threshold` bottles or fewer; null takes the company's threshold.
    """

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("pack > 0", name="pack_positive"),
        CheckConstraint("volume_ml >= 0", name="volume_not_negative"),
        CheckConstraint("unit_cost >= 0", name="unit_cost_not_negative"),
        CheckConstraint("unit_price >= 0", name="unit_price_not_negative"),
        CheckConstraint("low_stock_threshold >= 0", name="threshold_not_negative"),
        Index("ix_product_name_id", "name", "id"),
        Index("ix_product_category_id", "category_id"),
        Index("ix_product_vendor_id", "vendor_id"),
        Index("ix_product_created_by", "created_by", postgresql_where="created_by IS NOT NULL"),
        Index("ix_product_image_key", "image_key", postgresql_where="image_key IS NOT NULL"),
        Index("ix_product_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    id: int = primary_key()
    sku: str = Field(sa_column=Column(Text(collation="C"), nullable=False, unique=True))
    name: str = text_column()
    description: str | None = text_column(nullable=True)
    category_id: int | None = reference("category.id", nullable=True)
    vendor_id: int | None = reference("vendor.id", nullable=True)
    pack: int | None = Field(default=None, sa_type=Integer, nullable=True)
    volume_ml: int | None = Field(default=None, sa_type=Integer, nullable=True)
    unit_cost: int | None = big_integer(nullable=True)
    unit_price: int | None = big_integer(nullable=True)
    low_stock_threshold: int | None = Field(default=None, sa_type=Integer, nullable=True)
    # Where the storage has its picture; the name changes with the content.
    image_key: str | None = text_column(nullable=True)
    is_active: bool = Field(default=True, nullable=False, sa_column_kwargs={"server_default": "true"})
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = instant()
    created_by: int | None = reference("user_account.id", nullable=True)
    import_id: int | None = reference("import_job.id", nullable=True)
