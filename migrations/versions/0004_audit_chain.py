"""The audit record: chained by the database, only ever added to, and quick to search."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Taking this revision back keeps the entries, so a chain goes on where its entries end.
ENDS = """
INSERT INTO audit_chain (id, length, hash)
SELECT i, coalesce(last.position, 0), coalesce(last.hash, sha256(convert_to('chain ' || i, 'UTF8')))
FROM generate_series(0, 31) i LEFT JOIN LATERAL (
  SELECT position, hash FROM audit_entry WHERE chain = i ORDER BY position DESC LIMIT 1
) last ON true
"""
# What the hash of an entry covers, in an order and a form that no setting of a connection changes. The body is
# parsed here and now, so a search_path cannot put other functions into it.
TEXT = """
CREATE FUNCTION audit_text(entry audit_entry) RETURNS text LANGUAGE sql STABLE RETURN
  jsonb_build_array(
    entry.id, entry.chain, entry.position, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.actor_id,
    entry.actor_role, entry.session_id, entry.action, entry.outcome, entry.error_code, entry.entity, entry.entity_id,
    entry.before, entry.after, entry.address, entry.request_id)::text
"""
# A process keeps to one chain, so no two writers can wait for each other in a circle. The search_path is fixed,
# because a temporary table of the same name would otherwise come first; the owner's rights are used, so that a role
# which writes needs no right to the ends of the chains.
CHAIN = """
CREATE FUNCTION chain_audit_entry() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE tail audit_chain;
BEGIN
  SELECT * INTO STRICT tail FROM audit_chain WHERE id = pg_backend_pid() % 32 FOR NO KEY UPDATE;
  NEW.at := now();
  NEW.chain := tail.id;
  NEW.position := tail.length + 1;
  NEW.previous_hash := tail.hash;
  NEW.hash := sha256(tail.hash || convert_to(audit_text(NEW), 'UTF8'));
  UPDATE audit_chain SET length = NEW.position, hash = NEW.hash WHERE id = tail.id;
  RETURN NEW;
END $body$
"""
KEEP_ENTRIES = """
CREATE FUNCTION keep_audit_entries() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
  RAISE insufficient_privilege USING MESSAGE = 'the audit record is only ever added to';
END $body$
"""
KEEP_CHAINS = """
CREATE FUNCTION keep_audit_chains() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
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
# Each filter of the record, newest first; columns that are often empty are indexed where they are not.
INDEXES = {
    "ix_audit_entry_at_id": (["at", "id"], None),
    "ix_audit_entry_actor_id": (["actor_id", "at", "id"], "actor_id IS NOT NULL"),
    "ix_audit_entry_action": (["action", "at", "id"], None),
    "ix_audit_entry_entity": (["entity", "entity_id", "at", "id"], "entity IS NOT NULL"),
    "ix_audit_entry_refused": (["at", "id"], "outcome = 'REFUSED'"),
    "ix_audit_entry_error_code": (["error_code", "at", "id"], "error_code IS NOT NULL"),
    "ix_audit_entry_address": (["address", "at", "id"], "address IS NOT NULL"),
    "ix_audit_entry_request_id": (["request_id"], "request_id IS NOT NULL"),
    "ix_audit_entry_session_id": (["session_id", "at", "id"], "session_id IS NOT NULL"),
}


def upgrade() -> None:
    """Apply."""
    op.create_index("uq_audit_entry_chain_position", "audit_entry", ["chain", "position"], unique=True)
    for name, (columns, condition) in INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "audit_entry", columns, unique=False, postgresql_where=where)
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
    for name in (*INDEXES, "uq_audit_entry_chain_position"):
        op.drop_index(name, table_name="audit_entry")
