"""`invite`: a single-use code that lets somebody make an account in a role."""

from typing import Annotated

import typer

from graphql_api.cli.operation import on_database, operate
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services import invitation
from graphql_api.services.invitation import IssuedInvitation
from graphql_api.services.resources import create_keys


def invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The address that is invited.")],
    role: Annotated[
        Role, typer.Option(help="What the person will be to the company; not CUSTOMER.", case_sensitive=False)
    ],
) -> None:
    """Invite somebody; the code is printed once, and a server or worker mails it. It is good for seven days.

    An earlier open invitation of the same address ends. Ends with 1 when the address has an account already.
    """

    async def run(settings: Settings, database: Database) -> IssuedInvitation:
        keys = create_keys(settings)
        return await operate(
            database, "invite", lambda work: invitation.invite(work, keys, email=email, role=role, invited_by=None)
        )

    issued = on_database(run)
    typer.echo(f"Code for {issued.row.email} as {issued.row.role.value}: {issued.code}")
    typer.echo(
        f"It makes one account, until {issued.row.expires_at:%Y-%m-%d %H:%M} UTC, by the mutation acceptInvitation."
    )
