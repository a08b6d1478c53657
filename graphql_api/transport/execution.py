"""What every transport does with an operation: find it in its document, put its result on the wire."""

from collections.abc import Sequence
from typing import Any

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graphql_api.database.user import Language
from graphql_api.schema.context import Origin
from graphql_api.schema.errors import VALIDATION_FAILED, present_error
from graphql_api.schema.root import ApiSchema
from graphql_api.services.errors import ServiceError
from graphql_api.services.translation import Sentence, translate
from graphql_api.transport.graphql_request import GraphQLRequest


class UnknownOperation(Exception):  # noqa: N818 - reads as what it is
    """A document in which no operation, or more than one, is meant by its request.

    Args:
        wanted: the name that the request gives; None when it gives none.
    """

    def __init__(self, wanted: str | None) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def formatted(self, language: Language) -> dict[str, Any]:
        """The error as it goes over the wire."""
        message = (
            Sentence('The document has no operation "{name}".', name=self.wanted)
            if self.wanted
            else Sentence("Name one of the document's operations in `operationName`; fragments alone do nothing.")
        )
        return {"message": translate(message, language), "extensions": {"code": VALIDATION_FAILED}}


def operation_type(schema: ApiSchema, request: GraphQLRequest) -> OperationType | None:
    """What kind of operation a request asks for; None when its document cannot be parsed, which executing it tells.

    Raises:
        UnknownOperation: nothing tells which operation is meant; Strawberry would run the first.
    """
    document = schema.prepare(request.query).document
    if document is None:
        return None
    operations = _operations(document, request.operation_name)
    if len(operations) != 1:
        raise UnknownOperation(request.operation_name)
    return OperationType(operations[0].operation.value)


def _operations(document: DocumentNode, name: str | None) -> Sequence[OperationDefinitionNode]:
    """The operations that a request with this `operationName` may mean."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None:
        return operations
    # two of the same name are the validation's to refuse
    return [node for node in operations if node.name is not None and node.name.value == name][:1]


def result_payload(result: ExecutionResult) -> dict[str, Any]:
    """The result on the wire; without `data` when the operation did not begin."""
    payload: dict[str, Any] = {}
    if result.errors:
        payload["errors"] = [error.formatted for error in result.errors]
    if not _is_unstarted(result.data, result.errors):
        payload["data"] = result.data
    if result.extensions:
        payload["extensions"] = result.extensions
    return payload


def _is_unstarted(data: Any, errors: list[GraphQLError] | None) -> bool:
    return data is None and bool(errors) and all(error.path is None for error in errors or ())


def formatted_error(error: ServiceError, origin: Origin) -> dict[str, Any]:
    """An expected failure as an entry of `errors`, in the language of whoever asked."""
    shown = present_error(GraphQLError(error.message, original_error=error), origin.request_id, origin.language)
    return dict(shown.formatted)
