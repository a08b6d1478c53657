"""What a failing database means to a client: come back later, ask for less, or try again."""

import socket
from collections.abc import Iterator

import asyncpg
from sqlalchemy import exc

from graphql_api.services.errors import Conflict, ErrorCode, ServiceError


class OperationTimeout(ServiceError):  # noqa: N818 - named as its code
    """The answer took longer than this server allows."""

    code = ErrorCode.OPERATION_TIMEOUT


class ServiceUnavailable(ServiceError):  # noqa: N818 - named as its code
    """The database cannot be reached at the moment."""

    code = ErrorCode.SERVICE_UNAVAILABLE


TIMEOUTS = (TimeoutError, asyncpg.QueryCanceledError)
# Whoever loses one of these has left no trace and may run again at once.
LOST_RACES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
RACES = (*LOST_RACES, asyncpg.LockNotAvailableError)
OUTAGES = (
    exc.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    ConnectionError,
    socket.gaierror,
)


def as_service_error(error: BaseException) -> ServiceError | None:
    """The failure a client should see for `error`, or None when it is a fault of the program."""
    causes = list(_causes(error))
    if known := next((cause for cause in causes if isinstance(cause, ServiceError)), None):
        return known
    if any(isinstance(cause, OUTAGES) or _is_disconnect(cause) for cause in causes):
        return ServiceUnavailable("The database cannot be reached at the moment. Try again in a few seconds.")
    if any(isinstance(cause, RACES) for cause in causes):
        return Conflict("Somebody changed the same data at the same time; nothing was saved. Try again.")
    if any(isinstance(cause, TIMEOUTS) for cause in causes):
        return OperationTimeout("The answer took too long. Ask for less: a shorter period or a narrower filter.")
    return None


def is_lost_race(error: BaseException) -> bool:
    """Whether the database has undone a transaction because of another one: a deadlock or a serialization failure.

    A failure that a service has put into words of its own is that service's decision, and no lost race.
    """
    causes = list(_causes(error))
    return any(isinstance(cause, LOST_RACES) for cause in causes) and not any(
        isinstance(cause, ServiceError) for cause in causes
    )


def _is_disconnect(error: BaseException) -> bool:
    return isinstance(error, exc.DBAPIError) and error.connection_invalidated


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it; SQLAlchemy keeps the driver's own error in `orig` and `__cause__`."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or getattr(cause, "orig", None)
