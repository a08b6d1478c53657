"""Products and stores of a file against those that exist: compared, created, changed; what was is kept for a revert.

A cell that is empty, like a column that is missing, says nothing and changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import asyncpg

from graphql_api.imports.layout import Field
from graphql_api.imports.load import Blocked, LoadOptions
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.row_loader import Written
from graphql_api.imports.rows import FileRows

Facts = dict[str, list[Any]]


@dataclass(frozen=True)
class MasterTable:
    """A table of things that files tell of.

    Args:
        name: the table, which is also what history calls its rows.
        key: the column that rows are known by.
        types: the key's and every other column's type, in the order of statements.
        shown: how messages name a column.
        needed: columns that a new row must give, with the field to blame.
        conflict: why a row is refused that says something else of a known thing.
        blamed: the field of the key.
    """

    name: Literal["product", "store"]
    key: str
    types: Mapping[str, str]
    shown: Mapping[str, str]
    needed: Mapping[str, Field]
    conflict: RejectCode
    blamed: Field

    @property
    def columns(self) -> list[str]:
        """All columns but the key."""
        return [column for column in self.types if column != self.key]

    @cached_property
    def _given(self) -> str:
        """The rows of the file, as a table `k`."""
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(self.types.values(), start=1))
        names = ", ".join(self.types)
        return f"unnest({arrays}) WITH ORDINALITY AS k ({names}, position)"

    @property
    def _next(self) -> int:
        return len(self.types) + 1

    @cached_property
    def compare(self) -> str:
        """Of rows that exist: position and the columns in which they differ; nobody changes them from now on."""
        cases = ", ".join(
            f"CASE WHEN k.{column} IS NOT NULL AND k.{column} IS DISTINCT FROM t.{column} THEN '{column}' END"
            for column in self.columns
        )
        return (
            f"SELECT k.position - 1 AS position, array_remove(ARRAY[{cases}], NULL) AS differences "  # noqa: S608 - names are constants
            f"FROM {self._given} JOIN {self.name} t ON t.{self.key} = k.{self.key} "
            "ORDER BY t.id FOR NO KEY UPDATE OF t"
        )

    @cached_property
    def insert(self) -> str:
        """Create rows; a column that must not be null and is not given takes its default."""
        values = ", ".join(
            f"coalesce(k.{column}, true)" if column == "is_active" else f"k.{column}" for column in self.types
        )
        author = ", created_by" if self.name == "product" else ""
        value = f", ${self._next + 1}::bigint" if author else ""
        return (
            f"INSERT INTO {self.name} ({', '.join(self.types)}, import_id{author}) "  # noqa: S608 - names are constants
            f"SELECT {values}, ${self._next}::bigint{value} FROM {self._given} ORDER BY k.position"
        )

    @cached_property
    def keep_before(self) -> str:
        """Keep what the changed columns hold and what they will."""
        pairs = ", ".join(f"('{column}', to_jsonb(t.{column}), to_jsonb(k.{column}))" for column in self.columns)
        return (
            "INSERT INTO import_row_change (import_id, entity, row_id, version, before, after) "  # noqa: S608 - names are constants
            f"SELECT ${self._next}, '{self.name}', t.id, t.version + 1, c.before, c.after "
            f"FROM {self._given} JOIN {self.name} t ON t.{self.key} = k.{self.key} CROSS JOIN LATERAL ("
            "SELECT jsonb_object_agg(v.name, v.before) AS before, jsonb_object_agg(v.name, v.after) AS after "
            f"FROM (VALUES {pairs}) AS v (name, before, after) "
            "WHERE v.after IS NOT NULL AND v.after IS DISTINCT FROM v.before) c"
        )

    @cached_property
    def update(self) -> str:
        """Change what is given."""
        changes = ", ".join(f"{column} = coalesce(k.{column}, t.{column})" for column in self.columns)
        return (
            f"UPDATE {self.name} t SET {changes}, version = t.version + 1 "  # noqa: S608 - names are constants
            f"FROM {self._given} WHERE t.{self.key} = k.{self.key}"
        )

    @cached_property
    def changed_since(self) -> str:
        """What a revert would overwrite although it was changed again, and the last import that did so."""
        return (
            f"SELECT t.{self.key} AS key, f.changed, f.by FROM import_row_change c "  # noqa: S608 - names are constants
            f"JOIN {self.name} t ON t.id = c.row_id CROSS JOIN LATERAL ("
            "SELECT array_agg(a.key ORDER BY a.key) AS changed, max(l.import_id) AS by FROM jsonb_each(c.after) a "
            "LEFT JOIN import_row_change l ON (l.entity, l.row_id) = (c.entity, c.row_id) AND l.version > c.version "
            "AND l.after ? a.key WHERE l.import_id IS NOT NULL OR to_jsonb(t) -> a.key IS DISTINCT FROM a.value) f "
            f"WHERE c.import_id = $1 AND c.entity = '{self.name}' AND f.changed IS NOT NULL ORDER BY 1"
        )

    @cached_property
    def restore(self) -> str:
        """Give the changed columns back what they held."""
        columns = ", ".join(self.columns)
        values = ", ".join(f"r.{column}" for column in self.columns)
        return (
            f"UPDATE {self.name} t SET ({columns}) = "  # noqa: S608 - names are constants
            f"(SELECT {values} FROM jsonb_populate_record(t, c.before) AS r), version = t.version + 1 "
            f"FROM import_row_change c WHERE c.import_id = $1 AND c.entity = '{self.name}' AND c.row_id = t.id"
        )

    async def write(
        self,
        connection: asyncpg.Connection,
        rows: FileRows,
        chosen: Sequence[int],
        facts: Facts,
        options: LoadOptions,
    ) -> Written:
        """Judge and write rows at some positions; `facts` has their columns in the same order."""
        found = {
            record["position"]: record["differences"]
            for record in await connection.fetch(self.compare, *self._arrays(facts, range(len(chosen))))
        }
        changed = [place for place, differences in sorted(found.items()) if differences]
        missing = [place for place in range(len(chosen)) if place not in found]
        incomplete = {place: blamed for place in missing if (blamed := self._lacks(facts, place)) is not None}
        new = [place for place in missing if place not in incomplete]
        written = Written(inserted=len(new), unchanged=len(found) - len(changed))
        written.rejects = [self._incomplete(rows, chosen[place], blamed) for place, blamed in incomplete.items()]
        await self._insert(connection, self._arrays(facts, new), options)
        if options.replace:
            await self._update(connection, self._arrays(facts, changed), options)
            written.updated = len(changed)
        else:
            written.rejects += [self._conflict(rows, chosen[place], found[place]) for place in changed]
        return written

    def _arrays(self, facts: Facts, places: Sequence[int]) -> list[list[Any]]:
        return [[facts[column][place] for place in places] for column in self.types]

    def _lacks(self, facts: Facts, place: int) -> Field | None:
        return next((blamed for column, blamed in self.needed.items() if facts[column][place] is None), None)

    async def _insert(self, connection: asyncpg.Connection, arrays: list[list[Any]], options: LoadOptions) -> None:
        if arrays[0]:
            author = [options.actor_id] if self.name == "product" else []
            await connection.execute(self.insert, *arrays, options.import_id, *author)

    async def _update(self, connection: asyncpg.Connection, arrays: list[list[Any]], options: LoadOptions) -> None:
        if arrays[0]:
            await connection.execute(self.keep_before, *arrays, options.import_id)
            await connection.execute(self.update, *arrays)

    def _incomplete(self, rows: FileRows, index: int, blamed: Field) -> Reject:
        title = rows.source.columns.layout.title(blamed)
        return rows.reject(
            index,
            RejectCode.MISSING_VALUE,
            blamed,
            f'No {self.name} is known by this number, and a new one needs "{title}".',
        )

    def _conflict(self, rows: FileRows, index: int, differences: Sequence[str]) -> Reject:
        what = ", ".join(dict.fromkeys(self.shown[column] for column in differences))
        hint = f"The {self.name} is known with another {what}; import with mode UPSERT to change it."
        return rows.reject(index, self.conflict, self.blamed, hint)

    async def blockers(self, connection: asyncpg.Connection, import_id: int) -> list[str]:
        """Why what an import changed cannot be restored, a sentence for each row; the rows are locked."""
        await connection.execute(
            f"SELECT FROM {self.name} t JOIN import_row_change c ON c.row_id = t.id "
            f"WHERE c.import_id = $1 AND c.entity = '{self.name}' ORDER BY t.id FOR NO KEY UPDATE OF t",
            import_id,
        )
        return [self._blocker(record) for record in await connection.fetch(self.changed_since, import_id)]

    def _blocker(self, record: asyncpg.Record) -> str:
        what = ", ".join(dict.fromkeys(self.shown[column] for column in record["changed"]))
        author = f" by import {record['by']}" if record["by"] else ""
        return f"The {what} of {self.name} {record['key']} was changed again{author}."


async def restore_changed(table: MasterTable, connection: asyncpg.Connection, import_id: int) -> None:
    """Give the rows that an import changed back what they held.

    Raises:
        Blocked: some were changed again since; nothing is restored.
    """
    if blockers := await table.blockers(connection, import_id):
        raise Blocked(blockers)
    await connection.execute(table.restore, import_id)
    await connection.execute("DELETE FROM import_row_change WHERE import_id = $1", import_id)
