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
  INSERT INTO outbox (topic, key, part, payload)
  SELECT 'STOCK', m.store_id << 32 | m.product_id, m.id, s.facts || p.facts || jsonb_build_object(
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
# Only what listeners are told of makes an event. The key is the level's: its times of low stock keep their order.
TELL_LOW_STOCK = """
CREATE FUNCTION tell_low_stock() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO outbox (topic, key, part, payload)
    SELECT 'LOW_STOCK', e.store_id << 32 | e.product_id, e.id,
           s.facts || p.facts || jsonb_build_object('episode', e.id, 'change', 'OPENED')
    FROM changed e JOIN event_store s ON s.id = e.store_id JOIN event_product p ON p.id = e.product_id
    ORDER BY e.id;
  ELSE
    INSERT INTO outbox (topic, key, part, payload)
    SELECT 'LOW_STOCK', e.store_id << 32 | e.product_id, e.id, s.facts || p.facts || jsonb_build_object(
      'episode', e.id,
      'change', CASE WHEN e.resolved_at IS NOT NULL THEN 'RESOLVED'
                     WHEN e.acknowledged_at IS NOT NULL THEN 'ACKNOWLEDGED' ELSE 'OPENED' END
    )
    FROM (
      SELECT id, store_id, product_id, resolved_at, acknowledged_at FROM changed
      EXCEPT SELECT id, store_id, product_id, resolved_at, acknowledged_at FROM before
    ) e
    JOIN event_store s ON s.id = e.store_id JOIN event_product p ON p.id = e.product_id
    ORDER BY e.id
    ON CONFLICT (topic, key, transaction, part) DO UPDATE SET payload = excluded.payload;
  END IF;
  RETURN NULL;
END $body$
"""
TELL_NOTIFICATION = """
CREATE FUNCTION tell_notifications() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  INSERT INTO outbox (topic, key, part, payload)
  SELECT 'NOTIFICATION', n.user_id, n.id,
         jsonb_build_object('entry', n.id, 'notification', n.notification_id, 'user', n.user_id)
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
  ON CONFLICT (topic, key, transaction, part) DO UPDATE SET payload = excluded.payload;
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
    FROM changed p ORDER BY p.id
    ON CONFLICT (topic, key, transaction, part) DO UPDATE SET payload = excluded.payload;
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO outbox (topic, key, payload)
    SELECT 'PRODUCT', p.id, jsonb_build_object('product', p.id, 'sku', p.sku, 'version', p.version, 'change',
      CASE WHEN b.is_active AND NOT p.is_active THEN 'ARCHIVED'
           WHEN p.is_active AND NOT b.is_active THEN 'RESTORED' ELSE 'UPDATED' END)
    FROM changed p JOIN before b ON b.id = p.id WHERE p IS DISTINCT FROM b ORDER BY p.id
    ON CONFLICT (topic, key, transaction, part) DO UPDATE SET payload = excluded.payload
      || CASE WHEN excluded.payload ->> 'change' = 'UPDATED'
              THEN jsonb_build_object('change', outbox.payload -> 'change') ELSE '{}' END;
  ELSE
    INSERT INTO outbox (topic, key, payload)
    SELECT 'PRODUCT', p.id, jsonb_build_object('product', p.id, 'sku', p.sku, 'version', p.version, 'change', 'DELETED')
    FROM before p ORDER BY p.id
    ON CONFLICT (topic, key, transaction, part) DO UPDATE SET payload = excluded.payload;
  END IF;
  RETURN NULL;
END $body$
"""
# One for both kinds of documents, which are alike: `document` is the row as it is, or was before it was deleted.
# What came with a file is history, and the event of its import tells of it. Only by hand does anything become
# again what it was at first.
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
      WHEN document ->> 'status' IN (to_jsonb(OLD) ->> 'status', 'DRAFT', 'ORDERED') THEN 'UPDATED'
      ELSE document ->> 'status' END;
  END IF;
  INSERT INTO outbox (topic, key, payload)
  VALUES (upper(TG_TABLE_NAME), (document ->> 'id')::bigint, jsonb_build_object(
    lower(TG_TABLE_NAME), document -> 'id', 'number', document -> 'number', 'change', change,
    'status', document -> 'status', 'version', document -> 'version', 'store', document -> 'store_id',
    'customer', document -> 'customer_id', 'created_by', document -> 'created_by'
  ))
  ON CONFLICT (topic, key, transaction, part) DO UPDATE SET payload = excluded.payload
    || CASE WHEN excluded.payload ->> 'change' = 'UPDATED'
            THEN jsonb_build_object('change', outbox.payload -> 'change') ELSE '{}' END;
  RETURN NULL;
END $body$
"""
# Something that sales reports show, add up or are filtered by; drafts do not count there. One event of a transaction
# says enough. A line's invoice is looked up for as long as it takes to find one that counts, which is mostly the first;
# one that is gone may have counted.
TELL_SALES = """
CREATE FUNCTION tell_sales() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE is_told boolean;
BEGIN
  IF TG_TABLE_NAME = 'invoice_line' THEN
    is_told := EXISTS (
      SELECT FROM changed c LEFT JOIN invoice i ON i.id = c.invoice_id WHERE i.status IS DISTINCT FROM 'DRAFT'
    );
  ELSIF TG_TABLE_NAME = 'invoice' THEN
    is_told := EXISTS (
      (SELECT id, status, store_id, date, customer_id, created_by FROM changed WHERE status <> 'DRAFT'
       EXCEPT SELECT id, status, store_id, date, customer_id, created_by FROM before)
      UNION ALL
      (SELECT id, status, store_id, date, customer_id, created_by FROM before WHERE status <> 'DRAFT'
       EXCEPT SELECT id, status, store_id, date, customer_id, created_by FROM changed)
    );
  ELSIF TG_OP = 'UPDATE' THEN
    is_told := EXISTS (SELECT * FROM changed EXCEPT SELECT * FROM before);
  ELSE
    is_told := EXISTS (SELECT FROM changed);
  END IF;
  IF is_told THEN
    INSERT INTO outbox (topic, key, payload) VALUES ('SALES', 0, '{}')
    ON CONFLICT (topic, key, transaction, part) DO NOTHING;
  END IF;
  RETURN NULL;
END $body$
"""
# Attached rather than made as a part, which would wait for all readers. The head is held, so nobody makes it twice.
MAKE_DAY = """
CREATE FUNCTION make_event_day(day date) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE name text := 'event_' || to_char(day, 'YYYY_MM_DD');
BEGIN
  IF to_regclass('public.' || name) IS NOT NULL THEN RETURN; END IF;
  PERFORM FROM event_head FOR UPDATE;
  IF to_regclass('public.' || name) IS NOT NULL THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE public.%I (LIKE event INCLUDING ALL)', name);
  EXECUTE format('ALTER TABLE event ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', name, day, day + 1);
END $body$
"""
# The row of the head is held to the commit, so numbers follow each other without a gap whoever calls this, and
# however many do. The caller's statement has one snapshot; each statement in here has its own.
#
# Rows go in the order of their ids: of one thing, that is the order in which its changes were committed. When all that
# is to be moved belongs to one large transaction, the latest small ones pass it by, as far as it leaves the same
# things alone; each statement may see more than the one before, so what counts there is what this batch moves, not how
# far it goes. Days do not go back with the clock, unless it was weeks ahead: until then nothing would be forgotten.
# Nothing at or below `beyond` is looked at.
RELAY = """
CREATE FUNCTION relay_outbox(most integer, beyond bigint DEFAULT 0) RETURNS SETOF event LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE start bigint; today date; moved bigint[]; large bigint; given bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM outbox WHERE id > beyond) THEN RETURN; END IF;
  today := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  SELECT last, CASE WHEN recorded_on BETWEEN today AND today + 7 THEN recorded_on ELSE today END INTO start, today
    FROM event_head WHERE id = 1 FOR UPDATE;
  moved := ARRAY(SELECT id FROM outbox WHERE id > beyond ORDER BY id LIMIT most);
  IF cardinality(moved) = 0 THEN RETURN; END IF;
  IF cardinality(moved) = most THEN
    SELECT a.transaction INTO large FROM outbox a, outbox b
      WHERE a.id = moved[1] AND b.id = moved[most] AND a.transaction = b.transaction;
    IF large IS NOT NULL THEN
      moved := moved || ARRAY(
        WITH latest AS MATERIALIZED (
          SELECT id, topic, key, transaction FROM outbox WHERE id > moved[most] ORDER BY id DESC LIMIT 200
        )
        SELECT n.id FROM latest n
        WHERE n.transaction <> large AND NOT EXISTS (
          SELECT FROM outbox o
          WHERE o.topic = n.topic AND o.key = n.key AND o.id < n.id AND o.id <> ALL (moved)
            AND (o.transaction = large OR o.id < (SELECT min(id) FROM latest)) AND n.topic <> 'SALES'
        )
      );
    END IF;
  END IF;
  PERFORM make_event_day(today);
  RETURN QUERY
    WITH batch AS (
      DELETE FROM outbox WHERE id = ANY(moved) RETURNING *
    ), logged AS (
      INSERT INTO event (number, recorded_on, topic, payload, recorded_at)
      SELECT start + row_number() OVER (ORDER BY b.id), today, b.topic, b.payload, b.recorded_at
      FROM batch b RETURNING *
    )
    SELECT * FROM logged ORDER BY number;
  GET DIAGNOSTICS given = ROW_COUNT;
  UPDATE event_head SET last = start + given, recorded_on = today WHERE id = 1;
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
    "make_event_day": MAKE_DAY,
    "relay_outbox": RELAY,
}
NEW = "REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION"
OLD = "REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION"
GONE = "REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION"
BOTH = "REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION"
SOLD = ("store", "product", "category", "vendor", "county", "place")
TRIGGERS = {
    ("stock_movement_tell", "stock_movement"): (
        "AFTER INSERT ON stock_movement REFERENCING NEW TABLE AS posted "
        "FOR EACH STATEMENT EXECUTE FUNCTION tell_stock_movements()"
    ),
    ("low_stock_tell_opened", "low_stock_episode"): f"AFTER INSERT ON low_stock_episode {NEW} tell_low_stock()",
    ("low_stock_tell_changed", "low_stock_episode"): f"AFTER UPDATE ON low_stock_episode {BOTH} tell_low_stock()",
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
        "AFTER UPDATE ON invoice FOR EACH ROW WHEN ((OLD.version, OLD.status, OLD.number) IS DISTINCT FROM "
        "(NEW.version, NEW.status, NEW.number)) EXECUTE FUNCTION tell_document()"
    ),
    ("invoice_tell_deleted", "invoice"): (
        "AFTER DELETE ON invoice FOR EACH ROW WHEN (OLD.import_id IS NULL) EXECUTE FUNCTION tell_document()"
    ),
    ("purchase_tell_created", "purchase"): "AFTER INSERT ON purchase FOR EACH ROW EXECUTE FUNCTION tell_document()",
    ("purchase_tell_changed", "purchase"): (
        "AFTER UPDATE ON purchase FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION tell_document()"
    ),
    ("purchase_tell_deleted", "purchase"): "AFTER DELETE ON purchase FOR EACH ROW EXECUTE FUNCTION tell_document()",
    ("invoice_line_tell_added_sales", "invoice_line"): f"AFTER INSERT ON invoice_line {NEW} tell_sales()",
    ("invoice_line_tell_sales", "invoice_line"): f"AFTER UPDATE ON invoice_line {NEW} tell_sales()",
    ("invoice_line_tell_lost_sales", "invoice_line"): f"AFTER DELETE ON invoice_line {GONE} tell_sales()",
    **{(f"{table}_tell_sales", table): f"AFTER UPDATE ON {table} {BOTH} tell_sales()" for table in ("invoice", *SOLD)},
    **{(f"{table}_tell_lost_sales", table): f"AFTER DELETE ON {table} {GONE} tell_sales()" for table in SOLD},
}
# Plans of statements that are made once and outlive the size of the tables they were made for.
LOOKING_UP = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
PLANNING = {
    "tell_stock_movements": LOOKING_UP,
    "tell_low_stock": LOOKING_UP,
    "tell_sales": LOOKING_UP,
    "tell_products": {"enable_nestloop": "off"},
    "relay_outbox": {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"},
    # whoever moves events waits no longer for somebody who looks after the table
    "make_event_day": {"lock_timeout": "'1s'"},
}
# A queue is empty again a moment later: what is gone is to be cleared away at once, and there is room for a change on
# its own page. Its file keeps its length, because nobody may write while that is cut.
QUEUE = """
ALTER TABLE outbox SET (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000, vacuum_truncate = false
)
"""
# One row, of which every batch makes a version.
HEAD = """
ALTER TABLE event_head SET (
  fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, vacuum_truncate = false
)
"""


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
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(f"topic IN ({', '.join(repr(topic) for topic in TOPICS)})", name=op.f("ck_outbox_topic")),
    )
    op.create_index(
        "uq_outbox_topic_key_transaction_part", "outbox", ["topic", "key", "transaction", "part"], unique=True
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
        sa.Column(
            "recorded_on", sa.Date(), server_default=sa.text("(now() AT TIME ZONE 'UTC'::text)::date"), nullable=False
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_event_head_one_row")),
        sa.CheckConstraint("forgotten BETWEEN 0 AND last", name=op.f("ck_event_head_forgotten_before_last")),
    )
    op.execute("INSERT INTO event_head DEFAULT VALUES")
    for statement in (*VIEWS.values(), *FUNCTIONS.values()):
        op.execute(statement)
    for name, settings in PLANNING.items():
        for setting, value in settings.items():
            op.execute(f"ALTER FUNCTION {name} SET {setting} = {value}")
    op.execute(QUEUE)
    op.execute(HEAD)
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
