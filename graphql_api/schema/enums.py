"""Give enums of the lower layers a face: a description for the type and for each of its values."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from graphql_api.database.notification import Severity
from graphql_api.database.user import Language, Role
from graphql_api.services.errors import ErrorCode

# Whoever shows an error code takes it from here, where it has got its descriptions.
__all__ = ["Direction", "ErrorCode", "describe"]

Kind = TypeVar("Kind", bound=type[Enum])


def describe(kind: Kind, description: str, values: Mapping[str, str]) -> Kind:
    """Publish `kind` under its own name; `values` maps every member's name to its description.

    Raises:
        KeyError: when a member has no description, so that none is forgotten.
    """
    published = strawberry.enum(kind, description=description)
    definition: StrawberryEnumDefinition = published.__strawberry_definition__  # type: ignore[attr-defined]  # set by Strawberry
    for value in definition.values:
        value.description = values[value.name]
    return published


# Here rather than with the accounts, because many modules speak of them.
describe(
    Role,
    "What somebody is to the company; rights hang on it.",
    {
        "ADMIN": "May do everything, also with accounts and settings.",
        "STAFF": "Runs purchases, stock, customers and imports, and reads everything but accounts and the audit log.",
        "SALESPERSON": "Writes invoices and looks after customers; reads products, stock and sales.",
        "CUSTOMER": "Reads the catalogue and the own invoices; sees no costs or profit.",
    },
)
describe(
    Language,
    "A language that people are written to in.",
    {"EN": "English.", "AR": "Arabic."},
)

describe(
    Severity,
    "How urgent a notification is.",
    {
        "INFO": "Good to know.",
        "WARNING": "Somebody should look at it soon, as at low stock.",
        "ERROR": "Something is wrong and has to be put right.",
    },
)


@strawberry.enum(description="Which end of an order comes first. Unknown values come last either way.")
class Direction(Enum):
    """Which end of an order comes first."""

    ASC = strawberry.enum_value("ASC", description="Smallest, earliest or A first.")
    DESC = strawberry.enum_value("DESC", description="Largest, latest or Z first.")


describe(
    ErrorCode,
    "The machine-readable reason of a failure.",
    {
        "BAD_USER_INPUT": "A value of the input cannot be used; the message says which and why.",
        "UNAUTHENTICATED": "You are not signed in, or your session has ended.",
        "FORBIDDEN": "You are signed in, but may not do this.",
        "NOT_FOUND": "What you named does not exist or is not visible to you.",
        "CONFLICT": "The present state does not allow it: read again, then decide.",
        "IDEMPOTENCY_KEY_REUSED": "The idempotency key was used before, for something else; take a new one.",
        "PAYLOAD_TOO_LARGE": "The upload is larger than this server takes.",
        "QUERY_TOO_COMPLEX": "The request asks for more than one answer may hold.",
        "RATE_LIMITED": "Too many attempts in a short time; wait for `retryAfter` seconds.",
        "CURSOR_EXPIRED": "What follows the cursor is no longer kept; begin anew from the present state.",
        "OPERATION_TIMEOUT": "The answer took too long; ask for less.",
        "SERVICE_UNAVAILABLE": "A part of the server cannot be reached; try again in a few seconds.",
    },
)
