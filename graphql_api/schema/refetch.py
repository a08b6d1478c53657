"""`node`: read any object again by its id."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import strawberry
from strawberry.dataloader import DataLoader

from graphql_api.schema.category import Category
from graphql_api.schema.context import Info
from graphql_api.schema.import_job import Import
from graphql_api.schema.invoice import Invoice
from graphql_api.schema.loaders import Loaders
from graphql_api.schema.node import Node, parse_global_id
from graphql_api.schema.place import County
from graphql_api.schema.product import Product
from graphql_api.schema.store import Store
from graphql_api.schema.vendor import Vendor
from graphql_api.services.errors import BadInput

# How each type is found again: its loader, and what turns a row into the object.
SOURCES: Mapping[str, tuple[Callable[[Loaders], DataLoader[int, Any]], Callable[[Any], Node]]] = {
    "Category": (lambda loaders: loaders.categories, Category.from_row),
    "County": (lambda loaders: loaders.counties, County.from_row),
    "Import": (lambda loaders: loaders.imports, Import.from_row),
    "Invoice": (lambda loaders: loaders.invoices, Invoice.from_row),
    "Product": (lambda loaders: loaders.products, Product.from_row),
    "Store": (lambda loaders: loaders.stores, Store.from_row),
    "Vendor": (lambda loaders: loaders.vendors, Vendor.from_row),
}


def find_node(loaders: Loaders, node_id: str) -> Awaitable[Node | None]:
    """The object with this id, or None when it is gone.

    Raises:
        BadInput: when the text is no id, or the id of a type that cannot be read again.
    """
    type_name, key = parse_global_id(node_id)
    if type_name not in SOURCES:
        raise BadInput(f"There is no type `{type_name}`.", path=("id",))
    source, to_node = SOURCES[type_name]
    return _load(source(loaders), key, to_node)


async def _load(loader: DataLoader[int, Any], key: int, to_node: Callable[[Any], Node]) -> Node | None:
    row = await loader.load(key)
    return None if row is None else to_node(row)


@strawberry.type
class NodeQuery:
    """Root field that finds any object."""

    @strawberry.field(description="Any object by its id; null when it does not exist any more.")
    async def node(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID, strawberry.argument(description="An id as an `id` field gave it.")
        ],
    ) -> Node | None:
        """Any object by its id."""
        return await find_node(info.context.loaders, id)
