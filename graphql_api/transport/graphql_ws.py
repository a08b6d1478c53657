"""`/graphql` as a WebSocket: who gets in, by which protocol."""

import re
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from graphql_api.transport.graphql_ws_connection import Connection, House
from graphql_api.transport.graphql_ws_messages import PROTOCOL, CloseCode, SocketRefused, close_reason
from graphql_api.transport.origin import origin_of
from graphql_api.transport.socket_metrics import TALLY

# What a token in an address is called, or looks like.
TOKEN_NAMES = frozenset({"token", "accesstoken", "access_token", "authorization", "auth", "bearer", "jwt"})
TOKEN = re.compile(r"(Bearer\s+)?[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}", re.ASCII | re.IGNORECASE)
PROTOCOL_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class GraphQLSocketEndpoint:
    """Takes in WebSockets.

    Args:
        house: what all WebSockets share.
    """

    house: House

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket."""
        if (await receive())["type"] != "websocket.connect":
            return
        offered = list(scope.get("subprotocols", ()))
        problem = _refusal(scope, offered)
        # in place, so that the server's log of connections does not keep it
        scope["query_string"] = b""
        await send({"type": "websocket.accept", "subprotocol": _answered(offered), "headers": []})
        if problem is not None:
            TALLY.closes[problem.code.value] += 1
            await send({"type": "websocket.close", "code": problem.code.value, "reason": close_reason(problem.reason)})
            return
        scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        await Connection(self.house, origin_of(HTTPConnection(scope)), scope, receive, send).serve()


def _refusal(scope: Scope, offered: list[str]) -> SocketRefused | None:
    if _has_token(scope.get("query_string", b"").decode("latin-1")):
        return SocketRefused(
            CloseCode.FORBIDDEN, "Send the access token in connection_init, never in the address: addresses are logged."
        )
    if PROTOCOL not in offered:
        return SocketRefused(CloseCode.WRONG_PROTOCOL, f"Subprotocol not acceptable: this server speaks {PROTOCOL}.")
    return None


def _has_token(query: str) -> bool:
    return any(name.lower() in TOKEN_NAMES or TOKEN.fullmatch(value.strip()) for name, value in parse_qsl(query))


def _answered(offered: list[str]) -> str | None:
    """The protocol to accept with. Clients that offer none of ours get theirs, else they would not see why it ends."""
    if PROTOCOL in offered:
        return PROTOCOL
    return next((name for name in offered if PROTOCOL_NAME.fullmatch(name)), None)
