"""References of invoice lines, checked a statement at a time."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The protocol is that of PostgreSQL's foreign keys: whoever writes a line holds KEY SHARE on its parents, and
# whoever deletes a parent looks for lines after having locked it. Only the unit differs: all rows of a statement.
CHECK_LINES = """
CREATE FUNCTION check_line_references() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE missing text;
BEGIN
  PERFORM FROM invoice WHERE id IN (SELECT invoice_id FROM new_lines) ORDER BY id FOR KEY SHARE;
  PERFORM FROM place WHERE id IN (SELECT place_id FROM new_lines) ORDER BY id FOR KEY SHARE;
  PERFORM FROM product WHERE id IN (SELECT product_id FROM new_lines) ORDER BY id FOR KEY SHARE;
  SELECT format('invoice %s with store %s and date %s', l.invoice_id, l.store_id, l.date) INTO missing
    FROM (SELECT DISTINCT invoice_id, store_id, date FROM new_lines) l
    LEFT JOIN invoice i ON (i.id, i.store_id, i.date) = (l.invoice_id, l.store_id, l.date)
    WHERE i.id IS NULL LIMIT 1;
  IF missing IS NULL THEN
    SELECT format('place %s', l.place_id) INTO missing
      FROM (SELECT DISTINCT place_id FROM new_lines) l LEFT JOIN place p ON p.id = l.place_id
      WHERE p.id IS NULL LIMIT 1;
  END IF;
  IF missing IS NULL THEN
    SELECT format('product %s', l.product_id) INTO missing
      FROM (SELECT DISTINCT product_id FROM new_lines) l LEFT JOIN product p ON p.id = l.product_id
      WHERE p.id IS NULL LIMIT 1;
  END IF;
  IF missing IS NOT NULL THEN
    RAISE foreign_key_violation USING MESSAGE = 'an invoice line refers to what does not exist: ' || missing;
  END IF;
  RETURN NULL;
END $body$
"""
# A snapshot older than the lock could miss lines written meanwhile, hence READ COMMITTED alone.
CHECK_PARENT = """
CREATE FUNCTION check_unreferenced_by_lines() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE used boolean;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE feature_not_supported USING MESSAGE = format('rows of %s change under READ COMMITTED only', TG_TABLE_NAME);
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM invoice_line WHERE %I = $1.id)', TG_TABLE_NAME || '_id')
    INTO used USING OLD;
  IF used THEN
    RAISE foreign_key_violation
      USING MESSAGE = format('%s %s still has invoice lines', TG_TABLE_NAME, OLD.id);
  END IF;
  RETURN NULL;
END $body$
"""
KEEP_LINES = """
CREATE FUNCTION refuse_truncate_under_lines() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF EXISTS (SELECT FROM invoice_line) THEN
    RAISE foreign_key_violation USING MESSAGE = format('%s still has invoice lines', TG_TABLE_NAME);
  END IF;
  RETURN NULL;
END $body$
"""
# Columns of a parent that lines repeat or point at.
PARENTS = {"invoice": "id, store_id, date", "place": "id", "product": "id"}


def upgrade() -> None:
    """Apply."""
    for function in (CHECK_LINES, CHECK_PARENT, KEEP_LINES):
        op.execute(function)
    for event in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER references_of_{event.lower()} AFTER {event} ON invoice_line "
            "REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT EXECUTE FUNCTION check_line_references()"
        )
    for table, columns in PARENTS.items():
        op.execute(
            f"CREATE TRIGGER kept_for_lines AFTER DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION check_unreferenced_by_lines()"
        )
        op.execute(
            f"CREATE TRIGGER same_for_lines AFTER UPDATE OF {columns} ON {table} FOR EACH ROW "
            f"WHEN (({', '.join('OLD.' + c for c in columns.split(', '))}) IS DISTINCT FROM "
            f"({', '.join('NEW.' + c for c in columns.split(', '))})) "
            "EXECUTE FUNCTION check_unreferenced_by_lines()"
        )
        op.execute(
            f"CREATE TRIGGER not_emptied_under_lines BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate_under_lines()"
        )


def downgrade() -> None:
    """Take back."""
    for table in PARENTS:
        for trigger in ("kept_for_lines", "same_for_lines", "not_emptied_under_lines"):
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER references_of_{event} ON invoice_line")
    for function in ("check_line_references", "check_unreferenced_by_lines", "refuse_truncate_under_lines"):
        op.execute(f"DROP FUNCTION {function}")
