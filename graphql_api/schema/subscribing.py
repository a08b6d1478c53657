"""Subscription operations: checked once for each subscriber, executed once for all who may share the result."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from inspect import isawaitable
from typing import Any, cast

from graphql import (
    ExecutionResult,
    Executor,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
)
from graphql.execution.collect_fields import DeferUsage, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_api.database.user import Language, Role
from graphql_api.schema.after_variables import root_field, variables_of_after
from graphql_api.schema.context import Context
from graphql_api.schema.documents import CACHED_DOCUMENTS, request_errors
from graphql_api.schema.errors import VALIDATION_FAILED
from graphql_api.schema.live import EventStream, StateStream
from graphql_api.schema.root import ApiSchema
from graphql_api.schema.subscription_root import RESUMED, is_resumable
from graphql_api.schema.viewer_identity import SharedViewer
from graphql_api.services.policy import COMPANY, Viewer
from graphql_api.services.translation import Sentence, translate

AnyStream = EventStream[Any] | StateStream[Any, Any]


class Refused(Exception):  # noqa: N818 - reads as what it is
    """A subscription that does not begin.

    Args:
        errors: why, as they go over the wire.
    """

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(*(error.get("message") for error in errors))
        self.errors = [dict(error) for error in errors]


@dataclass(frozen=True, slots=True)
class Rights:
    """What a result may depend on besides the operation: two with equal rights get the same bytes.

    Args:
        role: of the viewer; None when nobody has signed in.
        language: of messages.
        viewer: who exactly, where that matters.
    """

    role: Role | None
    language: Language
    viewer: Viewer | None

    @classmethod
    def of(cls, viewer: Viewer | None, language: Language, *, is_personal: bool) -> "Rights":
        """The rights of a subscriber. Customers see rows of their own, so they share with nobody."""
        if viewer is None:
            return cls(None, language, None)
        is_alone = is_personal or viewer.role not in COMPANY
        return cls(viewer.role, language, viewer if is_alone else None)

    def stand_in(self) -> Viewer | None:
        """A viewer for an execution on behalf of all who have these rights."""
        if self.viewer is not None or self.role is None:
            return self.viewer
        return SharedViewer(self.role)


class Operation:
    """A subscription operation with its variables.

    Args:
        schema: what it runs on.
        executor: a `RepeatedExecutor`, built for it.
        field: its one root field.
        key: tells it from operations that could have other results; `after` makes no difference.
        document_key: names the document and the operation in it.
    """

    def __init__(
        self, schema: ApiSchema, executor: Executor[Any], field: FieldNode, key: Hashable, document_key: bytes
    ) -> None:
        self._schema = schema
        self._executor = executor
        self._field = field
        self.key = key
        self.document_key = document_key

    @property
    def field_name(self) -> str:
        """The name of the root field."""
        return self._field.name.value

    @cached_property
    def response_name(self) -> str:
        """What the root field is called in results."""
        return self._field.alias.value if self._field.alias else self.field_name

    async def open(self, context: Context, *, is_resumed: bool = False) -> AnyStream:
        """Ask the root field's resolver, as somebody, where the values come from.

        Args:
            context: the subscriber's own.
            is_resumed: whether the argument `after` is to be left out, because it is known better where to go on.

        Raises:
            Refused: the viewer may not, or the arguments are wrong.
        """
        answer = create_source_event_stream(self._built(RESUMED if is_resumed else None, context))
        if isawaitable(answer):
            answer = await answer
        if isinstance(answer, ExecutionResult):
            raise Refused(self.format_errors(answer.errors or [], context))
        if not isinstance(answer, EventStream | StateStream):
            raise TypeError(f"`{self.field_name}` must answer an EventStream or a StateStream.")
        return answer

    async def render(self, value: Any, context: Context) -> ExecutionResult:
        """Execute the selection on one value of the root field; errors are as they were raised."""
        result = self._built(value, context).execute_operation(False)  # noqa: FBT003 - graphql-core's own: not serially
        return cast("ExecutionResult", await result if isawaitable(result) else result)

    def failure(self, error: BaseException) -> ExecutionResult:
        """The result when there is no value because of `error`."""
        located = GraphQLError(
            str(error), self._field, path=[self.response_name], original_error=cast("Exception", error)
        )
        return ExecutionResult(None, [located])

    def format_errors(self, errors: Sequence[GraphQLError], context: Context) -> list[dict[str, Any]]:
        """Errors as they go over the wire: with codes, masked, in the reader's language."""
        return format_errors(self._schema, errors, context)

    def _built(self, root_value: Any, context: Context) -> Executor[Any]:
        """An executor for one execution: a copy, which is freed at once. A new one refers to itself and is garbage."""
        executor = self._executor.build_per_event_executor(root_value)
        executor.context_value = context
        return executor


class RepeatedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes one operation with its variables again and again, with the fields that were collected the first time.

    Which fields there are below a field is remembered by graphql-core for each list of fields, by identity. It collects
    those at the root anew for each execution, so that its memory would grow for ever and never be of use. Directives
    depend on the variables, which stay the same, and types below the root are part of what is remembered.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # shared by the copies that graphql-core makes for each event
        self._known_fields: dict[GraphQLObjectType, GroupedFieldSet] = {}

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,  # noqa: FBT001 - graphql-core's own
        new_defer_usages: Sequence[DeferUsage],
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Execute the fields of the root."""
        fields = self._known_fields.setdefault(root_type, grouped_field_set)
        return super().execute_collected_root_fields(root_type, root_value, fields, serially, new_defer_usages)


def format_errors(schema: ApiSchema, errors: Sequence[GraphQLError], context: Context) -> list[dict[str, Any]]:
    """Errors as they go over the wire: with codes, masked, in the reader's language."""
    presented = list(errors)
    schema.present_errors(presented, context)
    return [dict(error.formatted) for error in presented]


@dataclass(frozen=True)
class _Plan:
    """What is known of an operation whatever its variables say.

    Args:
        node: the operation.
        field: its root field.
        unused: names of variables that say nothing but where to go on.
        key: names the document and the operation in it.
    """

    node: OperationDefinitionNode
    field: FieldNode
    unused: frozenset[str]
    key: bytes


@lru_cache(maxsize=CACHED_DOCUMENTS)
def _plan(schema: ApiSchema, text: str, name: str | None) -> _Plan | None:
    """The plan of a valid document's operation; None when there is none, or more than one, that may be meant."""
    document = schema.prepare(text).document
    nodes = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)] if document else []
    wanted = [node for node in nodes if name is None or (node.name is not None and node.name.value == name)]
    if document is None or len(wanted) != 1:
        return None
    node = wanted[0]
    key = sha256(f"{name}\n{text}".encode(errors="surrogatepass")).digest()
    field = root_field(document, node)
    return _Plan(node, field, variables_of_after(document, node) if _goes_on(schema, field) else frozenset(), key)


def _goes_on(schema: ApiSchema, field: FieldNode) -> bool:
    """Whether `after` of a root field says where to go on."""
    root = schema._schema.subscription_type  # noqa: SLF001 - Strawberry has no public name for it
    return root is not None and field.name.value in root.fields and is_resumable(root.fields[field.name.value])


def prepare_operation(
    schema: ApiSchema, text: str, variables: Mapping[str, Any] | None, name: str | None, context: Context
) -> Operation:
    """The subscription that a request asks for.

    Raises:
        Refused: it cannot run: the document, its variables or its cost; or it is no subscription.
    """
    given = dict(variables or {})
    prepared = schema.prepare(text)
    errors = request_errors(schema._schema, prepared, given)  # noqa: SLF001 - Strawberry has no public name for it
    if prepared.document is None or errors:
        raise Refused(format_errors(schema, errors, context))
    plan = _plan(schema, text, name)
    if plan is None:
        raise _unknown_operation(name, context)
    if plan.node.operation is not OperationType.SUBSCRIPTION:
        raise _refusal(Sentence("This operation is no subscription."), context)
    executor = RepeatedExecutor.build(
        schema._schema,  # noqa: SLF001 - as above
        prepared.document,
        raw_variable_values=given,
        operation_name=name,
    )
    if isinstance(executor, list):
        raise Refused(format_errors(schema, executor, context))
    coerced = {name: value for name, value in executor.variable_values.coerced.items() if name not in plan.unused}
    return Operation(schema, executor, plan.field, (plan.key, _frozen(coerced)), plan.key)


def _unknown_operation(name: str | None, context: Context) -> Refused:
    if name is None:
        sentence = Sentence("Name one of the document's operations in `operationName`; fragments alone do nothing.")
        return _refusal(sentence, context)
    return _refusal(Sentence('The document has no operation "{name}".', name=name), context)


def _refusal(sentence: Sentence, context: Context) -> Refused:
    message = translate(sentence, context.origin.language)
    return Refused([{"message": message, "extensions": {"code": VALIDATION_FAILED}}])


def _frozen(value: Any) -> Hashable:
    """A value of variables as part of a key: equal only to what is the same in every respect."""
    if isinstance(value, dict):
        return tuple(sorted((name, _frozen(item)) for name, item in value.items()))
    if isinstance(value, list | tuple):
        return (list, tuple(_frozen(item) for item in value))
    return (type(value), repr(value))
