"""`migrate` and `demo`: what is in the database."""

import asyncio

import typer

from graphql_api.app import create_storage
from graphql_api.cli.database import open_database, upgrade
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings
from graphql_api.demo import DemoSummary, load_demo


def migrate() -> None:
    """Bring the database to the newest schema."""
    with servers(load_settings()) as settings:
        asyncio.run(upgrade(settings))
    typer.echo("The database has the newest schema.")


def demo() -> None:
    """Load demonstration data into an empty database."""
    with servers(load_settings()) as settings:
        loaded = asyncio.run(_load(settings))
    if loaded.lines:
        typer.echo(f"Loaded {loaded.stores} stores, {loaded.products} products and {loaded.lines:,} sales lines.")
    else:
        typer.echo("The database holds data already; nothing was changed.")


async def _load(settings: Settings) -> DemoSummary:
    await upgrade(settings)
    async with open_database(settings) as database:
        return await load_demo(database, create_storage(settings))
