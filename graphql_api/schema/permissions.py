"""Which right each field needs. Every root field is in the table; what is not in it is refused to everybody."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

from graphql_api.services.errors import ServiceError
from graphql_api.services.policy import Action, Forbidden, Viewer, require

ROOT_FIELDS: Mapping[str, Action] = {
    "node": Action.USE_ACCOUNT,  # what the id leads to has a right of its own: see NODES
    "counties": Action.READ_CATALOGUE,
    "cities": Action.READ_CATALOGUE,
    "store": Action.READ_CATALOGUE,
    "stores": Action.READ_CATALOGUE,
    "vendors": Action.READ_CATALOGUE,
    "categories": Action.READ_CATALOGUE,
    "product": Action.READ_CATALOGUE,
    "products": Action.READ_CATALOGUE,
    "createProduct": Action.CREATE_PRODUCT,
    "updateProduct": Action.EDIT_PRODUCT,
    "archiveProduct": Action.EDIT_PRODUCT,
    "invoice": Action.READ_INVOICES,
    "invoices": Action.READ_INVOICES,
    "salesReport": Action.READ_SALES,
    "facets": Action.READ_SALES,
    "overview": Action.READ_SALES,
    "import": Action.READ_IMPORTS,
    "imports": Action.READ_IMPORTS,
    "startImport": Action.IMPORT,
    "confirmImport": Action.IMPORT,
    "cancelImport": Action.IMPORT,
    "revertImport": Action.IMPORT,
    "register": Action.SIGN_IN,
    "verifyEmail": Action.SIGN_IN,
    "login": Action.SIGN_IN,
    "refreshToken": Action.SIGN_IN,
    "requestPasswordReset": Action.SIGN_IN,
    "verifyPasswordReset": Action.SIGN_IN,
    "resetPassword": Action.SIGN_IN,
    "acceptInvitation": Action.SIGN_IN,
    "me": Action.SIGN_IN,  # null for whoever has not signed in
    "viewer": Action.SIGN_IN,
    "mySessions": Action.USE_ACCOUNT,
    "updateProfile": Action.USE_ACCOUNT,
    "changePassword": Action.USE_ACCOUNT,
    "logout": Action.USE_ACCOUNT,
    "logoutEverywhere": Action.USE_ACCOUNT,
    "revokeSession": Action.USE_ACCOUNT,
    "users": Action.MANAGE_USERS,
    "updateUser": Action.MANAGE_USERS,
    "invitations": Action.MANAGE_USERS,
    "inviteUser": Action.MANAGE_USERS,
    "revokeInvitation": Action.MANAGE_USERS,
    "auditLog": Action.READ_AUDIT,
    "settings": Action.READ_SETTINGS,
    "updateSettings": Action.CHANGE_SETTINGS,
}
# Fields below the root that need more than what leads to them. They cost a check; all others cost nothing.
FIELDS: Mapping[tuple[str, str], Action] = {
    ("Product", "unitCost"): Action.READ_COSTS,
    ("InvoiceLine", "cost"): Action.READ_COSTS,
    ("InvoiceLine", "profit"): Action.READ_COSTS,
    ("InvoiceTotals", "cost"): Action.READ_COSTS,
    ("InvoiceTotals", "profit"): Action.READ_COSTS,
}


@dataclass(frozen=True)
class Policy:
    """The rule of the house: a root field that is not in the table is refused.

    Args:
        root_fields: what each root field needs.
        fields: what further fields need, by type and field.
    """

    root_fields: Mapping[str, Action] = field(default_factory=lambda: ROOT_FIELDS)
    fields: Mapping[tuple[str, str], Action] = field(default_factory=lambda: FIELDS)

    def check(self, field_name: str, viewer: Viewer | None) -> None:
        """Return when `viewer` may use the root field, else raise `Unauthenticated` or `Forbidden`."""
        action = self.root_fields.get(field_name)
        if action is None:
            raise Forbidden("`{field}` is not open to anybody.", field=field_name)
        require(viewer, action)


def guard(schema: GraphQLSchema, policy: Policy) -> None:
    """Put the checks in front of the fields they are for; other fields cost nothing."""
    for root in (schema.query_type, schema.subscription_type):
        for name, root_field in root.fields.items() if root else ():
            if root_field.subscribe:
                root_field.subscribe = _checked(name, root_field.subscribe, policy)
            elif root_field.resolve:
                root_field.resolve = _checked(name, root_field.resolve, policy)
    for name, root_field in schema.mutation_type.fields.items() if schema.mutation_type else ():
        if root_field.resolve:
            root_field.resolve = _attempted(name, root_field.resolve, policy)
    for (type_name, name), action in policy.fields.items():
        owner = schema.type_map[type_name]
        if not isinstance(owner, GraphQLObjectType) or owner.fields[name].resolve is None:
            raise LookupError(f"{type_name}.{name} cannot be guarded.")
        owner.fields[name].resolve = _required(action, owner.fields[name].resolve)


def _checked(name: str, resolve: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    def checked(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        info.context.check(policy, name)
        return resolve(source, info, **arguments)

    return checked


def _attempted(name: str, resolve: Callable[..., Awaitable[Any]], policy: Policy) -> Callable[..., Awaitable[Any]]:
    """Before a mutation: its limits, then its right. What the policy refuses goes into the audit record."""

    async def attempted(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        context = info.context
        context.forget_loaded()
        await context.throttle(name)
        try:
            context.check(policy, name)
        except ServiceError as error:
            await context.record_refusal(name, error)
            raise
        return await resolve(source, info, **arguments)

    return attempted


def _required(action: Action, resolve: Callable[..., Any]) -> Callable[..., Any]:
    def required(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        require(info.context.viewer, action)
        return resolve(source, info, **arguments)

    return required
