"""Who may do what: one table of root fields, one check that every root field passes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from graphql import GraphQLObjectType, GraphQLResolveInfo

from graphql_api.services.errors import ErrorCode, ServiceError


class Unauthenticated(ServiceError):  # noqa: N818 - named as its code
    """Nobody has signed in."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(ServiceError):  # noqa: N818 - named as its code
    """Whoever asks may not do this."""

    code = ErrorCode.FORBIDDEN


class Action(Enum):
    """What a root field lets somebody do."""

    READ_CATALOGUE = "see stores, products, vendors, categories and places"
    READ_SALES = "see invoices and sales reports"
    READ_IMPORTS = "see imports"
    IMPORT = "load files and take them back"


class Viewer(Protocol):
    """Whoever asks."""

    @property
    def actions(self) -> frozenset[Action]:
        """Everything this person may do."""
        ...


ACTIONS: Mapping[str, Action] = {
    "node": Action.READ_SALES,  # any object, invoices included, is found by its id
    "counties": Action.READ_CATALOGUE,
    "cities": Action.READ_CATALOGUE,
    "store": Action.READ_CATALOGUE,
    "stores": Action.READ_CATALOGUE,
    "vendors": Action.READ_CATALOGUE,
    "categories": Action.READ_CATALOGUE,
    "product": Action.READ_CATALOGUE,
    "products": Action.READ_CATALOGUE,
    "invoice": Action.READ_SALES,
    "invoices": Action.READ_SALES,
    "salesReport": Action.READ_SALES,
    "facets": Action.READ_SALES,
    "overview": Action.READ_SALES,
    "import": Action.READ_IMPORTS,
    "imports": Action.READ_IMPORTS,
    "startImport": Action.IMPORT,
    "confirmImport": Action.IMPORT,
    "cancelImport": Action.IMPORT,
    "revertImport": Action.IMPORT,
}


@dataclass(frozen=True)
class Policy:
    """The rule of the house: a root field that is not in the table is refused.

    Args:
        actions: what each root field needs.
        is_enforced: False lets everybody do everything; meant for the time before there are users.
    """

    actions: Mapping[str, Action] = field(default_factory=lambda: ACTIONS)
    is_enforced: bool = True

    def check(self, field_name: str, viewer: Viewer | None) -> None:
        """Return when `viewer` may use the root field, else raise `Unauthenticated` or `Forbidden`."""
        if not self.is_enforced:
            return
        action = self.actions.get(field_name)
        if action is None:
            raise Forbidden(f"`{field_name}` is not open to anybody.")
        if viewer is None:
            raise Unauthenticated(f"Sign in to use `{field_name}`.")
        if action not in viewer.actions:
            raise Forbidden(f"You may not {action.value}.")


# The one switch: there are no users yet to give rights to.
EVERYTHING_ALLOWED = Policy(is_enforced=False)


def guard_root_fields(root: GraphQLObjectType, policy: Policy, *, is_mutation: bool = False) -> None:
    """Put the check in front of every field of a root type; other fields cost nothing."""
    for name, root_field in root.fields.items():
        if root_field.subscribe:
            root_field.subscribe = _guarded(name, root_field.subscribe, policy, is_mutation=False)
        elif root_field.resolve:
            root_field.resolve = _guarded(name, root_field.resolve, policy, is_mutation=is_mutation)


def _guarded(name: str, resolve: Callable[..., Any], policy: Policy, *, is_mutation: bool) -> Callable[..., Any]:
    def guarded(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        policy.check(name, info.context.viewer)
        if is_mutation:
            info.context.forget_loaded()
        return resolve(source, info, **arguments)

    return guarded
