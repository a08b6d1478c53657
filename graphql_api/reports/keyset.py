"""Going on after a row, in any order with any directions; undefined values come last in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, and_, false, literal, or_


@dataclass(frozen=True)
class SortKey:
    """A column that rows are ordered by."""

    column: ColumnElement[Any]
    descending: bool = False

    @property
    def clause(self) -> UnaryExpression[Any]:
        """For ORDER BY."""
        ordered = self.column.desc() if self.descending else self.column.asc()
        return ordered.nulls_last()


def is_after(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[bool]:
    """SQL: the row comes after the row that has `values` in the columns of `keys`."""
    beyond: ColumnElement[bool] = false()
    # From the last key outwards: beyond on this key, or level on it and beyond on a later one.
    for key, value in reversed(list(zip(keys, values, strict=True))):
        beyond = or_(_is_beyond(key, value), and_(_is_level(key, value), beyond))
    return beyond


def _is_level(key: SortKey, value: Any) -> ColumnElement[bool]:
    return key.column.is_(None) if value is None else key.column == literal(value, key.column.type)


def _is_beyond(key: SortKey, value: Any) -> ColumnElement[bool]:
    if value is None:
        return false()
    bound = literal(value, key.column.type)
    beyond = key.column < bound if key.descending else key.column > bound
    return or_(beyond, key.column.is_(None))
