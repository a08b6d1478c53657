"""Days and buckets: ranges of dates, what they are compared with, and how the two line up."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from graphql_api.reports.dimensions import TimeBucket

MONTHS = {TimeBucket.MONTH: 1, TimeBucket.QUARTER: 3, TimeBucket.YEAR: 12}
YEAR = 12
WEEK = 7


class EarlierPeriod(StrEnum):
    """An earlier period that follows from the present one."""

    PREVIOUS_PERIOD = "PREVIOUS_PERIOD"
    PREVIOUS_YEAR = "PREVIOUS_YEAR"


@dataclass(frozen=True)
class DateRange:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has; 0 or less when `last` lies before `first`."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Shift:
    """How far a day of the earlier period moves to stand where it is compared, and the days it may land on."""

    months: int
    days: int
    onto: DateRange


def add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last day when it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def months_between(earlier: date, later: date) -> int:
    """Whole calendar months from the month of one day to that of another."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def earlier_period(present: DateRange, name: EarlierPeriod) -> DateRange:
    """The period that `name` means for `present`.

    PREVIOUS_YEAR is the same calendar days a year before (29 February included where there is one).
    PREVIOUS_PERIOD ends the day before: as many whole months when `present` is whole months, else as many days.

    Raises:
        ValueError, OverflowError: when it would begin before the year 1.
    """
    if name is EarlierPeriod.PREVIOUS_YEAR:
        return _months_before(present, YEAR)
    after = present.last + timedelta(days=1)
    if present.first.day == 1 and after.day == 1:
        return _months_before(present, months_between(present.first, after))
    length = timedelta(days=present.days)
    return DateRange(present.first - length, present.last - length)


def _months_before(present: DateRange, months: int) -> DateRange:
    after = add_months(present.last + timedelta(days=1), -months)
    return DateRange(add_months(present.first, -months), after - timedelta(days=1))


def alignment(before: DateRange, present: DateRange, bucket: TimeBucket | None) -> Shift:
    """How days of `before` line up with `present` in reports by `bucket`.

    Months, quarters and years move by whole months, weeks by whole weeks, days by calendar years or else by days.
    What falls outside `present` counts with its first or last day, so that nothing is lost.
    """
    months = months_between(before.first, present.first)
    days = (present.first - before.first).days
    if bucket is TimeBucket.WEEK:
        return Shift(0, round(days / WEEK) * WEEK, present)
    is_same_day = before.first.day == present.first.day
    if is_same_day and (bucket in MONTHS or months % YEAR == 0):
        return Shift(months, 0, present)
    return Shift(0, days, present)


def bucket_of(day: date, bucket: TimeBucket) -> date:
    """The first day of the bucket that `day` lies in."""
    match bucket:
        case TimeBucket.DAY:
            return day
        case TimeBucket.WEEK:
            return day - timedelta(days=day.weekday())
        case TimeBucket.MONTH:
            return day.replace(day=1)
        case TimeBucket.QUARTER:
            return date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        case TimeBucket.YEAR:
            return date(day.year, 1, 1)


def bucket_end(start: date, bucket: TimeBucket) -> date:
    """The last day of the bucket that begins at `start`."""
    if bucket is TimeBucket.DAY:
        return start
    if bucket is TimeBucket.WEEK:
        return start + min(timedelta(days=WEEK - 1), date.max - start)  # the calendar ends on a Friday
    last_month = add_months(start, MONTHS[bucket] - 1)
    return last_month.replace(day=monthrange(last_month.year, last_month.month)[1])


def bucket_label(start: date, bucket: TimeBucket) -> str:
    """The bucket as people write it: `2019-04-24`, `2019-W17`, `2019-04`, `2019-Q2`, `2019`."""
    match bucket:
        case TimeBucket.DAY:
            return start.isoformat()
        case TimeBucket.WEEK:
            year, week, _ = start.isocalendar()
            return f"{year:04}-W{week:02}"
        case TimeBucket.MONTH:
            return f"{start.year:04}-{start.month:02}"
        case TimeBucket.QUARTER:
            return f"{start.year:04}-Q{(start.month + 2) // 3}"
        case TimeBucket.YEAR:
            return f"{start.year:04}"
