"""Objects with an id of their own, and the ids themselves: base64 of type and key, such as `Store:12`."""

import base64
import binascii
import re
from collections.abc import Sequence

import strawberry

from graphql_api.services.errors import BadInput

ID_TEXT = re.compile(r"([A-Z][A-Za-z]*):(\d{1,18})", re.ASCII)
MAX_ID_LENGTH = 100
MAX_IDS = 100


@strawberry.interface(description="An object that can be read again by its id with `node`.")
class Node:
    """An object that can be read again by its id."""

    id: strawberry.ID = strawberry.field(
        description="Identifies this object among all objects of every type; opaque and stable."
    )


def global_id(type_name: str, key: int) -> strawberry.ID:
    """The id of the row with this key, as clients see it."""
    return strawberry.ID(base64.b64encode(f"{type_name}:{key}".encode()).decode())


def parse_global_id(value: str, argument: str = "id") -> tuple[str, int]:
    """Type name and key of an id, which was passed as `argument`.

    Raises:
        BadInput: when it is no id of this API.
    """
    try:
        text = base64.b64decode(value[:MAX_ID_LENGTH], validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    match = ID_TEXT.fullmatch(text)
    if match is None:
        raise BadInput(
            '"{given}" is not an id. Pass one exactly as an `id` field gave it.',
            path=(argument,),
            given=value[:MAX_ID_LENGTH],
        )
    return match[1], int(match[2])


def key_of(value: str, type_name: str, argument: str = "id") -> int:
    """The key in an id of this type, which was passed as `argument`.

    Raises:
        BadInput: when it is no id, or the id of something else.
    """
    found, key = parse_global_id(value, argument)
    if found != type_name:
        raise BadInput(
            "This id belongs to the type {found}; one of the type {needed} is needed.",
            path=(argument,),
            found=found,
            needed=type_name,
        )
    return key


def keys_of(values: Sequence[str], type_name: str, argument: str = "ids") -> list[int]:
    """The keys in ids of this type, which were passed as `argument`.

    Raises:
        BadInput: there are none or more than 100, or one is no such id; with its place among them.
    """
    if not values:
        raise BadInput("Name at least one id.", path=(argument,))
    if len(values) > MAX_IDS:
        raise BadInput(
            "At most {limit} ids fit; these are {given}.", path=(argument,), limit=MAX_IDS, given=len(values)
        )
    keys = []
    for position, value in enumerate(values):
        try:
            keys.append(key_of(value, type_name, str(position)))
        except BadInput as error:
            raise error.below(argument) from None
    return keys
