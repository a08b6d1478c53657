"""Seconds of a machine that has nothing else to do, for promises of time that are tested on one that has."""

import threading
import time
from types import TracebackType
from typing import Self

REST_SECONDS = 0.02
WORK_SECONDS = 0.01


class IdleClock:
    """Rests and works by turns, and counts how long that was meant to take: a busy machine takes longer for both."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(REST_SECONDS):
            until = time.thread_time() + WORK_SECONDS
            while time.thread_time() < until:
                pass
            self.seconds += REST_SECONDS + WORK_SECONDS
