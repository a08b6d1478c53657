"""Give enums of the lower layers a face: a description for the type and for each of its values."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from graphql_api.database.invoice import InvoiceStatus
from graphql_api.services.errors import ErrorCode

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
        "PAYLOAD_TOO_LARGE": "The upload is larger than this server takes.",
        "QUERY_TOO_COMPLEX": "The request asks for more than one answer may hold.",
        "OPERATION_TIMEOUT": "The answer took too long; ask for less.",
        "SERVICE_UNAVAILABLE": "A part of the server cannot be reached; try again in a few seconds.",
    },
)
describe(
    InvoiceStatus,
    "How far an invoice has come.",
    {
        "DRAFT": "Being written; counts in no report.",
        "ISSUED": "Sent to the customer, not yet paid.",
        "PAID": "Paid in full. Imported sales are paid.",
        "VOID": "Taken back; counts in no report.",
    },
)
