"""Errors as clients see them: expected ones with a code, everything else hidden behind a request id."""

import logging
from functools import singledispatch

import strawberry
from graphql import GraphQLError

from graphql_api.database.user import Language
from graphql_api.schema.enums import ErrorCode
from graphql_api.services.errors import Problems, RateLimited, ServiceError
from graphql_api.services.faults import as_service_error
from graphql_api.services.translation import Sentence, translate

logger = logging.getLogger(__name__)

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
INTERNAL = "INTERNAL_SERVER_ERROR"
# Failures that a mutation reports as data; the others concern the request as a whole.
EXPECTED = frozenset(
    {
        ErrorCode.BAD_USER_INPUT,
        ErrorCode.UNAUTHENTICATED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_FOUND,
        ErrorCode.CONFLICT,
        ErrorCode.IDEMPOTENCY_KEY_REUSED,
        ErrorCode.PAYLOAD_TOO_LARGE,
    }
)


@strawberry.interface(description="Why a mutation could not do what was asked. Nothing was changed.")
class UserError:
    """Why a mutation could not do what was asked."""

    code: ErrorCode = strawberry.field(description="The machine-readable reason.")
    message: str = strawberry.field(description="One sentence for a person that says what to do.")
    path: list[str] = strawberry.field(
        description='Names of the input fields that lead to the fault, such as ["input", "file"]; may be empty.'
    )


@strawberry.type(description="A failure that needs no further data than its code, message and path.")
class InputError(UserError):
    """A failure that needs no further data."""


def user_errors(error: ServiceError, language: Language = Language.EN) -> list[UserError]:
    """`error` as the `userErrors` of a payload.

    Raises:
        ServiceError: `error` itself, when it concerns the whole request (limits, outages).
    """
    if isinstance(error, Problems):
        return [found for problem in error.problems for found in user_errors(problem, language)]
    if error.code not in EXPECTED:
        raise error
    return [as_user_error(error, language)]


@singledispatch
def as_user_error(error: ServiceError, language: Language) -> UserError:
    """One failure as clients see it; `user_errors` registers those that have more to say."""
    return InputError(code=error.code, message=translate(error, language), path=["input", *error.path])


def parse_error(error: GraphQLError) -> GraphQLError:
    """A syntax error with its code."""
    return _with_code(error, PARSE_FAILED)


def validation_error(error: GraphQLError) -> GraphQLError:
    """A finding about a document, with its code: a scalar's refusal is bad input, the rest a wrong document."""
    refused = error.original_error is not None
    return _with_code(error, ErrorCode.BAD_USER_INPUT.value if refused else VALIDATION_FAILED)


def present_error(error: GraphQLError, request_id: str, language: Language = Language.EN) -> GraphQLError:
    """`error` as the client may see it; what nobody expected is logged and hidden."""
    cause = error.original_error
    if service_error := as_service_error(cause or error):
        return _from_service(error, service_error, language)
    if "code" in (error.extensions or {}):
        return error
    if error.path is None and (cause is None or isinstance(cause, GraphQLError)):
        return _with_code(error, ErrorCode.BAD_USER_INPUT.value)
    return _hidden(error, request_id, language)


def _from_service(error: GraphQLError, cause: ServiceError, language: Language) -> GraphQLError:
    extensions: dict[str, object] = {"code": cause.code.value}
    if cause.path:
        extensions["argumentPath"] = list(cause.path)
    if isinstance(cause, RateLimited):
        extensions["retryAfter"] = cause.retry_after
    if cause.code in (ErrorCode.OPERATION_TIMEOUT, ErrorCode.SERVICE_UNAVAILABLE):
        logger.warning("%s: %r", cause.code.value, error.original_error)
    return GraphQLError(translate(cause, language), nodes=error.nodes, path=error.path, extensions=extensions)


def _with_code(error: GraphQLError, code: str) -> GraphQLError:
    return GraphQLError(
        error.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code},
    )


def hidden_fault(request_id: str) -> Sentence:
    """What is said about a fault that is our own."""
    return Sentence(
        "Something went wrong on our side. If it happens again, report request {request_id}.", request_id=request_id
    )


def _hidden(error: GraphQLError, request_id: str, language: Language) -> GraphQLError:
    cause = error.original_error or error
    place = ".".join(str(step) for step in error.path or ())
    logger.error("request %s failed at %s", request_id, place or "start", exc_info=cause)
    message = translate(hidden_fault(request_id), language)
    extensions = {"code": INTERNAL, "requestId": request_id}
    return GraphQLError(message, nodes=error.nodes, path=error.path, extensions=extensions)
