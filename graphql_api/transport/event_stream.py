"""Server-sent events as they are written: the media type text/event-stream, with the events of graphql-sse."""

import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from starlette.responses import Response

from graphql_api.transport.json_text import encode_json
from graphql_api.transport.negotiation import EVENT_STREAM

COMMENT = ":\n"
# `data` without a value, because browsers pass over an event that has no data at all.
COMPLETE = b"event: complete\ndata:\n\n"
# When a client whose stream has broken is to come again: spread, so that a restart does not bring all at once.
RETRY_MILLISECONDS = (500, 2_500)
HEADERS = {
    "content-type": f"{EVENT_STREAM}; charset=utf-8",
    "cache-control": "no-store, no-transform",
    "vary": "Accept, Accept-Language",
    # has nginx pass on each event at once
    "x-accel-buffering": "no",
}
RAW_HEADERS = tuple((name.encode(), value.encode()) for name, value in HEADERS.items())


def encode_opening(cursor: str | None) -> bytes:
    """What comes first; it makes the client see the headers at once.

    Args:
        cursor: where the client begins, so that one whose connection breaks before the first event misses nothing.
    """
    retry = random.randint(*RETRY_MILLISECONDS)  # noqa: S311 - spreads reconnects
    return f"retry: {retry}\n{_id_line(cursor)}\n".encode()


def encode_heartbeat(cursor: str | None) -> bytes:
    """What keeps a connection alive on which nothing happens; clients are told nothing, but keep the id.

    Args:
        cursor: where the client is now, should that have changed: what was not for it need not be looked at again.
    """
    return f"{_id_line(cursor) or COMMENT}\n".encode()


@lru_cache(maxsize=8)
def encode_next(payload: str, cursor: str | None) -> bytes:
    """A result as an event; the latest are remembered, because the same goes to many.

    Args:
        payload: JSON on one line.
        cursor: becomes the id, which clients hand in to go on behind this event.
    """
    return f"event: next\n{_id_line(cursor)}data: {payload}\n\n".encode()


def encode_end(payload: Mapping[str, Any] | None) -> bytes:
    """A last result, if there is one, and the end."""
    last = b"" if payload is None else encode_next(encode_json(payload).decode(), None)
    return last + COMPLETE


def finished_stream(payload: Mapping[str, Any]) -> Response:
    """A stream of one result: of an operation that is no subscription, or does not begin."""
    return Response(encode_end(payload), headers=HEADERS)


def _id_line(cursor: str | None) -> str:
    return f"id: {cursor}\n" if cursor else ""
