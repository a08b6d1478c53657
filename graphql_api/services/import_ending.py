"""How import jobs end that do not end well: what they wrote is taken back, or stays because it was used since."""

import json
import logging
import uuid
from collections.abc import Sequence

import asyncpg

from graphql_api.database.import_job import ImportKind, ImportStatus
from graphql_api.imports.kinds import KINDS
from graphql_api.imports.load import Blocked
from graphql_api.imports.rejects import FileProblem, FileProblemCode
from graphql_api.imports.run import finish, take_back

logger = logging.getLogger(__name__)

MAX_BLOCKERS = 100


async def take_back_or_keep(
    connection: asyncpg.Connection, job: asyncpg.Record, status: ImportStatus, cause: FileProblem | None = None
) -> None:
    """Undo what a job wrote and give it this status; where something stands in the way it is completed as it is.

    Args:
        connection: outside of a transaction.
        job: its row.
        status: what it becomes when nothing stands in the way.
        cause: why it is taken back, when that is not somebody's wish.
    """
    try:
        await take_back(connection, KINDS[ImportKind(job["kind"])], job["id"], status)
    except Blocked as blocked:
        await keep(connection, job["id"], _blocked(cause), blocked.blockers)


def _blocked(cause: FileProblem | None) -> FileProblem:
    reason = f" It was to be taken back because of this: {cause.message}" if cause else ""
    return FileProblem(
        FileProblemCode.REVERT_BLOCKED,
        f"What this import wrote stays, because some of it has been used or changed since.{reason}",
        "Undo what the blockers name, then revert the import.",
    )


async def fail(connection: asyncpg.Connection, job: asyncpg.Record, problem: FileProblem) -> None:
    """Note what is wrong with the file and leave nothing of it behind."""
    await _note(connection, job["id"], problem)
    await take_back_or_keep(connection, job, ImportStatus.FAILED, problem)


async def keep(
    connection: asyncpg.Connection, import_id: int, problem: FileProblem, blockers: Sequence[str] = ()
) -> None:
    """An import that cannot be taken back is as it was before."""
    await _note(connection, import_id, problem, blockers)
    await finish(connection, import_id, ImportStatus.COMPLETED)


async def give_up(connection: asyncpg.Connection, job: asyncpg.Record, error: Exception) -> None:
    """End a job that fails every time, leaving nothing of it, and tell the user what to report."""
    reference = uuid.uuid4().hex
    logger.error("Import %d is given up, reference %s", job["id"], reference, exc_info=error)
    problem = FileProblem(
        FileProblemCode.INTERNAL_ERROR,
        f"Something went wrong on our side, again and again. Reference: {reference}.",
        "Report the reference to whoever runs this server; the log has the cause under it.",
    )
    match ImportStatus(job["status"]):
        case ImportStatus.RUNNING:
            await fail(connection, job, problem)
        case ImportStatus.REVERTING:
            await keep(connection, job["id"], problem)
        case _:  # taking back a cancelled import is tried for ever: half an import must not stay
            raise error


async def _note(
    connection: asyncpg.Connection, import_id: int, problem: FileProblem, blockers: Sequence[str] = ()
) -> None:
    failure = {
        "code": problem.code.value,
        "message": problem.message,
        "hint": problem.hint,
        "line": problem.line,
        "column": problem.column,
        "blockers": list(blockers[:MAX_BLOCKERS]),
    }
    await connection.execute("UPDATE import_job SET failure = $2 WHERE id = $1", import_id, json.dumps(failure))
