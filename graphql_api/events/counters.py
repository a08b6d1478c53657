"""What this process has counted about events, for whoever watches over the program."""

from prometheus_client import CollectorRegistry, Counter

COUNTERS = CollectorRegistry()
UNREADABLE = Counter(
    "graphql_api_unreadable_events",
    "Events and messages that could not be read and were passed over.",
    registry=COUNTERS,
)
