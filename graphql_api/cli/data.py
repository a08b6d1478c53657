"""`migrate` and `demo`: what is in the database."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from graphql_api.cli.database import open_database, upgrade
from graphql_api.cli.servers import servers
from graphql_api.config import Settings, load_settings
from graphql_api.database.engine import Database
from graphql_api.demo import DemoLogin, create_demo_logins, load_demo, read_demo_logins, reset_demo_logins
from graphql_api.services.password import Passwords
from graphql_api.services.resources import create_keys, create_storage

# changed by its user, or made with a key that was replaced
OTHER = "is another one by now; `graphql-api demo --reset-logins` sets a new one"


def migrate() -> None:
    """Bring the database to the newest schema."""
    with servers(load_settings()) as settings:
        asyncio.run(upgrade(settings))
    typer.echo("The database has the newest schema.")


def demo(
    reset_logins: Annotated[  # noqa: FBT002 - a switch of the command line
        bool, typer.Option("--reset-logins", help="Give a login whose password is another one by now a new one.")
    ] = False,
) -> None:
    """Load demonstration data into an empty database, with one login for each role; print the logins."""
    with servers(load_settings()) as settings:
        asyncio.run(_demo(settings, is_resetting=reset_logins))


async def prepare_demo(settings: Settings, database: Database, *, is_resetting: bool = False) -> None:
    """Load the demonstration data unless there are data already, and print its logins."""
    loaded = await load_demo(database, create_storage(settings))
    if loaded.lines:
        typer.echo(
            f"Demonstration data: {loaded.stores} stores, {loaded.products} products, {loaded.lines:,} sales lines, "
            f"{loaded.bottles:,} bottles in stock."
        )
    keys, passwords = create_keys(settings), Passwords()
    await create_demo_logins(database, keys, passwords)
    if is_resetting:
        await reset_demo_logins(database, keys, passwords)
    _print_logins(await read_demo_logins(database, keys, passwords))


async def _demo(settings: Settings, *, is_resetting: bool) -> None:
    await upgrade(settings)
    async with open_database(settings) as database:
        await prepare_demo(settings, database, is_resetting=is_resetting)


def _print_logins(logins: Sequence[DemoLogin]) -> None:
    if not logins:
        typer.echo("The database holds other data: there is no demonstration.")
        return
    typer.echo("Demonstration logins, with passwords of this installation alone:")
    for login in logins:
        typer.echo(f"  {login.role.value:<12}{login.email:<24}{login.password or OTHER}")
