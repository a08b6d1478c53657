"""The choices of a report. Import them from here: a type that uses one before it is described would hide its face."""

from graphql_api.reports.dimensions import Dimension, TimeBucket
from graphql_api.reports.measures import Measure
from graphql_api.reports.period import EarlierPeriod
from graphql_api.reports.planner import ReportSource
from graphql_api.reports.question import OrderValue
from graphql_api.schema.enums import describe
from graphql_api.services.facet import FacetField

__all__ = ["Dimension", "EarlierPeriod", "FacetField", "Measure", "OrderValue", "ReportSource", "TimeBucket"]

describe(
    Dimension,
    "A property of a sale to group by. Lines that lack it form a group of their own.",
    {
        "CITY": "The city the store was in on the day of the sale; cities of one name are one group.",
        "COUNTY": "The county the store was in on the day of the sale; one group however it is spelled.",
        "ZIP": "The zip the store had on the day of the sale.",
        "STORE": "The store.",
        "PRODUCT": "The product.",
        "CATEGORY": "The present category of the product.",
        "VENDOR": "The present vendor of the product.",
    },
)
describe(
    TimeBucket,
    "A stretch of the calendar to group by.",
    {
        "DAY": "One day.",
        "WEEK": "An ISO week, from Monday to Sunday.",
        "MONTH": "A calendar month.",
        "QUARTER": "Three months, beginning in January, April, July or October.",
        "YEAR": "A calendar year.",
    },
)
describe(
    Measure,
    "A number of a group, as in SalesMeasures.",
    {
        "LINE_COUNT": "How many invoice lines.",
        "QUANTITY": "Bottles, returns taken off.",
        "REVENUE": "What customers paid.",
        "COST": "What the bottles had cost.",
        "PROFIT": "Revenue less cost.",
        "MARGIN": "Profit divided by revenue.",
        "AVERAGE_PRICE": "Revenue divided by quantity.",
        "VOLUME_LITERS": "Litres.",
    },
)
describe(
    EarlierPeriod,
    "An earlier period that follows from the dates of `where`.",
    {
        "PREVIOUS_PERIOD": (
            "The period that ends the day before: as many whole months when the dates are whole months (all of "
            "March is compared with all of February), else as many days. Needs both ends of the dates."
        ),
        "PREVIOUS_YEAR": "The same dates a year before.",
    },
)
describe(
    OrderValue,
    "Which value of a measure decides the order.",
    {
        "CURRENT": "The value in the period asked for.",
        "BEFORE": "The value in the period of `compareTo`.",
        "CHANGE": "CURRENT less BEFORE: descending puts what grew most first.",
    },
)
describe(
    ReportSource,
    "Where an answer came from. It is exact and up to date in every case.",
    {
        "LIVE": "Added up from the invoice lines.",
        "ROLLUP": "From sums that are kept up to date.",
        "MIXED": "Partly from kept sums, partly from invoice lines.",
    },
)
describe(
    FacetField,
    "A filter of SalesWhere whose values can be looked up.",
    {
        "STORE_NUMBER": "Numbers of stores; found by their first digits or the store's name.",
        "STORE_NAME": "Names of stores.",
        "CITY": "Cities.",
        "ZIP": "Zips.",
        "COUNTY": "Names of counties.",
        "COUNTY_NUMBER": "Numbers of counties; found by their first digits or the county's name.",
        "CATEGORY_NUMBER": "Numbers of categories; found by their first digits or the category's name.",
        "CATEGORY_NAME": "Names of categories.",
        "VENDOR_NUMBER": "Numbers of vendors; found by their first digits or the vendor's name.",
        "VENDOR_NAME": "Names of vendors.",
        "SKU": "Item numbers; found by their first characters or the product's name.",
        "PRODUCT_NAME": "Names of products.",
    },
)
