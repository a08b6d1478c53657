"""Consumers that come back with their last cursor whenever the connection breaks, and remember all they have heard."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.subscription_links import Interrupted, Link, Refused, Wish, open_socket, open_stream
from tests.faults.subscription_shop import Goods
from tests.faults.subscription_writers import Truth

WHAT = "cursor before after delta reason store { number } product { sku }"
CHANGES = f"""
subscription ($where: StockChangeWhere, $after: Cursor) {{ stockChanged(where: $where, after: $after) {{ {WHAT} }} }}
"""
WATCH = f"""
subscription ($where: StockWatchWhere) {{
  stockWatch(where: $where) {{
    ... on StockState {{ state: cursor isComplete levels {{ onHand store {{ number }} product {{ sku }} }} }}
    ... on StockChange {{ {WHAT} }}
  }}
}}
"""
AGAIN_SECONDS = 0.05
Level = tuple[int, str]
Matches = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Interest:
    """What a consumer wants to hear of.

    Args:
        where: the filter as the server gets it.
        matches: the same for the payload of an event.
        is_watch: whether the state is to come first.
    """

    where: Mapping[str, Any] | None
    matches: Matches
    is_watch: bool = False


def interests(goods: Goods) -> list[Interest]:
    """Everything, one store, some products as they are sold; with the state and without."""
    store = min(goods.stores.values())
    skus = sorted(goods.skus.values())[:2]
    of_store = {"storeNumber": {"eq": store}}
    sold = {"sku": {"in": skus}, "delta": {"lt": 0}}
    return [
        Interest(None, lambda _: True),
        Interest(None, lambda _: True, is_watch=True),
        Interest(of_store, lambda fact: fact["store_number"] == store),
        Interest(sold, lambda fact: fact["sku"] in skus and fact["delta"] < 0),
        Interest(of_store, lambda fact: fact["store_number"] == store, is_watch=True),
    ]


def number_of(cursor: str) -> int:
    """The number of the event that a cursor is behind."""
    return int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().rpartition(":")[2])


@dataclass(frozen=True)
class Heard:
    """One change as a client got it."""

    number: int
    level: Level
    before: int
    after: int
    delta: int
    reason: str | None
    at: float = field(compare=False)

    @classmethod
    def from_answer(cls, change: Mapping[str, Any]) -> "Heard":
        level = change["store"]["number"], change["product"]["sku"]
        before, after, delta = (int(change[name]) for name in ("before", "after", "delta"))
        return cls(number_of(change["cursor"]), level, before, after, delta, change["reason"], time.monotonic())

    @classmethod
    def from_fact(cls, number: int, fact: Mapping[str, Any]) -> "Heard":
        level = fact["store_number"], fact["sku"]
        return cls(number, level, fact["before"], fact["after"], fact["delta"], fact["reason"], 0)


@dataclass
class Session:
    """What a watcher hears in one go: the state at a number, complete or not, and what follows."""

    number: int | None = None
    is_complete: bool = False
    levels: dict[Level, int] = field(default_factory=dict)
    changes: list[Heard] = field(default_factory=list)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take a page of the state, or a change."""
        if "state" in event:
            assert not self.is_complete, "a page after the last one"
            self.number, self.is_complete = number_of(event["state"]), event["isComplete"]
            self.levels |= {(at["store"]["number"], at["product"]["sku"]): int(at["onHand"]) for at in event["levels"]}
            return
        assert self.is_complete, "a change before all of the state"
        self.changes.append(Heard.from_answer(event))

    @property
    def last(self) -> int:
        """As far as it has come; nowhere before it has all of the state."""
        if not self.is_complete:
            return 0
        return self.changes[-1].number if self.changes else self.number or 0

    def folded(self) -> dict[Level, int]:
        """The levels that come of it."""
        levels = dict(self.levels)
        for change in self.changes:
            levels[change.level] = levels.get(change.level, 0) + change.delta
        return {level: bottles for level, bottles in levels.items() if bottles}


@dataclass(repr=False)
class Consumer:
    """Somebody who listens until the end.

    Args:
        url: of the endpoint, for HTTP.
        token: what to sign in with.
        interest: what to listen to.
        is_stream: over server-sent events, or else a WebSocket.
        cursor: where to go on; None begins with what happens from now on.
    """

    url: str
    token: str
    interest: Interest
    is_stream: bool
    cursor: str | None = None
    heard: list[Heard] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    link: Link | None = None
    kills: int = 0
    interruptions: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    reasons: set[str | None] = field(default_factory=set)

    async def run(self) -> None:
        """Listen, and come back whenever the connection breaks."""
        while True:
            try:
                self.link = await self._open()
                await self._listen(self.link)
            except Interrupted as interrupted:
                self.interruptions[str(interrupted)] += 1
            except (Refused, AssertionError, KeyError) as problem:
                self.problems.append(repr(problem))
                return
            finally:
                if self.link is not None:
                    self.link.abort()
                    self.link = None
            await asyncio.sleep(AGAIN_SECONDS)

    def kill(self) -> bool:
        """Cut the connection, if there is one."""
        if self.link is None:
            return False
        self.link.abort()
        self.kills += 1
        return True

    @property
    def last(self) -> int:
        """The number of the last change heard."""
        if self.interest.is_watch:
            return self.sessions[-1].last if self.sessions else 0
        return self.heard[-1].number if self.heard else 0

    @property
    def changes(self) -> list[Heard]:
        """All that was heard, as it came."""
        return [change for session in self.sessions for change in session.changes] or self.heard

    def __str__(self) -> str:
        what = f"{'stream' if self.is_stream else 'socket'} {self.interest.where} watch={self.interest.is_watch}"
        return f"{what}: at {self.last}, {self.kills} kills, {dict(self.interruptions)}"

    async def _open(self) -> Link:
        variables: dict[str, Any] = {"where": self.interest.where}
        if self.interest.is_watch:
            self.sessions.append(Session())
            wish = Wish(WATCH, variables)
            return await (open_stream if self.is_stream else open_socket)(self.url, self.token, wish)
        if self.is_stream:
            return await open_stream(self.url, self.token, Wish(CHANGES, variables), self.cursor)
        return await open_socket(self.url, self.token, Wish(CHANGES, {**variables, "after": self.cursor}))

    async def _listen(self, link: Link) -> None:
        while True:
            data = await link.receive()
            if self.interest.is_watch:
                self.sessions[-1].take(data["stockWatch"])
                self.reasons.add(data["stockWatch"].get("reason"))
                continue
            event = data["stockChanged"]
            self.reasons.add(event["reason"])
            self.heard.append(Heard.from_answer(event))
            assert not self.is_stream or link.last_id == event["cursor"]
            self.cursor = event["cursor"]

    def faults(self, truth: Truth, begin: int) -> list[str]:
        """What is wrong with what was heard, of the events behind number `begin`."""
        found = list(self.problems)
        if not self.interest.is_watch:
            return found + self._differences(truth, self.heard, begin, max(truth.changes))
        for session in self.sessions:
            if session.number is not None and session.is_complete:
                found += self._differences(truth, session.changes, session.number, session.last)
                found += _misfold(truth, session, self.interest.matches)
        if not self.sessions or self.sessions[-1].folded() != self._wanted(truth.levels, truth):
            found.append("in the end the fold is not what is in stock")
        return found

    def expected_last(self, truth: Truth) -> int:
        """The number of the last event for this consumer."""
        return max(number for number, fact in truth.changes.items() if self.interest.matches(fact))

    def _differences(self, truth: Truth, heard: list[Heard], begin: int, end: int) -> list[str]:
        facts = {number: fact for number, fact in truth.changes.items() if begin < number <= end}
        wanted = [Heard.from_fact(n, fact) for n, fact in facts.items() if self.interest.matches(fact)]
        if heard == wanted:
            return []
        missing = {change.number for change in wanted} - {change.number for change in heard}
        return [f"heard {len(heard)} of {len(wanted)} changes behind {begin}; missing {sorted(missing)[:10]}"]

    def _wanted(self, levels: Mapping[Level, int], truth: Truth) -> dict[Level, int]:
        mine = {(fact["store_number"], fact["sku"]) for fact in truth.changes.values() if self.interest.matches(fact)}
        return {level: bottles for level, bottles in levels.items() if level in mine}


def _misfold(truth: Truth, session: Session, matches: Matches) -> list[str]:
    """Whether what a watcher had at the end of a session was not what was in stock."""
    levels: dict[Level, int] = {}
    for number, fact in truth.changes.items():
        if number <= session.last and matches(fact):
            levels[fact["store_number"], fact["sku"]] = fact["after"]
    there = {level: bottles for level, bottles in levels.items() if bottles}
    return [] if session.folded() == there else [f"the fold at {session.last} is not what was in stock then"]
