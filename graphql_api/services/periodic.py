"""Work that comes round by the clock: once in the whole cluster for each time, whoever is up then.

A time at which no worker was up is made good when one starts; times missed in a row count as one.
"""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Periodic:
    """Work that comes round by the clock.

    Args:
        name: names it in the queue and in logs; another name is other work.
        cron: when, in UTC: minute, hour, day of the month, month, day of the week.
        run: does it. A worker that is stopped or killed leaves it to another, from the start.
    """

    name: str
    cron: str
    run: Callable[[], Awaitable[None]]

    @property
    def job(self) -> str:
        """The job that is put into the queue when a time has come; only workers that know the work take it."""
        return f"periodic:{self.name}"


def is_repeated(at: dt.datetime, following: dt.datetime, last_run: dt.datetime | None) -> bool:
    """Whether a time that seems to have come at `at` is the one for which `last_run` was; `following` is the next.

    Workers tell the engine how long it is until the next time by clocks of their own; one that is a little behind
    would have the same time come twice.
    """
    return last_run is not None and at - last_run < (following - at) / 2
