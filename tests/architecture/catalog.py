"""What a database consists of, as comparable lines of text."""

import asyncpg

# Columns, indexes, constraints, triggers, functions, sequences and enums of one schema. Objects that belong to
# an extension are the extension's business.
CATALOG = """
SELECT format('column %s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
    coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''),
    CASE a.attidentity WHEN '' THEN '' ELSE ' identity ' || a.attidentity::text END)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
  WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'index ' || pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE c.relnamespace = $1::regnamespace
UNION ALL SELECT format('constraint %s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype <> 'n'
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE c.relnamespace = $1::regnamespace AND NOT t.tgisinternal
UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p
  WHERE p.pronamespace = $1::regnamespace AND p.prokind = 'f'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
UNION ALL SELECT format('enum %s %s', t.typname, array_agg(e.enumlabel ORDER BY e.enumsortorder))
  FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = $1::regnamespace GROUP BY t.typname
"""
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"


async def describe_schema(connection: asyncpg.Connection, schema: str) -> list[str]:
    """Every part of a schema, one line each; two schemas with the same lines are the same."""
    # sorted here, because each database has an order of its own
    return sorted(record[0] for record in await connection.fetch(CATALOG, schema))


async def describe_database(connection: asyncpg.Connection) -> list[str]:
    """Every part of every schema but Alembic's own note."""
    schemas = [record[0] for record in await connection.fetch(SCHEMAS)]
    lines = [f"{schema}: {line}" for schema in schemas for line in await describe_schema(connection, schema)]
    return [line for line in lines if "alembic_version" not in line]
