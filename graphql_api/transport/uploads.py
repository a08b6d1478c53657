"""Files in GraphQL requests, as the GraphQL multipart request specification sends them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import Request

from graphql_api.schema.upload import UploadedFile
from graphql_api.services.errors import ErrorCode
from graphql_api.transport.graphql_request import GraphQLRequest, request_from_object
from graphql_api.transport.json_text import BadJson, decode_json
from graphql_api.transport.limits import JSON_LIMIT_BYTES, body_chunks
from graphql_api.transport.multipart import MAX_FILES, MultipartForm
from graphql_api.transport.problems import RequestRefused

PREFLIGHT_HEADER = "graphql-require-preflight"
# What a request may hold besides its files: the two texts, and the headers of the parts.
OVERHEAD_BYTES = 3 * JSON_LIMIT_BYTES


@dataclass
class Operations:
    """The texts of an upload: the request with gaps, and which file belongs into which gap."""

    body: Any = None
    places: dict[str, list[str]] = field(default_factory=dict)

    def read(self, texts: dict[str, bytearray]) -> None:
        """Understand `operations` and `map`.

        Raises:
            RequestRefused: they are not what the specification asks for.
        """
        self.body = _decoded(texts, "operations")
        request_from_object(self.body)
        self.places = _checked_map(_decoded(texts, "map"))
        for paths in self.places.values():
            for path in paths:
                container, key = _find(self.body, path)
                if container[key] is not None:
                    raise RequestRefused("`operations` must hold null at `{place}`, where a file belongs.", place=path)

    def request(self, files: dict[str, UploadedFile]) -> GraphQLRequest:
        """The request with its files in place.

        Raises:
            RequestRefused: a file is missing, or one belongs nowhere.
        """
        if missing := self.places.keys() - files.keys():
            raise RequestRefused("`map` names files that were not sent: {names}.", names=", ".join(sorted(missing)))
        if strays := files.keys() - self.places.keys():
            raise RequestRefused(
                "`map` does not say where these files belong: {names}.", names=", ".join(sorted(strays))
            )
        for name, paths in self.places.items():
            for path in paths:
                container, key = _find(self.body, path)
                container[key] = files[name]
        return request_from_object(self.body)


@asynccontextmanager
async def received_upload(request: Request, limit: int, folder: Path | None) -> AsyncIterator[GraphQLRequest]:
    """The operation of a multipart request whose files have arrived; they are gone after the block.

    Args:
        request: with the content type multipart/form-data.
        limit: bytes of all files together.
        folder: where large files are spooled; None is the system's folder for temporary files.

    Raises:
        RequestRefused: it breaks a rule of the specification or a limit.
        starlette.requests.ClientDisconnect: the client went away.
    """
    if not request.headers.get(PREFLIGHT_HEADER):
        raise RequestRefused(
            "Send the header `GraphQL-Require-Preflight: 1` along with multipart/form-data; "
            "it keeps other web sites from posting in your name.",
            HTTPStatus.FORBIDDEN,
            code=ErrorCode.FORBIDDEN,
        )
    operations = Operations()
    form = MultipartForm(request.headers["content-type"], folder, lambda: operations.read(form.texts))
    try:
        await form.read(body_chunks(request, limit + OVERHEAD_BYTES))
        yield operations.request(form.files)
    finally:
        # Giving back gigabytes takes a while, and must happen even when the request is cancelled.
        await asyncio.shield(asyncio.to_thread(form.close))


def _decoded(texts: dict[str, bytearray], name: str) -> Any:
    try:
        return decode_json(texts[name])
    except BadJson as error:
        raise RequestRefused("The part `{name}` is not JSON. {reason}", name=name, reason=error.reason) from None


def _checked_map(places: Any) -> dict[str, list[str]]:
    if not isinstance(places, dict) or not all(_is_texts(paths) for paths in places.values()):
        raise RequestRefused('The part `map` must be a JSON object such as {"0": ["variables.input.file"]}.')
    paths = [path for of_file in places.values() for path in of_file]
    if len(paths) > MAX_FILES:
        raise RequestRefused("A request brings at most {limit} files.", limit=MAX_FILES)
    if len(set(paths)) < len(paths):
        raise RequestRefused("The part `map` names a place twice.")
    return places


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _find(body: dict[str, Any], path: str) -> tuple[Any, Any]:
    """The object or list that holds the place, and the place in it."""
    first, *steps = path.split(".")
    container, key = body, first
    place: tuple[Any, Any] | None = (container, key) if first == "variables" and steps else None
    for step in steps:
        place = place and _step(place[0][place[1]], step)
    if place is None:
        raise RequestRefused("There is no place `{place}` in `operations`; it starts at `variables.`", place=path)
    return place


def _step(container: Any, key: str) -> tuple[Any, Any] | None:
    if isinstance(container, dict) and key in container:
        return container, key
    if isinstance(container, list) and key.isdecimal() and len(key) < len(str(MAX_FILES)) + 2:
        return (container, int(key)) if int(key) < len(container) else None
    return None
