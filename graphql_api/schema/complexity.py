"""What a document may cost at most, measured before anything runs.

Every field counts as one value, a few as more; below a list it counts once for each row the list may hold. Each
fragment is measured once however often it is spread, so measuring takes linear time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_list_type,
)
from graphql.type import SchemaMetaFieldDef, TypeMetaFieldDef, get_nullable_type

from graphql_api.services.errors import ServiceError, TooComplex
from graphql_api.services.paging import DEFAULT_PAGE

MAX_DEPTH = 20
MAX_VALUES = 250_000
MAX_LISTS = 60
# Each of these may add up millions of rows, while the values it returns are few; the check reads the whole ledger.
REPORTS: Mapping[str, int] = {
    "salesReport": 1,
    "salesReportLive": 1,
    "stockReport": 1,
    "facets": 1,
    "overview": 1,
    "reorderSuggestions": 1,
    "booksCheck": 10,
}
MAX_REPORTS = 10
# Fields that take so much time that few fit into a request, and the values they count as: 25 printed invoices.
WEIGHTS: Mapping[tuple[str, str], int] = {("InvoicePdf", "sha256"): MAX_VALUES // 25}
# Rows of a list that takes no `first`: such lists (the zips of a city) are short by nature.
PLAIN_LIST = 10
# Lists without `first` that are longer, and how many rows they hold at most.
LONG_LISTS: Mapping[tuple[str, str], int] = {("StockState", "levels"): 500}
# Rows counted for a `first` that is a variable, before its value is known.
LARGEST_LIST = 1_000
LARGEST_DIGITS = 7


def refusal(error: ServiceError) -> GraphQLError:
    """The error that keeps a document from running."""
    return GraphQLError(error.message, original_error=error, extensions={"code": error.code.value})


def _too_deep() -> GraphQLError:
    return refusal(TooComplex("Fields nest at most {limit} deep.", limit=MAX_DEPTH))


@dataclass(frozen=True)
class Cost:
    """What a selection costs: `values` once, `per_row` for each row of the list its parent pages."""

    depth: int = 0
    values: int = 0
    per_row: int = 0
    lists: int = 0
    reports: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            max(self.depth, other.depth),
            self.values + other.values,
            self.per_row + other.per_row,
            self.lists + other.lists,
            self.reports + other.reports,
        )

    def excess(self) -> TooComplex | None:
        """What an operation of this cost asks too much of; None when it may run."""
        if self.lists > MAX_LISTS:
            return TooComplex(
                "A request may use {limit} root fields and lists; this one uses {given}. Split it up.",
                limit=MAX_LISTS,
                given=self.lists,
            )
        if self.reports > MAX_REPORTS:
            return TooComplex(
                "A request may ask for {limit} reports, facets and overviews; this one asks for {given}. Split it up.",
                limit=MAX_REPORTS,
                given=self.reports,
            )
        values = self.values + self.per_row * PLAIN_LIST
        if values > MAX_VALUES:
            return TooComplex(
                "A request may return {limit:,} values; this one could return {given:,}. "
                "Ask for smaller pages with `first`, or for fewer fields.",
                limit=MAX_VALUES,
                given=values,
            )
        return None


class Measurement:
    """One measuring of a document.

    Args:
        schema: gives the types, to tell lists from single values.
        document: any parsed document; it need not be valid.
        variables: the values sent along; None before they are known.
        unknown_rows: rows counted for a variable whose value is not known.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        variables: Mapping[str, Any] | None = None,
        *,
        unknown_rows: int = LARGEST_LIST,
    ) -> None:
        self.schema = schema
        self.document = document
        self.variables = variables
        self.unknown_rows = unknown_rows
        self.roots = {schema.query_type, schema.mutation_type, schema.subscription_type}
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self.measured: dict[str, Cost] = {}

    def check(self) -> None:
        """Raise a GraphQLError with QUERY_TOO_COMPLEX when an operation asks for too much."""
        for node in self.document.definitions:
            if isinstance(node, OperationDefinitionNode):
                self._check_operation(node)

    def _check_operation(self, operation: OperationDefinitionNode) -> None:
        cost = self._selections(operation.selection_set, self.schema.get_root_type(operation.operation), 1)
        if too_much := cost.excess():
            raise refusal(too_much)

    def _selections(self, selection_set: SelectionSetNode | None, parent: GraphQLNamedType | None, depth: int) -> Cost:
        if selection_set is None:
            return Cost()
        if depth > MAX_DEPTH:
            raise _too_deep()
        total = Cost(depth=1)
        for selection in selection_set.selections:
            match selection:
                case FieldNode():
                    total += self._field(selection, parent, depth)
                case InlineFragmentNode():
                    condition = selection.type_condition
                    inner = self.schema.get_type(condition.name.value) if condition else parent
                    total += self._selections(selection.selection_set, inner, depth)
                case FragmentSpreadNode():
                    total += self._fragment(selection.name.value, depth)
        return total

    def _fragment(self, name: str, depth: int) -> Cost:
        """The cost of a fragment; a cycle counts nothing here and is refused by the validation after this."""
        fragment = self.fragments.get(name)
        if fragment is None:
            return Cost()
        if name not in self.measured:
            self.measured[name] = Cost()
            inner = self.schema.get_type(fragment.type_condition.name.value)
            self.measured[name] = self._selections(fragment.selection_set, inner, 1)
        cost = self.measured[name]
        if depth + cost.depth - 1 > MAX_DEPTH:
            raise _too_deep()
        return cost

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, depth: int) -> Cost:
        definition = self._definition(node.name.value, parent)
        inner = get_named_type(definition.type) if definition else None
        below = self._selections(node.selection_set, inner, depth + 1)
        is_list = definition is not None and is_list_type(get_nullable_type(definition.type))
        is_paged = definition is not None and "first" in definition.args
        length = LONG_LISTS.get((parent.name, node.name.value)) if parent else None
        rows = self._rows(node, definition) if definition and is_paged else length or PLAIN_LIST
        is_root = parent in self.roots
        lists = below.lists + (is_paged or is_root)
        reports = below.reports + (REPORTS.get(node.name.value, 0) if is_root else 0)
        if is_list and (is_paged or length):
            return Cost(below.depth + 1, 1 + rows * (below.values + below.per_row * PLAIN_LIST), 0, lists, reports)
        if is_list:
            # How many rows there are was decided by the `first` of the field above, if it has one.
            return Cost(below.depth + 1, 1, below.values + below.per_row * PLAIN_LIST, lists, reports)
        own = WEIGHTS.get((parent.name, node.name.value), 1) if parent else 1
        return Cost(below.depth + 1, own + below.values + below.per_row * rows, 0, lists, reports)

    def _definition(self, name: str, parent: GraphQLNamedType | None) -> GraphQLField | None:
        if name == "__schema":
            return SchemaMetaFieldDef
        if name == "__type":
            return TypeMetaFieldDef
        fields: Mapping[str, GraphQLField] = getattr(parent, "fields", None) or {}
        return fields.get(name)

    def _rows(self, node: FieldNode, definition: GraphQLField) -> int:
        """How many rows a paged field may hold."""
        for argument in node.arguments or ():
            if argument.name.value not in {"first", "last"}:
                continue
            match argument.value:
                case IntValueNode(value=digits):
                    return max(0, int(digits)) if len(digits) < LARGEST_DIGITS else LARGEST_LIST**2
                case VariableNode(name=name):
                    return self._variable(name.value)
        default = definition.args["first"].default_value
        return default if isinstance(default, int) else DEFAULT_PAGE

    def _variable(self, name: str) -> int:
        """The value of a variable as rows; one that was left out means the usual page."""
        if self.variables is None:
            return self.unknown_rows
        value = self.variables.get(name, DEFAULT_PAGE)
        return max(0, value) if isinstance(value, int) else DEFAULT_PAGE
