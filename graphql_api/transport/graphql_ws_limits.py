"""How much one WebSocket may ask for."""

import time
from dataclasses import dataclass

from graphql_api.transport.line import DEADLINE_SECONDS

INIT_SECONDS = 3.0
OPERATIONS = 100
STARTS_PER_SECOND = 50.0


@dataclass(frozen=True)
class SocketLimits:
    """What one WebSocket may do.

    Args:
        operations: how many may run at once.
        starts_per_second: how many may be begun, on average; twice as many as may run at once, in a burst.
        init_seconds: how long a client may take to say who it is.
        send_seconds: how long a client may take nothing of what is sent to it.
    """

    operations: int = OPERATIONS
    starts_per_second: float = STARTS_PER_SECOND
    init_seconds: float = INIT_SECONDS
    send_seconds: float = DEADLINE_SECONDS


class Pace:
    """Lets things begin at a rate, on average.

    Args:
        per_second: the rate.
        burst: how many may begin at once after a rest.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._left = float(burst)
        self._at = time.monotonic()

    def may_begin(self) -> bool:
        """Whether one more may begin now; if so it is counted."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
