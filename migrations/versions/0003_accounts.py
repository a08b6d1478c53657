"""Accounts, sessions, codes, invitations, settings, customers and the tables of the audit record."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("length", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "actor_role",
            sa.Enum(
                "ADMIN",
                "STAFF",
                "SALESPERSON",
                "CUSTOMER",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum("DONE", "REFUSED", name="auditoutcome", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("entity_id", sa.BigInteger(), nullable=True),
        sa.Column("before", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_table(
        "one_time_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "purpose",
            sa.Enum(
                "VERIFY_EMAIL",
                "RESET_PASSWORD",
                name="codepurpose",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("pending", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("attempts BETWEEN 0 AND 5", name=op.f("ck_one_time_code_attempts_limited")),
        sa.CheckConstraint("octet_length(code_hash) = 32", name=op.f("ck_one_time_code_code_hash_is_sha256")),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("ck_one_time_code_token_hash_is_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_code")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_code_token_hash")),
    )
    op.create_index(op.f("ix_one_time_code_expires_at"), "one_time_code", ["expires_at"], unique=False)
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("company_name", sa.Text(), nullable=False),
        sa.Column("company_address", sa.Text(), nullable=True),
        sa.Column("tax_number", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), server_default="USD", nullable=False),
        sa.Column("tax_rate", sa.Numeric(precision=6, scale=3), server_default="0", nullable=False),
        sa.Column("low_stock_threshold", sa.Integer(), server_default="10", nullable=False),
        sa.Column("access_token_minutes", sa.Integer(), server_default="15", nullable=False),
        sa.Column("refresh_token_days", sa.Integer(), server_default="30", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("company_name <> ''", name=op.f("ck_settings_company_named")),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_settings_currency_is_iso_4217")),
        sa.CheckConstraint("access_token_minutes BETWEEN 1 AND 15", name=op.f("ck_settings_access_tokens_short")),
        sa.CheckConstraint("id = 1", name=op.f("ck_settings_only_one")),
        sa.CheckConstraint("low_stock_threshold >= 0", name=op.f("ck_settings_threshold_not_negative")),
        sa.CheckConstraint("refresh_token_days BETWEEN 1 AND 90", name=op.f("ck_settings_refresh_tokens_limited")),
        sa.CheckConstraint("tax_rate BETWEEN 0 AND 100", name=op.f("ck_settings_tax_rate_is_percent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settings")),
    )
    op.execute("INSERT INTO settings (id, company_name) VALUES (1, 'My company')")
    op.create_table(
        "user_account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "ADMIN",
                "STAFF",
                "SALESPERSON",
                "CUSTOMER",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "language",
            sa.Enum("en", "ar", name="language", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("email_verified_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("email = lower(email) AND email LIKE '_%@_%'", name=op.f("ck_user_account_email_canonical")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_user_account_name_given")),
        sa.CheckConstraint("password_hash LIKE '$argon2id$%'", name=op.f("ck_user_account_password_hashed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("email", name=op.f("uq_user_account_email")),
    )
    op.create_index(
        "ix_user_account_active_admin",
        "user_account",
        ["id"],
        unique=False,
        postgresql_where="role = 'ADMIN' AND is_active",
    )
    op.create_index("ix_user_account_name_id", "user_account", ["name", "id"], unique=False)
    op.create_table(
        "customer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(collation="C"), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_customer_name_given")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_customer_user_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
    )
    op.create_index("ix_customer_name_id", "customer", ["name", "id"], unique=False)
    op.create_index("uq_customer_user_id", "customer", ["user_id"], unique=True)
    op.create_table(
        "invitation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(collation="C"), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "ADMIN",
                "STAFF",
                "SALESPERSON",
                "CUSTOMER",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code_salt", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role <> 'CUSTOMER'", name=op.f("ck_invitation_customers_register")),
        sa.CheckConstraint(
            "(accepted_at IS NULL) = (user_id IS NULL)", name=op.f("ck_invitation_accepted_by_somebody")
        ),
        sa.CheckConstraint("accepted_at IS NULL OR revoked_at IS NULL", name=op.f("ck_invitation_one_end")),
        sa.CheckConstraint("octet_length(code_hash) = 32", name=op.f("ck_invitation_code_hash_is_sha256")),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["user_account.id"], name=op.f("fk_invitation_invited_by"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_invitation_user_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
    )
    op.create_index(op.f("ix_invitation_invited_by"), "invitation", ["invited_by"], unique=False)
    op.create_index(op.f("ix_invitation_user_id"), "invitation", ["user_id"], unique=False)
    op.create_index(
        "uq_invitation_open_email",
        "invitation",
        ["email"],
        unique=True,
        postgresql_where="accepted_at IS NULL AND revoked_at IS NULL",
    )
    op.create_table(
        "session",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ended_by",
            sa.Enum(
                "LOGOUT",
                "REVOKED",
                "PASSWORD_CHANGED",
                "TOKEN_REUSED",
                "DEACTIVATED",
                name="sessionend",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.CheckConstraint("(revoked_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_session_end_explained")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_session_user_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
    )
    op.create_index("ix_session_user_id", "session", ["user_id"], unique=False)
    op.create_table(
        "refresh_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("successor_salt", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("ck_refresh_token_hash_is_sha256")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_refresh_token_session_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_token_token_hash")),
    )
    op.create_index("ix_refresh_token_session_id", "refresh_token", ["session_id"], unique=False)
    op.add_column("invoice", sa.Column("customer_id", sa.BigInteger(), nullable=True))
    op.add_column("invoice", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_invoice_created_by", "invoice", ["created_by"], unique=False, postgresql_where="created_by IS NOT NULL"
    )
    op.create_index(
        "ix_invoice_customer_id",
        "invoice",
        ["customer_id", "date", "id"],
        unique=False,
        postgresql_where="customer_id IS NOT NULL",
    )
    op.create_foreign_key(
        op.f("fk_invoice_created_by"), "invoice", "user_account", ["created_by"], ["id"], ondelete="RESTRICT"
    )
    op.create_foreign_key(
        op.f("fk_invoice_customer_id"), "invoice", "customer", ["customer_id"], ["id"], ondelete="RESTRICT"
    )
    op.add_column("product", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_product_created_by", "product", ["created_by"], unique=False, postgresql_where="created_by IS NOT NULL"
    )
    op.create_foreign_key(
        op.f("fk_product_created_by"), "product", "user_account", ["created_by"], ["id"], ondelete="RESTRICT"
    )


def downgrade() -> None:
    """Take back."""
    op.drop_constraint(op.f("fk_product_created_by"), "product", type_="foreignkey")
    op.drop_index("ix_product_created_by", table_name="product", postgresql_where="created_by IS NOT NULL")
    op.drop_column("product", "created_by")
    op.drop_constraint(op.f("fk_invoice_customer_id"), "invoice", type_="foreignkey")
    op.drop_constraint(op.f("fk_invoice_created_by"), "invoice", type_="foreignkey")
    op.drop_index("ix_invoice_customer_id", table_name="invoice", postgresql_where="customer_id IS NOT NULL")
    op.drop_index("ix_invoice_created_by", table_name="invoice", postgresql_where="created_by IS NOT NULL")
    op.drop_column("invoice", "created_by")
    op.drop_column("invoice", "customer_id")
    op.drop_index("ix_refresh_token_session_id", table_name="refresh_token")
    op.drop_table("refresh_token")
    op.drop_index("ix_session_user_id", table_name="session")
    op.drop_table("session")
    op.drop_index(
        "uq_invitation_open_email",
        table_name="invitation",
        postgresql_where="accepted_at IS NULL AND revoked_at IS NULL",
    )
    op.drop_index(op.f("ix_invitation_user_id"), table_name="invitation")
    op.drop_index(op.f("ix_invitation_invited_by"), table_name="invitation")
    op.drop_table("invitation")
    op.drop_index("uq_customer_user_id", table_name="customer")
    op.drop_index("ix_customer_name_id", table_name="customer")
    op.drop_table("customer")
    op.drop_index("ix_user_account_name_id", table_name="user_account")
    op.drop_index(
        "ix_user_account_active_admin", table_name="user_account", postgresql_where="role = 'ADMIN' AND is_active"
    )
    op.drop_table("user_account")
    op.drop_table("settings")
    op.drop_index(op.f("ix_one_time_code_expires_at"), table_name="one_time_code")
    op.drop_table("one_time_code")
    op.drop_table("audit_entry")
    op.drop_table("audit_chain")
