"""Who is behind an access token."""

from graphql_api.database.engine import Database
from graphql_api.services.noticeboard import Noticeboard
from graphql_api.services.policy import Unauthenticated, Viewer


class Authentication:
    """Knows who is behind an access token; asks the database once for a session and hears of its end.

    Args:
        database: the truth about sessions.
        noticeboard: tells when what is remembered is out of date.
    """

    def __init__(self, database: Database, noticeboard: Noticeboard) -> None:
        self._database = database
        self._noticeboard = noticeboard

    async def viewer(self, access_token: str) -> Viewer:
        """Whoever the token was given to.

        Raises:
            Unauthenticated: the token is none of ours, is not valid now, or its session has ended.
        """
        raise Unauthenticated("The access token is not valid. Sign in again.")
