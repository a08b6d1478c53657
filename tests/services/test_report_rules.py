"""Questions that cannot be answered are refused with the argument at fault."""

from datetime import date

import pytest

from graphql_api.database.engine import Database
from graphql_api.reports.dimensions import Dimension, TimeBucket
from graphql_api.reports.measures import Measure
from graphql_api.reports.period import DateRange, EarlierPeriod
from graphql_api.reports.question import OrderValue, ReportOrder, SalesQuestion
from graphql_api.services.errors import BadInput, ServiceError, TooComplex
from tests.services.test_report import COUNTY, JANUARY, MARCH, MONTH, ask

FOUR = tuple(Dimension)[:4]


@pytest.mark.parametrize(
    ("question", "path", "kind"),
    [
        (SalesQuestion(group_by=FOUR), ("groupBy",), TooComplex),
        (SalesQuestion(group_by=COUNTY * 2), ("groupBy",), BadInput),
        (SalesQuestion(group_by=(TimeBucket.DAY, TimeBucket.YEAR)), ("groupBy",), BadInput),
        (SalesQuestion(first=-1), ("first",), BadInput),
        (SalesQuestion(first=1_001), ("first",), BadInput),
        (SalesQuestion(after="x"), ("after",), BadInput),
        (SalesQuestion(gap_fill=True), ("gapFill",), BadInput),
        (SalesQuestion(order_by=(ReportOrder(Dimension.CITY),)), ("orderBy", "0", "key"), BadInput),
        (SalesQuestion(order_by=(ReportOrder(Measure.COST),) * 5), ("orderBy",), TooComplex),
        (
            SalesQuestion(order_by=(ReportOrder(Measure.COST, value=OrderValue.CHANGE),)),
            ("orderBy", "0", "value"),
            BadInput,
        ),
        (SalesQuestion(compare_to=EarlierPeriod.PREVIOUS_PERIOD), ("compareTo",), BadInput),
        (
            SalesQuestion(compare_to=DateRange(MARCH, JANUARY)),
            ("compareTo", "range", "to"),
            BadInput,
        ),
        (
            SalesQuestion(where={"date": {"gte": date(1, 1, 1), "lte": MARCH}}, compare_to=EarlierPeriod.PREVIOUS_YEAR),
            ("compareTo",),
            BadInput,
        ),
        (
            SalesQuestion(where={"date": {"gte": MARCH, "lte": JANUARY}}, compare_to=EarlierPeriod.PREVIOUS_YEAR),
            ("where", "date"),
            BadInput,
        ),
        (
            SalesQuestion(where={"or": [{"date": {"eq": MARCH}}]}, compare_to=EarlierPeriod.PREVIOUS_YEAR),
            ("where", "date"),
            BadInput,
        ),
        (
            SalesQuestion(where={"date": {"gt": date.max}}, gap_fill=True, group_by=MONTH),
            ("where", "date", "gt"),
            BadInput,
        ),
        (SalesQuestion(where={"colour": {"eq": 1}}), ("where", "colour"), BadInput),
        (SalesQuestion(where={"storeNumber": {"in": [1] * 1_001}}), ("where", "storeNumber", "in"), TooComplex),
        (SalesQuestion(having={"margin": {"gte": None}}), ("having", "margin", "gte"), BadInput),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_its_place(
    database: Database, question: SalesQuestion, path: tuple[str, ...], kind: type[ServiceError]
) -> None:
    with pytest.raises(kind) as caught:
        await ask(database, question)

    assert caught.value.path == path
