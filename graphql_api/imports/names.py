"""Counties, vendors and categories: found by number, else by name, created when they are new."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import asyncpg

NamedTable = Literal["county", "vendor", "category"]
NameFact = tuple[int | None, str | None]

# Some exports cut county names here; the longer spelling is the name.
CUT_LENGTH = 10


@dataclass
class _Named:
    """A row as it stands now; numbers never change once known."""

    id: int
    number: int | None
    name: str


def placeholder(number: int) -> str:
    """What stands for a name until a file gives one."""
    return f"#{number}"


async def resolve_names(
    connection: asyncpg.Connection, table: NamedTable, facts: Iterable[NameFact], import_id: int
) -> dict[NameFact, int | None]:
    """The row id of each (number, name); `None` where the file gives neither."""
    names = _Names(connection, table, import_id)
    await names.load()
    ordered = sorted(set(facts), key=lambda fact: (fact[0] is None, fact[0] or 0, fact[1] or ""))
    return {fact: await names.resolve(*fact) for fact in ordered}


class _Names:
    """One of the three tables, read whole: they hold hundreds of rows."""

    def __init__(self, connection: asyncpg.Connection, table: NamedTable, import_id: int) -> None:
        self._connection = connection
        self._table = table
        self._import_id = import_id
        self._by_number: dict[int, _Named] = {}
        self._by_name: dict[str, _Named] = {}

    async def load(self) -> None:
        # Numbered rows last and highest first, so that a name alone finds the lowest number that bears it.
        query = f"SELECT id, number, name FROM {self._table} ORDER BY number DESC NULLS FIRST, id DESC"  # noqa: S608 - a literal type
        for record in await self._connection.fetch(query):
            self._remember(_Named(*record))

    def _remember(self, row: _Named) -> None:
        self._by_name[row.name] = row
        if row.number is not None:
            self._by_number[row.number] = row

    async def resolve(self, number: int | None, name: str | None) -> int | None:
        if number is None:
            return None if name is None else (self._by_name.get(name) or await self._create(None, name)).id
        row = self._by_number.get(number) or await self._adopt(number, name)
        row = row or await self._create(number, name or placeholder(number))
        if name is not None and self._is_better(name, row):
            await self._rename(row, name)
        return row.id

    async def _adopt(self, number: int, name: str | None) -> _Named | None:
        """A row known by this name alone turns out to be the one with the number."""
        row = None if name is None else self._by_name.get(name)
        if row is None or row.number is not None:
            return None
        row.number = number
        self._by_number[number] = row
        await self._connection.execute(
            f"UPDATE {self._table} SET number = $1 WHERE id = $2",  # noqa: S608 - a literal type
            number,
            row.id,
        )
        return row

    async def _create(self, number: int | None, name: str) -> _Named:
        query = f"INSERT INTO {self._table} (number, name, import_id) VALUES ($1, $2, $3) RETURNING id"  # noqa: S608 - a literal type
        row = _Named(await self._connection.fetchval(query, number, name, self._import_id), number, name)
        self._remember(row)
        return row

    def _is_better(self, name: str, row: _Named) -> bool:
        if row.number is not None and row.name == placeholder(row.number):
            return True
        cut = self._table == "county" and len(row.name) == CUT_LENGTH
        return cut and len(name) > CUT_LENGTH and name.startswith(row.name)

    async def _rename(self, row: _Named, name: str) -> None:
        row.name = name
        self._by_name[name] = row
        await self._connection.execute(
            f"UPDATE {self._table} SET name = $1 WHERE id = $2",  # noqa: S608 - a literal type
            name,
            row.id,
        )
