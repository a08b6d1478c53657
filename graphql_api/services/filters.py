"""One filter language for lists and reports: nested mappings in, one SQL condition out.

A `Where` maps field names to operators, `{"county": {"eq": "POLK"}}`, and may hold `and`, `or` (lists of
`Where`) and `not` (one `Where`). Fields side by side must all match. A field that is absent or `None` does
not filter; an empty `in` or `or` matches nothing, an empty `and` or `{}` everything.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, not_, or_, true
from sqlalchemy.sql.elements import SQLCoreOperations

from graphql_api.services.errors import BadInput, TooComplex

Where = Mapping[str, Any]
Operators = Mapping[str, Any]
FilterField = Callable[[Operators], ColumnElement[bool]]

Column = SQLCoreOperations[Any]

MAX_LIST = 1_000
MAX_DEPTH = 10
# Every condition is SQL of its own, and PostgreSQL takes 32,767 values in one statement.
MAX_CONDITIONS = 200
MAX_VALUES = 10_000
LIKE_SPECIAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


def escape_like(text: str) -> str:
    """`text` as a LIKE pattern that means only itself."""
    return text.translate(LIKE_SPECIAL)


def _contains(column: Column, value: str) -> ColumnElement[bool]:
    return column.ilike(f"%{escape_like(value)}%", escape="\\")


def _starts_with(column: Column, value: str) -> ColumnElement[bool]:
    return column.ilike(f"{escape_like(value)}%", escape="\\")


def _is_null(column: Column, value: bool) -> ColumnElement[bool]:  # noqa: FBT001 - an operand as any other
    return column.is_(None) if value else column.is_not(None)


def _among(column: Column, values: Sequence[Any]) -> ColumnElement[bool]:
    if len(values) > MAX_LIST:
        raise TooComplex(
            "`in` takes at most {limit} values; got {given}.", path=("in",), limit=MAX_LIST, given=len(values)
        )
    return column.in_(values)


# Operators whose operand is brought to the stored form first, and operators that take it as it is.
COMPARISONS: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": operator.eq,
    "in": _among,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
TESTS: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "contains": _contains,
    "startsWith": _starts_with,
    "isNull": _is_null,
}


def _identity(value: Any) -> Any:
    return value


def column_filter(column: Column, normalise: Callable[[Any], Any] = _identity) -> FilterField:
    """A field that is one column; `normalise` brings a client's value to the stored form."""

    def matches(operators: Operators) -> ColumnElement[bool]:
        return and_(true(), *(_operator(column, name, value, normalise) for name, value in operators.items()))

    return matches


def related_filter(key: Column, ids: Select[Any], field: FilterField) -> FilterField:
    """A field of a related row: `key` must be among `ids` (a select of one column) that match `field`."""

    def matches(operators: Operators) -> ColumnElement[bool]:
        return key.in_(ids.where(field(operators)))

    return matches


def _operator(column: Column, name: str, value: Any, normalise: Callable[[Any], Any]) -> ColumnElement[bool]:
    if value is None:
        raise BadInput("`{name}` must not be null; leave it out, or use `isNull: true`.", path=(name,), name=name)
    if name in TESTS:
        return TESTS[name](column, value)
    if name not in COMPARISONS:
        raise BadInput("There is no operator `{name}`.", path=(name,), name=name)
    try:
        stored = [normalise(item) for item in value] if name == "in" else normalise(value)
    except BadInput as error:
        raise error.below(name) from None
    return COMPARISONS[name](column, stored)


def condition(where: Where | None, fields: Mapping[str, FilterField], *, depth: int = 0) -> ColumnElement[bool]:
    """The SQL condition of `where` over `fields`.

    Raises:
        BadInput: for a field or operator that does not exist, with the path to it.
        TooComplex: when `and`/`or`/`not` nest deeper than `MAX_DEPTH`, an `in` is too long, or it is too much in all.
    """
    if depth > MAX_DEPTH:
        raise TooComplex("Filters nest at most {limit} deep.", limit=MAX_DEPTH)
    if depth == 0:
        _check_size(where)
    parts = [_part(name, value, fields, depth) for name, value in (where or {}).items() if value is not None]
    return and_(true(), *parts)


def _check_size(where: Any) -> None:
    """Refuse more conditions, or more values of all `in` together, than one statement can hold."""
    conditions = values = 0
    pending = [where]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, list) and item and isinstance(item[0], Mapping):
            pending.extend(item)
        elif item is not None:
            conditions += 1
            values += len(item) if isinstance(item, list) else 1
    if conditions > MAX_CONDITIONS:
        raise TooComplex(
            "A filter has at most {limit} conditions; this one has {given:,}. "
            "To look for many values of one field, give them to `in`.",
            limit=MAX_CONDITIONS,
            given=conditions,
        )
    if values > MAX_VALUES:
        raise TooComplex(
            "A filter has at most {limit:,} values in all; this one has {given:,}. Ask in parts.",
            limit=MAX_VALUES,
            given=values,
        )


def _part(name: str, value: Any, fields: Mapping[str, FilterField], depth: int) -> ColumnElement[bool]:
    try:
        return _combined(name, value, fields, depth)
    except (BadInput, TooComplex) as error:
        raise error.below(name) from None


def _combined(name: str, value: Any, fields: Mapping[str, FilterField], depth: int) -> ColumnElement[bool]:
    match name:
        case "and":
            return and_(true(), *_items(value, fields, depth))
        case "or":
            return or_(false(), *_items(value, fields, depth))
        case "not":
            # IS NOT TRUE, not NOT: a row whose value is unknown does not match, so its negation does.
            return not_(condition(value, fields, depth=depth + 1).is_(true()))
    if name not in fields:
        raise BadInput("There is no filter `{name}`.", name=name)
    return fields[name](value)


def _items(value: Sequence[Where], fields: Mapping[str, FilterField], depth: int) -> list[ColumnElement[bool]]:
    conditions = []
    for position, item in enumerate(value):
        try:
            conditions.append(condition(item, fields, depth=depth + 1))
        except (BadInput, TooComplex) as error:
            raise error.below(str(position)) from None
    return conditions


def presence_filter(column: Column, *, is_absent: bool = False) -> FilterField:
    """A yes or no that is kept as a value or NULL: yes when there is one, or with `is_absent` when there is none."""

    def matches(operators: Operators) -> ColumnElement[bool]:
        return and_(true(), *(_presence(column, name, value, is_absent) for name, value in operators.items()))

    return matches


def _presence(column: Column, name: str, value: Any, is_absent: bool) -> ColumnElement[bool]:  # noqa: FBT001 - as `_is_null`
    if name != "eq" or value is None:
        raise BadInput("This filter takes `eq`, true or false.", path=(name,))
    return _is_null(column, value is is_absent)
