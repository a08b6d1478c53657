"""`low-stock`: the report of what is low and what expires."""

import sys
from typing import Annotated

import typer

from graphql_api.cli.operation import on_database
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.services.low_stock_print import low_stock_csv, low_stock_text
from graphql_api.services.low_stock_report import DEFAULT_DAYS, MAX_DAYS


def low_stock(
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of columns.")] = False,  # noqa: FBT002 - a switch of the command line
    within_days: Annotated[
        int, typer.Option(help="Also name lots that expire within so many days.", min=0, max=MAX_DAYS)
    ] = DEFAULT_DAYS,
) -> None:
    """Print what is low in each store, whom to buy it from, and which lots have expired or soon will.

    With --csv cells that a spreadsheet would run as a formula begin with an apostrophe.
    """

    async def show(_settings: Settings, database: Database) -> None:
        parts = await (low_stock_csv if csv else low_stock_text)(database, within_days)
        async for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()

    on_database(show)
