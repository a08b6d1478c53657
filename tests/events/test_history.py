"""What a process remembers of the latest events is bounded, by their number and by their size."""

import datetime as dt
from collections.abc import Sequence

from graphql_api.events.catalogue import Event
from graphql_api.events.history import History
from graphql_api.events.ring import Ring


def numbers(events: Sequence[Event] | None) -> list[int]:
    assert events is not None
    return [event.number for event in events]


def test_a_history_is_bounded_by_the_size_of_what_it_holds() -> None:
    history = History(100)
    for number in range(1, 4):
        history.append([(Event(number, "SALES", dt.datetime.now(dt.UTC), None), 7 << 20)])
    assert (history.find(1), numbers(history.since(1))) == (None, [2, 3])


def test_a_ring_is_bounded_by_the_size_of_what_it_holds() -> None:
    ring = Ring(100, max_bytes=1_000)
    for number in range(1, 51):
        ring.append(Event(number, "SALES", dt.datetime.now(dt.UTC), None), 300)
    assert len(ring) == 3
    assert numbers(ring.latest(3)) == [48, 49, 50]
    assert ring.latest(4) is None
    ring.append(Event(51, "SALES", dt.datetime.now(dt.UTC), None), 5_000)
    assert (len(ring), ring.latest(1), ring.newest) == (0, None, None)
