"""Events: an outbox that triggers fill, and the log that it is numbered into."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TOPICS = ("STOCK", "LOW_STOCK", "PRODUCT", "INVOICE", "PURCHASE", "NOTIFICATION", "IMPORT", "SALES")

# What listeners choose by, as it is when the change happens.
STORE_FACTS = """
CREATE VIEW event_store AS
SELECT s.id, jsonb_build_object(
  'store', s.id, 'store_number', s.number, 'city', p.city, 'zip_code', p.zip_code,
  'county', c.name, 'county_number', c.number
) AS facts
FROM store s JOIN place p ON p.id = s.place_id LEFT JOIN county c ON c.id = p.county_id
"""
PRODUCT_FACTS = """
CREATE VIEW event_product AS
SELECT p.id, jsonb_build_object(
  'product', p.id, 'sku', p.sku, 'category', c.name, 'category_number', c.number
) AS facts
FROM product p LEFT JOIN category c ON c.id = p.category_id
"""
# The levels are up to date: triggers run in the order of their names. Of a level that several movements of one
# statement have changed, the later ones are taken off again.
TELL_STOCK = """
CREATE FUNCTION tell_stock_movements() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  INSERT INTO outbox (topic, payload)
  SELECT 'STOCK', s.facts || p.facts || jsonb_build_object(
    'movement', m.id, 'before', m.after - m.quantity, 'after', m.after, 'delta', m.quantity, 'cause', m.cause,
    'reason', m.reason, 'invoice', m.invoice_id, 'line_number', m.line_number, 'purchase', r.purchase_id,
    'import', m.import_id, 'actor', m.actor_id
  )
  FROM (
    SELECT n.*, l.on_hand - coalesce(sum(n.quantity) OVER later, 0)::bigint AS after
    FROM posted n JOIN stock_level l ON l.store_id = n.store_id AND l.product_id = n.product_id
    WINDOW later AS (
      PARTITION BY n.store_id, n.product_id ORDER BY n.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
  ) m
  JOIN event_store s ON s.id = m.store_id JOIN event_product p ON p.id = m.product_id
  LEFT JOIN purchase_line r ON r.id = m.purchase_line_id
  ORDER BY m.id;
  RETURN NULL;
END $body$
"""
TELL_LOW_STOCK = """
CREATE FUNCTION tell_low_stock() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  INSERT INTO outbox (topic, key, payload)
  SELECT 'LOW_STOCK', e.id, s.facts || p.facts || jsonb_build_object(
    'episode', e.id,
    'change', CASE WHEN e.resolved_at IS NOT NULL THEN 'RESOLVED'
                   WHEN e.acknowledged_at IS NOT NULL THEN 'ACKNOWLEDGED' ELSE 'OPENED' END
  )
  FROM changed e JOIN event_store s ON s.id = e.store_id JOIN event_product p ON p.id = e.product_id
  ORDER BY e.id
  ON CONFLICT (transaction, topic, key) WHERE key IS NOT NULL DO UPDATE SET payload = excluded.payload;
  RETURN NULL;
END $body$
"""
TELL_NOTIFICATION = """
CREATE FUNCTION tell_notifications() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  INSERT INTO outbox (topic, payload)
  SELECT 'NOTIFICATION', jsonb_build_object('entry', n.id, 'notification', n.notification_id, 'user', n.user_id)
  FROM changed n ORDER BY n.id;
  RETURN NULL;
END $body$
"""
TELL_IMPORT = """
CREATE FUNCTION tell_import() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  INSERT INTO outbox (topic, key, payload)
  VALUES ('IMPORT', NEW.id, jsonb_build_object('import', NEW.id, 'status', NEW.status))
  ON CONFLICT (transaction, topic, key) WHERE key IS NOT NULL DO UPDATE SET payload = excluded.payload;
  RETURN NULL;
END $body$
"""
TELL_PRODUCT = """
CREATE FUNCTION tell_products() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO outbox (topic, key, payload)
    SELECT 'PRODUCT', p.id, jsonb_build_object('product', p.id, 'sku', p.sku, 'version', p.version, 'change', 'CREATED')
    FROM changed p ORDER BY p.id;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO outbox (topic, key, payload)
    SELECT 'PRODUCT', p.id, jsonb_build_object('product', p.id, 'sku', p.sku, 'version', p.version, 'change',
      CASE WHEN b.is_active AND NOT p.is_active THEN 'ARCHIVED'
           WHEN p.is_active AND NOT b.is_active THEN 'RESTORED' ELSE 'UPDATED' END)
    FROM changed p JOIN before b ON b.id = p.id WHERE p IS DISTINCT FROM b ORDER BY p.id
    ON CONFLICT (transaction, topic, key) WHERE key IS NOT NULL DO UPDATE SET payload = excluded.payload
      || CASE WHEN excluded.payload ->> 'change' = 'UPDATED'
              THEN jsonb_build_object('change', outbox.payload -> 'change') ELSE '{}' END;
  ELSE
    INSERT INTO outbox (topic, key, payload)
    SELECT 'PRODUCT', p.id, jsonb_build_object('product', p.id, 'sku', p.sku, 'version', p.version, 'change', 'DELETED')
    FROM before p ORDER BY p.id
    ON CONFLICT (transaction, topic, key) WHERE key IS NOT NULL DO UPDATE SET payload = excluded.payload;
  END IF;
  RETURN NULL;
END $body$
"""
# One for both kinds of documents, which are alike: `document` is the row as it is, or was before it was deleted.
# What came with a file is history, and the event of its import tells of it.
TELL_DOCUMENT = """
CREATE FUNCTION tell_document() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE document jsonb; change text;
BEGIN
  IF TG_OP = 'DELETE' THEN
    document := to_jsonb(OLD);
    change := 'DELETED';
  ELSE
    document := to_jsonb(NEW);
    change := CASE
      WHEN TG_OP = 'INSERT' THEN 'CREATED'
      WHEN document ->> 'status' IS DISTINCT FROM to_jsonb(OLD) ->> 'status' THEN document ->> 'status'
      ELSE 'UPDATED' END;
  END IF;
  INSERT INTO outbox (topic, key, payload)
  VALUES (upper(TG_TABLE_NAME), (document ->> 'id')::bigint, jsonb_build_object(
    lower(TG_TABLE_NAME), document -> 'id', 'number', document -> 'number', 'change', change,
    'status', document -> 'status', 'version', document -> 'version', 'store', document -> 'store_id',
    'customer', document -> 'customer_id', 'created_by', document -> 'created_by'
  ))
  ON CONFLICT (transaction, topic, key) WHERE key IS NOT NULL DO UPDATE SET payload = excluded.payload
    || CASE WHEN excluded.payload ->> 'change' = 'UPDATED'
            THEN jsonb_build_object('change', outbox.payload -> 'change') ELSE '{}' END;
  RETURN NULL;
END $body$
"""
# Something that sales reports show, add up or are filtered by. One event of a transaction says enough.
TELL_SALES = """
CREATE FUNCTION tell_sales() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  INSERT INTO outbox (topic, key, payload) VALUES ('SALES', 0, '{}')
  ON CONFLICT (transaction, topic, key) WHERE key IS NOT NULL DO NOTHING;
  RETURN NULL;
END $body$
"""
# The row of the head is held to the commit, so numbers follow each other without a gap whoever calls this, and
# however many do. The caller's statement has one snapshot; each statement in here has its own.
RELAY = """
CREATE FUNCTION relay_outbox(most integer) RETURNS SETOF event LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE start bigint; moved bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM outbox) THEN RETURN; END IF;
  SELECT last INTO start FROM event_head FOR UPDATE;
  RETURN QUERY
    WITH batch AS (
      DELETE FROM outbox WHERE id = ANY(ARRAY(SELECT id FROM outbox ORDER BY id LIMIT most)) RETURNING *
    ), logged AS (
      INSERT INTO event (number, recorded_on, topic, payload, recorded_at)
      SELECT start + row_number() OVER (ORDER BY b.id), (now() AT TIME ZONE 'UTC')::date, b.topic, b.payload,
             b.recorded_at
      FROM batch b RETURNING *
    )
    SELECT * FROM logged ORDER BY number;
  GET DIAGNOSTICS moved = ROW_COUNT;
  UPDATE event_head SET last = start + moved;
END $body$
"""
VIEWS = {"event_store": STORE_FACTS, "event_product": PRODUCT_FACTS}
FUNCTIONS = {
    "tell_stock_movements": TELL_STOCK,
    "tell_low_stock": TELL_LOW_STOCK,
    "tell_notifications": TELL_NOTIFICATION,
    "tell_import": TELL_IMPORT,
    "tell_products": TELL_PRODUCT,
    "tell_document": TELL_DOCUMENT,
    "tell_sales": TELL_SALES,
    "relay_outbox": RELAY,
}
NEW = "REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION"
OLD = "REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION"
BOTH = "REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION"
SOLD = ("store", "product", "category", "vendor", "county", "place", "customer", "user_account")
TRIGGERS = {
    ("stock_movement_tell", "stock_movement"): (
        "AFTER INSERT ON stock_movement REFERENCING NEW TABLE AS posted "
        "FOR EACH STATEMENT EXECUTE FUNCTION tell_stock_movements()"
    ),
    ("low_stock_tell_opened", "low_stock_episode"): f"AFTER INSERT ON low_stock_episode {NEW} tell_low_stock()",
    ("low_stock_tell_changed", "low_stock_episode"): f"AFTER UPDATE ON low_stock_episode {NEW} tell_low_stock()",
    ("notification_tell", "notification_recipient"): (
        f"AFTER INSERT ON notification_recipient {NEW} tell_notifications()"
    ),
    ("import_tell_started", "import_job"): "AFTER INSERT ON import_job FOR EACH ROW EXECUTE FUNCTION tell_import()",
    ("import_tell_changed", "import_job"): (
        "AFTER UPDATE ON import_job FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION tell_import()"
    ),
    ("product_tell_created", "product"): f"AFTER INSERT ON product {NEW} tell_products()",
    ("product_tell_changed", "product"): f"AFTER UPDATE ON product {BOTH} tell_products()",
    ("product_tell_deleted", "product"): f"AFTER DELETE ON product {OLD} tell_products()",
    ("invoice_tell_created", "invoice"): (
        "AFTER INSERT ON invoice FOR EACH ROW WHEN (NEW.import_id IS NULL) EXECUTE FUNCTION tell_document()"
    ),
    ("invoice_tell_changed", "invoice"): (
        "AFTER UPDATE ON invoice FOR EACH ROW WHEN ((OLD.version, OLD.status) IS DISTINCT FROM "
        "(NEW.version, NEW.status)) EXECUTE FUNCTION tell_document()"
    ),
    ("invoice_tell_deleted", "invoice"): (
        "AFTER DELETE ON invoice FOR EACH ROW WHEN (OLD.import_id IS NULL) EXECUTE FUNCTION tell_document()"
    ),
    ("purchase_tell_created", "purchase"): "AFTER INSERT ON purchase FOR EACH ROW EXECUTE FUNCTION tell_document()",
    ("purchase_tell_changed", "purchase"): (
        "AFTER UPDATE ON purchase FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION tell_document()"
    ),
    ("purchase_tell_deleted", "purchase"): "AFTER DELETE ON purchase FOR EACH ROW EXECUTE FUNCTION tell_document()",
    ("invoice_line_tell_sales", "invoice_line"): (
        "AFTER INSERT OR UPDATE OR DELETE ON invoice_line FOR EACH STATEMENT EXECUTE FUNCTION tell_sales()"
    ),
    ("invoice_tell_sales", "invoice"): "AFTER UPDATE ON invoice FOR EACH STATEMENT EXECUTE FUNCTION tell_sales()",
    **{
        (f"{table}_tell_sales", table): (
            f"AFTER UPDATE OR DELETE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION tell_sales()"
        )
        for table in SOLD
    },
}
# Plans of statements that are made once and outlive the size of the tables they were made for.
LOOKING_UP = ("tell_stock_movements", "tell_low_stock")
PLANNING = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
        sa.Column("topic", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=True),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(f"topic IN ({', '.join(repr(topic) for topic in TOPICS)})", name=op.f("ck_outbox_topic")),
    )
    op.create_index(
        "uq_outbox_transaction_topic_key",
        "outbox",
        ["transaction", "topic", "key"],
        unique=True,
        postgresql_where=sa.text("key IS NOT NULL"),
    )
    op.create_table(
        "event",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_on", sa.Date(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("number", "recorded_on", name=op.f("pk_event")),
        postgresql_partition_by="RANGE (recorded_on)",
    )
    op.create_table(
        "event_head",
        sa.Column("id", sa.SmallInteger(), server_default="1", autoincrement=False, primary_key=True),
        sa.Column("log", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("last", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("forgotten", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_head_one_row")),
        sa.CheckConstraint("forgotten BETWEEN 0 AND last", name=op.f("ck_event_head_forgotten_before_last")),
    )
    op.execute("INSERT INTO event_head DEFAULT VALUES")
    for statement in (*VIEWS.values(), *FUNCTIONS.values()):
        op.execute(statement)
    for name in LOOKING_UP:
        for setting, value in PLANNING.items():
            op.execute(f"ALTER FUNCTION {name} SET {setting} = {value}")
    for (name, _), definition in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {definition}")


def downgrade() -> None:
    """Take back."""
    for name, table in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    for table in ("event_head", "event", "outbox"):
        op.drop_table(table)
