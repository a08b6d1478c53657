"""What can go wrong that a client can act on. Each has one code, listed in docs/errors.md."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The machine-readable reason of a failure."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    OPERATION_TIMEOUT = "OPERATION_TIMEOUT"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"


class ServiceError(Exception):
    """An expected failure: what happened, where in the input, and what to do.

    Args:
        message: one sentence for a person, naming the way out.
        path: names of the input fields that lead to the fault, outermost first.
    """

    code = ErrorCode.BAD_USER_INPUT

    def __init__(self, message: str, *, path: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class BadInput(ServiceError):  # noqa: N818 - reads as what it is; every error here is a ServiceError
    """The input cannot be used as it is."""


class NotFound(ServiceError):  # noqa: N818 - as above
    """Nothing visible to the caller has this id."""

    code = ErrorCode.NOT_FOUND


class Conflict(ServiceError):  # noqa: N818 - as above
    """The present state does not allow what was asked."""

    code = ErrorCode.CONFLICT


class TooLarge(ServiceError):  # noqa: N818 - as above
    """The upload is larger than this server takes."""

    code = ErrorCode.PAYLOAD_TOO_LARGE


class TooComplex(ServiceError):  # noqa: N818 - as above
    """The request asks for more than one answer may hold."""

    code = ErrorCode.QUERY_TOO_COMPLEX
