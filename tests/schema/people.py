"""People who ask: accounts with a session, one function for all roles."""

from collections.abc import Callable

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.policy import Viewer
from tests.client import Client
from tests.factories import create_session, create_user

# A client of somebody; None is somebody who has not signed in.
ClientOf = Callable[[Viewer | None], Client]


async def create_viewer(database: Database, role: Role) -> Viewer:
    """Somebody of this role who has signed in."""
    async with database.transaction() as session:
        user = await create_user(session, role=role)
        return Viewer(user.id, role, (await create_session(session, user)).id)
