"""One WebSocket from `connection_init` to its end: what the client says, in order, and what becomes of it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.types import Receive, Scope, Send

from graphql_api.database.user import Language
from graphql_api.events.cursor import encode_cursor
from graphql_api.schema.context import Origin
from graphql_api.services.authentication import SignIn
from graphql_api.services.errors import ServiceError
from graphql_api.services.faults import as_service_error
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.translation import translate
from graphql_api.transport.graphql_request import request_from_object
from graphql_api.transport.graphql_ws_channel import Channel
from graphql_api.transport.graphql_ws_limits import SocketLimits
from graphql_api.transport.graphql_ws_messages import (
    ClientMessage,
    CloseCode,
    SocketRefused,
    encode_message,
    read_message,
)
from graphql_api.transport.graphql_ws_operation import Engine
from graphql_api.transport.graphql_ws_operations import Operations
from graphql_api.transport.graphql_ws_sign_in import Expiry, instant, token_of
from graphql_api.transport.http_connection import abort
from graphql_api.transport.presence import Presence, TooManyConnections
from graphql_api.transport.problems import RequestRefused
from graphql_api.transport.socket_metrics import TALLY

logger = logging.getLogger(__name__)

# Messages of one client that are dealt with before others get their turn.
MESSAGES = 10
# The time in which a client says who it is runs in so many parts: one that a busy process lets pass costs it no others.
INIT_CLOCKS = 5


@dataclass(frozen=True)
class House:
    """What all WebSockets of a process share.

    Args:
        engine: runs operations.
        presence: knows who is connected.
        limits: what one WebSocket may do.
    """

    engine: Engine
    presence: Presence
    limits: SocketLimits


class Connection:
    """One WebSocket.

    Args:
        house: what all share.
        origin: where it comes from.
        scope: of the server.
        receive: of the server.
        send: of the server.
    """

    def __init__(self, house: House, origin: Origin, scope: Scope, receive: Receive, send: Send) -> None:
        self._house = house
        self._origin = origin
        self._scope = scope
        self._receive = receive
        limits = house.limits
        self._operations = Operations(house.engine, self, origin, limits)
        self._channel = Channel(
            send, on_free=self._operations.wake, on_dead=self._give_up, deadline=limits.send_seconds
        )
        self._expiry = Expiry(notify=self._tell_expiry, end=self._expire)
        self._viewer: Viewer | None = None
        self._is_begun = False
        self._is_welcome = False
        self._is_held = False
        self._is_given_up = False
        self._task: asyncio.Task[Any] | None = None

    async def serve(self) -> None:
        """Do what the client says until one of both ends it. Changes of data are carried out to their end."""
        self._task = asyncio.current_task()
        self._expect_init(INIT_CLOCKS)
        TALLY.opened += 1
        try:
            await self._listen()
        except asyncio.CancelledError:
            if not self._is_given_up:
                raise
        finally:
            self._init_clock.cancel()
            self._end()
            TALLY.opened -= 1
        await self._operations.finish_writes()

    # what presence asks for

    @property
    def viewer(self) -> Viewer | None:
        """Who has signed in."""
        return self._viewer

    def hold(self) -> None:
        """Send no results of subscriptions until the rights are known again."""
        self._is_held = True

    def admit(self, viewer: Viewer) -> None:
        """Go on with the rights of this viewer."""
        has_changed = viewer != self._viewer
        self._viewer = viewer
        self._is_held = False
        if has_changed:
            self._operations.renew(viewer)
        self._operations.wake()

    def dismiss(self, error: ServiceError) -> None:
        """End the connection for this reason."""
        self._close(CloseCode.FORBIDDEN, error.message)

    # what operations ask for

    @property
    def is_ready(self) -> bool:
        """Whether a result of a subscription may be sent now: the client keeps up, and its rights are known to hold."""
        return self._channel.is_free and not self._is_held and (self._viewer is None or self._house.presence.is_current)

    def put(self, text: str) -> None:
        """Send a result."""
        self._channel.put(text)

    async def turn(self) -> bool:
        """Wait until the client keeps up; whether a result may be put now, else the connection ends."""
        return await self._channel.turn()

    def say(self, text: str) -> None:
        """Send a short answer."""
        self._channel.say(text)

    # what the client says

    async def _listen(self) -> None:
        count = 0
        while (event := await self._receive())["type"] == "websocket.receive":
            count += 1
            if count % MESSAGES == 0:
                await asyncio.sleep(0)
            if self._channel.is_closing:
                continue
            try:
                await self._hear(read_message(event.get("text")))
            except SocketRefused as refused:
                self._close(refused.code, refused.reason)
            except Exception as error:  # noqa: BLE001 - logged or expected; the client learns which
                self._fail(error)

    async def _hear(self, message: ClientMessage) -> None:
        match message.type:
            case "connection_init":
                await self._begin(message.payload)
            case "ping":
                await self._answer_ping(message.payload)
            case "subscribe":
                self._start(message)
                await asyncio.sleep(0)  # to read a long document takes a while; others get their turn
            case "complete":
                self._operations.complete(message.id)

    async def _begin(self, payload: Mapping[str, Any] | None) -> None:
        if self._is_begun:
            raise SocketRefused(CloseCode.TOO_MANY_INITS, "Too many initialisation requests")
        self._is_begun = True
        self._init_clock.cancel()
        token = token_of(payload)
        sign_in = None if token is None else await self._signed_in(token)
        if self._channel.is_closing:
            return
        self._viewer = sign_in.viewer if sign_in else None
        try:
            self._house.presence.enter(self, self._origin.address)
        except TooManyConnections as error:
            raise SocketRefused(CloseCode.TRY_AGAIN_LATER, error.message) from None
        self._is_welcome = True
        if sign_in is None:
            self.say(encode_message("connection_ack"))
            return
        place = await self._place()
        self.say(encode_message("connection_ack", {"expiresAt": instant(sign_in.expires_at), "cursor": place}))
        self._expiry.start(sign_in.expires_at)

    async def _place(self) -> str:
        """The cursor of this moment, for a client that loses the connection before its first event."""
        feed = self._house.engine.services.feed
        number = feed.last or (await feed.head()).last
        return encode_cursor(await feed.log_name(), number)

    async def _signed_in(self, token: str) -> SignIn:
        try:
            return await self._house.engine.services.authentication.signed_in(token)
        except Unauthenticated as error:
            raise SocketRefused(CloseCode.FORBIDDEN, error.message) from None

    async def _answer_ping(self, payload: Mapping[str, Any] | None) -> None:
        token = token_of(payload)
        if token is None:
            self.say(encode_message("pong", payload))
            return
        await self._renew(token)

    async def _renew(self, token: str) -> None:
        if not self._is_welcome or self._viewer is None:
            raise SocketRefused(
                CloseCode.FORBIDDEN, "This connection was opened without a sign-in. Open a new one to sign in."
            )
        sign_in = await self._signed_in(token)
        if self._channel.is_closing:
            return
        viewer = sign_in.viewer
        if (viewer.user_id, viewer.session_id) != (self._viewer.user_id, self._viewer.session_id):
            raise SocketRefused(CloseCode.FORBIDDEN, "The token is of another session. Open a new connection with it.")
        self._expiry.start(sign_in.expires_at)
        self.say(encode_message("pong", {"type": "AuthRenewed", "expiresAt": instant(sign_in.expires_at)}))

    def _start(self, message: ClientMessage) -> None:
        if not self._is_welcome:
            raise SocketRefused(CloseCode.UNAUTHORIZED, "Unauthorized")
        if message.id in self._operations:
            raise SocketRefused(CloseCode.DUPLICATE_ID, f"Subscriber for {message.id} already exists")
        try:
            request = request_from_object(message.payload)
        except RequestRefused as refused:
            raise SocketRefused(CloseCode.BAD_MESSAGE, translate(refused, Language.EN)) from None
        self._operations.start(message.id, request)

    # what ends it

    def _tell_expiry(self, ends_at: datetime, seconds: int) -> None:
        self.say(encode_message("ping", {"type": "AuthExpiring", "expiresAt": instant(ends_at), "seconds": seconds}))

    def _expire(self) -> None:
        self._close(CloseCode.FORBIDDEN, "The access token has expired. Connect again with a new one.")

    def _expect_init(self, clocks: int) -> None:
        """Close when all these clocks have run, one after another, and the client has not said who it is."""
        if clocks:
            delay = self._house.limits.init_seconds / INIT_CLOCKS
            self._init_clock = asyncio.get_running_loop().call_later(delay, self._expect_init, clocks - 1)
        else:
            self._close(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout")

    def _fail(self, error: Exception) -> None:
        if expected := as_service_error(error):
            logger.warning("A WebSocket was refused: %r", error)
            self._close(CloseCode.TRY_AGAIN_LATER, expected.message)
            return
        logger.error("A WebSocket failed", exc_info=error)
        self._close(CloseCode.FAULT, "Internal server error")

    def _close(self, code: CloseCode, reason: str) -> None:
        self._channel.close(code, reason)
        self._leave()

    def _give_up(self) -> None:
        """The client can be told nothing more: end what serves it."""
        if not self._is_given_up and self._task is not None:
            self._is_given_up = True
            self._task.cancel()

    def _leave(self) -> None:
        """Nothing more is done for the client."""
        self._expiry.stop()
        self._house.presence.leave(self)
        self._operations.leave()

    def _end(self) -> None:
        self._leave()
        if not self._channel.is_drained:
            abort(self._scope)
        self._channel.cut()
