"""Read rows by their ids, in the order asked."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import class_mapper

Row = TypeVar("Row")


def id_array(ids: Sequence[int]) -> ColumnElement[Any]:
    """The ids as one array parameter: the statement stays the same however many there are."""
    return literal(list(ids), ARRAY(BigInteger))


def plain_row(kind: type[Row], values: Mapping[str, Any]) -> Row:
    """A row that no session knows, made at once from all of its values: to be read, never to be set.

    Setting what is mapped to a table, attribute by attribute, takes longer than most statements.
    """
    class_mapper(kind)  # the attributes can be read once all tables are known to each other
    row = kind.__new__(kind)
    row.__dict__.update(values)
    return row


async def rows_by_id(session: AsyncSession, kind: type[Row], ids: Sequence[int]) -> list[Row | None]:
    """The rows with these ids, one for each id in the same order; None where there is none."""
    key: Any = kind.id  # type: ignore[attr-defined]  # every table read by id has this column
    found = await session.scalars(select(kind).where(key == any_(id_array(ids))))
    rows: dict[int, Row] = {row.id: row for row in found}  # type: ignore[attr-defined]  # as above
    return [rows.get(key) for key in ids]
