"""Files of products: one row a product."""

from collections.abc import Sequence

import asyncpg

from graphql_api.imports.layout import Field
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.master_data import Facts, MasterTable
from graphql_api.imports.names import NamedTable, resolve_names
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.row_loader import RowLoader, Written
from graphql_api.imports.rows import FileRows

TABLE = MasterTable(
    name="product",
    key="sku",
    types={
        "sku": "text",
        "name": "text",
        "description": "text",
        "category_id": "bigint",
        "vendor_id": "bigint",
        "pack": "int",
        "volume_ml": "int",
        "unit_cost": "bigint",
        "unit_price": "bigint",
        "low_stock_threshold": "int",
        "is_active": "boolean",
    },
    shown={
        "name": "name",
        "description": "description",
        "category_id": "category",
        "vendor_id": "vendor",
        "pack": "pack",
        "volume_ml": "volume",
        "unit_cost": "unit cost",
        "unit_price": "unit price",
        "low_stock_threshold": "low stock threshold",
        "is_active": "activity",
    },
    needed={"name": Field.PRODUCT_NAME},
    conflict=RejectCode.PRODUCT_CONFLICT,
    blamed=Field.SKU,
)
FIELDS = {
    "sku": Field.SKU,
    "name": Field.PRODUCT_NAME,
    "description": Field.DESCRIPTION,
    "pack": Field.PACK,
    "volume_ml": Field.BOTTLE_VOLUME_ML,
    "unit_cost": Field.UNIT_COST,
    "unit_price": Field.UNIT_PRICE,
    "low_stock_threshold": Field.LOW_STOCK_THRESHOLD,
    "is_active": Field.IS_ACTIVE,
}
# Tables that products refer to, and the fields of their numbers and names.
NAMED: tuple[tuple[NamedTable, Field, Field], ...] = (
    ("category", Field.CATEGORY_NUMBER, Field.CATEGORY_NAME),
    ("vendor", Field.VENDOR_NUMBER, Field.VENDOR_NAME),
)


async def _write(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], options: LoadOptions
) -> Written:
    facts: Facts = {column: rows.chosen(field, chosen) for column, field in FIELDS.items()}
    for source in NAMED:
        facts[f"{source[0]}_id"] = await _named(connection, rows, chosen, options, source)
    return await TABLE.write(connection, rows, chosen, facts, options)


async def _named(
    connection: asyncpg.Connection,
    rows: FileRows,
    chosen: Sequence[int],
    options: LoadOptions,
    source: tuple[NamedTable, Field, Field],
) -> list[int | None]:
    """The category or vendor of each row, made when it is new."""
    table, number, name = source
    facts = list(zip(rows.chosen(number, chosen), rows.chosen(name, chosen), strict=True))
    ids = await resolve_names(connection, table, facts, options.import_id)
    return [ids[fact] for fact in facts]


PRODUCT_ROWS = RowLoader("product", Field.SKU, lambda rows: rows.values(Field.SKU), _write)
