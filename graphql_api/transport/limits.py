"""How much a client may send, and how slowly: counted while it arrives, whatever the headers promise."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import Request

from graphql_api.services.errors import ErrorCode
from graphql_api.transport.problems import RequestRefused

JSON_LIMIT_BYTES = 1 << 20
# A client that sends nothing for this long is given up.
IDLE_SECONDS = 30.0


async def body_chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body in pieces, as the server receives it.

    Raises:
        RequestRefused: more than `limit` bytes, or no byte for half a minute.
        starlette.requests.ClientDisconnect: the client went away.
    """
    _check_announced(request, limit)
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise RequestRefused("The body did not arrive in time.", HTTPStatus.REQUEST_TIMEOUT) from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


async def read_body(request: Request, limit: int = JSON_LIMIT_BYTES) -> bytes:
    """The whole body.

    Raises:
        RequestRefused: as `body_chunks`.
        starlette.requests.ClientDisconnect: the client went away.
    """
    return b"".join([chunk async for chunk in body_chunks(request, limit)])


def _check_announced(request: Request, limit: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> RequestRefused:
    return RequestRefused(
        "The request is larger than {limit:,} bytes.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        code=ErrorCode.PAYLOAD_TOO_LARGE,
        limit=limit,
    )
