"""`node`: read any object again by its id."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry
from strawberry.dataloader import DataLoader

from graphql_api.schema.audit import AuditEntry
from graphql_api.schema.category import Category
from graphql_api.schema.context import Context, Info
from graphql_api.schema.customer import Customer
from graphql_api.schema.import_job import Import
from graphql_api.schema.invitation import Invitation
from graphql_api.schema.invoice import Invoice
from graphql_api.schema.loaders import Loaders
from graphql_api.schema.low_stock import LowStock
from graphql_api.schema.node import Node, parse_global_id
from graphql_api.schema.notification import Notification
from graphql_api.schema.place import County
from graphql_api.schema.product import Product
from graphql_api.schema.purchase import Purchase
from graphql_api.schema.settings import Settings
from graphql_api.schema.stock import StockLevel, StockLot
from graphql_api.schema.stock_movement import StockMovement
from graphql_api.schema.store import Store
from graphql_api.schema.user import User
from graphql_api.schema.vendor import Vendor
from graphql_api.services.errors import BadInput
from graphql_api.services.policy import Action, Viewer


@dataclass(frozen=True)
class Source:
    """How objects of a type are found again.

    Args:
        action: the right it takes; the loader narrows it to the rows that may be seen.
        loader: reads the rows.
        to_node: turns a row into the object.
        is_own: whether somebody without the right may see the object of this key all the same.
    """

    action: Action
    loader: Callable[[Loaders], DataLoader[int, Any]]
    to_node: Callable[[Any], Node]
    is_own: Callable[[Viewer, int], bool] = lambda _viewer, _key: False

    def is_open(self, viewer: Viewer | None, key: int) -> bool:
        """Whether `viewer` may see the object of this key, if there is one."""
        return viewer is not None and (self.action in viewer.actions or self.is_own(viewer, key))


SOURCES: Mapping[str, Source] = {
    "AuditEntry": Source(Action.READ_AUDIT, lambda loaders: loaders.audit_entries, AuditEntry.from_row),
    "Category": Source(Action.READ_CATALOGUE, lambda loaders: loaders.categories, Category.from_row),
    "County": Source(Action.READ_CATALOGUE, lambda loaders: loaders.counties, County.from_row),
    "Customer": Source(Action.READ_CUSTOMERS, lambda loaders: loaders.customers, Customer.from_row),
    "Import": Source(Action.READ_IMPORTS, lambda loaders: loaders.imports, Import.from_row),
    "Invitation": Source(Action.MANAGE_USERS, lambda loaders: loaders.invitations, Invitation.from_row),
    "Invoice": Source(Action.READ_INVOICES, lambda loaders: loaders.invoices, Invoice.from_row),
    "LowStock": Source(Action.READ_STOCK, lambda loaders: loaders.low_stock, LowStock.from_row),
    "Notification": Source(Action.USE_ACCOUNT, lambda loaders: loaders.notifications, Notification.from_row),
    "Product": Source(Action.READ_CATALOGUE, lambda loaders: loaders.products, Product.from_row),
    "Purchase": Source(Action.READ_PURCHASES, lambda loaders: loaders.purchases, Purchase.from_row),
    "Settings": Source(Action.READ_SETTINGS, lambda loaders: loaders.settings, Settings.from_row),
    "StockLevel": Source(Action.READ_STOCK, lambda loaders: loaders.stock_levels, StockLevel.from_row),
    "StockLot": Source(Action.READ_STOCK, lambda loaders: loaders.stock_lots, StockLot.from_row),
    "StockMovement": Source(Action.READ_STOCK, lambda loaders: loaders.stock_movements, StockMovement.from_row),
    "Store": Source(Action.READ_CATALOGUE, lambda loaders: loaders.stores, Store.from_row),
    "User": Source(
        Action.MANAGE_USERS,
        lambda loaders: loaders.users,
        User.from_row,
        is_own=lambda viewer, key: viewer.user_id == key,
    ),
    "Vendor": Source(Action.READ_CATALOGUE, lambda loaders: loaders.vendors, Vendor.from_row),
}


async def find_node(context: Context, node_id: str, argument: str = "id") -> Node | None:
    """The object with this id; None when it is gone, and just so when the viewer may not see it.

    Raises:
        BadInput: when the text is no id, or the id of a type that cannot be read again.
    """
    type_name, key = parse_global_id(node_id, argument)
    source = SOURCES.get(type_name)
    if source is None:
        raise BadInput("There is no type `{type}`.", path=(argument,), type=type_name)
    if not source.is_open(context.viewer, key):
        return None
    row = await source.loader(context.loaders).load(key)
    return None if row is None else source.to_node(row)


@strawberry.type
class NodeQuery:
    """Root field that finds any object."""

    @strawberry.field(description="Any object by its id; null when it does not exist, or is not visible to you.")
    async def node(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID, strawberry.argument(description="An id as an `id` field gave it.")
        ],
    ) -> Node | None:
        """Any object by its id."""
        return await find_node(info.context, id)
