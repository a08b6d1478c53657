"""Whether the audit record is what it was: every entry is hashed again and followed along its chain.

Whoever can switch the triggers off can change entries, but not without breaking a chain, or rewriting it up to its
end. The latter shows against chain ends that were noted earlier and kept where that person cannot reach them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

CHAINS = 32
ROWS_AT_ONCE = 2_000
# The expression of the function `audit_text`, which is not asked: whoever changes entries can change it as well.
ENTRIES = text("""
SELECT id, at, action, chain, position, previous_hash, hash,
  pg_catalog.jsonb_build_array(
    id, chain, position, (extract(epoch FROM at) * 1000000)::bigint, actor_id,
    actor_role, session_id, action, outcome, error_code, entity, entity_id,
    before, after, address, request_id)::text AS content
FROM audit_entry ORDER BY chain, position
""")
ENDS = text("SELECT id, length, hash FROM audit_chain ORDER BY id")
GUARDS = text("""
SELECT tgname FROM pg_catalog.pg_trigger
WHERE tgrelid IN ('audit_entry'::regclass, 'audit_chain'::regclass) AND tgenabled IN ('O', 'A') AND NOT tgisinternal
""")
TRIGGERS = frozenset({"audit_entry_chain", "audit_entry_keep", "audit_chain_keep"})


class FaultKind(StrEnum):
    """What is wrong with a chain."""

    CHANGED = "CHANGED"
    MISSING = "MISSING"
    LINK_BROKEN = "LINK_BROKEN"
    ORDER = "ORDER"
    CUT_OFF = "CUT_OFF"
    ADDED = "ADDED"
    END_CHANGED = "END_CHANGED"
    END_MISSING = "END_MISSING"
    REWRITTEN = "REWRITTEN"
    UNGUARDED = "UNGUARDED"


class ChainEnd(NamedTuple):
    """How many entries a chain has, and the hash of the last one."""

    length: int
    hash: bytes


class EntryName(NamedTuple):
    """What a person needs to find an entry."""

    id: int
    at: datetime
    action: str


@dataclass(frozen=True)
class Fault:
    """The first thing that is wrong with a chain.

    Args:
        kind: what is wrong.
        chain: in which chain; None when it concerns all of them.
        detail: what was found, one sentence.
        entry: the entry it is about, or the one beside a gap; None when there is none.
    """

    kind: FaultKind
    chain: int | None
    detail: str
    entry: EntryName | None = None


@dataclass
class AuditCheck:
    """What came of a check.

    Args:
        checked: how many entries were read.
        faults: the first fault of each chain, and what concerns all chains.
        ends: the ends of the chains as they follow from the entries, to be kept elsewhere.
    """

    checked: int = 0
    faults: list[Fault] = field(default_factory=list)
    ends: dict[int, ChainEnd] = field(default_factory=dict)

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def first_hash(chain: int) -> bytes:
    """What the first entry of a chain is hashed with."""
    return hashlib.sha256(f"chain {chain}".encode()).digest()


class ChainWalk:
    """One chain, followed entry by entry; it stops judging at the first fault.

    Args:
        chain: its number.
        noted: where it ended when that was noted earlier, if it was.
    """

    def __init__(self, chain: int, noted: ChainEnd | None = None) -> None:
        self.chain = chain
        self.noted = noted
        self.position = 0
        self.hash = first_hash(chain)
        self.last: EntryName | None = None
        self.fault: Fault | None = None

    def step(self, row: Row[tuple[object, ...]]) -> None:
        """Take the next entry by position."""
        entry = EntryName(row.id, row.at, row.action)
        if self.fault is None:
            self.fault = self._judge(row, entry)
        self.position, self.hash, self.last = row.position, row.hash, entry

    def finish(self, stored: ChainEnd | None) -> Fault | None:
        """The first fault of the chain, whose end is stored as `stored`."""
        return self.fault or self._judge_end(stored) or self._judge_noted()

    def _judge(self, row: Row[tuple[object, ...]], entry: EntryName) -> Fault | None:
        expected = self.position + 1
        if row.position > expected:
            gap = f"{row.position - expected:,} before position {row.position:,}"
            return self._fault(FaultKind.MISSING, f"Entries are missing: {gap}, where this one stands.", entry)
        if row.position < expected:
            return self._fault(FaultKind.ORDER, f"It stands at position {row.position:,}, which is taken.", entry)
        if hashlib.sha256(row.previous_hash + row.content.encode()).digest() != row.hash:
            return self._fault(FaultKind.CHANGED, "It does not say what it said when it was written.", entry)
        if row.previous_hash != self.hash:
            return self._broken(row, entry)
        if self.noted and self.noted.length == row.position and self.noted.hash != row.hash:
            return self._rewritten(entry)
        return None

    def _broken(self, row: Row[tuple[object, ...]], entry: EntryName) -> Fault:
        """This entry follows on another one than the one before it."""
        if self.last is None:
            return self._fault(FaultKind.LINK_BROKEN, "It is not the first entry this chain began with.", entry)
        detail = f"It was rewritten: entry {row.id} at position {row.position:,} follows on another content."
        return self._fault(FaultKind.LINK_BROKEN, detail, self.last)

    def _judge_end(self, stored: ChainEnd | None) -> Fault | None:
        if stored is None:
            return self._fault(FaultKind.END_MISSING, "The end of this chain is not noted in audit_chain.", self.last)
        if stored.length > self.position:
            detail = f"The last {stored.length - self.position:,} entries are missing, after this one."
            return self._fault(FaultKind.CUT_OFF, detail, self.last)
        if stored.length < self.position:
            detail = f"It was added past the end of the chain, which has {stored.length:,} entries."
            return self._fault(FaultKind.ADDED, detail, self.last)
        if stored.hash != self.hash:
            detail = "It or the end of the chain in audit_chain was rewritten: they differ."
            return self._fault(FaultKind.END_CHANGED, detail, self.last)
        return None

    def _judge_noted(self) -> Fault | None:
        """Entries and end agree; do they agree with what was noted earlier?"""
        if self.noted is None or self.position >= self.noted.length:
            return None
        detail = f"The chain has {self.position:,} entries and had {self.noted.length:,} when its end was noted."
        return self._fault(FaultKind.CUT_OFF, detail, self.last)

    def _rewritten(self, entry: EntryName) -> Fault:
        detail = "It or an entry before it was rewritten, with all that follow, since the end was noted here."
        return self._fault(FaultKind.REWRITTEN, detail, entry)

    def _fault(self, kind: FaultKind, detail: str, entry: EntryName | None) -> Fault:
        return Fault(kind, self.chain, detail, entry)


async def verify_audit(
    session: AsyncSession,
    noted: Mapping[int, ChainEnd] | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> AuditCheck:
    """Follow every chain of the record from its first entry to its end, in bounded memory.

    Args:
        session: on one snapshot, so that entries that are written meanwhile do not disturb.
        noted: chain ends that an earlier check found, kept where nobody could change them.
        on_progress: is told now and then how many entries were read, and how many there are.
    """
    noted = noted or {}
    stored = {row.id: ChainEnd(row.length, row.hash) for row in await session.execute(ENDS)}
    total = sum(end.length for end in stored.values())
    walks = {chain: ChainWalk(chain, noted.get(chain)) for chain in {*range(CHAINS), *stored, *noted}}
    check = AuditCheck()
    entries = await session.stream(ENTRIES, execution_options={"yield_per": ROWS_AT_ONCE})
    async for rows in entries.partitions(ROWS_AT_ONCE):
        for row in rows:
            walks.setdefault(row.chain, ChainWalk(row.chain)).step(row)
        check.checked += len(rows)
        on_progress(check.checked, total)
    found = (walks[chain].finish(stored.get(chain)) for chain in sorted(walks))
    check.faults = [*await _guard_faults(session), *(fault for fault in found if fault)]
    check.ends = {chain: ChainEnd(walk.position, walk.hash) for chain, walk in walks.items() if walk.position}
    return check


async def _guard_faults(session: AsyncSession) -> list[Fault]:
    missing = sorted(TRIGGERS - set(await session.scalars(GUARDS)))
    if not missing:
        return []
    detail = f"Nothing keeps the record from being changed: {', '.join(missing)} is gone or switched off."
    return [Fault(FaultKind.UNGUARDED, None, detail)]
