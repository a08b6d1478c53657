"""What loading a block needs to know, and what comes of it, for files of every kind."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg

from graphql_api.imports.rejects import Reject

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class LoadOptions:
    """How a job treats rows.

    Args:
        import_id: the job.
        replace: a row may take the place of what an earlier import or somebody wrote.
        dry_run: tell what would happen and write only notes.
        deduct: sold lines take their bottles from stock.
        file: what the file is known by: a hash of its content and mapping.
        actor_id: whose job it is; None for the operator.
    """

    import_id: int
    replace: bool = False
    dry_run: bool = False
    deduct: bool = False
    file: str = ""
    actor_id: int | None = None


@dataclass(frozen=True)
class BlockResult:
    """What became of the rows of one block: `rows_read` is the sum of the other counts and the rejects."""

    rows_read: int
    inserted: int
    updated: int
    unchanged: int
    rejects: list[Reject]


class Blocked(Exception):  # noqa: N818 - a turn of events, not a fault
    """What an import wrote cannot be taken back; everything that stands in the way is named."""

    def __init__(self, blockers: Sequence[str]) -> None:
        super().__init__(f"{len(blockers)} blockers")
        self.blockers = tuple(blockers)


async def attempt(
    connection: asyncpg.Connection, options: LoadOptions, load: Callable[[], Awaitable[Outcome]]
) -> Outcome:
    """Load inside of a savepoint. A dry run really writes what it needs to judge the rows, and takes it back here."""
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        outcome = await load()
    except BaseException:
        await savepoint.rollback()
        raise
    await (savepoint.rollback() if options.dry_run else savepoint.commit())
    return outcome
