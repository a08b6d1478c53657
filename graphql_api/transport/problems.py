"""What is answered when a request is refused: always JSON in the shape of a GraphQL error, with a code."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from graphql_api.database.user import Language
from graphql_api.services.errors import ErrorCode, RateLimited, ServiceError
from graphql_api.services.translation import Message, Sentence, preferred_language, translate
from graphql_api.transport.json_text import encode_json

JSON = "application/json"
SERVICE_STATUSES = {
    ErrorCode.BAD_USER_INPUT: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: HTTPStatus.CONFLICT,
    ErrorCode.PAYLOAD_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.QUERY_TOO_COMPLEX: HTTPStatus.BAD_REQUEST,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.CURSOR_EXPIRED: HTTPStatus.GONE,
    ErrorCode.OPERATION_TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorCode.SERVICE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class RequestRefused(Exception):  # noqa: N818 - reads as what it is
    """A request that cannot be served as it was sent.

    Args:
        template: one sentence that says what to send instead, a literal; `{name}` stands for a value.
        status: the HTTP status to answer with.
        code: the machine-readable reason.
        headers: further headers of the answer.
        values: what the placeholders stand for.
    """

    def __init__(
        self,
        template: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        *,
        code: ErrorCode = ErrorCode.BAD_USER_INPUT,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> None:
        super().__init__(template)
        self.template = template
        self.values = values
        self.status = status
        self.code = code
        self.headers = headers


def problem_response(
    message: Message,
    code: str,
    status: int,
    language: Language,
    *,
    headers: Mapping[str, str] | None = None,
    **extensions: object,
) -> Response:
    """One error as JSON. What went wrong before an operation was known is `application/json` to every client."""
    error = {"message": translate(message, language), "extensions": {"code": code, **extensions}}
    told = {"content-language": language.value, "vary": "Accept-Language", **(headers or {})}
    return Response(encode_json({"errors": [error]}), status, told, media_type=JSON)


def refusal_response(refused: RequestRefused, language: Language) -> Response:
    """The answer to a refused request."""
    return problem_response(refused, refused.code.value, refused.status, language, headers=refused.headers)


def service_error_response(error: ServiceError, language: Language) -> Response:
    """The answer to an expected failure outside of GraphQL, such as a download of something that is not there."""
    headers = {}
    if isinstance(error, RateLimited):
        headers["retry-after"] = str(error.retry_after)
    if error.code is ErrorCode.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    return problem_response(error, error.code.value, SERVICE_STATUSES[error.code], language, headers=headers)


async def http_problem(request: Request, error: Exception) -> Response:
    """What the router refuses: unknown addresses and methods."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    code = ErrorCode.NOT_FOUND if status is HTTPStatus.NOT_FOUND else ErrorCode.BAD_USER_INPUT
    message = _router_message(status, request.method, error.detail)
    return problem_response(message, code.value, status, language_of(request.headers), headers=error.headers)


def _router_message(status: HTTPStatus, method: str, reason: str) -> Sentence:
    if status is HTTPStatus.NOT_FOUND:
        return Sentence("There is nothing at this address.")
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        return Sentence("This address does not take {method}; see the header Allow.", method=method)
    return Sentence("The request cannot be served: {reason}.", reason=reason)


def language_of(headers: Headers) -> Language:
    """The language to answer the sender of these headers in."""
    return preferred_language(headers.get("accept-language", ""))
