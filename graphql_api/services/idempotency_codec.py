"""Answers as bytes and back: dataclasses, rows, enums and plain values, and nothing that is not on the list."""

import base64
import dataclasses
import datetime as dt
import json
import types
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import inspect
from sqlmodel import SQLModel

# The member that tells an object of ours from a value of JSON.
KIND = "$"
PLAIN = (str, int, bool, type(None))
# Values that are a text in another form: how to write and how to read them.
TEXTS: Mapping[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    Decimal: ("decimal", str, Decimal),
    dt.datetime: ("instant", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("date", dt.date.isoformat, dt.date.fromisoformat),
    float: ("float", float.hex, float.fromhex),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode(), base64.b64decode),
    UUID: ("uuid", str, UUID),
}
READERS = {kind: read for kind, _, read in TEXTS.values()}


class UnknownTypeError(TypeError):
    """A value of a type that no answer is known to have."""


class UnreadableError(ValueError):
    """Bytes that are no answer of this version of the program."""


class AnswerCodec:
    """Writes and reads answers.

    Args:
        roots: the dataclasses that answers consist of; what their fields are annotated with is found from there.
    """

    def __init__(self, roots: Iterable[type]) -> None:
        self._types = {_name(found): found for found in reachable_types(roots)}

    def encode(self, answer: Any) -> bytes:
        """An answer as bytes.

        Raises:
            UnknownTypeError: something in it is of no known type, or was not loaded.
        """
        return json.dumps(self._written(answer), separators=(",", ":"), ensure_ascii=False).encode()

    def decode(self, content: bytes) -> Any:
        """The answer that `encode` has written.

        Raises:
            UnreadableError: another version of the program has written it, or somebody else.
        """
        try:
            return self._read(json.loads(content))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise UnreadableError(str(error)) from error

    def _written(self, value: Any) -> Any:
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind in TEXTS:
            name, write, _ = TEXTS[kind]
            return {KIND: name, "value": write(value)}
        if kind in (list, tuple):
            items = [self._written(item) for item in value]
            return items if kind is list else {KIND: "tuple", "value": items}
        if kind is dict:
            return {KIND: "dict", "value": [[self._written(key), self._written(item)] for key, item in value.items()]}
        return self._written_object(value)

    def _written_object(self, value: Any) -> dict[str, Any]:
        name = _name(type(value))
        if self._types.get(name) is not type(value):
            raise UnknownTypeError(f"{name} is not among the types of answers.")
        if isinstance(value, Enum):
            return {KIND: name, "value": value.name}
        fields = _fields(value)
        return {KIND: name, "value": {field: self._written(item) for field, item in fields.items()}}

    def _read(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._read(item) for item in value]
        if not isinstance(value, dict):
            return value
        kind, content = value[KIND], value["value"]
        if kind in READERS:
            return READERS[kind](content)
        if kind == "tuple":
            return tuple(self._read(item) for item in content)
        if kind == "dict":
            return {self._read(key): self._read(item) for key, item in content}
        return self._read_object(self._types[kind], content)

    def _read_object(self, kind: Any, content: Any) -> Any:
        if issubclass(kind, Enum):
            return kind[content]
        if content.keys() != set(_field_names(kind)):
            raise UnreadableError(f"{_name(kind)} has other fields now.")
        return kind(**{name: self._read(item) for name, item in content.items()})


def reachable_types(roots: Iterable[type]) -> set[type]:
    """The dataclasses, rows and enums among `roots` and in the annotations below them."""
    found: set[type] = set()
    pending = list(roots)
    while pending:
        kind = pending.pop()
        if kind in found or not _has_parts(kind):
            continue
        found.add(kind)
        if not issubclass(kind, Enum):
            pending += [part for hint in _annotations(kind) for part in _parts(hint)]
    return found


def _has_parts(kind: type) -> bool:
    """Whether a class is more than a plain value."""
    return dataclasses.is_dataclass(kind) or issubclass(kind, Enum | SQLModel)


def _annotations(kind: type) -> Iterable[Any]:
    """What the fields of a class hold; of those that are resolved anew only the stored part matters."""
    names = set(_field_names(kind))
    return [hint for name, hint in get_type_hints(kind).items() if name in names]


def _parts(hint: Any) -> Iterable[type]:
    """The classes that an annotation names, at any depth."""
    arguments = get_args(hint)
    if arguments:
        return [part for argument in (get_origin(hint), *arguments) for part in _parts(argument)]
    return [hint] if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) else []


def _field_names(kind: Any) -> list[str]:
    """The fields that a new object is made from."""
    if issubclass(kind, SQLModel):
        return [attribute.key for attribute in inspect(kind).column_attrs]
    return [field.name for field in dataclasses.fields(kind) if field.init]


def _fields(value: Any) -> dict[str, Any]:
    """The stored fields of an object."""
    names = _field_names(type(value))
    if not isinstance(value, SQLModel):
        return {name: getattr(value, name) for name in names}
    loaded = inspect(value).dict
    if missing := [name for name in names if name not in loaded]:
        raise UnknownTypeError(f"{_name(type(value))} was answered without {missing}, which were not loaded.")
    return {name: loaded[name] for name in names}


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
