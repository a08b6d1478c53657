"""What goes to the client of one WebSocket: results while it keeps up, short answers in their turn, the end."""

import asyncio
from collections import deque
from collections.abc import Callable

from starlette.types import Message, Send

from graphql_api.transport.graphql_ws_messages import CloseCode, close_reason
from graphql_api.transport.line import DEADLINE_SECONDS, Line
from graphql_api.transport.socket_metrics import TALLY

# Answers that wait for a client to read: more than that wait only for one that asks and asks without reading.
MAX_WAITING = 200
MAX_WAITING_CHARACTERS = 1 << 20
# How long a client that does not keep up has to take the last word.
LAST_WORD_SECONDS = 2.0


class Channel:
    """The way to the client of one WebSocket.

    Args:
        send: of the server.
        on_free: called when results are taken again.
        on_dead: called when the client can be told nothing more, not even the end.
        deadline: after so many seconds a client that takes nothing is given up.
    """

    def __init__(
        self,
        send: Send,
        *,
        on_free: Callable[[], None],
        on_dead: Callable[[], None],
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._line = Line(send, on_free=self._drain, on_dead=on_dead, deadline=deadline)
        self._on_free = on_free
        self._on_dead = on_dead
        self._waiting: deque[str] = deque()
        self._waiting_characters = 0
        self._last_word: Message | None = None
        self._last_chance: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._freed: asyncio.Event | None = None

    @property
    def is_free(self) -> bool:
        """Whether a result would be taken now."""
        return self._line.is_free and not self._is_closing

    @property
    def is_closing(self) -> bool:
        """Whether the end has been said, or is about to be."""
        return self._is_closing

    @property
    def is_drained(self) -> bool:
        """Whether the server has taken all there was to send."""
        return self._line.is_free and not self._waiting and self._last_word is None

    def put(self, text: str) -> None:
        """Send a result; only called while the channel is free."""
        TALLY.sent += 1
        self._line.put({"type": "websocket.send", "text": text})

    async def turn(self) -> bool:
        """Wait until the client keeps up; whether a result may be put now, else the end has been said."""
        while not self.is_free:
            if self._is_closing:
                return False
            self._freed = self._freed or asyncio.Event()
            await self._freed.wait()
        return True

    def say(self, text: str) -> None:
        """Send a short answer, at once or as soon as the client keeps up; nothing once the end has been said."""
        if self._is_closing:
            return
        if self._line.is_free:
            self.put(text)
            return
        self._waiting.append(text)
        self._waiting_characters += len(text)
        if len(self._waiting) > MAX_WAITING or self._waiting_characters > MAX_WAITING_CHARACTERS:
            self._waiting.clear()
            self.close(CloseCode.TOO_SLOW, "Too many answers wait for this client to read them.")

    def close(self, code: CloseCode, reason: str) -> None:
        """Say the end after what waits; a client that does not even take that in two seconds is given up."""
        if self._is_closing:
            return
        self._is_closing = True
        self._release()
        TALLY.closes[code.value] += 1
        self._last_word = {"type": "websocket.close", "code": code.value, "reason": close_reason(reason)}
        self._drain()
        if not self.is_drained:
            self._last_chance = asyncio.get_running_loop().call_later(LAST_WORD_SECONDS, self._on_dead)

    def cut(self) -> None:
        """Send nothing more."""
        self._is_closing = True
        self._release()
        self._line.cut()
        if self._last_chance is not None:
            self._last_chance.cancel()

    def _drain(self) -> None:
        while self._waiting and self._line.is_free:
            text = self._waiting.popleft()
            self._waiting_characters -= len(text)
            self.put(text)
        if not self._line.is_free or self._waiting:
            return
        if self._last_word is not None:
            self._line.put(self._last_word)
            self._last_word = None
        if self.is_free:
            self._release()
            self._on_free()

    def _release(self) -> None:
        """Have those look again who wait for their turn."""
        if self._freed is not None:
            self._freed.set()
            self._freed = None
