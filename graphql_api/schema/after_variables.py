"""Which variables of a subscription say nothing but where to go on."""

from collections import Counter
from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

from graphql_api.schema.subscription_root import AFTER


def root_field(document: DocumentNode, operation: OperationDefinitionNode) -> FieldNode:
    """The one field at the root of a valid subscription; fields that are merged with it have the same arguments."""
    return next(_fields(operation, document))


def variables_of_after(document: DocumentNode, operation: OperationDefinitionNode) -> frozenset[str]:
    """The names of variables that feed nothing but `after` of the root field."""
    feeding = Counter(
        argument.value.name.value
        for field in _fields(operation, document)
        for argument in field.arguments or ()
        if argument.name.value == AFTER and isinstance(argument.value, VariableNode)
    )
    if not feeding:
        return frozenset()
    used = _Uses()
    for definition in document.definitions:
        if definition is operation or isinstance(definition, FragmentDefinitionNode):
            visit(definition, used)
    return frozenset(name for name, count in feeding.items() if used.counts[name] == count)


def _fields(operation: OperationDefinitionNode, document: DocumentNode) -> Iterator[FieldNode]:
    """The fields at the root, those in fragments among them; each fragment is looked into once."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    pending = [operation.selection_set]
    while pending:
        for selection in pending.pop().selections:
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                pending.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
                pending.append(fragments.pop(selection.name.value).selection_set)


class _Uses(Visitor):
    """Counts where variables are used; their definitions are no use."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def enter_variable_definition(self, *_args: object) -> bool:
        return False

    def enter_variable(self, node: VariableNode, *_args: object) -> None:
        self.counts[node.name.value] += 1
