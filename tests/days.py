"""Days that tests count from the one on which they were collected; who uses them takes the fixture `steady_day`."""

import datetime as dt

TODAY = dt.datetime.now(dt.UTC).date()


def in_days(days: int) -> dt.date:
    """A day before or after today."""
    return TODAY + dt.timedelta(days=days)


def seconds_to_midnight() -> float:
    """How long it is to the next day."""
    now = dt.datetime.now(dt.UTC)
    return (dt.datetime.combine(now + dt.timedelta(days=1), dt.time(), dt.UTC) - now).total_seconds()
