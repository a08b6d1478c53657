"""What this process has counted about events, for whoever watches over the program."""

from prometheus_client import CollectorRegistry, Counter, Gauge

COUNTERS = CollectorRegistry()
UNREADABLE = Counter(
    "graphql_api_unreadable_events",
    "Events and messages that could not be read and were passed over.",
    registry=COUNTERS,
)
BUS_CONNECTED = Gauge(
    "graphql_api_bus_connected",
    "1 while this process hears the others over Redis, else 0: it reads the log more often then.",
    registry=COUNTERS,
)
BUS_RECONNECTS = Counter(
    "graphql_api_bus_reconnects",
    "How often the connection to Redis was lost and is back.",
    registry=COUNTERS,
)
BUS_GAPS = Counter(
    "graphql_api_bus_gaps",
    "How often messages may have been lost, so that the log was read instead.",
    registry=COUNTERS,
)
BUS_UNPUBLISHED = Counter(
    "graphql_api_bus_unpublished_messages",
    "Messages that Redis did not take; the other processes find what they told in the log.",
    registry=COUNTERS,
)
FEED_LAST = Gauge(
    "graphql_api_feed_last_event",
    "The number of the newest event that this process has.",
    registry=COUNTERS,
)
FEED_EVENTS = Gauge(
    "graphql_api_feed_events",
    "How many of the latest events this process has in memory.",
    registry=COUNTERS,
)
FEED_DELAY = Gauge(
    "graphql_api_feed_delay_seconds",
    "How long before its arrival in this process the newest event began.",
    registry=COUNTERS,
)
FEED_READS = Counter(
    "graphql_api_feed_log_reads",
    "How often this process had to read events from the log, because the bus did not bring them.",
    registry=COUNTERS,
)
FEED_RESTARTS = Counter(
    "graphql_api_feed_restarts",
    "How often the log turned out to be another one than before, such as that of a restored database.",
    registry=COUNTERS,
)
RELAY_LEADING = Gauge(
    "graphql_api_relay_leading",
    "1 while this process gives events their numbers, else 0; of all processes one does.",
    registry=COUNTERS,
)
RELAY_TERMS = Counter(
    "graphql_api_relay_terms",
    "How often this process has begun to give events their numbers.",
    registry=COUNTERS,
)
RELAY_MOVED = Counter(
    "graphql_api_relayed_events",
    "Events to which this process has given their numbers.",
    registry=COUNTERS,
)
