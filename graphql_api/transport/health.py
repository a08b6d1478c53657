"""For whoever watches over the process: is it alive, and can it serve."""

from dataclasses import dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from graphql_api.services.readiness import Readiness
from graphql_api.transport.json_text import encode_json
from graphql_api.transport.problems import JSON

NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True)
class Health:
    """The two questions of a load balancer."""

    readiness: Readiness

    async def live(self, _request: Request) -> Response:
        """Answer as long as the process can: a process that does not is to be restarted."""
        return Response(b'{"status":"alive"}', HTTPStatus.OK, NO_STORE, media_type=JSON)

    async def ready(self, _request: Request) -> Response:
        """Tell whether requests can be served, and what is missing if not."""
        parts = await self.readiness.parts()
        is_ready = all(part.is_ready for part in parts)
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        body = {"status": "ready" if is_ready else "unavailable", **{part.name: part.state for part in parts}}
        return Response(encode_json(body), status, NO_STORE, media_type=JSON)
