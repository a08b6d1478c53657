"""The ledger of stock keeps itself: levels and lots follow from movements, and are written in no other way."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Row by row, so that each is found through its key: the plan of a join would be that of the first posting of a
# connection for all others, and after a large import it would read whole tables for each sale. A row that exists is
# updated first: a check looks at a row to be inserted before its conflict is found, and what a sale would insert is
# negative. The order is that in which the ledger locks levels.
POST_MOVEMENTS = """
CREATE FUNCTION post_stock_movements() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE p record;
BEGIN
  FOR p IN
    SELECT store_id, product_id, sum(quantity)::bigint AS quantity, sum(cost)::bigint AS cost FROM posted
    GROUP BY 1, 2 ORDER BY 1, 2
  LOOP
    UPDATE stock_level l
      SET on_hand = l.on_hand + p.quantity, value = l.value + p.cost, version = l.version + 1
      WHERE l.store_id = p.store_id AND l.product_id = p.product_id;
    IF NOT FOUND THEN
      INSERT INTO stock_level AS l (store_id, product_id, on_hand, value)
        VALUES (p.store_id, p.product_id, p.quantity, p.cost)
        ON CONFLICT (store_id, product_id) DO UPDATE
          SET on_hand = l.on_hand + excluded.on_hand, value = l.value + excluded.value, version = l.version + 1;
    END IF;
  END LOOP;
  RETURN NULL;
END $body$
"""
USE_LOTS = """
CREATE FUNCTION use_stock_lots() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE u record; wrong bigint;
BEGIN
  FOR u IN SELECT lot_id, sum(quantity)::bigint AS quantity FROM used GROUP BY 1 ORDER BY 1 LOOP
    UPDATE stock_lot l SET remaining = l.remaining + u.quantity WHERE l.id = u.lot_id;
  END LOOP;
  SELECT n.id INTO wrong
    FROM (SELECT DISTINCT movement_id AS id FROM used) n
    CROSS JOIN LATERAL (
      SELECT FROM stock_movement m
      JOIN lot_use f ON f.movement_id = m.id JOIN stock_lot l ON l.id = f.lot_id
      WHERE m.id = n.id
      GROUP BY m.id
      HAVING sum(f.quantity) <> m.quantity OR sum(f.quantity * l.unit_cost) <> m.cost
        OR NOT bool_and((l.store_id, l.product_id) = (m.store_id, m.product_id))
        OR NOT bool_and((f.quantity > 0) = (m.quantity > 0))
    ) unbalanced
    LIMIT 1;
  IF wrong IS NOT NULL THEN
    RAISE check_violation USING
      CONSTRAINT = 'lot_use_balances', TABLE = 'lot_use',
      MESSAGE = format('the lots used by stock movement %s do not add up to it', wrong);
  END IF;
  RETURN NULL;
END $body$
"""
# Deferred, because a movement is written before its uses.
HAS_LOTS = """
CREATE FUNCTION check_movement_has_lots() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  IF NOT EXISTS (SELECT FROM lot_use WHERE movement_id = NEW.id) THEN
    RAISE check_violation USING
      CONSTRAINT = 'stock_movement_has_lots', TABLE = 'stock_movement',
      MESSAGE = format('stock movement %s names no lots', NEW.id);
  END IF;
  RETURN NULL;
END $body$
"""
KEEP_LEDGER = """
CREATE FUNCTION keep_ledger() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
  RAISE insufficient_privilege USING
    MESSAGE = format('%s is only ever added to; a mistake is put right by another movement', TG_TABLE_NAME);
END $body$
"""
# A level without stock may be made by anybody, so that it can be locked; a fresh lot is filled by its receipt.
KEEP_DERIVED = """
CREATE FUNCTION keep_derived_stock() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  IF TG_OP = 'INSERT' AND pg_trigger_depth() < 2 THEN
    -- nested, because a row has the columns of its own table alone
    IF TG_TABLE_NAME = 'stock_level' THEN
      IF (NEW.on_hand, NEW.value) = (0, 0) THEN RETURN NEW; END IF;
    ELSIF NEW.remaining = 0 THEN
      RETURN NEW;
    END IF;
  ELSIF TG_OP <> 'DELETE' AND pg_trigger_depth() >= 2 THEN
    RETURN NEW;
  END IF;
  RAISE insufficient_privilege USING
    MESSAGE = format('%s follows from stock movements; write those', TG_TABLE_NAME);
END $body$
"""
KEEP_LOT_FACTS = """
CREATE FUNCTION keep_lot_facts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
  RAISE insufficient_privilege USING MESSAGE = 'of a stock lot only what remains changes';
END $body$
"""
# What every sale asks. Levels are locked stores before products, so that nobody waits in a circle.
LOCK_LEVELS = """
CREATE FUNCTION lock_stock_levels(stores bigint[], products bigint[]) RETURNS SETOF stock_level LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  RETURN QUERY
    SELECT l.* FROM unnest(stores, products) AS k (store_id, product_id)
    JOIN stock_level l ON l.store_id = k.store_id AND l.product_id = k.product_id
    ORDER BY l.store_id, l.product_id FOR NO KEY UPDATE OF l;
END $body$
"""
# A lot that is open has a bottle at least, so as many lots as bottles are enough, however many there are.
OPEN_LOTS = """
CREATE FUNCTION open_stock_lots(stores bigint[], products bigint[], wanted bigint[], usable_on date)
RETURNS SETOF stock_lot LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  RETURN QUERY
    SELECT l.* FROM unnest(stores, products, wanted) AS k (store_id, product_id, wanted)
    CROSS JOIN LATERAL (
      SELECT o.* FROM stock_lot o
      WHERE o.store_id = k.store_id AND o.product_id = k.product_id AND o.remaining > 0
        AND (open_stock_lots.usable_on IS NULL OR o.expires_on IS NULL OR o.expires_on >= open_stock_lots.usable_on)
      ORDER BY o.expires_on, o.received_on, o.id LIMIT k.wanted
    ) l
    ORDER BY l.expires_on, l.received_on, l.id;
END $body$
"""
# Whoever calls it holds the levels. It answers the episodes it has opened.
WATCH_LEVELS = """
CREATE FUNCTION watch_stock_levels(stores bigint[], products bigint[]) RETURNS SETOF low_stock_episode LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  RETURN QUERY
    WITH state AS (
      SELECT l.store_id, l.product_id, l.on_hand, coalesce(p.low_stock_threshold, s.low_stock_threshold) AS threshold,
             p.is_active
      FROM unnest(stores, products) AS k (store_id, product_id)
      JOIN stock_level l ON l.store_id = k.store_id AND l.product_id = k.product_id
      JOIN product p ON p.id = l.product_id CROSS JOIN settings s
    ), resolved AS (
      UPDATE low_stock_episode e SET resolved_at = now() FROM state
      WHERE e.store_id = state.store_id AND e.product_id = state.product_id AND e.resolved_at IS NULL
        AND (state.on_hand > state.threshold OR NOT state.is_active)
    )
    INSERT INTO low_stock_episode (store_id, product_id, threshold, on_hand)
    SELECT store_id, product_id, threshold, on_hand FROM state WHERE on_hand <= threshold AND is_active
    ORDER BY store_id, product_id
    ON CONFLICT (store_id, product_id) WHERE resolved_at IS NULL DO NOTHING
    RETURNING *;
END $body$
"""
FACTS = (
    "id",
    "store_id",
    "product_id",
    "purchase_line_id",
    "source_lot_id",
    "received_on",
    "expires_on",
    "received",
    "unit_cost",
)
FUNCTIONS = {
    "post_stock_movements": POST_MOVEMENTS,
    "use_stock_lots": USE_LOTS,
    "check_movement_has_lots": HAS_LOTS,
    "keep_ledger": KEEP_LEDGER,
    "keep_derived_stock": KEEP_DERIVED,
    "keep_lot_facts": KEEP_LOT_FACTS,
    "lock_stock_levels": LOCK_LEVELS,
    "open_stock_lots": OPEN_LOTS,
    "watch_stock_levels": WATCH_LEVELS,
}
# Their plans outlive the size of the tables that they were made for, so they always go through the keys.
LOOKING_UP = (
    "post_stock_movements",
    "use_stock_lots",
    "check_movement_has_lots",
    "lock_stock_levels",
    "open_stock_lots",
    "watch_stock_levels",
)
PLANNING = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
TRIGGERS = {
    ("stock_movement_post", "stock_movement"): (
        "AFTER INSERT ON stock_movement REFERENCING NEW TABLE AS posted "
        "FOR EACH STATEMENT EXECUTE FUNCTION post_stock_movements()"
    ),
    ("stock_movement_has_lots", "stock_movement"): (
        "AFTER INSERT ON stock_movement DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION check_movement_has_lots()"
    ),
    ("stock_movement_keep", "stock_movement"): (
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_movement FOR EACH STATEMENT EXECUTE FUNCTION keep_ledger()"
    ),
    ("lot_use_post", "lot_use"): (
        "AFTER INSERT ON lot_use REFERENCING NEW TABLE AS used FOR EACH STATEMENT EXECUTE FUNCTION use_stock_lots()"
    ),
    ("lot_use_keep", "lot_use"): (
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON lot_use FOR EACH STATEMENT EXECUTE FUNCTION keep_ledger()"
    ),
    ("stock_level_derived", "stock_level"): (
        "BEFORE INSERT OR UPDATE OR DELETE ON stock_level FOR EACH ROW EXECUTE FUNCTION keep_derived_stock()"
    ),
    ("stock_level_keep", "stock_level"): (
        "BEFORE TRUNCATE ON stock_level FOR EACH STATEMENT EXECUTE FUNCTION keep_ledger()"
    ),
    ("stock_lot_derived", "stock_lot"): (
        "BEFORE INSERT OR UPDATE OR DELETE ON stock_lot FOR EACH ROW EXECUTE FUNCTION keep_derived_stock()"
    ),
    ("stock_lot_facts", "stock_lot"): (
        f"BEFORE UPDATE OF {', '.join(FACTS)} ON stock_lot FOR EACH ROW EXECUTE FUNCTION keep_lot_facts()"
    ),
    ("stock_lot_keep", "stock_lot"): ("BEFORE TRUNCATE ON stock_lot FOR EACH STATEMENT EXECUTE FUNCTION keep_ledger()"),
}


def upgrade() -> None:
    """Apply."""
    for function in FUNCTIONS.values():
        op.execute(function)
    for name in LOOKING_UP:
        for setting, value in PLANNING.items():
            op.execute(f"ALTER FUNCTION {name} SET {setting} = {value}")
    # room for the next version of a level on its own page, so that no index has to hear of a sale
    op.execute("ALTER TABLE stock_level SET (fillfactor = 80)")
    for (name, _), definition in TRIGGERS.items():
        kind = "CONSTRAINT TRIGGER" if "DEFERRABLE" in definition else "TRIGGER"
        op.execute(f"CREATE {kind} {name} {definition}")


def downgrade() -> None:
    """Take back."""
    op.execute("ALTER TABLE stock_level RESET (fillfactor)")
    for name, table in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
