"""What an import created: gone when it is taken back, unless something else uses it by now."""

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True)
class Use:
    """What keeps a row `t` of a reference table: a query for the imports that need it, one row per use."""

    imports: str
    is_set: bool = False  # the query lists ids beside imports, for all rows at once

    @property
    def exists(self) -> str:
        """A condition on `t`."""
        return f"t.id IN (SELECT id FROM ({self.imports}) u)" if self.is_set else f"EXISTS ({self.imports})"  # noqa: S608 - constants

    @property
    def owner(self) -> str:
        """Any import that needs `t`."""
        condition = "u.id = t.id AND " if self.is_set else ""
        return f"(SELECT u.import_id FROM ({self.imports}) u WHERE {condition}u.import_id IS NOT NULL LIMIT 1)"  # noqa: S608 - as above


def _replaced(column: str) -> Use:
    """What a replaced line said must still be there when the import that replaced it is taken back."""
    query = f"SELECT (before->>'{column}')::bigint AS id, previous_import_id AS import_id FROM import_change"  # noqa: S608 - constants
    return Use(f"{query} WHERE before IS NOT NULL", is_set=True)


def _changed(table: str, column: str) -> Use:
    """What a product or store held before an import changed it must be there when that is taken back."""
    query = f"SELECT (before->>'{column}')::bigint AS id, import_id FROM import_row_change"  # noqa: S608 - as above
    return Use(f"{query} WHERE entity = '{table}' AND before->>'{column}' IS NOT NULL", is_set=True)


def _history(table: str) -> Use:
    """A row that another import has changed is that import's."""
    query = "SELECT u.import_id FROM import_row_change u"
    return Use(f"{query} WHERE u.entity = '{table}' AND u.row_id = t.id AND u.import_id <> t.import_id")


def _edited(entity: str) -> Use:
    """A row that somebody has edited is theirs."""
    query = "SELECT NULL::bigint AS import_id FROM audit_entry u"
    return Use(f"{query} WHERE u.entity = '{entity}' AND u.entity_id = t.id AND u.outcome <> 'REFUSED'")


def _stock(table: str) -> list[Use]:
    """A level, once there, stays; lots and movements hang on one."""
    query = f"FROM stock_level u WHERE u.{table}_id = t.id"
    return [Use(f"SELECT NULL::bigint AS import_id {query}")]


# In this order: what a row of a table is used by stands above it.
USES = {
    "store": [
        Use("SELECT u.import_id FROM invoice u WHERE u.store_id = t.id"),
        Use("SELECT u.import_id FROM purchase u WHERE u.store_id = t.id"),
        Use("SELECT NULL::bigint AS import_id FROM number_series u WHERE u.store_id = t.id"),
        *_stock("store"),
        _history("store"),
        _edited("Store"),
    ],
    "product": [
        Use("SELECT u.import_id FROM invoice_line u WHERE u.product_id = t.id"),
        _replaced("product_id"),
        Use(
            "SELECT p.import_id FROM purchase_line u JOIN purchase p ON p.id = u.purchase_id WHERE u.product_id = t.id"
        ),
        *_stock("product"),
        _history("product"),
        _edited("Product"),
    ],
    "place": [
        Use("SELECT u.import_id FROM invoice_line u WHERE u.place_id = t.id"),
        Use("SELECT u.import_id FROM store u WHERE u.place_id = t.id"),
        _replaced("place_id"),
        _changed("store", "place_id"),
    ],
    "county": [Use("SELECT u.import_id FROM place u WHERE u.county_id = t.id")],
    "vendor": [
        Use("SELECT u.import_id FROM product u WHERE u.vendor_id = t.id"),
        Use("SELECT u.import_id FROM purchase u WHERE u.vendor_id = t.id"),
        _changed("product", "vendor_id"),
        _edited("Vendor"),
    ],
    "category": [
        Use("SELECT u.import_id FROM product u WHERE u.category_id = t.id"),
        _changed("product", "category_id"),
        _edited("Category"),
    ],
}


async def drop_created(connection: asyncpg.Connection, import_id: int) -> None:
    """Remove the stores, products and the like that an import created, in the caller's transaction.

    What something else uses by now stays and belongs to one of its users from then on.
    """
    for table, uses in USES.items():
        await _drop_unused(connection, table, import_id)
        owners = ", ".join(use.owner for use in uses)
        await connection.execute(
            f"UPDATE {table} t SET import_id = coalesce({owners}) WHERE t.import_id = $1",  # noqa: S608 - constants
            import_id,
        )


async def drop_unused(connection: asyncpg.Connection, import_id: int, *, subject: str | None = None) -> None:
    """Remove the stores, products and the like that an import created for rows it then refused.

    Rows of the table that the file is about, its `subject`, are there for their own sake.
    """
    for table in USES:
        if table != subject:
            await _drop_unused(connection, table, import_id)


async def _drop_unused(connection: asyncpg.Connection, table: str, import_id: int) -> None:
    is_used = " OR ".join(use.exists for use in USES[table])
    await connection.execute(f"DELETE FROM {table} t WHERE t.import_id = $1 AND NOT ({is_used})", import_id)  # noqa: S608 - constants
