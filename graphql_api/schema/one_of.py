"""Inputs of which exactly one field is given, as GraphQL's own rules see them.

Strawberry has a rule of its own instead, which breaks at a variable that nobody has declared, and at a fragment that
stands before the operation.
"""

from typing import Any

from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    ValidationRule,
    get_named_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter


def declare_one_of(schema: GraphQLSchema) -> None:
    """Tell GraphQL which inputs these are; Strawberry keeps it to itself."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            kind.is_one_of = kind.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].is_one_of


class OneOfVariablesRule(ValidationRule):
    """The value of such a field is no variable that may be null.

    GraphQL has the rule as well; graphql-core 3.3.2 misses it where the input itself must be given, as in a list.
    """

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_rest: Any) -> None:
        """Look at what the operation uses, in fragments too."""
        declared = {definition.variable.name.value: definition for definition in operation.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(operation):
            kind, name = get_named_type(usage.parent_type), usage.node.name.value
            definition = declared.get(name)
            if (
                definition is None
                or isinstance(definition.type, NonNullTypeNode)
                or not isinstance(kind, GraphQLInputObjectType)
                or not kind.is_one_of
            ):
                continue
            message = f"Variable '${name}' must be non-nullable to be used for OneOf Input Object '{kind.name}'."
            self.report_error(GraphQLError(message, [definition, usage.node]))
