"""Which right each field needs. Every root field is in the table; what is not in it is refused to everybody."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    default_field_resolver,
)

from graphql_api.schema.guarded_inputs import GuardedInputs
from graphql_api.schema.node import parse_global_id
from graphql_api.services.audit import Aim
from graphql_api.services.errors import BadInput, ServiceError
from graphql_api.services.policy import Action, Forbidden, Viewer, require
from graphql_api.services.throttle_rules import RULES_OF_EVERY_MUTATION, rules_of

ROOT_FIELDS: Mapping[str, Action] = {
    "node": Action.USE_ACCOUNT,  # what the id leads to needs a right of its own: see `refetch`
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
    "setProductImage": Action.EDIT_PRODUCT,
    "createStore": Action.EDIT_CATALOGUE,
    "updateStore": Action.EDIT_CATALOGUE,
    "archiveStore": Action.EDIT_CATALOGUE,
    "createVendor": Action.EDIT_CATALOGUE,
    "updateVendor": Action.EDIT_CATALOGUE,
    "archiveVendor": Action.EDIT_CATALOGUE,
    "createCategory": Action.EDIT_CATALOGUE,
    "updateCategory": Action.EDIT_CATALOGUE,
    "archiveCategory": Action.EDIT_CATALOGUE,
    "customer": Action.READ_CUSTOMERS,
    "customers": Action.READ_CUSTOMERS,
    "createCustomer": Action.EDIT_CUSTOMERS,
    "updateCustomer": Action.EDIT_CUSTOMERS,
    "archiveCustomer": Action.EDIT_CUSTOMERS,
    "invoice": Action.READ_INVOICES,
    "invoices": Action.READ_INVOICES,
    "createInvoice": Action.WRITE_INVOICES,
    "updateInvoice": Action.WRITE_INVOICES,
    "addInvoiceLines": Action.WRITE_INVOICES,
    "setInvoiceLines": Action.WRITE_INVOICES,
    "issueInvoice": Action.WRITE_INVOICES,
    "payInvoice": Action.WRITE_INVOICES,
    "voidInvoice": Action.VOID_INVOICES,
    "creditInvoice": Action.VOID_INVOICES,
    "deleteDraftInvoice": Action.WRITE_INVOICES,
    "salesReport": Action.READ_SALES,
    "facets": Action.READ_SALES,
    "overview": Action.READ_SALES,
    "stockReport": Action.READ_STOCK,
    "booksCheck": Action.READ_BOOKS,
    "stockLevels": Action.READ_STOCK,
    "stockLots": Action.READ_STOCK,
    "stockMovements": Action.READ_STOCK,
    "expiring": Action.READ_STOCK,
    "adjustStock": Action.MOVE_STOCK,
    "countStock": Action.MOVE_STOCK,
    "transferStock": Action.MOVE_STOCK,
    "purchase": Action.READ_PURCHASES,
    "purchases": Action.READ_PURCHASES,
    "createPurchase": Action.MANAGE_PURCHASES,
    "updatePurchase": Action.MANAGE_PURCHASES,
    "receivePurchase": Action.MANAGE_PURCHASES,
    "voidPurchase": Action.MANAGE_PURCHASES,
    "reorderSuggestions": Action.READ_PURCHASES,
    "orderSuggested": Action.MANAGE_PURCHASES,
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
    "lowStock": Action.READ_STOCK,
    "lowStockReport": Action.READ_STOCK,
    "acknowledgeLowStock": Action.WATCH_STOCK,
    "notifications": Action.USE_ACCOUNT,
    "markNotificationRead": Action.USE_ACCOUNT,
    "deleteNotification": Action.USE_ACCOUNT,
    "createNotification": Action.NOTIFY,
    "stockChanged": Action.READ_STOCK,
    "stockWatch": Action.READ_STOCK,
    "productChanged": Action.READ_CATALOGUE,
    "invoiceChanged": Action.READ_INVOICES,
    "purchaseChanged": Action.READ_PURCHASES,
    "notificationReceived": Action.USE_ACCOUNT,
    "importProgress": Action.READ_IMPORTS,
    "salesReportLive": Action.READ_SALES,
    "settings": Action.READ_SETTINGS,
    "updateSettings": Action.CHANGE_SETTINGS,
}
ANY_TYPE = "*"
# Fields below the root that need more than what leads to them. They cost a check; all others cost nothing.
# The numbers of reports are not here: whoever may read reports may see costs, and a test holds the table to that.
FIELDS: Mapping[tuple[str, str], Action] = {
    (ANY_TYPE, "auditTrail"): Action.READ_AUDIT,
    ("Product", "createdBy"): Action.MANAGE_USERS,
    ("Purchase", "createdBy"): Action.MANAGE_USERS,
    ("LowStock", "acknowledgedBy"): Action.MANAGE_USERS,
    ("Product", "unitCost"): Action.READ_COSTS,
    ("Product", "lowStockThreshold"): Action.READ_STOCK,
    ("Customer", "user"): Action.MANAGE_USERS,
    ("Invoice", "createdBy"): Action.MANAGE_USERS,
    ("StockLevel", "value"): Action.READ_COSTS,
    ("StockLot", "unitCost"): Action.READ_COSTS,
    ("StockLot", "value"): Action.READ_COSTS,
    ("LotUse", "cost"): Action.READ_COSTS,
    ("StockMovement", "cost"): Action.READ_COSTS,
    ("StockMovement", "actor"): Action.MANAGE_USERS,
    ("StockMovement", "purchase"): Action.READ_PURCHASES,
    ("StockChange", "actor"): Action.MANAGE_USERS,
    ("InvoiceLine", "cost"): Action.READ_COSTS,
    ("InvoiceLine", "profit"): Action.READ_COSTS,
    ("InvoiceTotals", "cost"): Action.READ_COSTS,
    ("InvoiceTotals", "profit"): Action.READ_COSTS,
}
# Fields of inputs and values of enums that need more: what may not be read is not to be guessed by asking for it.
INPUTS: Mapping[tuple[str, str], Action] = {
    ("ProductWhere", "unitCost"): Action.READ_COSTS,
    ("ProductOrderField", "UNIT_COST"): Action.READ_COSTS,
    ("StockLevelWhere", "value"): Action.READ_COSTS,
    ("StockLevelOrderField", "VALUE"): Action.READ_COSTS,
    ("StockLotWhere", "unitCost"): Action.READ_COSTS,
    ("StockLotWhere", "purchase"): Action.READ_PURCHASES,
    ("StockMovementWhere", "purchase"): Action.READ_PURCHASES,
    ("StockMovementWhere", "import"): Action.READ_IMPORTS,
    ("SalesHaving", "cost"): Action.READ_COSTS,
    ("SalesHaving", "profit"): Action.READ_COSTS,
    ("SalesHaving", "margin"): Action.READ_COSTS,
    ("StockMeasure", "VALUE"): Action.READ_COSTS,
    ("Measure", "COST"): Action.READ_COSTS,
    ("Measure", "PROFIT"): Action.READ_COSTS,
    ("Measure", "MARGIN"): Action.READ_COSTS,
}


@dataclass(frozen=True)
class Policy:
    """The rule of the house: a root field that is not in the table is refused.

    Args:
        root_fields: what each root field needs.
        fields: what further fields need, by type and field.
        inputs: what fields of inputs and values of enums need, by type and name.
    """

    root_fields: Mapping[str, Action] = field(default_factory=lambda: ROOT_FIELDS)
    fields: Mapping[tuple[str, str], Action] = field(default_factory=lambda: FIELDS)
    inputs: Mapping[tuple[str, str], Action] = field(default_factory=lambda: INPUTS)

    def check(self, field_name: str, viewer: Viewer | None) -> None:
        """Return when `viewer` may use the root field, else raise `Unauthenticated` or `Forbidden`."""
        action = self.root_fields.get(field_name)
        if action is None:
            raise Forbidden("`{field}` is not open to anybody.", field=field_name)
        require(viewer, action)


def guard(schema: GraphQLSchema, policy: Policy) -> None:
    """Put the checks in front of the fields they are for; other fields cost nothing."""
    inputs = GuardedInputs(schema, policy.inputs)
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType):
            _guard_arguments(type_, inputs)
    for (type_name, name), action in policy.fields.items():
        for guarded in guarded_fields(schema, type_name, name):
            guarded.resolve = _required(action, guarded.resolve or default_field_resolver)
    # what stands in front of a root field comes last, so that it is asked first
    _guard_roots(schema, policy)


def _guard_roots(schema: GraphQLSchema, policy: Policy) -> None:
    for root in (schema.query_type, schema.subscription_type):
        for name, root_field in root.fields.items() if root else ():
            if root_field.subscribe:
                root_field.subscribe = _asked(name, root_field.subscribe, policy)
            elif root_field.resolve:
                root_field.resolve = _asked(name, root_field.resolve, policy)
    for name, root_field in schema.mutation_type.fields.items() if schema.mutation_type else ():
        if root_field.resolve:
            root_field.resolve = _attempted(name, root_field.resolve, policy)


def guarded_fields(schema: GraphQLSchema, type_name: str, name: str) -> list[GraphQLField]:
    """The fields of this name, of one type or of every type that has one.

    Raises:
        LookupError: there is none, so a rule is without effect.
    """
    types = schema.type_map.values() if type_name == ANY_TYPE else [schema.type_map.get(type_name)]
    found = [type_.fields[name] for type_ in types if isinstance(type_, GraphQLObjectType) and name in type_.fields]
    if not found:
        raise LookupError(f"There is no field {type_name}.{name} to be guarded.")
    return found


def _guard_arguments(owner: GraphQLObjectType, inputs: GuardedInputs) -> None:
    for guarded in owner.fields.values():
        kinds = {name: argument.type for name, argument in guarded.args.items() if inputs.reach(argument.type)}
        if kinds and guarded.subscribe:
            guarded.subscribe = _allowed_arguments(kinds, guarded.subscribe, inputs)
        elif kinds and guarded.resolve:
            guarded.resolve = _allowed_arguments(kinds, guarded.resolve, inputs)


def _allowed_arguments(
    kinds: Mapping[str, GraphQLInputType], resolve: Callable[..., Any], inputs: GuardedInputs
) -> Callable[..., Any]:
    def allowed(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        viewer = info.context.viewer
        for name, kind in kinds.items():
            if name in arguments:
                inputs.check(kind, arguments[name], viewer, (name,))
        return resolve(source, info, **arguments)

    return allowed


def _asked(name: str, resolve: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    """Before a query: its right, then its limits, if it has any."""
    rules = rules_of(name)

    def checked(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        info.context.check(policy, name)
        return resolve(source, info, **arguments)

    async def counted(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        info.context.check(policy, name)
        await info.context.throttle(rules)
        answer = resolve(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return counted if rules else checked


def _attempted(name: str, resolve: Callable[..., Awaitable[Any]], policy: Policy) -> Callable[..., Awaitable[Any]]:
    """Before a mutation: the limit of all mutations, its right, its own limits. The audit record gets what is refused.

    Whoever may not use a mutation takes no attempts away from those who may.
    """
    own_rules = rules_of(name)

    async def attempted(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        context = info.context
        await context.begin_mutation(_aim(arguments), arguments)
        await context.throttle(RULES_OF_EVERY_MUTATION)
        try:
            context.check(policy, name)
        except ServiceError as error:
            await context.record_refusal(name, error)
            raise
        await context.throttle(own_rules, _email(arguments))
        return await resolve(source, info, **arguments)

    return attempted


def _email(arguments: Mapping[str, Any]) -> str | None:
    """The e-mail address that a mutation is about."""
    return _given(arguments, "email")


def _aim(arguments: Mapping[str, Any]) -> Aim:
    """What a mutation is about, as far as its input tells."""
    given = _given(arguments, "id")
    try:
        entity, entity_id = (None, None) if given is None else parse_global_id(given)
    except BadInput:
        entity, entity_id = None, None
    return Aim(entity, entity_id, _email(arguments))


def _given(arguments: Mapping[str, Any], name: str) -> str | None:
    """A text of the input."""
    given = arguments.get("input")
    value = given.get(name) if isinstance(given, Mapping) else None
    return value if isinstance(value, str) else None


def _required(action: Action, resolve: Callable[..., Any]) -> Callable[..., Any]:
    def required(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        require(info.context.viewer, action)
        return resolve(source, info, **arguments)

    return required
