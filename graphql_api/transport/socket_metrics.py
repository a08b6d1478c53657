"""What this process has counted about WebSockets, for whoever watches over the program.

Plain numbers, because a counter with a lock for every message would be felt.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from graphql_api.events.counters import COUNTERS


@dataclass(eq=False)
class SocketTally:
    """What is counted.

    Args:
        opened: WebSockets that are open.
        operations: operations that run on them, most of them subscriptions.
        sent: messages that went to clients.
        closes: how often the server has closed one, by code.
    """

    opened: int = 0
    operations: int = 0
    sent: int = 0
    closes: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class SocketCollector(Collector):
    """Hands the numbers to Prometheus."""

    tally: SocketTally

    def collect(self) -> Iterator[Metric]:
        """The numbers of this moment."""
        yield GaugeMetricFamily("graphql_api_sockets", "WebSockets that are open.", self.tally.opened)
        yield GaugeMetricFamily(
            "graphql_api_socket_operations", "Operations that run on WebSockets.", self.tally.operations
        )
        yield CounterMetricFamily(
            "graphql_api_socket_messages", "Messages that were sent over WebSockets.", self.tally.sent
        )
        closes = CounterMetricFamily(
            "graphql_api_socket_closes", "WebSockets that the server has closed, by code.", labels=["code"]
        )
        for code, count in sorted(self.tally.closes.items()):
            closes.add_metric([str(code)], count)
        yield closes


TALLY = SocketTally()
COUNTERS.register(SocketCollector(TALLY))
