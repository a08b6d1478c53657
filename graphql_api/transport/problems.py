"""What is answered when a request is refused: always JSON in the shape of a GraphQL error, with a code."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

from graphql_api.services.errors import ErrorCode, ServiceError
from graphql_api.transport.json_text import encode_json

JSON = "application/json"
SERVICE_STATUSES = {
    ErrorCode.BAD_USER_INPUT: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.PAYLOAD_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.QUERY_TOO_COMPLEX: HTTPStatus.BAD_REQUEST,
    ErrorCode.OPERATION_TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorCode.SERVICE_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class RequestRefused(Exception):  # noqa: N818 - reads as what it is
    """A request that cannot be served as it was sent.

    Args:
        message: one sentence that says what to send instead.
        status: the HTTP status to answer with.
        code: the machine-readable reason.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        message: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        *,
        code: ErrorCode = ErrorCode.BAD_USER_INPUT,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.headers = headers


def problem_response(
    message: str, code: str, status: int, *, headers: Mapping[str, str] | None = None, **extensions: object
) -> Response:
    """One error as JSON. What went wrong before an operation was known is `application/json` to every client."""
    body = {"errors": [{"message": message, "extensions": {"code": code, **extensions}}]}
    return Response(encode_json(body), status, headers, media_type=JSON)


def refusal_response(refused: RequestRefused) -> Response:
    """The answer to a refused request."""
    return problem_response(refused.message, refused.code.value, refused.status, headers=refused.headers)


def service_error_response(error: ServiceError) -> Response:
    """The answer to an expected failure outside of GraphQL, such as a download of something that is not there."""
    return problem_response(error.message, error.code.value, SERVICE_STATUSES[error.code])
