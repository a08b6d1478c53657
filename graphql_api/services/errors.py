"""What can go wrong that a client can act on. Each has one code, listed in docs/errors.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class ErrorCode(StrEnum):
    """The machine-readable reason of a failure."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    RATE_LIMITED = "RATE_LIMITED"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    OPERATION_TIMEOUT = "OPERATION_TIMEOUT"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"


class ServiceError(Exception):
    """An expected failure: what happened, where in the input, and what to do.

    The sentence is a literal with placeholders, so that it can be looked up in other languages.

    Args:
        template: one sentence for a person, naming the way out; `{name}` stands for a value when there are any.
        path: names of the input fields that lead to the fault, outermost first.
        values: what the placeholders stand for.
    """

    code = ErrorCode.BAD_USER_INPUT

    def __init__(self, template: str, *, path: tuple[str, ...] = (), **values: object) -> None:
        super().__init__(template)
        self.template = template
        self.values = values
        self.path = path

    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.phrase(self.template)

    def phrase(self, template: str) -> str:
        """The sentence as `template` has it, which may be a translation."""
        return template.format_map(self.values) if self.values else template

    def __str__(self) -> str:
        return self.message

    def below(self, *path: str) -> Self:
        """The same failure, seen from further up: `path` leads to where this error's path begins."""
        error = type(self)(self.template, path=(*path, *self.path), **self.values)
        error.__cause__ = self.__cause__
        return error


class BadInput(ServiceError):  # noqa: N818 - reads as what it is; every error here is a ServiceError
    """The input cannot be used as it is."""


class NotFound(ServiceError):  # noqa: N818 - as above
    """Nothing visible to the caller has this id."""

    code = ErrorCode.NOT_FOUND


class Conflict(ServiceError):  # noqa: N818 - as above
    """The present state does not allow what was asked."""

    code = ErrorCode.CONFLICT


@dataclass(frozen=True)
class MissingStock:
    """A product that a store has not enough of, in bottles."""

    store_id: int
    product_id: int
    requested: int
    available: int


class InsufficientStock(Conflict):
    """There is not enough stock; everything that is short is named.

    Args:
        shortages: what is short, by store and product.
    """

    def __init__(
        self, template: str, *, path: tuple[str, ...] = (), shortages: Sequence[MissingStock] = (), **values: object
    ) -> None:
        super().__init__(template, path=path, shortages=shortages, **values)
        self.shortages = tuple(shortages)


class Problems(ServiceError):  # noqa: N818 - as above
    """Several failures at once, each with its path; the code is that of the first.

    Args:
        problems: at least one.
    """

    def __init__(self, problems: Sequence[ServiceError]) -> None:
        first = problems[0]
        super().__init__(first.template, path=first.path, **first.values)
        self.code = first.code
        self.problems = tuple(problems)

    def below(self, *path: str) -> Self:
        """The same failures, seen from further up."""
        return type(self)([problem.below(*path) for problem in self.problems])


class TooLarge(ServiceError):  # noqa: N818 - as above
    """The upload is larger than this server takes."""

    code = ErrorCode.PAYLOAD_TOO_LARGE


class TooComplex(ServiceError):  # noqa: N818 - as above
    """The request asks for more than one answer may hold."""

    code = ErrorCode.QUERY_TOO_COMPLEX


class CursorIsExpired(ServiceError):  # noqa: N818 - as above
    """What follows a cursor of the event log is no longer kept."""

    code = ErrorCode.CURSOR_EXPIRED


class RateLimited(ServiceError):  # noqa: N818 - as above
    """Too many attempts in a short time.

    Args:
        retry_after: seconds after which the next attempt is taken.
    """

    code = ErrorCode.RATE_LIMITED

    def __init__(self, template: str, *, path: tuple[str, ...] = (), retry_after: int = 1, **values: object) -> None:
        super().__init__(template, path=path, retry_after=retry_after, **values)
        self.retry_after = retry_after
