"""`users`: the accounts as a table, and what an operator may change of them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import typer
from sqlalchemy import func, select
from sqlmodel import col

from graphql_api.cli.operation import on_database, operate
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.session import SessionRow
from graphql_api.database.user import Role, UserRow
from graphql_api.services.errors import NotFound
from graphql_api.services.unit_of_work import UnitOfWork
from graphql_api.services.user import UserChange, update_user, user_by_email

HEADER = ("E-mail", "Name", "Role", "Active", "Created (UTC)", "Last sign-in (UTC)")
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address of the account.")]

users = typer.Typer(add_completion=False)


class Account(NamedTuple):
    """An account and the instant of its latest sign-in."""

    user: UserRow
    signed_in_at: datetime | None


@users.callback(invoke_without_command=True)
def list_users(
    context: typer.Context,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,  # noqa: FBT002 - a switch of the command line
) -> None:
    """List the accounts by address; a command after `users` changes one.

    A change counts at once, in all sessions and processes. The last active administrator stays one.
    """
    if context.invoked_subcommand:
        return
    accounts = on_database(_read_accounts)
    if json_output:
        typer.echo(json.dumps([_as_json(account) for account in accounts]))
        return
    if accounts:
        _print_table(accounts)
    else:
        typer.echo("There are no accounts. `graphql-api create-admin` makes the first.")


@users.command("set-role")
def set_role(
    email: Email, role: Annotated[Role, typer.Argument(help="What the person is to the company.", case_sensitive=False)]
) -> None:
    """Give an account another role."""
    user = _change(email, UserChange(role=role), "set-role")
    typer.echo(f"{user.email} has the role {user.role.value}.")


@users.command()
def deactivate(email: Email) -> None:
    """Close an account: nobody can sign in with it, and its sessions end."""
    user = _change(email, UserChange(is_active=False), "deactivate")
    typer.echo(f"{user.email} cannot sign in any more; all its sessions have ended.")


@users.command()
def activate(email: Email) -> None:
    """Open an account that was deactivated."""
    user = _change(email, UserChange(is_active=True), "activate")
    typer.echo(f"{user.email} can sign in again.")


def _change(email: str, change: UserChange, command: str) -> UserRow:
    async def update(work: UnitOfWork) -> UserRow:
        user = await user_by_email(work.session, email)
        if user is None:
            raise NotFound("There is no account with this address. `graphql-api users` lists them.", path=("email",))
        return await update_user(work, user.id, change)

    async def run(_settings: Settings, database: Database) -> UserRow:
        return await operate(database, f"users {command}", update)

    return on_database(run)


async def _read_accounts(_settings: Settings, database: Database) -> list[Account]:
    signed_in_at = select(func.max(SessionRow.created_at)).where(col(SessionRow.user_id) == col(UserRow.id))
    statement = select(UserRow, signed_in_at.scalar_subquery()).order_by(col(UserRow.email))
    async with database.read() as session:
        return [Account(*row) for row in await session.execute(statement)]


def _as_json(account: Account) -> dict[str, Any]:
    user = account.user
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "isActive": user.is_active,
        "createdAt": user.created_at.isoformat(),
        "signedInAt": account.signed_in_at.isoformat() if account.signed_in_at else None,
    }


def _print_table(accounts: Sequence[Account]) -> None:
    """Columns as wide as what they hold: whoever reads this copies addresses out of it."""
    rows = [HEADER, *(_cells(account) for account in accounts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cells(account: Account) -> tuple[str, ...]:
    user = account.user
    active = "yes" if user.is_active else "no"
    return user.email, user.name, user.role.value, active, _minute(user.created_at), _minute(account.signed_in_at)


def _minute(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}" if instant else "never"
