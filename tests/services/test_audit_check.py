"""A superuser tampers with the record, triggers switched off; the check finds it and names the entry."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import asyncpg
import pytest

from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.services.audit_check import (
    CHAINS,
    AuditCheck,
    ChainEnd,
    Fault,
    FaultKind,
    first_hash,
    verify_audit,
)

ENTRIES = 9
INSERT = """
INSERT INTO audit_entry (actor_id, actor_role, action, outcome, entity, entity_id, before, after, address)
VALUES (7, 'STAFF', 'updateProduct', 'DONE', 'Product', $1, '{"name": "old", "price": 5}', '{"name": "new"}', '::1')
"""
# The hash of an entry, made again as the trigger makes it.
REHASH = "sha256(previous_hash || convert_to(audit_text(audit_entry), 'UTF8'))"
AT = "chain = {chain} AND position = {position}"
CHANGE_AND_HASH = ("UPDATE audit_entry SET {change} WHERE {at}", "UPDATE audit_entry SET hash = {rehash} WHERE {at}")


def filled(statement: str, names: Mapping[str, object]) -> str:
    """The statement with a value for each `{name}`; other braces stay."""
    for name, value in names.items():
        statement = statement.replace(f"{{{name}}}", str(value))
    return statement


@dataclass
class Record:
    """One chain of nine entries, and the power to change it. Positions are counted from 1."""

    database: Database
    connection: asyncpg.Connection
    chain: int

    async def tamper(self, *statements: str, **names: object) -> None:
        """Run statements about `{chain}` with the triggers switched off, and on again afterwards."""
        switch = [f"ALTER TABLE {table} {{}} TRIGGER USER" for table in ("audit_entry", "audit_chain")]
        off, on = ([each.format(state) for each in switch] for state in ("DISABLE", "ENABLE"))
        for statement in (*off, *statements, *on):
            await self.connection.execute(filled(statement, {"at": AT, "rehash": REHASH, **names, "chain": self.chain}))

    async def check(self, noted: AuditCheck | None = None) -> AuditCheck:
        async with self.database.read() as session:
            return await verify_audit(session, noted.ends if noted else None)

    async def fault(self) -> Fault:
        """The only fault of the record, which is in this chain."""
        check = await self.check()
        (fault,) = check.faults
        assert not check.is_intact
        assert fault.chain == self.chain
        return fault

    async def id_at(self, position: int) -> int:
        found: int = await self.connection.fetchval(
            "SELECT id FROM audit_entry WHERE chain = $1 AND position = $2", self.chain, position
        )
        return found


@pytest.fixture
async def record(database: Database, database_url: str) -> AsyncIterator[Record]:
    connection = await asyncpg.connect(database_url)
    others = []
    chain = chain_of(connection)
    for number in range(ENTRIES):
        await connection.execute(INSERT, number)
    # entries of other chains, so that a fault in one is not put down to another
    written = 0
    while written < 3:
        others.append(await asyncpg.connect(database_url))
        if chain_of(others[-1]) != chain:
            await others[-1].execute(INSERT, 0)
            written += 1
    yield Record(database, connection, chain)
    for open_connection in (connection, *others):
        await open_connection.close()


def chain_of(connection: asyncpg.Connection) -> int:
    return connection.get_server_pid() % CHAINS


async def test_an_untouched_record_is_intact(record: Record) -> None:
    told: list[tuple[int, int]] = []
    async with record.database.read() as session:
        check = await verify_audit(session, on_progress=lambda done, total: told.append((done, total)))

    assert (check.checked, check.faults, check.is_intact) == (ENTRIES + 3, [], True)
    assert told[-1] == (ENTRIES + 3, ENTRIES + 3)
    stored = await record.connection.fetch("SELECT id, length, hash FROM audit_chain WHERE length > 0")
    assert check.ends == {row["id"]: ChainEnd(row["length"], row["hash"]) for row in stored}


async def test_a_record_goes_on_after_its_migration_was_taken_back_and_done_again(
    record: Record, database_url: str
) -> None:
    await migrate.downgrade(record.database, "0003")
    await migrate.upgrade(record.database)

    assert (await record.check()).is_intact
    later = await asyncpg.connect(database_url)
    for _ in range(2):
        await later.execute(INSERT, 1)
    await later.close()
    # plans that were made for the dropped functions are of no use any more
    await record.connection.reset()
    await record.connection.execute(INSERT, 1)
    check = await record.check()
    assert (check.checked, check.faults) == (ENTRIES + 6, [])


async def test_an_empty_record_is_intact(database: Database, database_url: str) -> None:
    async with database.read() as session:
        check = await verify_audit(session)
    assert (check.checked, check.faults, check.ends) == (0, [], {})
    connection = await asyncpg.connect(database_url)
    stored = await connection.fetch("SELECT hash FROM audit_chain ORDER BY id")
    await connection.close()
    assert [row["hash"] for row in stored] == [first_hash(chain) for chain in range(CHAINS)]


CHANGES = [
    """before = jsonb_set(before, '{price}', '6')""",
    """after = '{"name": "other"}'""",
    "after = NULL",
    "actor_id = 8",
    "actor_id = NULL",
    "actor_role = 'ADMIN'",
    "session_id = 1",
    "at = at - interval '1 microsecond'",
    "action = 'archiveProduct'",
    "outcome = 'REFUSED'",
    "error_code = 'FORBIDDEN'",
    "entity = 'Invoice'",
    "entity_id = 1000",
    "address = '192.0.2.7'",
    "request_id = 'x'",
    "id = 1000000",
    r"hash = '\x00'",
    r"previous_hash = '\x00'",
]


@pytest.mark.parametrize(
    ("change", "position"), [*((change, 5) for change in CHANGES), (CHANGES[0], 1), (CHANGES[0], ENTRIES)]
)
async def test_a_changed_field_is_found(record: Record, change: str, position: int) -> None:
    await record.tamper("UPDATE audit_entry SET {change} WHERE {at}", change=change, position=position)

    fault = await record.fault()

    assert fault.kind is FaultKind.CHANGED
    assert fault.entry is not None
    assert fault.entry.id == await record.id_at(position)
    assert fault.entry.at.utcoffset() is not None
    assert fault.entry.action == ("archiveProduct" if "archive" in change else "updateProduct")


@pytest.mark.parametrize("position", [1, 5, ENTRIES - 1])
async def test_a_missing_entry_is_found_by_the_one_behind_it(record: Record, position: int) -> None:
    behind = await record.id_at(position + 1)
    await record.tamper("DELETE FROM audit_entry WHERE {at}", position=position)

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.MISSING, behind)
    assert f"1 before position {position + 1}" in fault.detail


async def test_a_gap_that_was_closed_is_found(record: Record) -> None:
    await record.tamper(
        "DELETE FROM audit_entry WHERE chain = {chain} AND position = 5",
        "UPDATE audit_entry SET position = -position WHERE chain = {chain} AND position > 5",
        "UPDATE audit_entry SET position = -position - 1 WHERE chain = {chain} AND position < 0",
        "UPDATE audit_entry SET hash = {rehash} WHERE chain = {chain} AND position > 4",
        "UPDATE audit_chain SET length = length - 1 WHERE id = {chain}",
    )

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.LINK_BROKEN, await record.id_at(4))
    assert str(await record.id_at(5)) in fault.detail


@pytest.mark.parametrize("kept", [0, 1, 6])
async def test_entries_cut_off_at_the_end_are_found(record: Record, kept: int) -> None:
    last = await record.id_at(kept) if kept else None
    await record.tamper("DELETE FROM audit_entry WHERE chain = {chain} AND position > {kept}", kept=kept)

    fault = await record.fault()

    assert (fault.kind, fault.entry.id if fault.entry else None) == (FaultKind.CUT_OFF, last)
    assert f"last {ENTRIES - kept} entries" in fault.detail


async def test_swapped_entries_are_found(record: Record) -> None:
    third = await record.id_at(3)
    await record.tamper(
        "UPDATE audit_entry SET position = 0 WHERE chain = {chain} AND position = 3",
        "UPDATE audit_entry SET position = 3 WHERE chain = {chain} AND position = 7",
        "UPDATE audit_entry SET position = 7 WHERE chain = {chain} AND position = 0",
    )

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.CHANGED, await record.id_at(3))
    assert fault.entry
    assert fault.entry.id != third


async def test_entries_that_were_swapped_and_hashed_again_are_found(record: Record) -> None:
    await record.tamper(
        "UPDATE audit_entry SET position = 0 WHERE chain = {chain} AND position = 3",
        "UPDATE audit_entry SET position = 3 WHERE chain = {chain} AND position = 4",
        "UPDATE audit_entry SET position = 4 WHERE chain = {chain} AND position = 0",
        "UPDATE audit_entry SET hash = {rehash} WHERE chain = {chain} AND position IN (3, 4)",
    )

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.LINK_BROKEN, await record.id_at(2))


FORGED = """
INSERT INTO audit_entry (action, outcome, chain, position, previous_hash, hash)
SELECT 'forged', 'DONE', %s, %s, coalesce(max(hash), sha256('x')), '\\x00'
FROM audit_entry WHERE chain = {chain} AND position = %s
"""
HASH_FORGED = "UPDATE audit_entry SET hash = {rehash} WHERE action = 'forged'"


async def test_an_entry_added_at_the_end_is_found(record: Record) -> None:
    await record.tamper(FORGED % ("{chain}", ENTRIES + 1, ENTRIES), HASH_FORGED)

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.action) == (FaultKind.ADDED, "forged")


async def test_an_entry_pushed_in_between_is_found(record: Record) -> None:
    await record.tamper(
        "UPDATE audit_entry SET position = -position WHERE chain = {chain} AND position > 5",
        "UPDATE audit_entry SET position = -position + 1 WHERE chain = {chain} AND position < 0",
        FORGED % ("{chain}", 6, 5),
        HASH_FORGED,
        "UPDATE audit_chain SET length = length + 1 WHERE id = {chain}",
    )

    fault = await record.fault()

    # the forged entry is consistent in itself; the one that had to make room for it is not
    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.CHANGED, await record.id_at(7))


@pytest.mark.parametrize("position", [0, -3])
async def test_an_entry_put_before_the_first_is_found(record: Record, position: int) -> None:
    await record.tamper(FORGED % ("{chain}", position, 0), HASH_FORGED)

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.action) == (FaultKind.ORDER, "forged")


async def test_an_entry_in_a_chain_that_does_not_exist_is_found(record: Record) -> None:
    await record.tamper(FORGED % (99, 1, 1), HASH_FORGED)

    (fault,) = (await record.check()).faults

    assert (fault.chain, fault.entry and fault.entry.action) == (99, "forged")


@pytest.mark.parametrize("position", [1, 5])
async def test_an_entry_that_was_changed_and_hashed_again_is_found(record: Record, position: int) -> None:
    await record.tamper(*CHANGE_AND_HASH, change="actor_id = 8", position=position)

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.LINK_BROKEN, await record.id_at(position))


async def test_the_last_entry_changed_and_hashed_again_is_found(record: Record) -> None:
    await record.tamper(*CHANGE_AND_HASH, change="actor_id = 8", position=ENTRIES)

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.END_CHANGED, await record.id_at(ENTRIES))


async def test_a_chain_with_another_beginning_is_found(record: Record) -> None:
    await record.tamper(*CHANGE_AND_HASH, change="previous_hash = sha256('x')", position=1)

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (FaultKind.LINK_BROKEN, await record.id_at(1))


ENDS = {
    "SET hash = sha256('x')": FaultKind.END_CHANGED,
    "SET length = length + 4": FaultKind.CUT_OFF,
    "SET length = length - 4": FaultKind.ADDED,
}


@pytest.mark.parametrize("change", ENDS)
async def test_another_end_of_a_chain_is_found(record: Record, change: str) -> None:
    await record.tamper(f"UPDATE audit_chain {change} WHERE id = {{chain}}")

    fault = await record.fault()

    assert (fault.kind, fault.entry and fault.entry.id) == (ENDS[change], await record.id_at(ENTRIES))


async def test_a_lost_end_of_a_chain_is_found(record: Record) -> None:
    await record.tamper("DELETE FROM audit_chain WHERE id = {chain}")

    assert (await record.fault()).kind is FaultKind.END_MISSING


async def test_faults_of_several_chains_are_all_told(record: Record) -> None:
    await record.tamper("UPDATE audit_entry SET actor_id = 8")

    check = await record.check()

    assert len(check.faults) == len({fault.chain for fault in check.faults}) == len(check.ends)
    assert {fault.kind for fault in check.faults} == {FaultKind.CHANGED}


# Everything from an entry on is made again, as somebody does who knows how: no check of the tables alone finds it.
REWRITE = """
DO $$
DECLARE row audit_entry; previous bytea;
BEGIN
  SELECT hash INTO previous FROM audit_entry WHERE chain = {chain} AND position = 4;
  FOR row IN SELECT * FROM audit_entry WHERE chain = {chain} AND position > 4 ORDER BY position LOOP
    row.previous_hash := previous;
    row.actor_id := 8;
    previous := sha256(previous || convert_to(audit_text(row), 'UTF8'));
    UPDATE audit_entry SET actor_id = 8, previous_hash = row.previous_hash, hash = previous WHERE id = row.id;
  END LOOP;
  UPDATE audit_chain SET hash = previous WHERE id = {chain};
END $$
"""
SHORTEN = (
    "DELETE FROM audit_entry WHERE chain = {chain} AND position > 4",
    """
    UPDATE audit_chain SET length = 4, hash = (SELECT hash FROM audit_entry WHERE chain = {chain} AND position = 4)
    WHERE id = {chain}
    """,
)
EMPTY = (
    "DELETE FROM audit_entry WHERE chain = {chain}",
    "UPDATE audit_chain SET length = 0, hash = sha256(convert_to('chain {chain}', 'UTF8')) WHERE id = {chain}",
)


@pytest.mark.parametrize(
    ("statements", "kind", "position"),
    [((REWRITE,), FaultKind.REWRITTEN, ENTRIES), (SHORTEN, FaultKind.CUT_OFF, 4), (EMPTY, FaultKind.CUT_OFF, 0)],
    ids=["rewritten", "shortened", "emptied"],
)
async def test_only_an_earlier_note_finds_what_was_rewritten_to_the_end(
    record: Record, statements: tuple[str, ...], kind: FaultKind, position: int
) -> None:
    noted = await record.check()
    await record.tamper(*statements)

    assert (await record.check()).is_intact
    (fault,) = (await record.check(noted)).faults

    assert (fault.kind, fault.chain) == (kind, record.chain)
    assert (fault.entry.id if fault.entry else None) == (await record.id_at(position) if position else None)


async def test_what_was_written_since_does_not_disturb_an_earlier_note(record: Record) -> None:
    noted = await record.check()
    for number in range(5):
        await record.connection.execute(INSERT, number)

    assert (await record.check(noted)).is_intact


GUARDS: list[Callable[[asyncpg.Connection], Awaitable[str]]] = [
    lambda connection: connection.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_keep"),
    lambda connection: connection.execute("ALTER TABLE audit_entry ENABLE REPLICA TRIGGER audit_entry_keep"),
    lambda connection: connection.execute("DROP TRIGGER audit_entry_keep ON audit_entry"),
]


@pytest.mark.parametrize("unlock", GUARDS)
async def test_a_record_that_nothing_keeps_any_more_is_told(
    record: Record, unlock: Callable[[asyncpg.Connection], Awaitable[str]]
) -> None:
    await unlock(record.connection)

    (fault,) = (await record.check()).faults

    assert fault.kind is FaultKind.UNGUARDED
    assert "audit_entry_keep" in fault.detail
