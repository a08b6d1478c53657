"""Stock, purchases, number series, low stock, notifications, idempotency keys, and what invoices are issued with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _replace_kinds(kinds: str) -> None:
    """Hold `import_job.kind` to other values."""
    op.drop_constraint(op.f("ck_import_job_importkind"), "import_job")
    op.create_check_constraint(op.f("ck_import_job_importkind"), "import_job", f"kind IN ({kinds})")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "books_check",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("violated", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_books_check")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("scope", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("mutation", sa.Text(), nullable=False),
        sa.Column("input_hash", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("octet_length(input_hash) = 32", name=op.f("ck_idempotency_key_input_hash_is_sha256")),
        sa.PrimaryKeyConstraint("scope", "key", "position", name=op.f("pk_idempotency_key")),
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"], unique=False)
    op.create_table(
        "notification",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "severity",
            sa.Enum("INFO", "WARNING", "ERROR", name="severity", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("values", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("title <> ''", name=op.f("ck_notification_title_given")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user_account.id"], name=op.f("fk_notification_created_by"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
    )
    op.create_index(
        "ix_notification_created_by",
        "notification",
        ["created_by"],
        unique=False,
        postgresql_where="created_by IS NOT NULL",
    )
    op.create_index("uq_notification_topic", "notification", ["topic"], unique=True)
    op.create_table(
        "notification_recipient",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notification.id"],
            name=op.f("fk_notification_recipient_notification_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_notification_recipient_user_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_recipient")),
    )
    op.create_index(
        "ix_notification_recipient_unread",
        "notification_recipient",
        ["user_id"],
        unique=False,
        postgresql_where="read_at IS NULL",
    )
    op.create_index("ix_notification_recipient_user_id", "notification_recipient", ["user_id", "id"], unique=False)
    op.create_index(
        "uq_notification_recipient_notification_id_user_id",
        "notification_recipient",
        ["notification_id", "user_id"],
        unique=True,
    )
    op.create_table(
        "low_stock_episode",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"],
            ["user_account.id"],
            name=op.f("fk_low_stock_episode_acknowledged_by"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_low_stock_episode_product_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["store_id"], ["store.id"], name=op.f("fk_low_stock_episode_store_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_low_stock_episode")),
    )
    op.create_index(
        "ix_low_stock_episode_acknowledged_by",
        "low_stock_episode",
        ["acknowledged_by"],
        unique=False,
        postgresql_where="acknowledged_by IS NOT NULL",
    )
    op.create_index("ix_low_stock_episode_opened_at_id", "low_stock_episode", ["opened_at", "id"], unique=False)
    op.create_index("ix_low_stock_episode_product_id", "low_stock_episode", ["product_id", "id"], unique=False)
    op.create_index("ix_low_stock_episode_store_id", "low_stock_episode", ["store_id", "id"], unique=False)
    op.create_index(
        "uq_low_stock_episode_open",
        "low_stock_episode",
        ["store_id", "product_id"],
        unique=True,
        postgresql_where="resolved_at IS NULL",
    )
    op.create_table(
        "number_series",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "INVOICE",
                "CREDIT_NOTE",
                "PURCHASE",
                name="serieskind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("last", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("last >= 0", name=op.f("ck_number_series_counts_up")),
        sa.ForeignKeyConstraint(
            ["store_id"], ["store.id"], name=op.f("fk_number_series_store_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("store_id", "kind", name=op.f("pk_number_series")),
    )
    op.create_table(
        "purchase",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Text(collation="C"), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("vendor_id", sa.BigInteger(), nullable=True),
        sa.Column("supplier_name", sa.Text(), nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "ORDERED",
                "RECEIVED",
                "VOID",
                name="purchasestatus",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("void_reason", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("vendor_id IS NOT NULL OR supplier_name <> ''", name=op.f("ck_purchase_supplier_named")),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user_account.id"], name=op.f("fk_purchase_created_by"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_purchase_import_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_purchase_store_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["vendor_id"], ["vendor.id"], name=op.f("fk_purchase_vendor_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase")),
        sa.UniqueConstraint("number", name=op.f("uq_purchase_number")),
    )
    op.create_index(
        "ix_purchase_created_by", "purchase", ["created_by"], unique=False, postgresql_where="created_by IS NOT NULL"
    )
    op.create_index("ix_purchase_date_id", "purchase", ["date", "id"], unique=False)
    op.create_index(
        "ix_purchase_import_id", "purchase", ["import_id"], unique=False, postgresql_where="import_id IS NOT NULL"
    )
    op.create_index(
        "ix_purchase_status", "purchase", ["status", "id"], unique=False, postgresql_where="status = 'ORDERED'"
    )
    op.create_index("ix_purchase_store_id_date_id", "purchase", ["store_id", "date", "id"], unique=False)
    op.create_index(
        "ix_purchase_supplier_name_trigram",
        "purchase",
        ["supplier_name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"supplier_name": "gin_trgm_ops"},
        postgresql_where="supplier_name IS NOT NULL",
    )
    op.create_index("ix_purchase_vendor_id", "purchase", ["vendor_id", "date", "id"], unique=False)
    _create_ledger()
    _extend_tables()


def _create_ledger() -> None:
    op.create_table(
        "stock_level",
        sa.Column("store_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("value", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("on_hand > 0 OR value = 0", name=op.f("ck_stock_level_nothing_is_worth_nothing")),
        sa.CheckConstraint("on_hand >= 0", name=op.f("ck_stock_level_never_oversold")),
        sa.CheckConstraint("value >= 0", name=op.f("ck_stock_level_value_not_negative")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_level_product_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_stock_level_store_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("store_id", "product_id", name=op.f("pk_stock_level")),
        sa.UniqueConstraint("id", name=op.f("uq_stock_level_id")),
    )
    op.create_index("ix_stock_level_product_id", "stock_level", ["product_id"], unique=False)
    op.create_table(
        "purchase_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("purchase_id", sa.BigInteger(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_purchase_line_something_ordered")),
        sa.CheckConstraint("received BETWEEN 0 AND quantity", name=op.f("ck_purchase_line_received_within_quantity")),
        sa.CheckConstraint("unit_cost >= 0", name=op.f("ck_purchase_line_unit_cost_not_negative")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_purchase_line_product_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["purchase_id"], ["purchase.id"], name=op.f("fk_purchase_line_purchase_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_line")),
        sa.UniqueConstraint("purchase_id", "line_number", name=op.f("uq_purchase_line_purchase_id_line_number")),
    )
    op.create_index("ix_purchase_line_product_id", "purchase_line", ["product_id"], unique=False)
    op.create_table(
        "stock_lot",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_line_id", sa.BigInteger(), nullable=True),
        sa.Column("source_lot_id", sa.BigInteger(), nullable=True),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("received > 0", name=op.f("ck_stock_lot_something_received")),
        sa.CheckConstraint("remaining BETWEEN 0 AND received", name=op.f("ck_stock_lot_remaining_within_received")),
        sa.CheckConstraint("unit_cost >= 0", name=op.f("ck_stock_lot_unit_cost_not_negative")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_lot_product_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["purchase_line_id"], ["purchase_line.id"], name=op.f("fk_stock_lot_purchase_line_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["source_lot_id"], ["stock_lot.id"], name=op.f("fk_stock_lot_source_lot_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_stock_lot_store_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_lot")),
    )
    op.create_index(
        "ix_stock_lot_expires_on", "stock_lot", ["expires_on"], unique=False, postgresql_where="remaining > 0"
    )
    op.create_index(
        "ix_stock_lot_in_order",
        "stock_lot",
        ["store_id", "product_id", "expires_on", "received_on", "id"],
        unique=False,
        postgresql_where="remaining > 0",
    )
    op.create_index("ix_stock_lot_product_id", "stock_lot", ["product_id"], unique=False)
    op.create_index(
        "ix_stock_lot_purchase_line_id",
        "stock_lot",
        ["purchase_line_id"],
        unique=False,
        postgresql_where="purchase_line_id IS NOT NULL",
    )
    op.create_index(
        "ix_stock_lot_source_lot_id",
        "stock_lot",
        ["source_lot_id"],
        unique=False,
        postgresql_where="source_lot_id IS NOT NULL",
    )
    op.create_index("ix_stock_lot_store_id_product_id", "stock_lot", ["store_id", "product_id", "id"], unique=False)
    op.create_table(
        "stock_movement",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column(
            "cause",
            sa.Enum(
                "RECEIPT",
                "RECEIPT_VOID",
                "SALE",
                "SALE_LOWERED",
                "SALE_VOID",
                "CREDIT",
                "ADJUSTMENT",
                "COUNT",
                "TRANSFER_OUT",
                "TRANSFER_IN",
                "IMPORT_REVERT",
                name="movementcause",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.Column("line_number", sa.Integer(), nullable=True),
        sa.Column("purchase_line_id", sa.BigInteger(), nullable=True),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column("transfer_of", sa.BigInteger(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(invoice_id IS NULL) = (line_number IS NULL)", name=op.f("ck_stock_movement_lines_belong_to_invoices")
        ),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_stock_movement_something_moved")),
        sa.CheckConstraint("sign(cost) IN (0, sign(quantity))", name=op.f("ck_stock_movement_cost_goes_with_quantity")),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["user_account.id"], name=op.f("fk_stock_movement_actor_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_stock_movement_import_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoice.id"], name=op.f("fk_stock_movement_invoice_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_movement_product_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["purchase_line_id"],
            ["purchase_line.id"],
            name=op.f("fk_stock_movement_purchase_line_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["store_id"], ["store.id"], name=op.f("fk_stock_movement_store_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["transfer_of"], ["stock_movement.id"], name=op.f("fk_stock_movement_transfer_of"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movement")),
    )
    op.create_index(
        "ix_stock_movement_actor_id",
        "stock_movement",
        ["actor_id"],
        unique=False,
        postgresql_where="actor_id IS NOT NULL",
    )
    op.create_index("ix_stock_movement_at_id", "stock_movement", ["at", "id"], unique=False)
    op.create_index(
        "ix_stock_movement_import_id",
        "stock_movement",
        ["import_id"],
        unique=False,
        postgresql_where="import_id IS NOT NULL",
    )
    op.create_index(
        "ix_stock_movement_invoice_id",
        "stock_movement",
        ["invoice_id", "line_number"],
        unique=False,
        postgresql_where="invoice_id IS NOT NULL",
    )
    op.create_index("ix_stock_movement_product_id", "stock_movement", ["product_id", "id"], unique=False)
    op.create_index(
        "ix_stock_movement_purchase_line_id",
        "stock_movement",
        ["purchase_line_id"],
        unique=False,
        postgresql_where="purchase_line_id IS NOT NULL",
    )
    op.create_index(
        "ix_stock_movement_store_id_product_id", "stock_movement", ["store_id", "product_id", "id"], unique=False
    )
    op.create_index(
        "ix_stock_movement_transfer_of",
        "stock_movement",
        ["transfer_of"],
        unique=False,
        postgresql_where="transfer_of IS NOT NULL",
    )
    op.create_table(
        "lot_use",
        sa.Column("movement_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lot_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_lot_use_something_used")),
        sa.ForeignKeyConstraint(["lot_id"], ["stock_lot.id"], name=op.f("fk_lot_use_lot_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["movement_id"], ["stock_movement.id"], name=op.f("fk_lot_use_movement_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("movement_id", "lot_id", name=op.f("pk_lot_use")),
    )
    op.create_index("ix_lot_use_lot_id", "lot_use", ["lot_id"], unique=False)


def _extend_tables() -> None:
    op.add_column("category", sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("category", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column(
        "import_job",
        sa.Column(
            "stock_effect",
            sa.Enum("NONE", "DEDUCT", name="stockeffect", native_enum=False, create_constraint=True, length=32),
            server_default="NONE",
            nullable=False,
        ),
    )
    op.alter_column("import_job", "stock_effect", server_default=None)
    _replace_kinds("'SALES', 'PRODUCTS', 'STORES', 'PURCHASES', 'STOCK_COUNT'")
    op.add_column("invoice", sa.Column("credit_of", sa.BigInteger(), nullable=True))
    op.add_column("invoice", sa.Column("discount", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("invoice", sa.Column("tax_rate", sa.Numeric(precision=6, scale=3), nullable=True))
    op.add_column("invoice", sa.Column("tax", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("invoice", sa.Column("currency", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("company_name", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("company_address", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("company_tax_number", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("customer_name", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("customer_address", sa.Text(), nullable=True))
    op.add_column(
        "invoice",
        sa.Column("printed", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column("invoice", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("void_reason", sa.Text(), nullable=True))
    op.add_column("invoice", sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("invoice", sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("invoice", sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("invoice", "number", existing_type=sa.TEXT(collation="C"), nullable=True)
    op.create_check_constraint("numbered_when_issued", "invoice", "number IS NOT NULL OR status = 'DRAFT'")
    op.create_check_constraint("discount_not_negative", "invoice", "discount >= 0")
    op.create_index(
        "ix_invoice_credit_of", "invoice", ["credit_of"], unique=False, postgresql_where="credit_of IS NOT NULL"
    )
    op.create_index(
        "ix_invoice_issued_at", "invoice", ["issued_at", "id"], unique=False, postgresql_where="issued_at IS NOT NULL"
    )
    op.create_foreign_key(
        op.f("fk_invoice_credit_of"), "invoice", "invoice", ["credit_of"], ["id"], ondelete="RESTRICT"
    )
    op.add_column("product", sa.Column("low_stock_threshold", sa.Integer(), nullable=True))
    op.create_check_constraint("threshold_not_negative", "product", "low_stock_threshold >= 0")
    op.add_column("product", sa.Column("image_key", sa.Text(), nullable=True))
    op.create_index("ix_product_image_key", "product", ["image_key"], postgresql_where="image_key IS NOT NULL")
    op.create_index("ix_customer_email_id", "customer", ["email", "id"])
    op.create_index(
        "ix_customer_name_trigram",
        "customer",
        ["name"],
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.add_column("settings", sa.Column("sells_expired", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("store", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("vendor", sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("vendor", sa.Column("version", sa.Integer(), server_default="1", nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_column("vendor", "version")
    op.drop_column("vendor", "is_active")
    op.drop_column("store", "version")
    op.drop_column("settings", "sells_expired")
    op.drop_index("ix_customer_name_trigram", table_name="customer")
    op.drop_index("ix_customer_email_id", table_name="customer")
    op.drop_index("ix_product_image_key", table_name="product", postgresql_where="image_key IS NOT NULL")
    op.drop_column("product", "image_key")
    op.drop_column("product", "low_stock_threshold")
    op.drop_constraint(op.f("fk_invoice_credit_of"), "invoice", type_="foreignkey")
    op.drop_index("ix_invoice_issued_at", table_name="invoice", postgresql_where="issued_at IS NOT NULL")
    op.drop_index("ix_invoice_credit_of", table_name="invoice", postgresql_where="credit_of IS NOT NULL")
    op.drop_constraint(op.f("ck_invoice_numbered_when_issued"), "invoice")
    op.alter_column("invoice", "number", existing_type=sa.TEXT(collation="C"), nullable=False)
    op.drop_column("invoice", "voided_at")
    op.drop_column("invoice", "paid_at")
    op.drop_column("invoice", "issued_at")
    op.drop_column("invoice", "void_reason")
    op.drop_column("invoice", "note")
    op.drop_column("invoice", "printed")
    op.drop_column("invoice", "customer_address")
    op.drop_column("invoice", "customer_name")
    op.drop_column("invoice", "company_tax_number")
    op.drop_column("invoice", "company_address")
    op.drop_column("invoice", "company_name")
    op.drop_column("invoice", "currency")
    op.drop_column("invoice", "tax")
    op.drop_column("invoice", "tax_rate")
    op.drop_column("invoice", "discount")
    op.drop_column("invoice", "credit_of")
    op.drop_column("import_job", "stock_effect")
    _replace_kinds("'SALES'")
    op.drop_column("category", "version")
    op.drop_column("category", "is_active")
    _drop_tables()


def _drop_tables() -> None:
    op.drop_index("ix_lot_use_lot_id", table_name="lot_use")
    op.drop_table("lot_use")
    op.drop_index(
        "ix_stock_movement_transfer_of", table_name="stock_movement", postgresql_where="transfer_of IS NOT NULL"
    )
    op.drop_index("ix_stock_movement_store_id_product_id", table_name="stock_movement")
    op.drop_index(
        "ix_stock_movement_purchase_line_id",
        table_name="stock_movement",
        postgresql_where="purchase_line_id IS NOT NULL",
    )
    op.drop_index("ix_stock_movement_product_id", table_name="stock_movement")
    op.drop_index(
        "ix_stock_movement_invoice_id", table_name="stock_movement", postgresql_where="invoice_id IS NOT NULL"
    )
    op.drop_index("ix_stock_movement_import_id", table_name="stock_movement", postgresql_where="import_id IS NOT NULL")
    op.drop_index("ix_stock_movement_at_id", table_name="stock_movement")
    op.drop_index("ix_stock_movement_actor_id", table_name="stock_movement", postgresql_where="actor_id IS NOT NULL")
    op.drop_table("stock_movement")
    op.drop_index("ix_stock_lot_store_id_product_id", table_name="stock_lot")
    op.drop_index("ix_stock_lot_source_lot_id", table_name="stock_lot", postgresql_where="source_lot_id IS NOT NULL")
    op.drop_index(
        "ix_stock_lot_purchase_line_id", table_name="stock_lot", postgresql_where="purchase_line_id IS NOT NULL"
    )
    op.drop_index("ix_stock_lot_product_id", table_name="stock_lot")
    op.drop_index("ix_stock_lot_in_order", table_name="stock_lot", postgresql_where="remaining > 0")
    op.drop_index("ix_stock_lot_expires_on", table_name="stock_lot", postgresql_where="remaining > 0")
    op.drop_table("stock_lot")
    op.drop_index("ix_purchase_line_product_id", table_name="purchase_line")
    op.drop_table("purchase_line")
    op.drop_index("ix_stock_level_product_id", table_name="stock_level")
    op.drop_table("stock_level")
    op.drop_index("ix_purchase_vendor_id", table_name="purchase")
    op.drop_index("ix_purchase_store_id_date_id", table_name="purchase")
    op.drop_index("ix_purchase_status", table_name="purchase", postgresql_where="status = 'ORDERED'")
    op.drop_index("ix_purchase_import_id", table_name="purchase", postgresql_where="import_id IS NOT NULL")
    op.drop_index("ix_purchase_date_id", table_name="purchase")
    op.drop_index("ix_purchase_created_by", table_name="purchase", postgresql_where="created_by IS NOT NULL")
    op.drop_table("purchase")
    op.drop_table("number_series")
    op.drop_index("uq_low_stock_episode_open", table_name="low_stock_episode", postgresql_where="resolved_at IS NULL")
    op.drop_index("ix_low_stock_episode_store_id", table_name="low_stock_episode")
    op.drop_index("ix_low_stock_episode_product_id", table_name="low_stock_episode")
    op.drop_index("ix_low_stock_episode_opened_at_id", table_name="low_stock_episode")
    op.drop_index(
        "ix_low_stock_episode_acknowledged_by",
        table_name="low_stock_episode",
        postgresql_where="acknowledged_by IS NOT NULL",
    )
    op.drop_table("low_stock_episode")
    op.drop_index("uq_notification_recipient_notification_id_user_id", table_name="notification_recipient")
    op.drop_index("ix_notification_recipient_user_id", table_name="notification_recipient")
    op.drop_index(
        "ix_notification_recipient_unread", table_name="notification_recipient", postgresql_where="read_at IS NULL"
    )
    op.drop_table("notification_recipient")
    op.drop_index("uq_notification_topic", table_name="notification")
    op.drop_index("ix_notification_created_by", table_name="notification", postgresql_where="created_by IS NOT NULL")
    op.drop_table("notification")
    op.drop_index("ix_idempotency_key_created_at", table_name="idempotency_key")
    op.drop_table("idempotency_key")
    op.drop_table("books_check")
