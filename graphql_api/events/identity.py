"""What tells one database from every other one, its own copies included."""

from asyncpg.exceptions import InsufficientPrivilegeError
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError

from graphql_api.database.engine import Database

# A dump that is restored elsewhere has another server or another number there. A copy of all files has neither, but
# begins a timeline of its own.
LOG = """
SELECT concat_ws('.', h.log, {}, d.oid, CASE WHEN pg_is_in_recovery() THEN '' ELSE
         left(pg_walfile_name(pg_current_wal_lsn()), 8) END)
FROM event_head h, pg_database d WHERE d.datname = current_database()
"""
CONTROLLED = text(LOG.format("(SELECT system_identifier FROM pg_control_system())"))
# Who may not ask for the identifier still sees when the server was started, which no two of them share.
STARTED = text(LOG.format("extract(epoch FROM pg_postmaster_start_time())"))


async def log_identity(database: Database) -> str:
    """A name for the log in exactly this database: a copy of it that lives elsewhere has another.

    Raises:
        OSError, DBAPIError: the database does not answer.
    """
    try:
        return await _ask(database, CONTROLLED)
    except DBAPIError as error:
        if not isinstance(getattr(error.orig, "__cause__", None), InsufficientPrivilegeError):
            raise
        return await _ask(database, STARTED)


async def _ask(database: Database, question: TextClause) -> str:
    async with database.read() as session:
        return str((await session.execute(question)).scalar_one())
