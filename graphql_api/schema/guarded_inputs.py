"""Parts of inputs that need a right: found wherever they are nested, and named by their path when refused."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    get_named_type,
)

from graphql_api.services.errors import ServiceError
from graphql_api.services.policy import Action, Viewer, require

Path = tuple[str, ...]


def _parts(kind: GraphQLNamedType | None) -> list[str]:
    """The names of the fields of an input, or of the values of an enum."""
    if isinstance(kind, GraphQLInputObjectType):
        return list(kind.fields)
    return list(kind.values) if isinstance(kind, GraphQLEnumType) else []


class GuardedInputs:
    """The table of guarded fields of inputs and values of enums.

    Args:
        schema: where they are.
        actions: what each needs, by type and name.

    Raises:
        LookupError: there is no such part, so a rule is without effect.
    """

    def __init__(self, schema: GraphQLSchema, actions: Mapping[tuple[str, str], Action]) -> None:
        for type_name, name in actions:
            if name not in _parts(schema.type_map.get(type_name)):
                raise LookupError(f"There is no part {type_name}.{name} of an input to be guarded.")
        self._actions = actions
        self._needed = frozenset(actions.values())
        self._types = frozenset(type_name for type_name, _ in actions)

    def reach(self, kind: GraphQLInputType, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a value of this type can hold a guarded part, at any depth."""
        named = get_named_type(kind)
        if named.name in self._types:
            return True
        if not isinstance(named, GraphQLInputObjectType) or named.name in seen:
            return False
        return any(self.reach(field.type, seen | {named.name}) for field in named.fields.values())

    def check(self, kind: GraphQLInputType, value: Any, viewer: Viewer | None, path: Path) -> None:
        """Return when `viewer` may use every part of the value.

        Raises:
            Unauthenticated, Forbidden: with the path to the first part that the viewer may not use.
        """
        if viewer is None or not self._needed <= viewer.actions:
            self._look_at(kind, value, viewer, path)

    def _look_at(self, kind: GraphQLInputType, value: Any, viewer: Viewer | None, path: Path) -> None:
        if value is None:
            return
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(kind, GraphQLList):
            for position, item in enumerate(value if isinstance(value, list) else [value]):
                self._look_at(kind.of_type, item, viewer, (*path, str(position)))
        elif isinstance(kind, GraphQLEnumType):
            name = value.name if isinstance(value, Enum) else str(value)
            self._require(kind.name, name, viewer, path)
        elif isinstance(kind, GraphQLInputObjectType):
            for name, item in value.items():
                if item is not None:
                    self._require(kind.name, name, viewer, (*path, name))
                self._look_at(kind.fields[name].type, item, viewer, (*path, name))

    def _require(self, type_name: str, name: str, viewer: Viewer | None, path: Path) -> None:
        action = self._actions.get((type_name, name))
        if action is None:
            return
        try:
            require(viewer, action)
        except ServiceError as error:
            raise error.below(*path) from None
