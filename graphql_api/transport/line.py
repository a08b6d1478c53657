"""The way to one client: hands messages to the server at once, and tells when the client does not keep up.

A server takes a message without waiting as long as the client reads. So sending is begun here and now, in whatever
task has something to say, instead of waking a task for each of thousands of clients; only what has to wait gets a
task of its own.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from starlette.types import Message, Send

# A client that takes nothing for so long is not there any more.
DEADLINE_SECONDS = 60.0


class Line:
    """The way to one client.

    Args:
        send: of the server.
        on_free: called when it takes messages again after it had to wait.
        on_dead: called when the client has gone or has taken nothing until the deadline.
        deadline: seconds.
    """

    def __init__(
        self,
        send: Send,
        *,
        on_free: Callable[[], None],
        on_dead: Callable[[], None],
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._send = send
        self._on_free = on_free
        self._on_dead = on_dead
        self._deadline = deadline
        self._waiting: asyncio.Task[None] | None = None
        self._is_dead = False

    @property
    def is_free(self) -> bool:
        """Whether a message would be taken now."""
        return self._waiting is None and not self._is_dead

    def put(self, message: Message) -> None:
        """Send a message; only called while the line is free. To a client that has gone it goes nowhere.

        Raises:
            RuntimeError: the line is not free; the message would overtake the one before.
        """
        if self._is_dead:
            return
        if self._waiting is not None:
            raise RuntimeError("The message before has not been taken yet.")
        sending = self._send(message)
        try:
            # what an event loop would do first, done at once
            waits_for = sending.send(None)  # type: ignore[attr-defined]  # ASGI's `send` is a coroutine function
        except StopIteration:
            return
        except Exception:  # noqa: BLE001 - however the server says that the client has gone
            self._die()
            return
        self._waiting = asyncio.create_task(self._finish(_resumed(sending, waits_for)))  # type: ignore[arg-type]  # as above
        # for a task that was given up before it began
        self._waiting.add_done_callback(lambda _task: sending.close())  # type: ignore[attr-defined]  # as above

    async def drained(self) -> None:
        """Wait until everything that was put has been taken, or nothing will be."""
        if self._waiting is not None:
            await asyncio.wait({self._waiting})

    def cut(self) -> None:
        """Send nothing more; what waits is given up."""
        self._is_dead = True
        if self._waiting is not None and self._waiting is not asyncio.current_task():
            self._waiting.cancel()

    async def _finish(self, sending: Generator[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                await sending  # type: ignore[misc]  # `types.coroutine` makes it awaitable
        except Exception:  # noqa: BLE001 - as above; and the deadline
            self._waiting = None
            self._die()
        except asyncio.CancelledError:
            # whoever does that, half a message is no message
            self._is_dead = True
            raise
        else:
            self._waiting = None
            if not self._is_dead:
                self._on_free()

    def _die(self) -> None:
        if not self._is_dead:
            self._is_dead = True
            self._on_dead()


@types.coroutine
def _resumed(sending: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was begun elsewhere and waits for something."""
    while True:
        try:
            value = yield waits_for
        except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the coroutine's to handle
            step, argument = sending.throw, error
        else:
            step, argument = sending.send, value  # type: ignore[assignment]  # either takes one argument
        try:
            waits_for = step(argument)
        except StopIteration:
            return
