"""The smallest valid document for a root field, built from the schema alone."""

import io
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from graphql_api.schema.upload import UploadedFile

SAMPLES = {
    "Boolean": True,
    "Date": "2024-01-01",
    "DateTime": "2024-01-01T00:00:00Z",
    "Decimal": "1.00",
    "Float": 1.0,
    "ID": "x",
    "Int": 1,
    "String": "x",
}


@dataclass(frozen=True)
class Document:
    """An operation and its variables."""

    text: str
    variables: dict[str, Any] = field(default_factory=dict)


def minimal_document(operation: str, name: str, root_field: GraphQLField) -> Document:
    """Ask for one root field with what it requires, and for as little of its answer as there is."""
    required = {key: argument for key, argument in root_field.args.items() if is_required_argument(argument)}
    declared = ", ".join(f"${key}: {argument.type}" for key, argument in required.items())
    passed = ", ".join(f"{key}: ${key}" for key in required)
    head = f"{operation} ({declared})" if declared else operation
    call = f"{name}({passed})" if passed else name
    variables = {key: sample(argument.type) for key, argument in required.items()}
    return Document(f"{head} {{ {call} {selection(root_field.type)} }}", variables)


def selection(kind: GraphQLOutputType) -> str:
    """What is asked of an answer: the errors of a mutation, else only what it is."""
    named = get_named_type(kind)
    if is_leaf_type(named):
        return ""
    is_payload = isinstance(named, GraphQLObjectType) and "userErrors" in named.fields
    return "{ __typename userErrors { code } }" if is_payload else "{ __typename }"


def sample(kind: GraphQLInputType) -> Any:
    """A value of this type that holds what is required and nothing else."""
    match kind:
        case GraphQLNonNull():
            return sample(kind.of_type)
        case GraphQLList():
            return []
        case GraphQLEnumType():
            return next(iter(kind.values))
        case GraphQLInputObjectType():
            needed = {name: part for name, part in kind.fields.items() if is_required_input_field(part)}
            return {name: sample(part.type) for name, part in needed.items()}
    return UploadedFile("x.csv", io.BytesIO(b"x")) if kind.name == "Upload" else SAMPLES[kind.name]
