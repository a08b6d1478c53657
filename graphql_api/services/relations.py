"""Filter fields that look at another table."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, true

from graphql_api.services.filters import Column, FilterField, Operators, condition, related_filter


def optional_related_filter(key: Column, ids: Select[Any], field: FilterField) -> FilterField:
    """`related_filter` over a key that may be null: `isNull` asks whether there is a related row at all."""
    related = related_filter(key, ids, field)

    def matches(operators: Operators) -> ColumnElement[bool]:
        rest = {name: value for name, value in operators.items() if name != "isNull"}
        parts = [related(rest)] if rest else []
        if operators.get("isNull") is not None:
            parts.append(key.is_(None) if operators["isNull"] else key.is_not(None))
        return and_(true(), *parts)

    return matches


def nested_filter(key: Column, ids: Select[Any], fields: Mapping[str, FilterField]) -> FilterField:
    """A field that holds a whole filter of a related row."""

    def matches(where: Operators) -> ColumnElement[bool]:
        return key.in_(ids.where(condition(where, fields)))

    return matches
