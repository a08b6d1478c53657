"""What imports of products, stores, purchases and counted stock leave behind, and who started an import."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "import_count",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Text(collation="C"), nullable=False),
        sa.Column("record", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_import_count_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file", "record", name=op.f("pk_import_count")),
    )
    op.create_index("ix_import_count_import_id", "import_count", ["import_id"], unique=False)
    op.create_table(
        "import_row_change",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_import_row_change_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "entity", "row_id", name=op.f("pk_import_row_change")),
    )
    op.create_index("ix_import_row_change_entity_row_id", "import_row_change", ["entity", "row_id"], unique=False)
    op.create_table(
        "import_purchase_line",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("purchase_line_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.Text(collation="C"), nullable=False),
        sa.Column("identity", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["import_job.id"], name=op.f("fk_import_purchase_line_import_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["purchase_line_id"],
            ["purchase_line.id"],
            name=op.f("fk_import_purchase_line_purchase_line_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("purchase_line_id", name=op.f("pk_import_purchase_line")),
    )
    op.create_index("ix_import_purchase_line_import_id", "import_purchase_line", ["import_id"], unique=False)
    op.create_index(
        "ix_import_purchase_line_reference_identity", "import_purchase_line", ["reference", "identity"], unique=False
    )
    op.add_column("import_job", sa.Column("created_by", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_import_job_created_by"), "import_job", "user_account", ["created_by"], ["id"], ondelete="RESTRICT"
    )
    op.create_index(
        "ix_import_job_created_by",
        "import_job",
        ["created_by"],
        unique=False,
        postgresql_where="created_by IS NOT NULL",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_import_job_created_by", table_name="import_job", postgresql_where="created_by IS NOT NULL")
    op.drop_constraint(op.f("fk_import_job_created_by"), "import_job", type_="foreignkey")
    op.drop_column("import_job", "created_by")
    op.drop_index("ix_import_purchase_line_reference_identity", table_name="import_purchase_line")
    op.drop_index("ix_import_purchase_line_import_id", table_name="import_purchase_line")
    op.drop_table("import_purchase_line")
    op.drop_index("ix_import_row_change_entity_row_id", table_name="import_row_change")
    op.drop_table("import_row_change")
    op.drop_index("ix_import_count_import_id", table_name="import_count")
    op.drop_table("import_count")
