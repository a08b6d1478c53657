"""The invariants of the books, each as one statement that compares what is kept with what it has to follow from.

A comparison selects one row for each thing that is compared: `thing` (a text, or null when it is the level itself),
`store_id` and `product_id` (may be null), `expected` and `actual` (texts), and `is_held`. The texts are made for
violations alone, so they cost nothing while the books are balanced.
"""
# ruff: noqa: S608 - what the statements are put together from are constants of this module

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """An invariant.

    Args:
        name: names it for programs.
        description: what has to be, in one sentence.
        comparison: the statement described above; one of the past takes the end of a day as `$1`.
    """

    name: str
    description: str
    comparison: str


def _stock(units: str, value: str) -> str:
    """SQL: an amount of stock as people read it."""
    return f"format('%s bottles, %s cents', {units}, {value})"


LEVELS_FOLLOW_FROM_MOVEMENTS = Check(
    "LEVELS_FOLLOW_FROM_MOVEMENTS",
    "On-hand and value of every level are the sums of its movements.",
    f"""
    SELECT NULL AS thing, store_id, product_id,
           {_stock("coalesce(m.units, 0)", "coalesce(m.value, 0)")} AS expected,
           {_stock("coalesce(l.on_hand, 0)", "coalesce(l.value, 0)")} AS actual,
           (coalesce(l.on_hand, 0), coalesce(l.value, 0)) = (coalesce(m.units, 0), coalesce(m.value, 0)) AS is_held
    FROM stock_level l FULL JOIN (
      SELECT store_id, product_id, sum(quantity) AS units, sum(cost) AS value FROM stock_movement GROUP BY 1, 2
    ) m USING (store_id, product_id)
    """,
)
LEVELS_ARE_THEIR_LOTS = Check(
    "LEVELS_ARE_THEIR_LOTS",
    "On-hand of every level is what its lots have left, and its value is that at the cost of each lot.",
    f"""
    SELECT NULL AS thing, store_id, product_id,
           {_stock("coalesce(o.units, 0)", "coalesce(o.value, 0)")} AS expected,
           {_stock("coalesce(l.on_hand, 0)", "coalesce(l.value, 0)")} AS actual,
           (coalesce(l.on_hand, 0), coalesce(l.value, 0)) = (coalesce(o.units, 0), coalesce(o.value, 0)) AS is_held
    FROM stock_level l FULL JOIN (
      SELECT store_id, product_id, sum(remaining) AS units, sum(remaining * unit_cost) AS value
      FROM stock_lot WHERE remaining > 0 GROUP BY 1, 2
    ) o USING (store_id, product_id)
    """,
)
LOTS_FOLLOW_FROM_USES = Check(
    "LOTS_FOLLOW_FROM_USES",
    "What every lot has left is what movements brought into it less what they took out, and all of it has come.",
    """
    SELECT format('lot %s', l.id) AS thing, l.store_id, l.product_id,
           format('%s of %s bottles', coalesce(u.units, 0), coalesce(u.first, 0)) AS expected,
           format('%s of %s bottles', l.remaining, l.received) AS actual,
           (l.remaining, l.received) = (coalesce(u.units, 0), coalesce(u.first, 0)) AS is_held
    FROM stock_lot l LEFT JOIN (
      SELECT lot_id, sum(quantity) AS units, max(quantity) AS first FROM lot_use GROUP BY 1
    ) u ON u.lot_id = l.id
    """,
)


def _movements_are_their_uses(until: str = "") -> str:
    return f"""
    SELECT format('movement %s', m.id) AS thing, m.store_id, m.product_id,
           CASE WHEN m.is_own THEN {_stock("m.units", "m.value")} ELSE 'only lots of this level' END AS expected,
           CASE WHEN m.is_own THEN {_stock("m.quantity", "m.cost")} ELSE 'lots of another one, or none' END AS actual,
           m.is_own AND (m.quantity, m.cost) = (m.units, m.value) AS is_held
    FROM (
      SELECT m.id, m.store_id, m.product_id, m.quantity, m.cost,
             sum(u.quantity) AS units, sum(u.quantity * l.unit_cost) AS value,
             coalesce(bool_and((l.store_id, l.product_id) = (m.store_id, m.product_id)), false) AS is_own
      FROM stock_movement m LEFT JOIN lot_use u ON u.movement_id = m.id LEFT JOIN stock_lot l ON l.id = u.lot_id
      {until} GROUP BY m.id
    ) m
    """


MOVEMENTS_ARE_THEIR_USES = Check(
    "MOVEMENTS_ARE_THEIR_USES",
    "Quantity and cost of every movement are those of the lots it used, which are of the same store and product.",
    _movements_are_their_uses(),
)


def _transfers_have_two_sides(until: str = "") -> str:
    return f"""
    SELECT format('transfer %s', coalesce(o.id, i.transfer_of, i.id)) AS thing,
           coalesce(o.store_id, i.store_id) AS store_id, coalesce(o.product_id, i.product_id) AS product_id,
           CASE WHEN o.id IS NULL THEN 'a movement that left another store'
                ELSE {_stock("-o.quantity", "-o.cost")} || ' at another store' END AS expected,
           CASE WHEN i.arrivals IS NULL THEN 'nothing has come' ELSE {_stock("i.quantity", "i.cost")} END AS actual,
           coalesce((i.arrivals, i.quantity, i.cost) = (1, -o.quantity, -o.cost)
             AND i.store_id <> o.store_id AND i.product_id = o.product_id, false) AS is_held
    FROM (SELECT m.* FROM stock_movement m WHERE m.cause = 'TRANSFER_OUT' {until}) o
    FULL JOIN (
      SELECT transfer_of, min(m.id) AS id, count(*) AS arrivals, sum(quantity) AS quantity, sum(cost) AS cost,
             min(store_id) AS store_id, min(product_id) AS product_id
      FROM stock_movement m WHERE (m.cause = 'TRANSFER_IN' OR m.transfer_of IS NOT NULL) {until}
      GROUP BY transfer_of, CASE WHEN transfer_of IS NULL THEN m.id END
    ) i ON i.transfer_of = o.id
    """


TRANSFERS_HAVE_TWO_SIDES = Check(
    "TRANSFERS_HAVE_TWO_SIDES",
    "Every transfer has left one store and reached another with the same bottles at the same cost.",
    _transfers_have_two_sides(),
)
# What invoices say their bottles had cost. Drafts and voided invoices have sold nothing, and of imported lines only
# those of files that took their bottles from stock; these name the import and not the line.
_SOLD_HERE = """
    SELECT l.invoice_id, l.line_number, l.store_id, l.product_id, l.cost
    FROM invoice i JOIN invoice_line l ON l.invoice_id = i.id
    WHERE i.issued_at IS NOT NULL AND i.status IN ('ISSUED', 'PAID')
"""
_DEDUCTING = "SELECT id FROM import_job WHERE stock_effect = 'DEDUCT' AND NOT dry_run"
_SOLD_BY_FILES = f"""
    SELECT l.import_id, l.store_id, l.product_id, l.cost
    FROM ({_DEDUCTING}) j JOIN invoice_line l ON l.import_id = j.id
"""
LINES_COST_THEIR_BOTTLES = Check(
    "LINES_COST_THEIR_BOTTLES",
    "The cost of every line sold from stock is what the very bottles had cost that it took and has not given back.",
    f"""
    SELECT format('line %s of invoice %s', line_number, (SELECT number FROM invoice WHERE id = invoice_id)) AS thing,
           coalesce(s.store_id, m.store_id) AS store_id, coalesce(s.product_id, m.product_id) AS product_id,
           format('%s cents', coalesce(m.cost, 0)) AS expected, format('%s cents', coalesce(s.cost, 0)) AS actual,
           coalesce(s.cost, 0) = coalesce(m.cost, 0) AS is_held
    FROM ({_SOLD_HERE}) s FULL JOIN (
      SELECT invoice_id, line_number, min(store_id) AS store_id, min(product_id) AS product_id, -sum(cost) AS cost
      FROM stock_movement WHERE invoice_id IS NOT NULL GROUP BY 1, 2
    ) m USING (invoice_id, line_number)
    """,
)
# Apart from the lines above, because a union would make the texts of all.
FILES_COST_THEIR_BOTTLES = Check(
    "FILES_COST_THEIR_BOTTLES",
    "The costs of lines that a file sold from stock are those of the very bottles that it took and has not given back.",
    f"""
    SELECT format('lines of import %s', import_id) AS thing, store_id, product_id,
           format('%s cents', coalesce(m.cost, 0)) AS expected, format('%s cents', coalesce(s.cost, 0)) AS actual,
           coalesce(s.cost, 0) = coalesce(m.cost, 0) AS is_held
    FROM (SELECT import_id, store_id, product_id, sum(cost) AS cost FROM ({_SOLD_BY_FILES}) l GROUP BY 1, 2, 3) s
    FULL JOIN (
      SELECT import_id, store_id, product_id, -sum(cost) AS cost
      FROM stock_movement WHERE import_id IN ({_DEDUCTING}) GROUP BY 1, 2, 3
    ) m USING (import_id, store_id, product_id)
    """,
)
# By store: lots and documents on the one side, levels on the other. What was adjusted and transferred is what moved
# without being sold or received.
VALUE_IS_WHAT_CAME_LESS_WHAT_WENT = Check(
    "VALUE_IS_WHAT_CAME_LESS_WHAT_WENT",
    "The value of a store's stock is the cost of all it received, less the cost of what it sold, "
    "with adjustments and transfers.",
    f"""
    SELECT 'all stock' AS thing, store_id, NULL::bigint AS product_id,
           format('%s cents: %s received, %s sold, %s adjusted and transferred',
                  moved - sold, received, sold, moved - received) AS expected,
           format('%s cents', value) AS actual, value = moved - sold AS is_held
    FROM (
      SELECT store_id, sum(received) AS received, sum(moved) AS moved, sum(sold) AS sold, sum(value) AS value
      FROM (
        SELECT store_id, sum(received * unit_cost) AS received, 0 AS moved, 0 AS sold, 0 AS value
          FROM stock_lot WHERE source_lot_id IS NULL GROUP BY 1
        UNION ALL SELECT store_id, 0, sum(cost), 0, 0 FROM stock_movement
          WHERE invoice_id IS NULL AND (import_id IS NULL OR import_id NOT IN ({_DEDUCTING})) GROUP BY 1
        UNION ALL SELECT store_id, 0, 0, sum(cost), 0 FROM ({_SOLD_HERE}) l GROUP BY 1
        UNION ALL SELECT store_id, 0, 0, sum(cost), 0 FROM ({_SOLD_BY_FILES}) l GROUP BY 1
        UNION ALL SELECT store_id, 0, 0, 0, sum(value) FROM stock_level GROUP BY 1
      ) entries GROUP BY store_id
    ) accounts
    """,
)
PURCHASES_RECEIVED_THEIR_LOTS = Check(
    "PURCHASES_RECEIVED_THEIR_LOTS",
    "Of every purchase line as many bottles count as received as movements brought and took back, "
    "and its lots are what was brought.",
    """
    SELECT format('line %s of purchase %s', l.line_number, (SELECT number FROM purchase WHERE id = l.purchase_id))
             AS thing,
           (SELECT store_id FROM purchase WHERE id = l.purchase_id) AS store_id, l.product_id,
           format('%s bottles, %s in lots', coalesce(m.net, 0), coalesce(m.brought, 0)) AS expected,
           format('%s bottles, %s in lots', l.received, coalesce(o.received, 0)) AS actual,
           (l.received, coalesce(o.received, 0)) = (coalesce(m.net, 0), coalesce(m.brought, 0)) AS is_held
    FROM purchase_line l
    LEFT JOIN (
      SELECT purchase_line_id, sum(quantity) AS net, sum(greatest(quantity, 0)) AS brought
      FROM stock_movement WHERE purchase_line_id IS NOT NULL GROUP BY 1
    ) m ON m.purchase_line_id = l.id
    LEFT JOIN (
      SELECT purchase_line_id, sum(received) AS received FROM stock_lot WHERE purchase_line_id IS NOT NULL GROUP BY 1
    ) o ON o.purchase_line_id = l.id
    """,
)
# Each series is counted; only in one that does not come out are single numbers looked for.
NUMBERS_HAVE_NO_HOLES = Check(
    "NUMBERS_HAVE_NO_HOLES",
    "Every number from the first to the last of every series was given to a document.",
    """
    WITH given AS (
      SELECT store_id, CASE WHEN credit_of IS NULL THEN 'INVOICE' ELSE 'CREDIT_NOTE' END AS kind, number
      FROM invoice WHERE issued_at IS NOT NULL
      UNION ALL SELECT store_id, 'PURCHASE', number FROM purchase WHERE import_id IS NULL
    ), series AS (
      SELECT s.store_id, s.kind, s.last, coalesce(g.given, 0) AS given,
             CASE s.kind WHEN 'CREDIT_NOTE' THEN 'C' WHEN 'PURCHASE' THEN 'P' ELSE '' END AS mark
      FROM number_series s
      LEFT JOIN (SELECT store_id, kind, count(*) AS given FROM given GROUP BY 1, 2) g USING (store_id, kind)
    )
    SELECT format('series %s of store %s', s.kind, t.number) AS thing, NULL::bigint AS store_id,
           NULL::bigint AS product_id, format('the numbers 1 to %s', s.last) AS expected,
           CASE WHEN m.missing = 0 THEN format('%s documents', s.given)
                ELSE format('%s missing, the first is %s', m.missing, m.first) END AS actual,
           s.given = s.last OR s.given < s.last AND m.missing = 0 AS is_held
    FROM series s JOIN store t ON t.id = s.store_id
    LEFT JOIN LATERAL (
      SELECT count(*) AS missing, min(n) AS first
      FROM generate_series(1, s.last) n
      CROSS JOIN LATERAL (SELECT s.mark || lpad(n::text, greatest(6, length(n::text)), '0')) e (ending)
      WHERE s.given <> s.last
        -- a number that a document brought along in an import is left out
        AND NOT EXISTS (SELECT FROM invoice d WHERE d.number = t.number || '-' || e.ending COLLATE "C")
        AND NOT EXISTS (SELECT FROM purchase d WHERE d.number = t.number || '-' || e.ending COLLATE "C")
    ) m ON true
    """,
)
LOW_STOCK_IS_KNOWN = Check(
    "LOW_STOCK_IS_KNOWN",
    "Every level of an active product that is at its threshold or below has one open episode, and no other level has.",
    """
    SELECT NULL AS thing, l.store_id, l.product_id,
           format('%s episode for %s bottles at a threshold of %s', l.is_low::int, l.on_hand, l.threshold) AS expected,
           format('%s open', l.episodes) AS actual, l.episodes = l.is_low::int AS is_held
    FROM (
      SELECT l.store_id, l.product_id, l.on_hand, coalesce(e.episodes, 0) AS episodes,
             coalesce(p.low_stock_threshold, s.low_stock_threshold) AS threshold,
             p.is_active AND l.on_hand <= coalesce(p.low_stock_threshold, s.low_stock_threshold) AS is_low
      FROM stock_level l JOIN product p ON p.id = l.product_id CROSS JOIN settings s
      LEFT JOIN (
        SELECT store_id, product_id, count(*) AS episodes FROM low_stock_episode WHERE resolved_at IS NULL GROUP BY 1, 2
      ) e ON (e.store_id, e.product_id) = (l.store_id, l.product_id)
      -- a level on which nothing was ever moved was made to be locked
      WHERE l.version > 1 OR l.on_hand > 0
    ) l
    """,
)
# One pass, day by day: a number is in a day once at most, so a day has no hole when it has as many as it spans.
EVENTS_HAVE_NO_HOLES = Check(
    "EVENTS_HAVE_NO_HOLES",
    "Every number from the first event that is kept to the last one that was given has its event.",
    """
    WITH head AS (SELECT forgotten, last FROM event_head), day AS (
      SELECT recorded_on, count(*) AS events, min(number) AS first, max(number) AS last FROM event GROUP BY 1
    ), run AS (
      SELECT format('events of %s', recorded_on) AS thing, recorded_on, events, first, last,
             coalesce(lag(last) OVER (ORDER BY recorded_on), (SELECT forgotten FROM head)) + 1 AS due,
             last - first + 1 AS span
      FROM day
      UNION ALL
      SELECT 'the end of the events', 'infinity', 0, h.last + 1, h.last,
             coalesce((SELECT max(last) FROM day), h.forgotten) + 1, 0
      FROM head h
    )
    SELECT thing, NULL::bigint AS store_id, NULL::bigint AS product_id,
           format('%s events from number %s', span, due) AS expected,
           format('%s events from number %s', events, first) AS actual,
           (events, first) = (span, due) AS is_held
    FROM run
    """,
)
CHECKS = (
    LEVELS_FOLLOW_FROM_MOVEMENTS,
    LEVELS_ARE_THEIR_LOTS,
    LOTS_FOLLOW_FROM_USES,
    MOVEMENTS_ARE_THEIR_USES,
    TRANSFERS_HAVE_TWO_SIDES,
    LINES_COST_THEIR_BOTTLES,
    FILES_COST_THEIR_BOTTLES,
    VALUE_IS_WHAT_CAME_LESS_WHAT_WENT,
    PURCHASES_RECEIVED_THEIR_LOTS,
    NUMBERS_HAVE_NO_HOLES,
    LOW_STOCK_IS_KNOWN,
    EVENTS_HAVE_NO_HOLES,
)
"""The books as they are now."""

# Levels, lots and documents have no past of their own; movements have, and what follows from them.
_UNTIL = "m.at < $1"
LEVELS_WERE_THEIR_LOTS = Check(
    "LEVELS_WERE_THEIR_LOTS",
    "What every level held until then was what its lots held, at their cost, and never less than nothing.",
    f"""
    SELECT NULL AS thing, store_id, product_id,
           CASE WHEN least(units, value, least_in_lot) < 0 THEN 'nothing below zero' ELSE {_stock("units", "value")} END
             AS expected,
           CASE WHEN least_in_lot < 0 THEN format('%s bottles in a lot', least_in_lot)
                ELSE {_stock("moved", "cost")} END AS actual,
           (moved, cost) = (units, value) AND least(units, value, least_in_lot) >= 0 AS is_held
    FROM (
      SELECT store_id, product_id, sum(units) AS units, sum(units * unit_cost) AS value, min(units) AS least_in_lot
      FROM (
        SELECT l.store_id, l.product_id, l.unit_cost, sum(u.quantity) AS units
        FROM stock_movement m JOIN lot_use u ON u.movement_id = m.id JOIN stock_lot l ON l.id = u.lot_id
        WHERE {_UNTIL} GROUP BY l.id
      ) lots GROUP BY 1, 2
    ) held FULL JOIN (
      SELECT store_id, product_id, sum(quantity) AS moved, sum(cost) AS cost
      FROM stock_movement m WHERE {_UNTIL} GROUP BY 1, 2
    ) moved USING (store_id, product_id)
    """,
)
PAST_CHECKS = (
    LEVELS_WERE_THEIR_LOTS,
    Check(
        MOVEMENTS_ARE_THEIR_USES.name,
        MOVEMENTS_ARE_THEIR_USES.description,
        _movements_are_their_uses(f"WHERE {_UNTIL}"),
    ),
    Check(
        TRANSFERS_HAVE_TWO_SIDES.name,
        TRANSFERS_HAVE_TWO_SIDES.description,
        _transfers_have_two_sides(f"AND {_UNTIL}"),
    ),
)
"""The books as the movements until an instant (`$1`) tell of them."""
