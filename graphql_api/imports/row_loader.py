"""Loading the rows of a block: repeats within the file are found here, the rest is the business of each kind."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import asyncpg
import numpy as np

from graphql_api.imports import seen
from graphql_api.imports.layout import Field
from graphql_api.imports.load import BlockResult, LoadOptions, attempt
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.rows import FileRows, RowBlock

OTHER_CONTENT = "An earlier row of this file says something else of the same {what}; keep one of them."


class Claim(Enum):
    """Whether a row is the first of the file to speak of its subject."""

    FIRST = 1
    SAME = 2
    OTHER = 3


@dataclass
class Written:
    """What became of rows, as counts and rejects; `notes` are remembered until the job ends, dry run or not."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: list[Reject] = field(default_factory=list)
    notes: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class RowLoader:
    """How the rows of one kind of file are loaded.

    Args:
        what: a row's subject, as messages name it.
        blamed: the column to blame for a repeated subject.
        keys: the subject of each row as text.
        write: judges and writes the rows at some positions.
    """

    what: str
    blamed: Field
    keys: Callable[[FileRows], list[str]]
    write: Callable[[asyncpg.Connection, FileRows, Sequence[int], LoadOptions], Awaitable[Written]]

    async def load(self, connection: asyncpg.Connection, block: RowBlock, options: LoadOptions) -> BlockResult:
        """Write one block inside the caller's transaction; a dry run writes only what it has seen."""
        rows = block.rows
        claims = await claim(connection, options.import_id, self.keys(rows), rows.content_hashes())
        first = [index for index, found in enumerate(claims) if found is Claim.FIRST]
        written = await attempt(connection, options, lambda: self.write(connection, rows, first, options))
        names, lines, contents = zip(*written.notes, strict=True) if written.notes else ((), (), ())
        await seen.remember(connection, options.import_id, (list(names), list(lines), list(contents)))
        hint = OTHER_CONTENT.format(what=self.what)
        rejects = [*block.rejects, *written.rejects]
        rejects += [
            rows.reject(index, RejectCode.ID_REPEATED, self.blamed, hint)
            for index, found in enumerate(claims)
            if found is Claim.OTHER
        ]
        return BlockResult(
            rows_read=block.rows_read,
            inserted=written.inserted,
            updated=written.updated,
            unchanged=written.unchanged + claims.count(Claim.SAME),
            rejects=sorted(rejects, key=lambda reject: reject.record),
        )


async def claim(
    connection: asyncpg.Connection, import_id: int, keys: Sequence[str], contents: Sequence[int]
) -> list[Claim]:
    """For each row, whether its key came before in this file, and with which content; the new ones are noted."""
    everything = list(keys), [0] * len(keys), list(contents)
    positions, same = await seen.find_matches(connection, import_id, np.arange(len(keys)), everything)
    earlier = dict(zip(positions.tolist(), same.tolist(), strict=True))
    first: dict[str, int] = {}
    claims = []
    for position, (key, content) in enumerate(zip(keys, contents, strict=True)):
        is_new = position not in earlier and key not in first
        is_same = earlier[position] if position in earlier else first.setdefault(key, content) == content
        claims.append(Claim.FIRST if is_new else Claim.SAME if is_same else Claim.OTHER)
    await seen.remember(connection, import_id, (list(first), [0] * len(first), list(first.values())))
    return claims
