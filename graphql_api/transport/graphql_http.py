"""`/graphql` over HTTP: a request in, one operation run, its result out. No request can make it fail with a 500."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graphql_api.schema.context import Services
from graphql_api.schema.errors import VALIDATION_FAILED
from graphql_api.schema.root import ApiSchema
from graphql_api.services.policy import Action, Forbidden, Unauthenticated, Viewer, require
from graphql_api.services.translation import Sentence, translate
from graphql_api.transport.graphiql_page import graphiql_response, prefers_html
from graphql_api.transport.graphql_request import (
    IDEMPOTENCY_HEADER,
    GraphQLRequest,
    request_from_address,
    request_from_json,
)
from graphql_api.transport.json_text import encode_json
from graphql_api.transport.limits import read_body
from graphql_api.transport.negotiation import GRAPHQL_JSON, answer_type, content_type
from graphql_api.transport.origin import create_context
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
        upload_limit: bytes that the files of one request may have.
        upload_folder: where large files are spooled; None is the system's folder for temporary files.
    """

    schema: ApiSchema
    services: Services
    upload_limit: int
    upload_folder: Path | None = None

    async def handle(self, request: Request) -> Response:
        """Answer one request; browsers that ask for a page get GraphiQL."""
        if request.method != "POST" and prefers_html(request):
            return await graphiql_response(request)
        try:
            async with self._received(request) as (graphql_request, sender):
                return await self._run(request, graphql_request, sender)
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

    async def _run(self, request: Request, graphql_request: GraphQLRequest, sender: Viewer | None) -> Response:
        media_type = answer_type(request.headers.get("accept", ""))
        idempotency_key = graphql_request.idempotency_key(request.headers.getlist(IDEMPOTENCY_HEADER))
        if graphql_request.operation_name is None and self._is_ambiguous(graphql_request.query):
            return _answer({"errors": [_unknown_operation(request, graphql_request)]}, media_type)
        context = await create_context(request, self.services, sender)
        context.idempotency_key = idempotency_key
        try:
            result = await self.schema.execute(
                graphql_request.query,
                graphql_request.variables,
                context,
                operation_name=graphql_request.operation_name,
                allowed_operation_types=READS_AND_WRITES if request.method == "POST" else READS,
                operation_extensions=graphql_request.extensions,
            )
        except CannotGetOperationTypeError:
            return _answer({"errors": [_unknown_operation(request, graphql_request)]}, media_type)
        except InvalidOperationTypeError as error:
            raise _not_allowed(error.operation_type) from None
        return _answer(_payload(result), media_type)

    def _is_ambiguous(self, query: str) -> bool:
        """Whether a name must say which operation is meant; Strawberry would run the first."""
        document = self.schema.prepare(query).document
        definitions = document.definitions if document else ()
        return sum(isinstance(node, OperationDefinitionNode) for node in definitions) > 1


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
        return RequestRefused("Subscriptions need a WebSocket with the protocol graphql-transport-ws.")
    return RequestRefused(
        "A GET may only run queries; send mutations as POST.",
        HTTPStatus.METHOD_NOT_ALLOWED,
        headers={"Allow": "POST"},
    )


def _unknown_operation(request: Request, graphql_request: GraphQLRequest) -> dict[str, Any]:
    wanted = graphql_request.operation_name
    message = (
        Sentence('The document has no operation "{name}".', name=wanted)
        if wanted
        else Sentence("Name one of the document's operations in `operationName`; fragments alone do nothing.")
    )
    return {"message": translate(message, language_of(request.headers)), "extensions": {"code": VALIDATION_FAILED}}


def _payload(result: ExecutionResult) -> dict[str, Any]:
    """The result on the wire; without `data` when the operation did not begin."""
    payload: dict[str, Any] = {}
    if result.errors:
        payload["errors"] = [error.formatted for error in result.errors]
    if not _is_unstarted(result.data, result.errors):
        payload["data"] = result.data
    if result.extensions:
        payload["extensions"] = result.extensions
    return payload


def _is_unstarted(data: Any, errors: list[GraphQLError] | None) -> bool:
    return data is None and bool(errors) and all(error.path is None for error in errors or ())


def _answer(payload: dict[str, Any], media_type: str) -> Response:
    # Clients of plain JSON take any other status for a failure of the transport.
    is_bad = media_type == GRAPHQL_JSON and "data" not in payload
    status = HTTPStatus.BAD_REQUEST if is_bad else HTTPStatus.OK
    headers = {
        "content-type": f"{media_type}; charset=utf-8",
        "vary": "Accept, Accept-Language",
        "cache-control": "no-store",
    }
    return Response(encode_json(payload), status, headers)
