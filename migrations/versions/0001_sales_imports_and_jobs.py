"""Sales, imports and jobs."""

from typing import cast

import sqlalchemy as sa
from alembic import op
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.domain.settings import DBSettings
from sqlalchemy import AdaptedConnection
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


JOBS = DBSettings(db_schema="jobs")


def run_script(script: str) -> None:
    """Run several statements at once, which prepared statements cannot."""
    connection = cast("AdaptedConnection", op.get_bind().connection.dbapi_connection)
    connection.run_async(lambda driver: driver.execute(script))


def upgrade() -> None:
    """Apply."""
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    run_script(QueryBuilderEnvironment(JOBS).build_install_query())
    op.create_table(
        "import_job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("SALES", name="importkind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "mode",
            sa.Enum("INSERT", "UPSERT", name="importmode", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "on_error",
            sa.Enum(
                "REJECT_ROW", "REJECT_ALL", name="rejectpolicy", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "QUEUED",
                "RUNNING",
                "CANCELLING",
                "REVERTING",
                "COMPLETED",
                "REFUSED",
                "FAILED",
                "CANCELLED",
                "REVERTED",
                name="importstatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("storage_key", sa.Text(), nullable=False),
        sa.Column("header", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("checked", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("bytes_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_offset", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_line", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_record", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_inserted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_job")),
    )
    op.create_index("ix_import_job_created_at_id", "import_job", ["created_at", "id"], unique=False)
    op.create_index("ix_import_job_status", "import_job", ["status"], unique=False)
    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("revenue", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("volume_ml", sa.BigInteger(), nullable=True),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("revenue = quantity * unit_price - discount", name=op.f("ck_invoice_line_revenue_adds_up")),
        sa.PrimaryKeyConstraint("invoice_id", "line_number", name=op.f("pk_invoice_line")),
    )
    op.create_index("ix_invoice_line_date_store_id", "invoice_line", ["date", "store_id"], unique=False)
    op.create_index("ix_invoice_line_import_id", "invoice_line", ["import_id"], unique=False, postgresql_using="brin")
    op.create_index("ix_invoice_line_place_id_date", "invoice_line", ["place_id", "date"], unique=False)
    op.create_index("ix_invoice_line_product_id_date", "invoice_line", ["product_id", "date"], unique=False)
    op.create_table(
        "category",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_category_import_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category")),
        sa.UniqueConstraint("number", name=op.f("uq_category_number")),
    )
    op.create_index("ix_category_name_id", "category", ["name", "id"], unique=False)
    op.create_index(
        "ix_category_name_trigram",
        "category",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("uq_category_name_unnumbered", "category", ["name"], unique=True, postgresql_where="number IS NULL")
    op.create_table(
        "county",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_county_import_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_county")),
        sa.UniqueConstraint("number", name=op.f("uq_county_number")),
    )
    op.create_index("ix_county_name_id", "county", ["name", "id"], unique=False)
    op.create_index(
        "ix_county_name_trigram",
        "county",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("uq_county_name_unnumbered", "county", ["name"], unique=True, postgresql_where="number IS NULL")
    op.create_table(
        "import_change",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous_import_id", sa.BigInteger(), nullable=True),
        sa.Column("before", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_import_change_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "invoice_id", "line_number", name=op.f("pk_import_change")),
    )
    op.create_index(op.f("ix_import_change_previous_import_id"), "import_change", ["previous_import_id"], unique=False)
    op.create_table(
        "import_reject",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("column", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_import_reject_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "record", name=op.f("pk_import_reject")),
    )
    op.create_index("ix_import_reject_import_id_code", "import_reject", ["import_id", "code"], unique=False)
    op.create_table(
        "import_seen",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_number", sa.Text(collation="C"), nullable=False),
        sa.Column("line_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_import_seen_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "invoice_number", "line_number", name=op.f("pk_import_seen")),
    )
    op.create_table(
        "vendor",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_vendor_import_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor")),
        sa.UniqueConstraint("number", name=op.f("uq_vendor_number")),
    )
    op.create_index("ix_vendor_name_id", "vendor", ["name", "id"], unique=False)
    op.create_index(
        "ix_vendor_name_trigram",
        "vendor",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("uq_vendor_name_unnumbered", "vendor", ["name"], unique=True, postgresql_where="number IS NULL")
    op.create_table(
        "place",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("zip_code", sa.Text(), nullable=True),
        sa.Column("county_id", sa.BigInteger(), nullable=True),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["county_id"], ["county.id"], name=op.f("fk_place_county_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["import_id"], ["import_job.id"], name=op.f("fk_place_import_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_place")),
        sa.UniqueConstraint(
            "city", "zip_code", "county_id", name="uq_place_city_zip_code_county_id", postgresql_nulls_not_distinct=True
        ),
    )
    op.create_index(
        "ix_place_city_trigram",
        "place",
        ["city"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"city": "gin_trgm_ops"},
    )
    op.create_index("ix_place_city", "place", ["city"], unique=False)
    op.create_index("ix_place_county_id", "place", ["county_id"], unique=False)
    op.create_index("ix_place_zip_code", "place", ["zip_code"], unique=False)
    op.create_table(
        "product",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("sku", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("category_id", sa.BigInteger(), nullable=True),
        sa.Column("vendor_id", sa.BigInteger(), nullable=True),
        sa.Column("pack", sa.Integer(), nullable=True),
        sa.Column("volume_ml", sa.Integer(), nullable=True),
        sa.Column("unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("unit_price", sa.BigInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("pack > 0", name=op.f("ck_product_pack_positive")),
        sa.CheckConstraint("unit_cost >= 0", name=op.f("ck_product_unit_cost_not_negative")),
        sa.CheckConstraint("unit_price >= 0", name=op.f("ck_product_unit_price_not_negative")),
        sa.CheckConstraint("volume_ml >= 0", name=op.f("ck_product_volume_not_negative")),
        sa.ForeignKeyConstraint(
            ["category_id"], ["category.id"], name=op.f("fk_product_category_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_product_import_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["vendor_id"], ["vendor.id"], name=op.f("fk_product_vendor_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("sku", name=op.f("uq_product_sku")),
    )
    op.create_index("ix_product_category_id", "product", ["category_id"], unique=False)
    op.create_index("ix_product_name_id", "product", ["name", "id"], unique=False)
    op.create_index(
        "ix_product_name_trigram",
        "product",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("ix_product_vendor_id", "product", ["vendor_id"], unique=False)
    op.create_table(
        "store",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("place_id", sa.BigInteger(), nullable=False),
        sa.Column("latitude", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("longitude", sa.Numeric(precision=9, scale=6), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_store_latitude_on_earth")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_store_longitude_on_earth")),
        sa.ForeignKeyConstraint(["import_id"], ["import_job.id"], name=op.f("fk_store_import_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["place_id"], ["place.id"], name=op.f("fk_store_place_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store")),
        sa.UniqueConstraint("number", name=op.f("uq_store_number")),
    )
    op.create_index("ix_store_name_id", "store", ["name", "id"], unique=False)
    op.create_index(
        "ix_store_name_trigram",
        "store",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("ix_store_place_id", "store", ["place_id"], unique=False)
    op.create_table(
        "invoice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Text(collation="C"), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "DRAFT",
                "ISSUED",
                "PAID",
                "VOID",
                name="invoicestatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_invoice_import_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_invoice_store_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
    )
    op.create_index("ix_invoice_date_id", "invoice", ["date", "id"], unique=False)
    op.create_index("ix_invoice_import_id", "invoice", ["import_id"], unique=False, postgresql_using="brin")
    op.create_index(
        "ix_invoice_uncounted",
        "invoice",
        ["id"],
        unique=False,
        postgresql_where="status IN ('DRAFT', 'VOID')",
    )
    op.create_index("ix_invoice_store_id_date_id", "invoice", ["store_id", "date", "id"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_invoice_uncounted", table_name="invoice", postgresql_where="status IN ('DRAFT', 'VOID')")
    op.drop_index("ix_invoice_store_id_date_id", table_name="invoice")
    op.drop_index("ix_invoice_import_id", table_name="invoice", postgresql_using="brin")
    op.drop_index("ix_invoice_date_id", table_name="invoice")
    op.drop_table("invoice")
    op.drop_index("ix_store_place_id", table_name="store")
    op.drop_index(
        "ix_store_name_trigram", table_name="store", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
    )
    op.drop_index("ix_store_name_id", table_name="store")
    op.drop_table("store")
    op.drop_index("ix_product_vendor_id", table_name="product")
    op.drop_index(
        "ix_product_name_trigram", table_name="product", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
    )
    op.drop_index("ix_product_name_id", table_name="product")
    op.drop_index("ix_product_category_id", table_name="product")
    op.drop_table("product")
    op.drop_index("ix_place_zip_code", table_name="place")
    op.drop_index("ix_place_city", table_name="place")
    op.drop_index("ix_place_county_id", table_name="place")
    op.drop_index(
        "ix_place_city_trigram", table_name="place", postgresql_using="gin", postgresql_ops={"city": "gin_trgm_ops"}
    )
    op.drop_table("place")
    op.drop_index("uq_vendor_name_unnumbered", table_name="vendor", postgresql_where="number IS NULL")
    op.drop_index(
        "ix_vendor_name_trigram", table_name="vendor", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
    )
    op.drop_index("ix_vendor_name_id", table_name="vendor")
    op.drop_table("vendor")
    op.drop_table("import_seen")
    op.drop_index("ix_import_reject_import_id_code", table_name="import_reject")
    op.drop_table("import_reject")
    op.drop_index(op.f("ix_import_change_previous_import_id"), table_name="import_change")
    op.drop_table("import_change")
    op.drop_index("uq_county_name_unnumbered", table_name="county", postgresql_where="number IS NULL")
    op.drop_index(
        "ix_county_name_trigram", table_name="county", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}
    )
    op.drop_index("ix_county_name_id", table_name="county")
    op.drop_table("county")
    op.drop_index("uq_category_name_unnumbered", table_name="category", postgresql_where="number IS NULL")
    op.drop_index(
        "ix_category_name_trigram",
        table_name="category",
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.drop_index("ix_category_name_id", table_name="category")
    op.drop_table("category")
    op.drop_index("ix_invoice_line_product_id_date", table_name="invoice_line")
    op.drop_index("ix_invoice_line_place_id_date", table_name="invoice_line")
    op.drop_index("ix_invoice_line_import_id", table_name="invoice_line", postgresql_using="brin")
    op.drop_index("ix_invoice_line_date_store_id", table_name="invoice_line")
    op.drop_table("invoice_line")
    op.drop_index("ix_import_job_status", table_name="import_job")
    op.drop_index("ix_import_job_created_at_id", table_name="import_job")
    op.drop_table("import_job")
    op.execute("DROP SCHEMA jobs CASCADE")
