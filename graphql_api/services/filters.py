"""One filter language for lists and reports: nested mappings in, one SQL condition out.

A `Where` maps field names to operators, `{"county": {"eq": "POLK"}}`, and may hold `and`, `or` (lists of
`Where`) and `not` (one `Where`). Fields side by side must all match. A field that is absent or `None` does
not filter; an empty `in` or `or` matches nothing, an empty `and` or `{}` everything.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, not_, or_, true
from sqlalchemy.sql.elements import SQLCoreOperations

from graphql_api.services.errors import BadInput, TooComplex

Where = Mapping[str, Any]
Operators = Mapping[str, Any]
FilterField = Callable[[Operators], ColumnElement[bool]]
Condition = TypeVar("Condition")
Fields = Mapping[str, Callable[[Operators], Condition]]

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
    operand = read_operand(name, value, normalise)
    return (TESTS.get(name) or COMPARISONS[name])(column, operand)


def read_operand(name: str, value: Any, normalise: Callable[[Any], Any]) -> Any:
    """What an operator is given, brought to the stored form where it is compared with what is stored.

    Raises:
        BadInput: there is no such operator, or the value cannot be used; with the path to it.
        TooComplex: an `in` is too long.
    """
    if value is None:
        raise BadInput("`{name}` must not be null; leave it out, or use `isNull: true`.", path=(name,), name=name)
    if name in TESTS:
        return value
    if name not in COMPARISONS:
        raise BadInput("There is no operator `{name}`.", path=(name,), name=name)
    try:
        stored = [normalise(item) for item in value] if name == "in" else normalise(value)
    except BadInput as error:
        raise error.below(name) from None
    if name == "in" and len(stored) > MAX_LIST:
        raise TooComplex(
            "`in` takes at most {limit} values; got {given}.", path=("in",), limit=MAX_LIST, given=len(stored)
        )
    return stored


@dataclass(frozen=True)
class Logic(Generic[Condition]):
    """How conditions are put together, whatever decides them.

    Args:
        all_of: holds when all of them do; also when there are none.
        any_of: holds when one of them does.
        none_of: holds unless this one does; so also when that is unknown.
    """

    all_of: Callable[[Sequence[Condition]], Condition]
    any_of: Callable[[Sequence[Condition]], Condition]
    none_of: Callable[[Condition], Condition]


SQL: Logic[ColumnElement[bool]] = Logic(
    lambda parts: and_(true(), *parts),
    lambda parts: or_(false(), *parts),
    # IS NOT TRUE, not NOT: a row whose value is unknown does not match, so its negation does.
    lambda part: not_(part.is_(true())),
)


def condition(where: Where | None, fields: Mapping[str, FilterField]) -> ColumnElement[bool]:
    """The SQL condition of `where` over `fields`.

    Raises:
        BadInput, TooComplex: as `combine` does.
    """
    return combine(where, fields, SQL)


def combine(where: Where | None, fields: Fields[Condition], logic: Logic[Condition]) -> Condition:
    """The condition of `where` over `fields`.

    Raises:
        BadInput: for a field or operator that does not exist, with the path to it.
        TooComplex: when `and`/`or`/`not` nest deeper than `MAX_DEPTH`, an `in` is too long, or it is too much in all.
    """
    _check_size(where)
    return _whole(where, fields, logic, 0)


def _whole(where: Where | None, fields: Fields[Condition], logic: Logic[Condition], depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise TooComplex("Filters nest at most {limit} deep.", limit=MAX_DEPTH)
    given = [(name, value) for name, value in (where or {}).items() if value is not None]
    return logic.all_of([_part(name, value, fields, logic, depth) for name, value in given])


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


def _part(name: str, value: Any, fields: Fields[Condition], logic: Logic[Condition], depth: int) -> Condition:
    try:
        return _combined(name, value, fields, logic, depth)
    except (BadInput, TooComplex) as error:
        raise error.below(name) from None


def _combined(name: str, value: Any, fields: Fields[Condition], logic: Logic[Condition], depth: int) -> Condition:
    match name:
        case "and":
            return logic.all_of(_items(value, fields, logic, depth))
        case "or":
            return logic.any_of(_items(value, fields, logic, depth))
        case "not":
            return logic.none_of(_whole(value, fields, logic, depth + 1))
    if name not in fields:
        raise BadInput("There is no filter `{name}`.", name=name)
    return fields[name](value)


def _items(value: Sequence[Where], fields: Fields[Condition], logic: Logic[Condition], depth: int) -> list[Condition]:
    conditions = []
    for position, item in enumerate(value):
        try:
            conditions.append(_whole(item, fields, logic, depth + 1))
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
