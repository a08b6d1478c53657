"""Which days a period is compared with, and how the two line up."""

from datetime import date

import pytest

from graphql_api.reports.dimensions import TimeBucket
from graphql_api.reports.measures import Measure, SalesMeasures, change
from graphql_api.reports.period import (
    DateRange,
    EarlierPeriod,
    Shift,
    alignment,
    bucket_end,
    bucket_label,
    earlier_period,
)


def days(first: str, last: str) -> DateRange:
    return DateRange(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("present", "period", "before"),
    [
        (days("2019-03-11", "2019-03-20"), EarlierPeriod.PREVIOUS_PERIOD, days("2019-03-01", "2019-03-10")),
        (days("2019-03-01", "2019-03-31"), EarlierPeriod.PREVIOUS_PERIOD, days("2019-02-01", "2019-02-28")),
        (days("2019-01-01", "2019-03-31"), EarlierPeriod.PREVIOUS_PERIOD, days("2018-10-01", "2018-12-31")),
        (days("2021-02-01", "2021-02-28"), EarlierPeriod.PREVIOUS_YEAR, days("2020-02-01", "2020-02-29")),
        (days("2020-02-01", "2020-02-29"), EarlierPeriod.PREVIOUS_YEAR, days("2019-02-01", "2019-02-28")),
        (days("2020-02-29", "2020-02-29"), EarlierPeriod.PREVIOUS_YEAR, days("2019-02-28", "2019-02-28")),
        (days("2019-12-31", "2019-12-31"), EarlierPeriod.PREVIOUS_YEAR, days("2018-12-31", "2018-12-31")),
    ],
)
def test_the_earlier_period(present: DateRange, period: EarlierPeriod, before: DateRange) -> None:
    assert earlier_period(present, period) == before


@pytest.mark.parametrize(
    ("before", "present", "bucket", "months", "shift"),
    [
        (days("2018-01-01", "2018-03-31"), days("2019-01-01", "2019-03-31"), TimeBucket.DAY, 12, 0),
        (days("2018-01-01", "2018-03-31"), days("2019-01-01", "2019-03-31"), TimeBucket.WEEK, 0, 364),
        (days("2018-10-01", "2018-12-31"), days("2019-01-01", "2019-03-31"), TimeBucket.MONTH, 3, 0),
        (days("2018-10-01", "2018-12-31"), days("2019-01-01", "2019-03-31"), TimeBucket.DAY, 0, 92),
        (days("2019-03-01", "2019-03-10"), days("2019-03-11", "2019-03-20"), TimeBucket.MONTH, 0, 10),
    ],
)
def test_the_alignment(before: DateRange, present: DateRange, bucket: TimeBucket, months: int, shift: int) -> None:
    assert alignment(before, present, bucket) == Shift(months, shift, present)


@pytest.mark.parametrize(
    ("bucket", "start", "end", "label"),
    [
        (TimeBucket.DAY, "2019-04-24", "2019-04-24", "2019-04-24"),
        (TimeBucket.WEEK, "2024-12-30", "2025-01-05", "2025-W01"),
        (TimeBucket.WEEK, "9999-12-27", "9999-12-31", "9999-W52"),
        (TimeBucket.MONTH, "2024-02-01", "2024-02-29", "2024-02"),
        (TimeBucket.QUARTER, "2019-10-01", "2019-12-31", "2019-Q4"),
        (TimeBucket.YEAR, "2019-01-01", "2019-12-31", "2019"),
    ],
)
def test_the_end_and_the_label_of_a_bucket(bucket: TimeBucket, start: str, end: str, label: str) -> None:
    first = date.fromisoformat(start)

    assert (bucket_end(first, bucket).isoformat(), bucket_label(first, bucket)) == (end, label)


@pytest.mark.parametrize(
    ("cents", "before", "percent"), [(150, 100, "50.00"), (-50, -100, "50.00"), (1, 0, None), (0, 100, "-100.00")]
)
def test_percent_is_of_the_size_of_the_earlier_value(cents: int, before: int, percent: str | None) -> None:
    found = change(Measure.REVENUE, SalesMeasures(revenue=cents), SalesMeasures(revenue=before))

    assert (str(found.percent) if found.percent is not None else None) == percent


def test_ratios_round_half_to_even() -> None:
    assert str(SalesMeasures(revenue=20_000, cost=19_999).value(Measure.MARGIN)) == "0.0000"
    assert str(SalesMeasures(revenue=20_000, cost=19_997).value(Measure.MARGIN)) == "0.0002"
