"""The ledger of stock keeps itself: levels and lots follow from movements, and are written in no other way."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Rows that exist are updated first: a check looks at a row to be inserted before its conflict is found, and what a
# sale would insert is negative. Updates and inserts keep the order in which the ledger locks levels.
POST_MOVEMENTS = """
CREATE FUNCTION post_stock_movements() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
  PERFORM FROM stock_level l WHERE (l.store_id, l.product_id) IN (SELECT store_id, product_id FROM posted)
    ORDER BY l.store_id, l.product_id FOR NO KEY UPDATE;
  UPDATE stock_level l
    SET on_hand = l.on_hand + p.quantity, value = l.value + p.cost, version = l.version + 1
    FROM (SELECT store_id, product_id, sum(quantity) AS quantity, sum(cost) AS cost FROM posted GROUP BY 1, 2) p
    WHERE (l.store_id, l.product_id) = (p.store_id, p.product_id);
  INSERT INTO stock_level AS l (store_id, product_id, on_hand, value)
    SELECT store_id, product_id, sum(quantity), sum(cost) FROM posted p
    WHERE NOT EXISTS (
      SELECT FROM stock_level e WHERE (e.store_id, e.product_id) = (p.store_id, p.product_id))
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (store_id, product_id) DO UPDATE
      SET on_hand = l.on_hand + excluded.on_hand, value = l.value + excluded.value, version = l.version + 1;
  RETURN NULL;
END $body$
"""
USE_LOTS = """
CREATE FUNCTION use_stock_lots() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE wrong bigint;
BEGIN
  UPDATE stock_lot l SET remaining = l.remaining + u.quantity
    FROM (SELECT lot_id, sum(quantity) AS quantity FROM used GROUP BY lot_id) u WHERE l.id = u.lot_id;
  SELECT m.id INTO wrong FROM stock_movement m
    JOIN lot_use u ON u.movement_id = m.id JOIN stock_lot l ON l.id = u.lot_id
    WHERE m.id IN (SELECT movement_id FROM used)
    GROUP BY m.id
    HAVING sum(u.quantity) <> m.quantity OR sum(u.quantity * l.unit_cost) <> m.cost
      OR NOT bool_and((l.store_id, l.product_id) = (m.store_id, m.product_id))
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
    for (name, _), definition in TRIGGERS.items():
        kind = "CONSTRAINT TRIGGER" if "DEFERRABLE" in definition else "TRIGGER"
        op.execute(f"CREATE {kind} {name} {definition}")


def downgrade() -> None:
    """Take back."""
    for name, table in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}()")
