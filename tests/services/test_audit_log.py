"""Each filter of the audit record is answered from an index, however long the record is."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from graphql_api.database.audit import AuditOutcome
from graphql_api.database.engine import Database
from graphql_api.services.audit_log import AUDIT_LOG, EntityKey
from graphql_api.services.errors import BadInput
from graphql_api.services.listing import ListQuery

FILL = text("""
INSERT INTO audit_entry (actor_id, session_id, action, outcome, error_code, entity, entity_id, address, request_id)
SELECT n % 100, n % 200, 'action' || n % 50, CASE n % 50 WHEN 0 THEN 'REFUSED' ELSE 'DONE' END,
  CASE n % 50 WHEN 0 THEN 'FORBIDDEN' END, 'Product', n % 300, '192.0.2.' || n % 100, n::text
FROM generate_series(1, 3000) n
""")
LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
PRODUCT = EntityKey("Product", 7)
INDEXES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "ix_audit_entry_at_id"),
    "time": ({"at": {"lt": LONG_AGO}}, "ix_audit_entry_at_id"),
    "actor": ({"actor": {"eq": 7}}, "ix_audit_entry_actor_id"),
    "actor and time": ({"actor": {"eq": 7}, "at": {"gt": LONG_AGO}}, "ix_audit_entry_actor_id"),
    "session": ({"session": {"eq": 7}}, "ix_audit_entry_session_id"),
    "action": ({"action": {"eq": "other"}}, "ix_audit_entry_action"),
    "outcome": ({"outcome": {"eq": AuditOutcome.REFUSED}}, "ix_audit_entry_refused"),
    "error code": ({"errorCode": {"eq": "CONFLICT"}}, "ix_audit_entry_error_code"),
    "type": ({"entityType": {"eq": "Invoice"}}, "ix_audit_entry_entity"),
    "entity": ({"entity": {"eq": PRODUCT}}, "ix_audit_entry_entity"),
    "address": ({"address": {"eq": "192.0.2.7"}}, "ix_audit_entry_address"),
    "request": ({"requestId": {"eq": "7"}}, "ix_audit_entry_request_id"),
}


async def test_every_filter_has_an_index(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(FILL)
        await session.execute(text("ANALYZE audit_entry"))

    plans = {name: await plan(database, where) for name, (where, _) in INDEXES.items()}

    assert {name: index in plans[name] for name, (_, index) in INDEXES.items()} == dict.fromkeys(INDEXES, True)
    assert [name for name, found in plans.items() if "Seq Scan" in found] == []


async def plan(database: Database, where: dict[str, Any]) -> str:
    statement = AUDIT_LOG.page_statement(ListQuery(where))
    written = str(statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]  # SQLAlchemy's
    async with database.read() as session:
        return "\n".join(await session.scalars(text("EXPLAIN " + written.replace(":", r"\:"))))


@pytest.mark.parametrize("where", [{"entity": {"eq": None}}, {"entity": {"in": [PRODUCT] * 1_001}}])
def test_the_filter_of_things_has_limits(where: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as refusal:
        AUDIT_LOG.page_statement(ListQuery(where))

    assert refusal.value.path[:2] == ("where", "entity")
