"""Around every request: its id, the headers browsers are to respect, and an answer when something fails."""

import logging
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.database.user import Language
from graphql_api.schema.errors import INTERNAL, hidden_fault
from graphql_api.services.faults import as_service_error
from graphql_api.transport.problems import language_of, problem_response, service_error_response

logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


@dataclass(frozen=True)
class RequestBoundary:
    """ASGI middleware that names a request, sets what is missing of the security headers and hides faults."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        try:
            await self.app(scope, receive, answer.send)
        except Exception as error:
            if answer.has_begun:
                raise
            language = language_of(Headers(scope=scope))
            await _failure_response(error, request_id, language)(scope, receive, answer.send)


class _Answer:
    """The way out of one request."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = message.setdefault("headers", [])
            present = {name for name, _ in headers}
            headers.extend(header for header in SECURITY_HEADERS if header[0] not in present)
            headers.append((b"x-request-id", self._request_id.encode()))
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The id the client gave, when it is one that logs and headers can hold."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _failure_response(error: Exception, request_id: str, language: Language) -> ASGIApp:
    if service_error := as_service_error(error):
        logger.warning("request %s: %s", request_id, error)
        return service_error_response(service_error, language)
    logger.error("request %s failed", request_id, exc_info=error)
    return problem_response(
        hidden_fault(request_id), INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR, language, requestId=request_id
    )
