"""What is measured of a server."""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from benchmarks.subscriptions.load import Arrivals, Load, Missing, load
from benchmarks.subscriptions.servers import Moment, RunningServer

FIELDS = "{ cursor before after delta cause store { number name } product { sku name } }"
PATIENCE_SECONDS = 60.0
WARM_UP_SECONDS = 5.0
WARM_UPS = 10
AT_ONCE = 1e6


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Args:
        singles: changes that are told of one by one.
        burst: changes of one transaction.
        seconds: how long changes come at a steady rate.
        idle: sockets that listen without anything to hear.
    """

    singles: int
    burst: int
    seconds: int
    idle: int


@dataclass(frozen=True)
class Spread:
    """Milliseconds from a change to its receipt."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p99:.1f}"


@dataclass(frozen=True)
class Outcome:
    """What came of one server with one number of sockets.

    Args:
        single: messages a second while one change goes to all.
        burst: messages a second while many changes go to all.
        delivery: of changes that are told of one by one.
        cpu: seconds of processor that a message of the burst took in the server.
        client: share of a processor that the client needed in the burst.
    """

    single: float
    burst: float
    delivery: Spread
    cpu: float
    client: float


def same_operation() -> list[str]:
    """What everybody listens to."""
    return [f"subscription {{ stockChanged {FIELDS} }}"]


def different_operations(count: int) -> list[str]:
    """Each socket listens in words of its own."""
    return [f"subscription {{ change{number}: stockChanged {FIELDS} }}" for number in range(count)]


@contextmanager
def listening(server: RunningServer, sockets: int, documents: Sequence[str]) -> Iterator[Load]:
    """Sockets that are known to listen."""
    with load() as client:
        client.open(server.port, sockets, documents, server.token)
        _warm_up(server, client)
        yield client
        client.close()


def _warm_up(server: RunningServer, client: Load) -> None:
    """Tell of changes until one reaches all: that was asked for does not mean that it has begun.

    Raises:
        Missing: none does.
    """
    for attempt in count(1):
        _wait_until_quiet(server)
        try:
            _tell(server, client, 1, WARM_UP_SECONDS)
        except Missing:
            if attempt == WARM_UPS:
                raise
        else:
            return


def _wait_until_quiet(server: RunningServer) -> None:
    """Until it has nothing left to do about what was sent."""
    before = -1.0
    while (now := server.busy_seconds) > before + 0.02:
        before = now
        time.sleep(0.2)


def _tell(server: RunningServer, client: Load, events: int, seconds: float) -> tuple[Moment, Arrivals]:
    client.expect(events, seconds)
    (moment,) = server.publish(events, 1, AT_ONCE)
    return moment, client.arrivals()


def measure(server: RunningServer, sockets: int, documents: Sequence[str], size: Size) -> Outcome:
    """Tell many of one change at a time, then of many at once."""
    with listening(server, sockets, documents) as client:
        singles = [_tell(server, client, 1, PATIENCE_SECONDS) for _ in range(size.singles)]
        before = server.busy_seconds
        burst = _tell(server, client, size.burst, PATIENCE_SECONDS)
        busy = server.busy_seconds - before
    (sent, _), arrivals = burst
    return Outcome(
        single=statistics.median(_rate(moment, of_single) for moment, of_single in singles),
        burst=_rate(*burst),
        delivery=_spread([(moment, of_single.times[0]) for moment, of_single in singles]),
        cpu=busy / arrivals.count,
        client=arrivals.cpu / ((arrivals.last - sent) / 1e9),
    )


def _rate(moment: Moment, arrivals: Arrivals) -> float:
    """Messages a second, from the moment at which the change was sent."""
    return arrivals.count / ((arrivals.last - moment[0]) / 1e9)


def _spread(told: Sequence[tuple[Moment, Sequence[int]]], since: int = 0) -> Spread:
    """Delays since it was sent (0) or done (1)."""
    delays = [(time - moment[since]) / 1e6 for moment, times in told for time in times]
    cuts = statistics.quantiles(delays, n=100)
    return Spread(cuts[49], cuts[98])


def measure_rate(server: RunningServer, sockets: int, rate: int, size: Size) -> tuple[Spread, Spread]:
    """Delays at a steady rate of changes with a commit each: since it was sent, and since it was done."""
    with listening(server, sockets, same_operation()) as client:
        changes = rate * size.seconds
        client.expect(changes, size.seconds + PATIENCE_SECONDS)
        moments = server.publish(1, changes, rate)
        told = list(zip(moments, client.arrivals().times, strict=True))
    return _spread(told, 0), _spread(told, 1)


def measure_memory(server: RunningServer, sockets: int) -> float:
    """KiB that each socket costs that listens and has nothing to hear."""
    with listening(server, 10, same_operation()):
        before = server.memory
        with load() as client:
            client.open(server.port, sockets, same_operation(), server.token)
            _wait_until_quiet(server)
            held = server.memory - before
            client.close()
    return held / sockets / 1024
