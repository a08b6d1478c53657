"""The audit record: chained by the database, and only ever added to."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ENDS = """
INSERT INTO audit_chain (id, hash)
SELECT i, sha256(convert_to('chain ' || i, 'UTF8')) FROM generate_series(0, 31) i
"""
# What the hash of an entry covers, in an order and a form that no setting of a connection changes.
TEXT = """
CREATE FUNCTION audit_text(entry audit_entry) RETURNS text LANGUAGE sql STABLE AS $body$
  SELECT jsonb_build_array(
    entry.id, entry.chain, entry.position, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.actor_id,
    entry.actor_role, entry.session_id, entry.action, entry.outcome, entry.error_code, entry.entity, entry.entity_id,
    entry.before, entry.after, entry.address, entry.request_id)::text
$body$
"""
# A process keeps to one chain, so no two writers can wait for each other in a circle.
CHAIN = """
CREATE FUNCTION chain_audit_entry() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE tail audit_chain;
BEGIN
  SELECT * INTO STRICT tail FROM audit_chain WHERE id = pg_backend_pid() % 32 FOR UPDATE;
  NEW.chain := tail.id;
  NEW.position := tail.length + 1;
  NEW.previous_hash := tail.hash;
  NEW.hash := sha256(tail.hash || convert_to(audit_text(NEW), 'UTF8'));
  UPDATE audit_chain SET length = NEW.position, hash = NEW.hash WHERE id = tail.id;
  RETURN NEW;
END $body$
"""
KEEP_ENTRIES = """
CREATE FUNCTION keep_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE insufficient_privilege USING MESSAGE = 'the audit record is only ever added to';
END $body$
"""
KEEP_CHAINS = """
CREATE FUNCTION keep_audit_chains() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF pg_trigger_depth() < 2 THEN
    RAISE insufficient_privilege USING MESSAGE = 'the ends of the audit chains move with their entries alone';
  END IF;
  RETURN NULL;
END $body$
"""
TRIGGERS = (
    """
    CREATE TRIGGER audit_entry_chain BEFORE INSERT ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION chain_audit_entry()
    """,
    """
    CREATE TRIGGER audit_entry_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_entries()
    """,
    """
    CREATE TRIGGER audit_chain_keep BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_chains()
    """,
)


def upgrade() -> None:
    """Apply."""
    op.execute(ENDS)
    for statement in (TEXT, CHAIN, KEEP_ENTRIES, KEEP_CHAINS, *TRIGGERS):
        op.execute(statement)
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON audit_entry FROM PUBLIC, CURRENT_USER")


def downgrade() -> None:
    """Take back."""
    op.execute("GRANT UPDATE, DELETE, TRUNCATE ON audit_entry TO CURRENT_USER")
    op.execute("DROP TRIGGER audit_chain_keep ON audit_chain")
    op.execute("DROP TRIGGER audit_entry_keep ON audit_entry")
    op.execute("DROP TRIGGER audit_entry_chain ON audit_entry")
    for function in ("keep_audit_chains()", "keep_audit_entries()", "chain_audit_entry()", "audit_text(audit_entry)"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DELETE FROM audit_chain")
