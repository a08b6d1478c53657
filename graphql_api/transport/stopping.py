"""Tells what could go on for ever that the server is about to stop.

uvicorn waits for answers that have begun, and ends the lifespan only after them: an answer without an end would hold
it up until its patience is over. Its signal handlers are in place before the lifespan begins, so within the lifespan
they can be preceded by one that tells first. Whoever sends such an answer waits for `wait()` besides its own news:

    stopping = Stopping()
    with stopping.heard():      # in the lifespan
        ...
    await stopping.wait()       # anywhere

WebSockets need none of it: uvicorn itself closes them with 1012 when it stops.

From then on there is no looking for garbage either. With thousands of connections that takes seconds in which nobody
is told of anything, and at the very end again, to give back memory that the system takes back anyway.
"""

import asyncio
import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], object]


class Stopping:
    """Whether this process has been told to stop."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    @property
    def is_told(self) -> bool:
        """Whether the server is about to stop."""
        return self._told.is_set()

    async def wait(self) -> None:
        """Wait until the server is about to stop."""
        await self._told.wait()

    def tell(self) -> None:
        """Have everybody know; called from the event loop."""
        self._told.set()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear the signals that stop the server for as long as the block lasts; the server hears them as before."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's; a server in another thread is stopped otherwise
            return
        loop = asyncio.get_running_loop()
        before = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
        ours = {number: self._preceding(handler, loop) for number, handler in before.items()}
        for number, handler in ours.items():
            signal.signal(number, handler)
        is_collecting = gc.isenabled()
        try:
            yield
        finally:
            if is_collecting:
                gc.enable()  # for whoever lives on
            for number, handler in before.items():
                if signal.getsignal(number) is ours[number]:
                    signal.signal(number, handler)

    def _hear(self) -> None:
        gc.freeze()  # the interpreter looks for garbage at its end whether that is disabled or not
        self.tell()

    def _preceding(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> Handler:
        def handle(number: int, frame: FrameType | None) -> object:
            gc.disable()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._hear)
            return handler(number, frame)

        return handle
