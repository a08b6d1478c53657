"""`create-admin`: an account that may do everything, for whoever runs the program."""

import os
import sys
from typing import Annotated

import typer

from graphql_api.cli.failure import CommandError
from graphql_api.cli.operation import on_database, operate
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role, UserRow
from graphql_api.services.account import Registration, create_account
from graphql_api.services.password import Passwords, checked_password
from graphql_api.services.user import canonical_email, checked_name

PASSWORD = "ADMIN_PASSWORD"  # noqa: S105 - the name of a variable
UNATTENDED = "Nobody can be asked here: run this in a terminal, or set ADMIN_EMAIL and ADMIN_PASSWORD."


def create_admin(
    email: Annotated[
        str | None, typer.Option(envvar="ADMIN_EMAIL", help="The address to sign in with; asked for when missing.")
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the person.")] = "Administrator",
) -> None:
    """Make an administrator; the password is asked for twice, or taken from the variable ADMIN_PASSWORD.

    Ends with 1 when the address has an account already or the password is too weak.
    """
    address = canonical_email(email or _ask("E-mail"))
    shown_name = checked_name(name)
    password = os.environ.get(PASSWORD) or _ask("Password", is_secret=True)
    # before any server is started
    checked_password(password, email=address, name=shown_name)
    wish = Registration(address, shown_name, password)

    async def create(_settings: Settings, database: Database) -> UserRow:
        return await operate(database, "create-admin", lambda work: create_account(work, Passwords(), wish, Role.ADMIN))

    user = on_database(create)
    typer.echo(f"{user.email} can sign in as administrator.")


def _ask(what: str, *, is_secret: bool = False) -> str:
    if not sys.stdin.isatty():
        raise CommandError(UNATTENDED)
    answer: str = typer.prompt(what, hide_input=is_secret, confirmation_prompt=is_secret, err=True)
    return answer
