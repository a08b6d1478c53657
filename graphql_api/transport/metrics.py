"""`/metrics`: numbers for a Prometheus server. Closed to everybody but known addresses and administrators."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from graphql_api.events.counters import COUNTERS
from graphql_api.schema.context import Services
from graphql_api.services.errors import ServiceError
from graphql_api.services.metrics import Metrics, read_metrics
from graphql_api.services.policy import Action, require
from graphql_api.transport.health import NO_STORE
from graphql_api.transport.origin import Network, viewer_of
from graphql_api.transport.problems import language_of, service_error_response


@dataclass(frozen=True)
class MetricsPage:
    """Answers whoever watches over the program.

    Args:
        services: what all requests share.
        readers: addresses that may read without a token.
    """

    services: Services
    readers: Sequence[Network]

    async def get(self, request: Request) -> Response:
        """The numbers of this moment, in the text format of Prometheus."""
        try:
            if not self._is_reader(request):
                require(await viewer_of(request, self.services), Action.READ_METRICS)
        except ServiceError as error:
            return service_error_response(error, language_of(request.headers))
        metrics = await read_metrics(self.services.database)
        return Response(exposition(metrics), headers=NO_STORE, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def _is_reader(self, request: Request) -> bool:
        try:
            address = ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        return any(address in network for network in self.readers)


def exposition(metrics: Metrics) -> bytes:
    """The numbers as Prometheus reads them, and those of this very process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    if metrics.books is not None:
        _gauge(registry, "books_balanced", "1 when the last check of the books found nothing wrong, else 0.").set(
            not metrics.books.violated
        )
        _gauge(registry, "books_violated_checks", "How many checks of the books did not hold the last time.").set(
            len(metrics.books.violated)
        )
        _gauge(registry, "books_checked_timestamp_seconds", "When the books were last checked, Unix time.").set(
            metrics.books.checked_at.timestamp()
        )
        _gauge(registry, "books_check_duration_seconds", "How long the last check of the books took.").set(
            metrics.books.milliseconds / 1000
        )
    jobs = _gauge(registry, "jobs", "Jobs in the queue.", "job", "status")
    waited = _gauge(registry, "jobs_due_seconds", "How long the first of these jobs has been due.", "job", "status")
    for queued in metrics.jobs:
        jobs.labels(queued.job, queued.status).set(queued.count)
        waited.labels(queued.job, queued.status).set(queued.waited)
    _gauge(registry, "last_event_number", "The number of the newest event.").set(metrics.events.last)
    _gauge(registry, "outbox_size", "Changes that have no number yet.").set(metrics.events.waiting)
    _gauge(registry, "outbox_age_seconds", "How long the oldest of these changes has waited.").set(
        metrics.events.waited
    )
    return generate_latest(registry) + generate_latest(COUNTERS)


def _gauge(registry: CollectorRegistry, name: str, description: str, *labels: str) -> Gauge:
    return Gauge(f"graphql_api_{name}", description, labels, registry=registry)
