"""A file that comes along with a mutation, sent as the GraphQL multipart request specification says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Any, NewType

import strawberry
from graphql import GraphQLError, ValueNode
from strawberry.types.scalar import ScalarDefinition

CHUNK_BYTES = 1 << 20
MULTIPART_SPECIFICATION = "https://github.com/jaydenseric/graphql-multipart-request-spec"


@dataclass(frozen=True, eq=False)
class UploadedFile:
    """A file that has arrived completely; its content is gone when the request ends.

    Args:
        filename: the name the client gave it; it may be empty or hold a path.
        content: the bytes, to be read in a thread.
    """

    filename: str
    content: IO[bytes]

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content from its start, at most 1 MiB at a time."""
        await asyncio.to_thread(self.content.seek, 0)
        while chunk := await asyncio.to_thread(self.content.read, CHUNK_BYTES):
            yield chunk


# Strawberry needs a name of its own for the scalar; resolvers get an `UploadedFile`.
Upload = NewType("Upload", UploadedFile)


def parse_upload(value: Any) -> Upload:
    """The file that the transport put in the place of a variable."""
    if not isinstance(value, UploadedFile):
        raise GraphQLError(
            "Send a file here: null as the variable, and the file as a part of a multipart/form-data request; "
            f"see {MULTIPART_SPECIFICATION}."
        )
    return Upload(value)


def _refuse_literal(_node: ValueNode, _variables: dict[str, Any] | None = None) -> Upload:
    raise GraphQLError("A file cannot be written into the document; pass it as a variable.")


def _refuse_output(_value: Any) -> Any:
    raise GraphQLError("Files are never part of an answer.")


UPLOAD_SCALAR: ScalarDefinition = strawberry.scalar(
    name="Upload",
    description=(
        "A file. Send the request as multipart/form-data with the header `GraphQL-Require-Preflight: 1` and "
        "three parts in this order: `operations` (the JSON body with null in the place of the file), `map` "
        '(such as {"0": ["variables.input.file"]}) and the file itself, named `0`.'
    ),
    specified_by_url=MULTIPART_SPECIFICATION,
    serialize=_refuse_output,
    parse_value=parse_upload,
    parse_literal=_refuse_literal,
)
