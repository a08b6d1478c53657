"""Give enums of the lower layers a face: a description for the type and for each of its values."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

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
