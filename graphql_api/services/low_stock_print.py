"""The report of low stock as plain text for people, and as CSV for spreadsheets and programs."""

import csv
import io
from collections.abc import AsyncIterator, Callable

from graphql_api.database.engine import Database
from graphql_api.services.low_stock_report import Line, Report, Section, checked_days, low_stock_report
from graphql_api.services.text_cells import cell, harmless, line, number_cell, plain

# Columns of a terminal; names that are longer are cut, in CSV they are whole.
SKU, NAME, STORE, COUNT, DAY, VENDOR = 14, 40, 32, 9, 10, 30
CSV_HEADER = (
    "section",
    "store_number",
    "store",
    "city",
    "zip",
    "sku",
    "product",
    "suggested_vendor",
    "bottles",
    "threshold",
    "low_since",
    "acknowledged",
    "expires_on",
    "days",
)
LOW_HEADER = line(
    cell("SKU", SKU),
    cell("Product", NAME),
    "Bottles".rjust(COUNT),
    "Low at".rjust(COUNT),
    cell("Low since", DAY),
    "Days".rjust(COUNT),
    cell("Suggested vendor", VENDOR),
    "Acknowledged",
)
LOT_HEADER = line(
    cell("Last day", DAY),
    "Days".rjust(COUNT),
    "Bottles".rjust(COUNT),
    cell("SKU", SKU),
    cell("Product", NAME),
    cell("Store", STORE),
)
PART_CHARACTERS = 32_768

Render = Callable[[Report], AsyncIterator[str]]


async def low_stock_text(database: Database, within_days: int) -> AsyncIterator[bytes]:
    """The report as plain text in columns, a part at a time.

    Raises:
        BadInput: `within_days` is not 0 to 3,650.
    """
    checked_days(within_days)
    return _parts(database, within_days, _text)


async def low_stock_csv(database: Database, within_days: int) -> AsyncIterator[bytes]:
    """The report as CSV in UTF-8, a part at a time; no cell is run as a formula.

    `days` counts since when something is low or has expired, or until it expires.

    Raises:
        BadInput: `within_days` is not 0 to 3,650.
    """
    checked_days(within_days)
    return _parts(database, within_days, _csv)


async def _parts(database: Database, within_days: int, render: Render) -> AsyncIterator[bytes]:
    buffer = io.StringIO()
    async with database.read() as session:
        async for text in render(await low_stock_report(session, within_days)):
            buffer.write(text)
            if buffer.tell() >= PART_CHARACTERS:
                yield buffer.getvalue().encode()
                buffer = io.StringIO()
    yield buffer.getvalue().encode()


async def _text(report: Report) -> AsyncIterator[str]:
    yield line(f"Low stock of {plain(report.company)}, {report.at:%Y-%m-%d %H:%M} UTC")
    count, store_number = 0, None
    async for item in report.low:
        count += 1
        if item.store_number != store_number:
            store_number = item.store_number
            yield "\n" + line(f"Store {store_number}:", _place(item)) + LOW_HEADER
        yield _level(item)
    yield "\n" + (f"Stock levels that are low: {count:,}\n" if count else "Nothing is low.\n")
    async for text in _lots_text(report):
        yield text


async def _lots_text(report: Report) -> AsyncIterator[str]:
    counts = {Section.EXPIRED: 0, Section.EXPIRING: 0}
    titles = {
        Section.EXPIRED: "Expired",
        Section.EXPIRING: f"Expiring within {report.within_days:,} days",
    }
    async for item in report.lots:
        if not counts[item.section]:
            yield "\n" + line(titles[item.section]) + LOT_HEADER
        counts[item.section] += 1
        yield _lot(item)
    expired, expiring = counts.values()
    yield f"\nLots that have expired: {expired:,}\nLots that expire within {report.within_days:,} days: {expiring:,}\n"


def _place(item: Line) -> str:
    text = ", ".join(part for part in (item.store, item.city, item.zip_code) if part)
    return cell(text, NAME + STORE)


def _level(item: Line) -> str:
    return line(
        cell(item.sku, SKU),
        cell(item.product, NAME),
        number_cell(item.bottles, COUNT),
        number_cell(item.threshold or 0, COUNT),
        cell(f"{item.low_since}" if item.low_since else "", DAY),
        number_cell(item.days, COUNT) if item.low_since else "".rjust(COUNT),
        cell(item.vendor or "", VENDOR),
        "yes" if item.is_acknowledged else "",
    )


def _lot(item: Line) -> str:
    return line(
        cell(f"{item.expires_on}", DAY),
        number_cell(item.days, COUNT),
        number_cell(item.bottles, COUNT),
        cell(item.sku, SKU),
        cell(item.product, NAME),
        cell(f"{item.store_number} {item.store}", STORE),
    )


async def _csv(report: Report) -> AsyncIterator[str]:
    yield _record(*CSV_HEADER)
    async for item in report.low:
        yield _row(item)
    async for item in report.lots:
        yield _row(item)


def _row(item: Line) -> str:
    return _record(
        item.section.value,
        item.store_number,
        harmless(item.store),
        harmless(item.city or ""),
        harmless(item.zip_code or ""),
        harmless(item.sku),
        harmless(item.product),
        harmless(item.vendor or ""),
        item.bottles,
        item.threshold,
        item.low_since,
        "" if item.threshold is None else str(item.is_acknowledged).lower(),
        item.expires_on,
        item.days,
    )


def _record(*values: object) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()
