"""What a repeated mutation is told by, and how its answer is kept."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any

from strawberry import Schema
from strawberry.types.base import StrawberryObjectDefinition

from graphql_api.schema.upload import UploadedFile
from graphql_api.services.idempotency_codec import AnswerCodec


@lru_cache(maxsize=8)
def answer_codec(schema: Schema) -> AnswerCodec:
    """Writes and reads the payloads of a schema."""
    definitions = [concrete.definition for concrete in schema.schema_converter.type_map.values()]
    objects = [found for found in definitions if isinstance(found, StrawberryObjectDefinition)]
    return AnswerCodec([found.origin for found in objects if not found.is_input])


async def input_digest(arguments: Mapping[str, Any]) -> bytes:
    """SHA-256 of the arguments of a mutation; of a file its content counts, not its name."""
    files = {file: await asyncio.to_thread(_file_digest, file) for file in _files(arguments)}

    def plain(value: Any) -> Any:
        match value:
            case UploadedFile():
                return {"sha256": files[value]}
            case Enum():
                return value.name
            case Mapping():
                return dict(value)
            case Decimal():
                return str(value)
        return value.isoformat()  # dates and instants; nothing else is an input

    content = json.dumps(arguments, default=plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).digest()


def _files(value: Any) -> list[UploadedFile]:
    """The files in an input, at any depth."""
    if isinstance(value, UploadedFile):
        return [value]
    if isinstance(value, Mapping):
        return [file for item in value.values() for file in _files(item)]
    if isinstance(value, list):
        return [file for item in value for file in _files(item)]
    return []


def _file_digest(file: UploadedFile) -> str:
    file.content.seek(0)
    return hashlib.file_digest(file.content, "sha256").hexdigest()  # type: ignore[arg-type]  # any file of bytes will do
