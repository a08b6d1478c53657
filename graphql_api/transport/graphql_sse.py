"""Subscriptions over plain HTTP: the protocol graphql-sse with a connection for each.

A stream that ends with `complete` is over. One that ends without, because the server stops or the connection breaks,
is to be asked for again with the last id as `Last-Event-ID`: what has come since follows. Ids come with each event,
at the beginning, and when nothing was for the client for a while.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from math import inf
from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from graphql_api.events.cursor import encode_cursor
from graphql_api.schema.context import Context
from graphql_api.schema.subscribing import Refused
from graphql_api.services.errors import ServiceError
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.transport.event_stream import RAW_HEADERS, encode_end, encode_heartbeat, encode_next, encode_opening
from graphql_api.transport.execution import formatted_error
from graphql_api.transport.fanout import Fanout, Subscriber
from graphql_api.transport.fanout_events import EventGroup
from graphql_api.transport.graphql_request import GraphQLRequest
from graphql_api.transport.http_connection import abort
from graphql_api.transport.line import DEADLINE_SECONDS, Line
from graphql_api.transport.presence import Presence
from graphql_api.transport.stopping import Stopping

LAST_EVENT_ID = "last-event-id"
# Shorter than proxies wait for something to come.
HEARTBEAT_SECONDS = 12.0
SEND_SECONDS = DEADLINE_SECONDS
# So long a client that does not keep up has to take the last words.
GOODBYE_SECONDS = 0.5

Refuse = Callable[[Sequence[Mapping[str, Any]]], Response]


@dataclass(frozen=True)
class Streaming:
    """What a process has once for all its streams.

    Args:
        fanout: runs the subscriptions.
        presence: knows who is connected, and tells when somebody's rights have changed.
        stopping: tells when the server is about to stop.
    """

    fanout: Fanout
    presence: Presence
    stopping: Stopping


@dataclass(frozen=True)
class StreamRequest:
    """A subscription as it is asked for.

    Args:
        operation: what to subscribe to.
        context: who asks.
        after: the id of the event to go on behind; None leaves that to the operation's own argument.
        expires_at: when the access token ends (UTC); None when there is none.
    """

    operation: GraphQLRequest
    context: Context
    after: str | None
    expires_at: datetime | None


class SubscriptionStream:
    """One subscription of one client, as the ASGI application that answers its request.

    Args:
        streaming: what it shares with others.
        request: what is asked for.
        refuse: makes the answer, of its errors, when the subscription does not begin.
    """

    def __init__(self, streaming: Streaming, request: StreamRequest, refuse: Refuse) -> None:
        self._fanout = streaming.fanout
        self._presence = streaming.presence
        self._stopping = streaming.stopping
        self._request = request
        self._refuse = refuse
        self._context = request.context
        self._expires_at = inf if request.expires_at is None else request.expires_at.timestamp()
        self._subscriber: Subscriber | None = None
        self._line: Line | None = None
        self._log_name = ""
        self._last_id = request.after
        self._is_open = False
        self._is_held = False
        # its result is the last words, None when nobody is there to hear any
        self._ended: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request until the client leaves or the subscription ends."""
        try:
            self._presence.enter(self, self._context.origin.address)
        except ServiceError as error:
            await self._refuse([formatted_error(error, self._context.origin)])(scope, receive, send)
            return
        try:
            await self._subscribe()
            await self._stream(scope, receive, send)
        except Refused as refused:
            await self._refuse(refused.errors)(scope, receive, send)
        finally:
            self._close()

    @property
    def is_ready(self) -> bool:
        """Whether a result would be taken now, by somebody whose rights are known to hold."""
        if not self._is_open or self._is_held or self._line is None:
            return False
        return self._line.is_free and self._presence.is_current

    def next(self, payload: str, cursor: str | None) -> None:
        """Send a result."""
        self._last_id = cursor
        self._put(encode_next(payload, cursor))

    def end(self, errors: Sequence[Mapping[str, Any]] | None) -> None:
        """Send these errors and the end, and nothing after."""
        self._end(encode_end({"errors": list(errors)} if errors else None))

    @property
    def viewer(self) -> Viewer | None:
        """Whose stream it is."""
        return self._context.viewer

    def hold(self) -> None:
        """Send nothing until it is known what the viewer may see now."""
        self._is_held = True

    def admit(self, viewer: Viewer) -> None:
        """Go on with what the viewer may see now."""
        self._is_held = False
        if viewer != self._context.viewer:
            self._context = Context(self._context.services, self._context.origin, viewer)
            if self._subscriber is not None:
                self._subscriber.renew(self._context)
        self._wake()

    def dismiss(self, error: ServiceError) -> None:
        """End the stream and say why."""
        self.end([formatted_error(error, self._context.origin)])

    async def _subscribe(self) -> None:
        context, request = self._context, self._request
        del self._request  # its document and variables may be large
        self._log_name = await context.services.feed.log_name()
        self._subscriber = await self._fanout.subscribe(request.operation, context, self, after=request.after)
        if self._context is not context:
            self._subscriber.renew(self._context)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        departure = asyncio.create_task(_departure(receive))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            self._line = await self._opened(send)
            self._is_open = not self._ended.done()
            self._wake()
            await self._watch({departure, stop, self._ended})
            if not departure.done() and not await self._say_goodbye(send):
                abort(scope)
        finally:
            departure.cancel()
            stop.cancel()

    async def _opened(self, send: Send) -> Line:
        """The way to the client, once it has the headers."""
        line = Line(send, on_free=self._wake, on_dead=lambda: self._end(None), deadline=SEND_SECONDS)
        line.put({"type": "http.response.start", "status": HTTPStatus.OK, "headers": list(RAW_HEADERS)})
        await line.drained()
        if line.is_free:
            line.put(_body(encode_opening(self._moved_to())))
        return line

    async def _watch(self, ends: set[asyncio.Future[Any]]) -> None:
        """Keep the connection alive until one of these."""
        while not (await asyncio.wait(ends, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED))[0]:
            if self._patience() == 0:
                self.dismiss(Unauthenticated("The access token has expired. Use `refreshToken` to get a new one."))
            elif self._line is not None and self._line.is_free:
                self._put(encode_heartbeat(self._moved_to()))

    def _moved_to(self) -> str | None:
        """The id of where the client is now; None when it knows, or when there is no going on behind an event."""
        group = self._subscriber.group if self._subscriber else None
        if self._subscriber is None or self._subscriber.opening is not None or not isinstance(group, EventGroup):
            return None
        place = encode_cursor(self._log_name, group.place_of(self._subscriber))
        if place == self._last_id:
            return None
        self._last_id = place
        return place

    def _patience(self) -> float:
        """Seconds until there is something to do even if nothing happens."""
        return min(HEARTBEAT_SECONDS, max(0.0, self._expires_at - time.time()))

    async def _say_goodbye(self, send: Send) -> bool:
        """Send the last words, of which there are none when the server stops; whether the client has taken them."""
        self._is_open = False
        words = self._ended.result() if self._ended.done() else b""
        if words is None or self._line is None:
            return False
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._line.drained()
                await send(_body(words, is_last=True))
                return True
        return False

    def _put(self, content: bytes) -> None:
        if self._line is not None:
            self._line.put(_body(content))

    def _wake(self) -> None:
        if self._subscriber is not None and self.is_ready:
            self._subscriber.wake()

    def _end(self, words: bytes | None) -> None:
        self._is_open = False
        if not self._ended.done():
            self._ended.set_result(words)

    def _close(self) -> None:
        self._is_open = False
        if self._subscriber is not None:
            self._subscriber.close()
        if self._line is not None:
            self._line.cut()
        self._presence.leave(self)


def _body(content: bytes, *, is_last: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": not is_last}


async def _departure(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
