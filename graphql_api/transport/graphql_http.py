"""`/graphql` over HTTP: a request in, one operation run, its result out. No request can make it fail with a 500."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.schema.context import Services
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Action, Forbidden, Unauthenticated, Viewer, require
from graphql_api.transport.event_stream import finished_stream
from graphql_api.transport.execution import UnknownOperation, operation_type, result_payload
from graphql_api.transport.graphiql_page import graphiql_response, prefers_html
from graphql_api.transport.graphql_request import (
    IDEMPOTENCY_HEADER,
    GraphQLRequest,
    request_from_address,
    request_from_json,
)
from graphql_api.transport.graphql_sse import LAST_EVENT_ID, Streaming, StreamRequest, SubscriptionStream
from graphql_api.transport.json_text import encode_json
from graphql_api.transport.limits import read_body
from graphql_api.transport.negotiation import (
    EVENT_STREAM,
    GRAPHQL_JSON,
    accepts_event_stream,
    answer_type,
    content_type,
)
from graphql_api.transport.origin import create_context, token_expiry
from graphql_api.transport.problems import JSON, RequestRefused, language_of, refusal_response, service_error_response
from graphql_api.transport.uploads import received_upload

MULTIPART = "multipart/form-data"
# Whoever may do one of these may use a mutation that takes files.
UPLOADING = frozenset({Action.IMPORT, Action.EDIT_PRODUCT})
READS = frozenset({OperationType.QUERY})
READS_AND_WRITES = frozenset({OperationType.QUERY, OperationType.MUTATION})


@dataclass(frozen=True)
class GraphQLEndpoint:
    """Runs the operations of HTTP requests.

    Args:
        schema: what they run on.
        services: what all operations share.
        streaming: what subscriptions need besides.
        upload_limit: bytes that the files of one request may have.
        upload_folder: where large files are spooled; None is the system's folder for temporary files.
    """

    schema: ApiSchema
    services: Services
    streaming: Streaming
    upload_limit: int
    upload_folder: Path | None = None

    async def handle(self, request: Request) -> ASGIApp:
        """Answer one request; browsers that ask for a page get GraphiQL."""
        if request.method != "POST" and prefers_html(request):
            return await graphiql_response(request)
        try:
            async with self._received(request) as (asked, sender):
                return await self._run(request, asked, sender)
        except RequestRefused as refused:
            return refusal_response(refused, language_of(request.headers))
        except (Unauthenticated, Forbidden) as error:
            return service_error_response(error, language_of(request.headers))
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[tuple[GraphQLRequest, Viewer | None]]:
        """The operation; and who has begun to send it, when it brings files."""
        if request.method != "POST":
            yield request_from_address(request.query_params), None
            return
        media_type, charset = content_type(request.headers.get("content-type", ""))
        _check_encodings(request, charset)
        if media_type == JSON:
            yield request_from_json(await read_body(request)), None
        elif media_type == MULTIPART:
            sender = await self._checked_sender(request)
            async with received_upload(request, self.upload_limit, self.upload_folder) as graphql_request:
                yield graphql_request, sender
        else:
            raise RequestRefused(
                "Send the body as {json}, or as {multipart} for uploads.",
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                json=JSON,
                multipart=MULTIPART,
            )

    async def _checked_sender(self, request: Request) -> Viewer | None:
        """Take no files from somebody who may not load any: they are written to the disk as they come."""
        context = await create_context(request, self.services)
        if context.sign_in_problem is not None:
            raise context.sign_in_problem
        if context.viewer is None or not UPLOADING & context.viewer.actions:
            require(context.viewer, Action.IMPORT)
        return context.viewer

    async def _run(self, request: Request, asked: GraphQLRequest, sender: Viewer | None) -> ASGIApp:
        accept = request.headers.get("accept", "")
        media_type = answer_type(accept)
        try:
            kind = operation_type(self.schema, asked)
        except UnknownOperation as unknown:
            return _answer({"errors": [unknown.formatted(language_of(request.headers))]}, media_type)
        if kind is OperationType.SUBSCRIPTION:
            if sender is not None or request.method not in {"GET", "POST"} or not accepts_event_stream(accept):
                raise _not_allowed(kind)
            return await self._subscribe(request, asked, media_type)
        return _answer(await self._execute(request, asked, sender), media_type)

    async def _execute(self, request: Request, asked: GraphQLRequest, sender: Viewer | None) -> dict[str, Any]:
        """Run a query or a mutation; its result."""
        idempotency_key = asked.idempotency_key(request.headers.getlist(IDEMPOTENCY_HEADER))
        context = await create_context(request, self.services, sender)
        context.idempotency_key = idempotency_key
        try:
            result = await self.schema.execute(
                asked.query,
                asked.variables,
                context,
                operation_name=asked.operation_name,
                allowed_operation_types=READS_AND_WRITES if request.method == "POST" else READS,
                operation_extensions=asked.extensions,
            )
        except InvalidOperationTypeError as error:
            raise _not_allowed(error.operation_type) from None
        return result_payload(result)

    async def _subscribe(self, request: Request, asked: GraphQLRequest, media_type: str) -> ASGIApp:
        """Begin a subscription; its errors are answered in the type that the client likes best."""
        context = await create_context(request, self.services)
        expires_at = token_expiry(request, self.services) if context.viewer else None
        wanted = StreamRequest(asked, context, request.headers.get(LAST_EVENT_ID) or None, expires_at)
        return SubscriptionStream(self.streaming, wanted, lambda errors: _answer({"errors": errors}, media_type))


def _check_encodings(request: Request, charset: str) -> None:
    if charset not in {"utf-8", "utf8"}:
        raise RequestRefused("Send the body in UTF-8.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestRefused(
            "Send the body uncompressed; files inside of an upload may be compressed.",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )


def _not_allowed(kind: OperationType) -> RequestRefused:
    if kind is OperationType.SUBSCRIPTION:
        return RequestRefused(
            "Subscriptions are answered as events: send a POST with JSON, or a GET, that accepts {event_stream}; "
            "or use a WebSocket with the protocol graphql-transport-ws.",
            event_stream=EVENT_STREAM,
        )
    return RequestRefused(
        "A GET may only run queries; send mutations as POST.",
        HTTPStatus.METHOD_NOT_ALLOWED,
        headers={"Allow": "POST"},
    )


def _answer(payload: dict[str, Any], media_type: str) -> Response:
    if media_type == EVENT_STREAM:
        return finished_stream(payload)
    # Clients of plain JSON take any other status for a failure of the transport.
    is_bad = media_type == GRAPHQL_JSON and "data" not in payload
    status = HTTPStatus.BAD_REQUEST if is_bad else HTTPStatus.OK
    headers = {
        "content-type": f"{media_type}; charset=utf-8",
        "vary": "Accept, Accept-Language",
        "cache-control": "no-store",
    }
    return Response(encode_json(payload), status, headers)
