"""The messages of the protocol graphql-transport-ws: what clients may say, and how the server answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from graphql_api.transport.json_text import BadJson, decode_json, encode_json

PROTOCOL = "graphql-transport-ws"
MAX_MESSAGE_BYTES = 256 * 1024
# Clients make ids of some 40 characters.
MAX_ID_CHARACTERS = 128
# What a close frame can hold.
MAX_REASON_BYTES = 123
OF_AN_OPERATION = frozenset({"subscribe", "complete"})
WITH_PAYLOAD = frozenset({"connection_init", "ping", "pong"})
KINDS = {dict: "an object", list: "an array", str: "a text", bool: "a truth value", type(None): "null"}


class CloseCode(IntEnum):
    """Why the server ends a WebSocket."""

    TOO_SLOW = 1008
    TOO_LARGE = 1009
    TRY_AGAIN_LATER = 1013
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    WRONG_PROTOCOL = 4406
    INIT_TIMEOUT = 4408
    DUPLICATE_ID = 4409
    TOO_MANY_INITS = 4429
    FAULT = 4500


class SocketRefused(Exception):  # noqa: N818 - reads as what it is
    """The whole connection must end.

    Args:
        code: tells the client's program why.
        reason: tells its programmer, in English.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """What a client says; `id` is empty where nothing is said about an operation."""

    type: str
    id: str = ""
    payload: dict[str, Any] | None = None


def read_message(text: str | None) -> ClientMessage:
    """The message in a text frame; None stands for a frame of bytes.

    Raises:
        SocketRefused: it is none of the protocol's, or too large.
    """
    if text is None:
        raise _bad("Send messages as text frames.")
    content = text.encode()
    if len(content) > MAX_MESSAGE_BYTES:
        raise SocketRefused(CloseCode.TOO_LARGE, f"A message has at most {MAX_MESSAGE_BYTES:,} bytes.")
    try:
        message = decode_json(content)
    except BadJson as error:
        raise _bad(f"The message is not JSON. {error.reason}") from None
    if not isinstance(message, dict):
        raise _bad(f"A message is a JSON object, not {KINDS.get(type(message), 'a number')}.")
    return _read(message)


def _read(message: Mapping[str, Any]) -> ClientMessage:
    kind, payload = message.get("type"), message.get("payload")
    if isinstance(kind, str) and kind in OF_AN_OPERATION:
        return ClientMessage(kind, _id(message), _object(payload) if kind == "subscribe" else None)
    if isinstance(kind, str) and kind in WITH_PAYLOAD:
        return ClientMessage(kind, payload=None if payload is None else _object(payload))
    raise _bad("`type` must be one of connection_init, subscribe, complete, ping, pong.")


def _id(message: Mapping[str, Any]) -> str:
    given = message.get("id")
    if not isinstance(given, str) or not 0 < len(given) <= MAX_ID_CHARACTERS:
        raise _bad(f"`id` must be a text of 1 to {MAX_ID_CHARACTERS} characters.")
    return given


def _object(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise _bad("`payload` must be a JSON object.")
    return payload


def _bad(reason: str) -> SocketRefused:
    return SocketRefused(CloseCode.BAD_MESSAGE, reason)


def encode_message(kind: str, payload: Any = None, *, id_: str | None = None) -> str:
    """A message of the server's; without the members that are None."""
    message: dict[str, Any] = {} if id_ is None else {"id": id_}
    message["type"] = kind
    if payload is not None:
        message["payload"] = payload
    return encode_json(message).decode()


def encode_error(id_: str, errors: Sequence[Mapping[str, Any]]) -> str:
    """The end of an operation that could not go on."""
    return encode_message("error", list(errors), id_=id_)


def next_prefix(id_: str) -> str:
    """What stands before each result of an operation; the result and `}` complete the message."""
    return f'{{"id":{encode_json(id_).decode()},"type":"next","payload":'


def close_reason(text: str) -> str:
    """As much of a reason as a close frame can hold."""
    return text.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
